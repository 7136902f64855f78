// SPDX-License-Identifier: MPL-2.0
//
// Bytes that grow at their end, where the caller writes them: nothing is set to zero before.
#pragma once

#include <parley/body_pool.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace parley::detail {

struct heap_memory {
  [[nodiscard]] static char* take(std::size_t size) { return new char[size]; }
  void operator()(char* taken) const noexcept { delete[] taken; }
};
// For bytes that come and go by the thousand, from thread to thread.
struct pooled_memory {
  [[nodiscard]] static char* take(std::size_t size) {
    return static_cast<char*>(body_pool::take(size));
  }
  void operator()(char* taken) const noexcept { body_pool::give(taken); }
};

template<class Memory>
class packed_in {
 public:
  [[nodiscard]] const char* data() const noexcept { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::string_view view() const noexcept { return {data(), size_}; }

  // So many more, which are to be written now. Others may be elsewhere then.
  [[nodiscard]] char* extend(std::size_t count) {
    if (room_ - size_ < count) {
      take_room(std::max(size_ + count, 2 * size_));
    }
    char* const begin = bytes_.get() + size_;
    size_ += count;
    return begin;
  }
  void append(std::string_view bytes) {
    std::copy_n(bytes.data(), bytes.size(), extend(bytes.size()));
  }
  // What is behind goes. Requires: there is as much.
  void cut(std::size_t size) noexcept { size_ = size; }
  void reserve(std::size_t size) {
    if (size > room_) {
      take_room(size);
    }
  }
  // Gives back what is not needed, if it is more than that.
  void fit() {
    if (room_ > 2 * size_) {
      take_room(size_);
    }
  }

 private:
  void take_room(std::size_t room) {
    std::unique_ptr<char[], Memory> larger{Memory::take(room)};
    std::copy_n(bytes_.get(), size_, larger.get());
    bytes_ = std::move(larger);
    room_ = room;
  }

  std::unique_ptr<char[], Memory> bytes_;
  std::size_t size_ = 0;
  std::size_t room_ = 0;
};

using packed_bytes = packed_in<heap_memory>;

}  // namespace parley::detail
