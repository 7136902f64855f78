// SPDX-License-Identifier: MPL-2.0
//
// Where a mailbox may be: a numerical address and a port. A value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace parley::detail {

struct peer_place {
  std::string host{};  // IPv6 without brackets, perhaps with its scope
  std::uint16_t port = 0;

  // Of "tcp://host:port" or "tcp://[host]:port", whatever the host; never port 0.
  [[nodiscard]] static std::optional<peer_place> parse(std::string_view text);
  [[nodiscard]] std::string str() const;

  // Names are not looked up: that takes time, and they are the names of somebody else's network.
  // zyre on all interfaces gives the name of its host.
  [[nodiscard]] bool is_numerical() const;
  // Everybody has a loopback of his own.
  [[nodiscard]] bool is_loopback() const;

  friend bool operator==(const peer_place&, const peer_place&) = default;
};

}  // namespace parley::detail
