// SPDX-License-Identifier: MPL-2.0
//
// A file of the system's, closed with its owner, and reading from it in full. One thread.
#pragma once

#include "file_hash.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace parley::detail {

class file_handle {
 public:
  explicit file_handle(int fd = -1) noexcept : fd_{fd} {}
  file_handle(file_handle&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  file_handle& operator=(file_handle&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~file_handle() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }

  // False: there is less, or it cannot be read.
  [[nodiscard]] bool read(char* into, std::size_t size, std::uint64_t offset) const noexcept {
    while (size > 0) {
      const auto got = ::pread(fd_, into, size, static_cast<off_t>(offset));
      if (got <= 0 && !(got < 0 && errno == EINTR)) {
        return false;
      }
      const auto count = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
      into += count;
      size -= count;
      offset += count;
    }
    return true;
  }

  // Hashes more of its first bytes, some milliseconds' worth at most. False: it cannot be read.
  [[nodiscard]] bool hash_some(file_hash& hash, std::uint64_t up_to) const {
    constexpr std::size_t most = std::size_t{256} << 10;
    constexpr int times = 16;
    std::vector<char> buffer(std::min<std::uint64_t>(most, up_to - hash.size()));
    for (int count = 0; count < times && hash.size() < up_to; ++count) {
      const std::size_t size = std::min<std::uint64_t>(most, up_to - hash.size());
      if (!read(buffer.data(), size, hash.size())) {
        return false;
      }
      hash.add(buffer.data(), size);
    }
    return true;
  }

 private:
  int fd_;
};

}  // namespace parley::detail
