// SPDX-License-Identifier: MPL-2.0
//
// A run of bytes: one part of a message.
//
// Up to inline_capacity bytes live in the object itself, so that building, copying and moving such
// a frame never allocates. A larger body is shared: copies count owners and no byte is moved.
// Bytes never change once the frame holds them, so frames may be read from many threads at once;
// one frame object, like an int, may be assigned by one thread at a time.
//
// Invariant: size() <= inline_capacity exactly when the bytes live in the object.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace parley {

class frame {
 public:
  static constexpr std::size_t inline_capacity = 64;

  frame() noexcept : size_{0} {}
  frame(std::string_view text) : frame{text.data(), text.size()} {}
  frame(const std::string& text) : frame{text.data(), text.size()} {}
  frame(const char* text) : frame{std::string_view{text}} {}
  explicit frame(std::span<const std::byte> bytes) : frame{bytes.data(), bytes.size()} {}
  frame(const void* data, std::size_t size) : size_{size} {
    if (!is_inline()) {
      hold_copy(data);
    } else if (size > 0) {
      std::memcpy(inline_, data, size);
    }
  }

  frame(const frame& other) noexcept { share(other); }
  frame(frame&& other) noexcept { take(other); }
  frame& operator=(const frame& other) noexcept {
    if (this != &other) {
      release();
      share(other);
    }
    return *this;
  }
  frame& operator=(frame&& other) noexcept {
    if (this != &other) {
      release();
      take(other);
    }
    return *this;
  }
  ~frame() { release(); }

  // Takes these bytes instead, which are not its own: as an assignment, but a small frame is
  // written once. Throws bad_alloc, and is empty then.
  void assign(const void* data, std::size_t size) {
    release();
    size_ = 0;
    if (size > inline_capacity) {
      *this = frame{data, size};
      return;
    }
    size_ = size;
    if (size > 0) {
      std::memcpy(inline_, data, size);
    }
  }

  [[nodiscard]] const std::byte* data() const noexcept {
    return is_inline() ? inline_ : shared_.data;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] bool is_inline() const noexcept { return size_ <= inline_capacity; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data(), size_}; }
  [[nodiscard]] std::string_view view() const noexcept {
    return {reinterpret_cast<const char*>(data()), size_};
  }
  [[nodiscard]] std::string str() const { return std::string{view()}; }

  friend bool operator==(const frame& left, const frame& right) noexcept {
    return left.view() == right.view();
  }
  template<std::convertible_to<std::string_view> Text>
  friend bool operator==(const frame& left, const Text& right) noexcept {
    return left.view() == std::string_view{right};
  }

  // The owner of a large body. Whoever drops the last share calls destroy.
  struct body {
    explicit body(void (*destroy_body)(body*) noexcept) noexcept : destroy{destroy_body} {}
    std::atomic<std::size_t> owners{1};
    void (*destroy)(body*) noexcept;
  };

  // Takes over one share of owner. The bytes must stay valid and unchanged until owner is
  // destroyed. Requires: size > inline_capacity.
  [[nodiscard]] static frame adopt(body* owner, const void* data, std::size_t size) noexcept;

  // Adds a share that the caller must give back with drop_share. Requires: !is_inline().
  [[nodiscard]] body* add_share() const noexcept {
    // Relaxed: whoever adds a share holds one already, so the count cannot reach zero meanwhile.
    shared_.owner->owners.fetch_add(1, std::memory_order_relaxed);
    return shared_.owner;
  }
  static void drop_share(body* owner) noexcept {
    // Acquire-release: all reads of the bytes by other owners happen before destroy.
    if (owner->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      owner->destroy(owner);
    }
  }

 private:
  friend class message;

  // What message moves its frames by: other is as good as destroyed, and left as it is.
  struct relocated {};
  frame(relocated, frame& other) noexcept { copy_representation(other); }

  void hold_copy(const void* data);

  // As a pipe holds it, after an octet elsewhere that says how long it is: its bytes, in a run
  // whose length is that of vector moves; or, of a shared body, the representation.
  static constexpr std::size_t longest_pack = inline_capacity;
  static constexpr std::uint8_t packed_share = inline_capacity + 1;

  // Leaves the frame as good as destroyed. The octet goes to bits shift and up of head. Returns the
  // end.
  [[gnu::always_inline]] std::byte* pack(std::byte* to, std::uint64_t& head, int shift) noexcept {
    const std::size_t size = size_;
    if (size <= inline_capacity) [[likely]] {
      head |= std::uint64_t{size} << shift;
      return to + copy_run(to, inline_, size);
    }
    head |= std::uint64_t{packed_share} << shift;
    std::memcpy(to, &size_, sizeof size_);
    std::memcpy(to + sizeof size_, &shared_, sizeof shared_);
    return to + sizeof size_ + sizeof shared_;
  }
  // lengths: the octet is its lowest. Moves from behind it.
  struct packed {};
  [[gnu::always_inline]] frame(packed, std::uint64_t lengths, const std::byte*& from) noexcept {
    const std::size_t length = lengths & 0xff;
    if (length != packed_share) [[likely]] {
      size_ = length;
      from += copy_run(inline_, from, length);
      return;
    }
    std::memcpy(&size_, from, sizeof size_);
    std::memcpy(&shared_, from + sizeof size_, sizeof shared_);
    from += sizeof size_ + sizeof shared_;
  }
  [[gnu::always_inline]] static std::size_t copy_run(std::byte* to, const std::byte* from,
                                                     std::size_t size) noexcept {
    if (size > 32) return std::memcpy(to, from, 64), 64;
    if (size > 16) return std::memcpy(to, from, 32), 32;
    if (size > 8) return std::memcpy(to, from, 16), 16;
    return std::memcpy(to, from, 8), 8;
  }

  struct shared_bytes {
    body* owner;
    const std::byte* data;
  };

  void share(const frame& other) noexcept {
    if (!other.is_inline()) {
      static_cast<void>(other.add_share());
    }
    copy_representation(other);
  }
  void take(frame& other) noexcept {
    copy_representation(other);
    other.size_ = 0;
  }
  void copy_representation(const frame& other) noexcept {
    // Fixed lengths are vector moves; only used bytes matter, the rest is never read.
    constexpr std::size_t half = inline_capacity / 2;
    static_assert(sizeof(shared_bytes) <= half);
    size_ = other.size_;
    std::memcpy(inline_, other.inline_, half);
    if (size_ - half - 1 < half) {  // from half + 1 to inline_capacity bytes
      std::memcpy(inline_ + half, other.inline_ + half, half);
    }
  }
  void release() noexcept {
    if (!is_inline()) {
      drop_share(shared_.owner);
    }
  }

  std::size_t size_;
  union {
    std::byte inline_[inline_capacity];
    shared_bytes shared_;
  };
};

}  // namespace parley
