// SPDX-License-Identifier: MPL-2.0
//
// A blocking TCP connection on this machine. Who does not get what it should ends the benchmark.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "harness.hpp"

namespace parley::bench {

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return where;
}

class stream {
 public:
  explicit stream(int fd) : fd_{fd} { require(fd >= 0, "no socket"); }
  explicit stream(std::uint16_t port) : stream{::socket(AF_INET, SOCK_STREAM, 0)} {
    const sockaddr_in where = loopback(port);
    require(::connect(fd_, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0,
            "cannot connect");
  }
  stream(stream&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  ~stream() {
    if (fd_ >= 0) ::close(fd_);
  }

  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      require(sent > 0, "cannot send");
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // Empty at the end of the stream.
  std::string_view receive() {
    const auto got = ::recv(fd_, buffer_.data(), buffer_.size(), 0);
    return {buffer_.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }
  void receive_frames(std::size_t count) {
    while (count != 0) {
      const std::string_view got = receive();
      require(!got.empty(), "the stream ended");
      const auto ends = static_cast<std::size_t>(std::count(got.begin(), got.end(), '\0'));
      require(ends <= count, "more frames than expected");
      count -= ends;
    }
  }

 private:
  int fd_;
  std::vector<char> buffer_ = std::vector<char>(128 * 1024);
};

}  // namespace parley::bench
