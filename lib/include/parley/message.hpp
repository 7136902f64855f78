// SPDX-License-Identifier: MPL-2.0
//
// A message: frames that travel together, all or none.
//
// Two frames live in the object, so that topic and body cost no allocation; more go to the heap.
// A value type: one thread at a time, copies share large bodies.
#pragma once

#include <parley/frame.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace parley {

namespace detail {
class packed_message;
template<class>
class pipe_cells;
}  // namespace detail

class message {
 public:
  static constexpr std::size_t inline_frames = 2;

  message() noexcept {}  // not = default: message{} would fill its frames with zeros first
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
    if (size_ == 1) [[likely]] {
      return frames()->size();
    }
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

  // As a pipe holds it: see packed_messages.hpp.
  friend class detail::packed_message;
  template<class>
  friend class detail::pipe_cells;
  static constexpr std::size_t pack_head = 8;
  static constexpr std::size_t longest_pack = pack_head + inline_frames * frame::longest_pack;
  static constexpr std::uint8_t packed_elsewhere = inline_frames + 1;

  // Writes it to where there is room for longest_pack bytes, and is empty then. Returns the end.
  [[gnu::always_inline]] std::byte* pack(std::byte* to) noexcept {
    if (!is_inline()) [[unlikely]] {
      return pack_heap(to);
    }
    std::byte* end = to + pack_head;
    std::uint64_t head = size_;  // above it the frames' octets
    frame* const first = reinterpret_cast<frame*>(inline_);
    if (size_ > 0) [[likely]] {
      end = first[0].pack(end, head, 8);
      if (size_ > 1) end = first[1].pack(end, head, 16);
    }
    size_ = 0;
    std::memcpy(to, &head, pack_head);
    return end;
  }
  // Becomes what was packed at from. Returns the end of it. Requires: as message() is.
  [[gnu::always_inline]] const std::byte* unpack(const std::byte* from) noexcept {
    std::uint64_t head;
    std::memcpy(&head, from, pack_head);
    const std::size_t count = head & 0xff;
    if (count == packed_elsewhere) [[unlikely]] {
      return unpack_heap(from);
    }
    from += pack_head;
    size_ = count;
    frame* const first = reinterpret_cast<frame*>(inline_);
    if (count > 0) [[likely]] {
      ::new (static_cast<void*>(first)) frame(frame::packed{}, head >> 8, from);
      if (count > 1) ::new (static_cast<void*>(first + 1)) frame(frame::packed{}, head >> 16, from);
    }
    return from;
  }
  // The same of more frames than live in the object: not inlined, as they are rare.
  [[gnu::noinline]] std::byte* pack_heap(std::byte* to) noexcept {
    const std::uint64_t head = packed_elsewhere;
    const block whole{size_, capacity_, heap_};
    std::memcpy(to, &head, pack_head);
    std::memcpy(to + pack_head, &whole, sizeof whole);
    size_ = 0;
    capacity_ = inline_frames;
    return to + pack_head + sizeof whole;
  }
  [[gnu::noinline]] const std::byte* unpack_heap(const std::byte* from) noexcept {
    block whole;
    std::memcpy(&whole, from + pack_head, sizeof whole);
    size_ = whole.size;
    capacity_ = whole.capacity;
    heap_ = whole.frames;
    return from + pack_head + sizeof whole;
  }
  struct block {
    std::size_t size;
    std::size_t capacity;
    frame* frames;
  };

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

#include <parley/packed_messages.hpp>  // before anybody makes a pipe of messages
