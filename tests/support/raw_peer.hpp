// SPDX-License-Identifier: MPL-2.0
//
// The other end of a TCP connection as bytes, for peers that do not behave. Every wait is bounded.
#pragma once

#include <parley/endpoint.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace parley::support {

class raw_peer {
 public:
  explicit raw_peer(int fd) : fd_{fd} {
    if (fd_ < 0) {
      throw std::system_error{errno, std::generic_category(), "raw peer"};
    }
  }
  raw_peer(raw_peer&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  raw_peer& operator=(raw_peer&&) = delete;
  ~raw_peer() {
    if (fd_ != -1) {
      ::close(fd_);
    }
  }

  static raw_peer connected(const endpoint& where) {
    raw_peer made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const sockaddr_in address = loopback(where.port());
    if (::connect(made.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::system_error{errno, std::generic_category(), "connect raw peer"};
    }
    return made;
  }

  // The kernel makes connections for it, whether it accepts them or not.
  static raw_peer listening() {
    raw_peer made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const sockaddr_in address = loopback(0);
    if (::bind(made.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(made.fd_, 16) != 0) {
      throw std::system_error{errno, std::generic_category(), "listen as raw peer"};
    }
    return made;
  }
  [[nodiscard]] endpoint where() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return endpoint{"tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port))};
  }
  [[nodiscard]] raw_peer accept() const {
    await(POLLIN);
    return raw_peer{::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)};
  }

  // False: the other side has hung up.
  bool write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto written = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (written < 0) {
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

  // Exactly that many bytes; fewer only when the other side has hung up.
  [[nodiscard]] std::string read(std::size_t count) const {
    std::string bytes(count, '\0');
    std::size_t done = 0;
    while (done < count) {
      await(POLLIN);
      const auto got = ::recv(fd_, bytes.data() + done, count - done, 0);
      if (got <= 0) {
        break;
      }
      done += static_cast<std::size_t>(got);
    }
    bytes.resize(done);
    return bytes;
  }

  // Whether read has anything to return at once.
  [[nodiscard]] bool has_bytes() const {
    pollfd waited{fd_, POLLIN, 0};
    return ::poll(&waited, 1, 0) > 0;
  }

  // Reads on until the other side hangs up.
  void await_hang_up() const {
    while (!read(4096).empty()) {
    }
  }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void await(short events) const {
    pollfd waited{fd_, events, 0};
    if (::poll(&waited, 1, 20'000) <= 0) {
      throw std::runtime_error{"nothing came to the raw peer"};
    }
  }

  int fd_;
};

// "greeting = signature version mechanism as-server filler", 64 octets (RFC 23)
inline std::string zmtp_greeting(std::string_view mechanism = "NULL") {
  std::string greeting(64, '\0');
  greeting[0] = '\xff';
  greeting[9] = '\x7f';
  greeting[10] = 3;
  greeting.replace(12, mechanism.size(), mechanism);
  return greeting;
}

// "ready = command-size %d5 "READY" metadata" (RFC 23)
inline std::string zmtp_ready(std::string_view socket_type) {
  std::string body{"\5READY\13Socket-Type"};
  body.append(3, '\0');
  body += static_cast<char>(socket_type.size());
  body += socket_type;
  return std::string{'\4', static_cast<char>(body.size())} + body;
}

}  // namespace parley::support
