// SPDX-License-Identifier: MPL-2.0
//
// A list that only grows: elements stay where they are, and are found by their number in a few
// instructions (std::deque's elements may be of any size, and it divides). One thread at a time.
#pragma once

#include <cassert>
#include <cstddef>
#include <memory>
#include <vector>

namespace parley::detail {

template<class T>
class chunk_list {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] T& operator[](std::size_t index) noexcept {
    assert(index < size_);
    return chunks_[index / chunk][index % chunk];
  }
  [[nodiscard]] const T& operator[](std::size_t index) const noexcept {
    assert(index < size_);
    return chunks_[index / chunk][index % chunk];
  }
  // One more, as a new one is.
  void grow() {
    if (size_ % chunk == 0) {
      chunks_.push_back(std::make_unique<T[]>(chunk));
    }
    ++size_;
  }

 private:
  static constexpr std::size_t chunk = 16;

  std::vector<std::unique_ptr<T[]>> chunks_;
  std::size_t size_ = 0;
};

}  // namespace parley::detail
