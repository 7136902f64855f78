// SPDX-License-Identifier: MPL-2.0
//
// Where a socket binds or connects: a transport and an address, checked when it is made.
//
//   pipe://name            threads of this process, over lock-free pipes
//   inproc://name          threads of this process, through libzmq
//   ipc:///path  ipc://*   processes of this machine; * picks a fresh path (bind only)
//   tcp://host:port        host is a name, an address, [IPv6], an interface, or * for all (bind
//                          only); port 0 or * picks a free one (bind only)
//   service:name           whoever announces that name on the network, while a parley::peers of
//                          the same context looks; for patterns, sockets do not take it
//
// A value type. Making one from text throws error{errc::invalid_endpoint}, which says what is wrong
// with it; nothing is resolved or opened.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace parley {

enum class transport { pipe, inproc, ipc, tcp, service };

[[nodiscard]] std::string_view to_string(transport kind) noexcept;

class endpoint {
 public:
  endpoint(std::string_view text);
  endpoint(const std::string& text) : endpoint{std::string_view{text}} {}
  endpoint(const char* text) : endpoint{std::string_view{text}} {}

  [[nodiscard]] transport kind() const noexcept { return kind_; }
  // tcp: the host without brackets; else the name or path.
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  // tcp: 0 lets the system choose; else 0.
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] bool is_ipv6() const noexcept { return ipv6_; }
  // True when only bind can use it: all interfaces, a port or a path still to be chosen.
  [[nodiscard]] bool is_wildcard() const noexcept;

  // The text that parses to this endpoint again.
  [[nodiscard]] std::string str() const;

  friend bool operator==(const endpoint&, const endpoint&) = default;

 private:
  transport kind_;
  bool ipv6_ = false;
  std::uint16_t port_ = 0;
  std::string address_;
};

}  // namespace parley
