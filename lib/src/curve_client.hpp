// SPDX-License-Identifier: MPL-2.0
//
// The client's half of CURVE's handshake, as far as the server's description of itself.
//
// No I/O, one thread. One object a connection; commands are bodies without their size.
// Source: CurveZMQ, RFC 26.
#pragma once

#include <parley/curve.hpp>

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace parley::detail {

class curve_client {
 public:
  // Requires: the security is a client's.
  explicit curve_client(const curve_security& security);

  // What is sent first.
  [[nodiscard]] std::string hello();
  // What is sent next, with a description of this socket. None: the server has no such keys.
  [[nodiscard]] std::optional<std::string> initiate(std::string_view welcome,
                                                    std::string_view metadata);
  // The server's description. None: it refused, or has no such keys.
  [[nodiscard]] std::optional<std::string> open_ready(std::string_view ready) const;

 private:
  using key = std::array<std::uint8_t, curve_key::size>;

  curve_keys own_;
  curve_key server_;
  // Of this connection.
  key public_{}, secret_{};
  key server_public_{};
};

}  // namespace parley::detail
