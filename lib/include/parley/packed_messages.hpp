// SPDX-License-Identifier: MPL-2.0
//
// Messages in a pipe, written one after another, each as long as what it holds: a message of 64
// bytes takes 72 and not the 160 of the object. What crosses from core to core is what a pipe of
// messages costs.
//
// A record: three octets (frames, and how the first two of them are held), five unused; then its
// frames: up to 64 bytes themselves, in 8, 16, 32 or 64 bytes; of a larger one its size, owner and
// place. Of a message with more than two frames, where its frames are.
//
// A record does not go round the end of the memory: one that begins within the last `longest` bytes
// is the last, the next begins in front. Both sides see that from where they are. With room for one
// record of the longest kind more than there may be messages, there is always a place: while u
// records wait, whoever made the last one has more than (capacity - u) times longest before it
// reaches the oldest.
//
// Part of message.hpp, which includes it.
#pragma once

#include <parley/message.hpp>
#include <parley/pipe/pipe_cells.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace parley::detail {

// One that is taken out of a pipe. Moved from, or destroyed, it holds nothing any more.
class packed_message {
 public:
  // at: where the record is; moved on behind it.
  explicit packed_message(const std::byte*& at) noexcept : at_{at} {}
  ~packed_message() {
    if (!taken_) static_cast<void>(message{std::move(*this)});
  }
  packed_message(const packed_message&) = delete;
  packed_message& operator=(const packed_message&) = delete;

  // Few enough frames for a record to hold them: no call is needed to make it.
  [[nodiscard]] static bool is_short(const message& from) noexcept { return from.is_inline(); }

  // NOLINTNEXTLINE(google-explicit-constructor): it is a message, in another form.
  [[gnu::always_inline]] operator message() && noexcept {
    message whole;
    std::move(*this).unpack_into_empty(whole);
    return whole;
  }
  [[gnu::always_inline]] void unpack_into(message& into) && noexcept {
    into.reset();
    std::move(*this).unpack_into_empty(into);
  }
  // Requires: into is as a message() is.
  [[gnu::always_inline]] void unpack_into_empty(message& into) && noexcept {
    if (!std::exchange(taken_, true)) {
      at_ = into.unpack(at_);
    }
  }

 private:
  const std::byte*& at_;
  bool taken_ = false;
};

template<>
class pipe_cells<message> {
 public:
  explicit pipe_cells(std::size_t capacity)
      : first_{static_cast<std::byte*>(::operator new((capacity + 1) * longest, alignment))},
        last_start_{first_ + capacity * longest} {}
  ~pipe_cells() { ::operator delete(first_, alignment); }
  pipe_cells(const pipe_cells&) = delete;
  pipe_cells& operator=(const pipe_cells&) = delete;

  // Writer. Leaves from empty.
  [[gnu::always_inline]] void make(std::uint64_t, message&& from) noexcept {
    std::byte* const end = from.pack(made_at_);
    if (end <= last_start_) [[likely]] {
      made_at_ = end;
    } else {
      made_at_ = first_;
      claimed_ = first_;
    }
  }
  template<class U>
  void make(std::uint64_t at, U&& from) {
    make(at, message(std::forward<U>(from)));  // not {}: a list of frames
  }
  [[gnu::always_inline]] bool wants_lines(std::uint64_t) const noexcept {
    return made_at_ >= claimed_;
  }
  [[gnu::always_inline]] void claim(std::uint64_t, std::uint64_t room) noexcept {
    constexpr std::uint64_t enough = (claimed_bytes + cache_line) / longest + 1;
    if (room < enough) return;
    const std::size_t begun = reinterpret_cast<std::uintptr_t>(made_at_) % cache_line;
    std::byte* const from = begun == 0 ? made_at_ : made_at_ + (cache_line - begun);
    std::byte* const end = last_start_ + longest;
    claimed_ = from + std::min<std::ptrdiff_t>(claimed_bytes, end - from);
    claim_lines(from, claimed_);
  }

  // Reader. Calls take(packed_message&&), which is a message to whoever wants one.
  template<class Take>
  [[gnu::always_inline]] void take(std::uint64_t, Take&& take) {
    struct step {
      pipe_cells& cells;
      const std::byte* at;
      ~step() { cells.taken_at_ = at > cells.last_start_ ? cells.first_ : at; }
    } step{*this, taken_at_};
    take(packed_message{step.at});
  }

 private:
  static constexpr std::size_t longest = message::longest_pack;
  static constexpr std::align_val_t alignment{cache_line};

  std::byte* const first_;
  std::byte* const last_start_;  // a record begins here at the latest
  // The writer's: where the next one begins, and up to where it has asked for lines.
  alignas(cache_line) std::byte* made_at_ = first_;
  std::byte* claimed_ = first_;
  // The reader's: where the next one is.
  alignas(cache_line) const std::byte* taken_at_ = first_;
};

}  // namespace parley::detail
