// SPDX-License-Identifier: MPL-2.0
#include <parley/endpoint.hpp>

#include <parley/error.hpp>

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace parley {
namespace {

// The longest name that a pipe or inproc endpoint may have; libzmq has the same limit.
constexpr std::size_t max_name_bytes = 255;
// DNS: a name has at most 253 characters.
constexpr std::size_t max_host_bytes = 253;
// The kernel's limit for the path of a local socket, less the final NUL.
constexpr std::size_t max_path_bytes = sizeof(sockaddr_un::sun_path) - 1;

constexpr std::string_view service_prefix = "service:";
// It travels beside an address in the name of a ZRE group, which has 255.
constexpr std::size_t max_service_bytes = 100;

constexpr std::array transports{transport::pipe, transport::inproc, transport::ipc, transport::tcp};

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  std::string shown{text.substr(0, 300)};
  std::replace_if(
      shown.begin(), shown.end(), [](unsigned char letter) { return std::iscntrl(letter) != 0; },
      '?');
  throw error{errc::invalid_endpoint, "'" + shown + "' (" + std::string{why} + ")"};
}

transport parse_transport(std::string_view text, std::string_view name) {
  for (const transport kind : transports) {
    if (to_string(kind) == name) {
      return kind;
    }
  }
  refuse(text, "the transport must be pipe, inproc, ipc or tcp");
}

std::uint16_t parse_port(std::string_view text, std::string_view port) {
  if (port == "*") {
    return 0;
  }
  std::uint16_t value = 0;
  const auto [end, failure] = std::from_chars(port.data(), port.data() + port.size(), value);
  if (port.empty() || failure != std::errc{} || end != port.data() + port.size()) {
    refuse(text, "the port must be a number from 0 to 65535, or *");
  }
  return value;
}

bool is_ipv6_literal(const std::string& host) {
  // A link-local address may carry its interface behind a percent sign.
  const std::string address = host.substr(0, host.find('%'));
  in6_addr parsed{};
  return inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
}

void check_service(std::string_view text, std::string_view name) {
  const bool is_plain = std::all_of(name.begin(), name.end(), [](unsigned char letter) {
    return std::isalnum(letter) != 0 || letter == '.' || letter == '-' || letter == '_' ||
           letter == '/';
  });
  if (name.empty() || name.size() > max_service_bytes || !is_plain) {
    refuse(text, "a service has a name of 1 to 100 letters, digits or . - _ /");
  }
}

void check_host(std::string_view text, std::string_view host) {
  if (host.empty()) {
    refuse(text, "the host is missing; write * for all interfaces");
  }
  if (host.size() > max_host_bytes) {
    refuse(text, "the host is longer than 253 characters");
  }
  const bool plain = std::all_of(host.begin(), host.end(), [](unsigned char letter) {
    return std::isalnum(letter) != 0 || letter == '.' || letter == '-' || letter == '_';
  });
  if (host != "*" && !plain) {
    refuse(text, "the host must be a name, an IPv4 address, [IPv6] or *");
  }
}

}  // namespace

std::string_view to_string(transport kind) noexcept {
  switch (kind) {
    case transport::pipe:
      return "pipe";
    case transport::inproc:
      return "inproc";
    case transport::ipc:
      return "ipc";
    case transport::tcp:
      return "tcp";
    case transport::service:
      return "service";
  }
  return "";
}

endpoint::endpoint(std::string_view text) {
  if (text.starts_with(service_prefix)) {
    const std::string_view name = text.substr(service_prefix.size());
    check_service(text, name);
    kind_ = transport::service;
    address_ = name;
    return;
  }
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) {
    refuse(text, "expected transport://address, for example tcp://127.0.0.1:5555");
  }
  if (text.find('\0') != std::string_view::npos) {
    refuse(text, "it contains a NUL byte");
  }
  kind_ = parse_transport(text, text.substr(0, colon));
  const std::string_view rest = text.substr(colon + 3);

  if (kind_ != transport::tcp) {
    const bool is_path = kind_ == transport::ipc;
    if (rest.empty()) {
      refuse(text, is_path ? "the path is missing" : "the name is missing");
    }
    if (rest.size() > (is_path ? max_path_bytes : max_name_bytes)) {
      refuse(text, is_path ? "the path is longer than the system allows for a local socket"
                           : "the name is longer than 255 bytes");
    }
    address_ = rest;
    return;
  }

  const std::size_t split = rest.rfind(':');
  const bool bracketed = !rest.empty() && rest.front() == '[';
  if (split == std::string_view::npos || (bracketed && rest.find(']') > split)) {
    refuse(text, "the port is missing; tcp endpoints end in :port");
  }
  std::string_view host = rest.substr(0, split);
  if (bracketed) {
    if (host.back() != ']') {
      refuse(text, "expected :port right behind ]");
    }
    address_ = host.substr(1, host.size() - 2);
    if (!is_ipv6_literal(address_)) {
      refuse(text, "no IPv6 address between the brackets");
    }
    ipv6_ = true;
  } else {
    if (host.find(':') != std::string_view::npos) {
      refuse(text, "an IPv6 address must stand in brackets, for example tcp://[::1]:5555");
    }
    check_host(text, host);
    address_ = host;
  }
  port_ = parse_port(text, rest.substr(split + 1));
}

bool endpoint::is_wildcard() const noexcept {
  switch (kind_) {
    case transport::tcp:
      return port_ == 0 || address_ == "*";
    case transport::ipc:
      return address_ == "*";
    default:
      return false;
  }
}

std::string endpoint::str() const {
  if (kind_ == transport::service) {
    return std::string{service_prefix} + address_;
  }
  std::string text{to_string(kind_)};
  text += "://";
  if (kind_ != transport::tcp) {
    return text + address_;
  }
  text += ipv6_ ? "[" + address_ + "]" : address_;
  return text + ":" + std::to_string(port_);
}

}  // namespace parley
