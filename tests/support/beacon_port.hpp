// SPDX-License-Identifier: MPL-2.0
//
// A UDP port for beacons that no other test has: held as long as the object lives, by a socket that
// shares it, as programs do.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>

#include "support/catch.hpp"

namespace parley::support {

class beacon_port {
 public:
  beacon_port() : fd_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)} {
    const int yes = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    socklen_t size = sizeof where;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&where), size) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&where), &size) == 0);
    number_ = ntohs(where.sin_port);
  }
  ~beacon_port() { ::close(fd_); }
  beacon_port(const beacon_port&) = delete;
  beacon_port& operator=(const beacon_port&) = delete;

  [[nodiscard]] std::uint16_t number() const noexcept { return number_; }

 private:
  int fd_;
  std::uint16_t number_ = 0;
};

}  // namespace parley::support
