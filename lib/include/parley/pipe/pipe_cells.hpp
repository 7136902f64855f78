// SPDX-License-Identifier: MPL-2.0
//
// How the items of a pipe lie in its memory: one after another, each in a slot of its own.
//
// Part of spsc_pipe, which knows how many items there are and says who may do what: the writer
// makes an item where none is, the reader takes the oldest. Types that can be written shorter than
// they are specialise it, as message does (packed_messages.hpp): fewer cache lines go from core to
// core.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <parley/pipe/cache_line.hpp>
#include <utility>

namespace parley::detail {

// Stores to the cache lines of [from, to) by their writer, all at once, before it fills them. The
// reader has left them shared: a store to such a line waits until the other core gives it up, and
// the stores behind wait too, as they take effect in order. So each item would wait for its own
// lines; in a row, the core asks for all of them together. Nearly twice as many items of 64 bytes
// come through. Stores, for a prefetch does not take a line that the core may already read.
// Requires: nothing is there. from is at the beginning of a line.
[[gnu::always_inline]] inline void claim_lines(void* from, const void* to) noexcept {
  const auto* const end = static_cast<const volatile unsigned char*>(to);
  for (auto* at = static_cast<volatile unsigned char*>(from); at < end; at += cache_line)
    *at = 0;
}
// Fewer overlap less.
inline constexpr std::size_t claimed_bytes = 8 * cache_line;

template<class T>
class pipe_cells {
 public:
  // Requires: a power of two.
  explicit pipe_cells(std::size_t capacity)
      : slots_{static_cast<T*>(::operator new(capacity * sizeof(T), alignment))},
        mask_{capacity - 1} {}
  ~pipe_cells() { ::operator delete(slots_, alignment); }
  pipe_cells(const pipe_cells&) = delete;
  pipe_cells& operator=(const pipe_cells&) = delete;

  // Writer. Item number at: the one after that of the last time.
  template<class U>
  [[gnu::always_inline]] void make(std::uint64_t at, U&& from) {
    ::new (static_cast<void*>(slots_ + (at & mask_))) T(std::forward<U>(from));
  }
  // The next one will be number at: whether it is time to ask for lines.
  [[gnu::always_inline]] bool wants_lines(std::uint64_t at) const noexcept {
    // Of larger items not all lines may be written: messages of 1 KiB came to 0.7 times as many.
    return sizeof(T) <= cache_line && at % run == 0;
  }
  // Requires: wants_lines(at). There is room for this many.
  [[gnu::always_inline]] void claim(std::uint64_t at, std::uint64_t room) noexcept {
    if (room < run) return;
    T* const first = slots_ + (at & mask_);
    claim_lines(first, first + run);
  }

  // Reader. Calls take(T&&) for item number at, the one after that of the last time, and destroys
  // it, also when take throws.
  template<class Take>
  [[gnu::always_inline]] void take(std::uint64_t at, Take&& take) {
    struct item {
      T* made;
      ~item() { made->~T(); }
    } item{slots_ + (at & mask_)};
    take(std::move(*item.made));
  }

 private:
  // Whole cache lines, so that a pipe's slots share none with a stranger.
  static constexpr std::align_val_t alignment{std::max(alignof(T), cache_line)};
  static constexpr std::size_t run =
      std::max<std::size_t>(1, std::bit_ceil(claimed_bytes / sizeof(T)));

  T* const slots_;
  const std::size_t mask_;
};

}  // namespace parley::detail
