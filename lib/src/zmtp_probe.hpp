// SPDX-License-Identifier: MPL-2.0
//
// Asks the socket that is bound at an endpoint whether it unpacks batches: it begins a connection,
// reads what the other side says of itself, and goes no further, so it never becomes a peer that
// messages are for. Under CURVE, where the client has to speak first, it says that it is a push
// socket, which nobody sends to.
//
// No I/O, one thread: takes the bytes that came and says which to send. One object a connection.
// Source: ZMTP 3.1, RFC 37.
#pragma once

#include <parley/curve.hpp>

#include "curve_client.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace parley::detail {

class zmtp_probe {
 public:
  enum class answer {
    pending,  // more bytes, please
    unpacks,
    plain,  // it does not, or does not speak with us
  };

  // Requires: the security is none, or a client's.
  explicit zmtp_probe(const curve_security& security = {});

  // What came. Requires: the answer is pending.
  answer receive(std::string_view bytes);
  // What is to be sent now, after each call of receive, and at first.
  [[nodiscard]] std::string take_reply() { return std::exchange(reply_, {}); }

 private:
  [[nodiscard]] answer read_greeting(std::string_view greeting);
  [[nodiscard]] answer read_command(std::string_view body);
  void reply(std::string_view command);

  std::optional<curve_client> curve_;
  std::string unread_;
  std::string reply_;
  bool is_greeted_ = false;
  bool is_welcome_ = false;  // CURVE: the server has the keys that we know it by
};

}  // namespace parley::detail
