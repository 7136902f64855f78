// SPDX-License-Identifier: MPL-2.0
//
// A message: frames that travel together, all or none.
//
// Two frames live in the object, so that topic and body cost no allocation; more go to the heap.
// A value type: one thread at a time, copies share large bodies.
#pragma once

#include <parley/frame.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace parley {

class message {
 public:
  static constexpr std::size_t inline_frames = 2;

  message() noexcept = default;
  message(frame body) noexcept : size_{1} { std::construct_at(frames(), std::move(body)); }
  message(std::string_view text) : size_{1} { std::construct_at(frames(), text); }
  message(const std::string& text) : message{std::string_view{text}} {}
  message(const char* text) : message{std::string_view{text}} {}
  message(std::initializer_list<frame> frames) {
    reserve(frames.size());
    for (const frame& each : frames) {
      push_back(each);
    }
  }

  message(const message& other) {
    reserve(other.size_);
    for (const frame& each : other) {
      push_back(each);
    }
  }
  message(message&& other) noexcept { take(other); }
  message& operator=(const message& other) {
    if (this != &other) {
      *this = message{other};
    }
    return *this;
  }
  message& operator=(message&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  ~message() { reset(); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }  // frames
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t sum = 0;
    for (const frame& each : *this) {
      sum += each.size();
    }
    return sum;
  }

  [[nodiscard]] frame* begin() noexcept { return frames(); }
  [[nodiscard]] frame* end() noexcept { return frames() + size_; }
  [[nodiscard]] const frame* begin() const noexcept { return frames(); }
  [[nodiscard]] const frame* end() const noexcept { return frames() + size_; }

  [[nodiscard]] frame& operator[](std::size_t index) noexcept {
    assert(index < size_);
    return frames()[index];
  }
  [[nodiscard]] const frame& operator[](std::size_t index) const noexcept {
    assert(index < size_);
    return frames()[index];
  }
  [[nodiscard]] const frame& front() const noexcept { return (*this)[0]; }
  [[nodiscard]] const frame& back() const noexcept { return (*this)[size_ - 1]; }

  void push_back(frame&& next) {
    if (size_ == capacity_) {
      // By value: next may be a frame of this message, which moves.
      frame moved{std::move(next)};
      reserve(2 * capacity_);
      std::construct_at(frames() + size_, std::move(moved));
    } else {
      std::construct_at(frames() + size_, std::move(next));
    }
    ++size_;
  }
  // A frame made in its place from what a frame can be made of.
  template<class... Parts>
  void emplace_back(const Parts&... parts) {
    if (size_ == capacity_) {
      reserve(2 * capacity_);
    }
    ::new (static_cast<void*>(frames() + size_)) frame(parts...);
    ++size_;
  }
  void push_back(const frame& next) { push_back(frame{next}); }

  // Removes the first count frames. Requires: count <= size().
  void drop_front(std::size_t count) noexcept {
    assert(count <= size_);
    frame* first = frames();
    for (std::size_t index = count; index < size_; ++index) {
      first[index - count] = std::move(first[index]);
    }
    std::destroy(first + (size_ - count), first + size_);
    size_ -= count;
  }

  // Requires: !empty().
  void drop_back() noexcept {
    assert(size_ > 0);
    std::destroy_at(frames() + --size_);
  }

  void clear() noexcept {
    std::destroy_n(frames(), size_);
    size_ = 0;
  }

  void reserve(std::size_t count) {
    if (count <= capacity_) {
      return;
    }
    frame* grown = std::allocator<frame>{}.allocate(count);
    std::uninitialized_move_n(frames(), size_, grown);
    std::destroy_n(frames(), size_);
    free_heap();
    heap_ = grown;
    capacity_ = count;
  }

  friend bool operator==(const message& left, const message& right) noexcept {
    return std::equal(left.begin(), left.end(), right.begin(), right.end());
  }

 private:
  [[nodiscard]] bool is_inline() const noexcept { return capacity_ == inline_frames; }
  [[nodiscard]] frame* frames() noexcept {
    return is_inline() ? reinterpret_cast<frame*>(inline_) : heap_;
  }
  [[nodiscard]] const frame* frames() const noexcept {
    return is_inline() ? reinterpret_cast<const frame*>(inline_) : heap_;
  }
  void free_heap() noexcept {
    if (!is_inline()) {
      std::allocator<frame>{}.deallocate(heap_, capacity_);
    }
  }
  void reset() noexcept {
    clear();
    free_heap();
    capacity_ = inline_frames;
  }
  // Requires: *this is empty and inline.
  void take(message& other) noexcept {
    if (other.is_inline()) {
      frame* const from = other.frames();
      size_ = std::exchange(other.size_, 0);
      for (std::size_t index = 0; index < inline_frames && index < size_; ++index) {
        ::new (static_cast<void*>(frames() + index)) frame(frame::relocated{}, from[index]);
      }
    } else {
      heap_ = other.heap_;
      size_ = std::exchange(other.size_, 0);
      capacity_ = std::exchange(other.capacity_, inline_frames);
    }
  }

  std::size_t size_ = 0;
  std::size_t capacity_ = inline_frames;
  union {
    alignas(frame) std::byte inline_[inline_frames * sizeof(frame)];
    frame* heap_;
  };
};

}  // namespace parley
