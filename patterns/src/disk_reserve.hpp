// SPDX-License-Identifier: MPL-2.0
//
// Room on a disk that is kept for later: a file with nothing in it, which goes when the room is
// needed, and with this object. One thread at a time.
#pragma once

#include <cstddef>
#include <filesystem>

namespace parley::detail {

class disk_reserve {
 public:
  // A file that is there was left by somebody who was killed: it goes.
  explicit disk_reserve(std::filesystem::path file);
  disk_reserve(const disk_reserve&) = delete;
  disk_reserve& operator=(const disk_reserve&) = delete;
  ~disk_reserve() { release(); }

  // At least so much. False: there is no room for more than there is.
  [[nodiscard]] bool hold(std::size_t bytes) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void release() noexcept;

 private:
  const std::filesystem::path file_;
  std::size_t size_ = 0;
};

}  // namespace parley::detail
