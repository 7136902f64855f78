// SPDX-License-Identifier: MPL-2.0
//
// What a ROUTER received: from whom, and by which connection from where. libzmq tells that of each
// message, but only to who receives it by hand.
#pragma once

#include <parley/curve.hpp>
#include <parley/message.hpp>

#include <optional>
#include <string>

#include <zmq.hpp>

namespace parley::detail {

struct routed_message {
  std::string address;             // what the router knows the sender by
  std::string host;                // the numerical address that its connection came from
  std::optional<curve_key> key{};  // that its connection has proved
  int connection = -1;             // libzmq's descriptor of it
  message said;
};

// Nothing: there is none.
[[nodiscard]] std::optional<routed_message> receive_routed(zmq::socket_t& router);

}  // namespace parley::detail
