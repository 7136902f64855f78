// SPDX-License-Identifier: MPL-2.0
#include "peer_place.hpp"

#include <arpa/inet.h>

#include <charconv>

namespace parley::detail {

std::optional<peer_place> peer_place::parse(std::string_view text) {
  constexpr std::string_view scheme = "tcp://";
  const auto colon = text.rfind(':');
  if (!text.starts_with(scheme) || colon == std::string_view::npos || colon < scheme.size()) {
    return std::nullopt;
  }
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  if (const auto [end, code] = std::from_chars(digits.begin(), digits.end(), port);
      code != std::errc{} || end != digits.end() || port == 0) {
    return std::nullopt;
  }
  std::string_view host = text.substr(scheme.size(), colon - scheme.size());
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  return peer_place{std::string{host}, port};
}

std::string peer_place::str() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return "tcp://" + (is_ipv6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

bool peer_place::is_numerical() const {
  const std::string address = host.substr(0, host.find('%'));
  in6_addr octets{};
  return ::inet_pton(AF_INET, address.c_str(), &octets) == 1 ||
         ::inet_pton(AF_INET6, address.c_str(), &octets) == 1;
}

bool peer_place::is_loopback() const { return host.starts_with("127.") || host == "::1"; }

}  // namespace parley::detail
