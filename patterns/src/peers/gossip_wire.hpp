// SPDX-License-Identifier: MPL-2.0
//
// What nodes tell each other of third ones, where beacons do not reach: czmq's zgossip, as zyre
// uses it. A key is a node's id in hexadecimal digits, its value the endpoint of its mailbox,
// with "|" and a public key behind it for secure nodes. No I/O; the reader takes any bytes.
// Source: czmq's zgossip_msg.bnf.
#pragma once

#include <parley/curve.hpp>
#include <parley/peer_id.hpp>

#include "peer_place.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace parley::detail {

struct gossip_message {
  enum class kind : std::uint8_t { hello = 1, publish, ping, pong, invalid };
  kind what = kind::ping;
  std::string key{};    // publish
  std::string value{};  // publish
};

// Nothing: malformed, or of another version.
[[nodiscard]] std::optional<gossip_message> read_gossip(std::string_view frame);
[[nodiscard]] std::string write_gossip(const gossip_message& written);

// A node and its mailbox. Nothing: that is no address that could be dialled.
struct gossip_fact {
  peer_id who;
  peer_place where;
  std::optional<curve_key> key{};

  friend bool operator==(const gossip_fact&, const gossip_fact&) = default;
};
[[nodiscard]] std::optional<gossip_fact> fact_of(const gossip_message& published);
[[nodiscard]] gossip_message message_of(const gossip_fact& fact);

}  // namespace parley::detail
