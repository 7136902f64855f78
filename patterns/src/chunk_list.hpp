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

// Chunk: elements that are allocated together.
template<class T, std::size_t Chunk>
class chunk_list {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] T& operator[](std::size_t index) noexcept {
    assert(index < size_);
    return chunks_[index / Chunk][index % Chunk];
  }
  [[nodiscard]] const T& operator[](std::size_t index) const noexcept {
    assert(index < size_);
    return chunks_[index / Chunk][index % Chunk];
  }
  // One more, as a new one is.
  void grow() {
    if (size_ % Chunk == 0) {
      chunks_.push_back(std::make_unique<T[]>(Chunk));
    }
    ++size_;
  }

 private:
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::size_t size_ = 0;
};

}  // namespace parley::detail
