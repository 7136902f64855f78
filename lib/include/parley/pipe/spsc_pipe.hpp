// SPDX-License-Identifier: MPL-2.0
//
// A bounded lock-free ring between exactly one writing and one reading thread.
//
// Writer: the push words, writable, write_bell.  Reader: the pop words, readable, drained,
// read_bell. Anyone: close, closed, approx_size, capacity, pushed, popped.  Any other sharing is
// undefined. An end may move to another thread when that thread synchronises with the one before.
// The pipe outlives every call on it; what was never popped is destroyed with it.
// Full: try_push refuses and leaves the item with the caller; push waits.
// Empty: try_pop returns nothing; pop waits.
// Closed, by whichever side: push refuses; pop delivers what was pushed before, then returns
// nothing. A push that overlaps a close of somebody else may still succeed: the item is delivered
// if the reader looks again, else destroyed with the pipe. Counted either way: pushed() - popped().
//
// Invariants
//  1. Slots in [read_, write_) hold live objects; all others hold none. Indices only grow.
//  2. Only the writer stores write_, only the reader stores read_.
//  3. The release store of write_ publishes the slots before it, that of read_ gives slots back.
//  4. seen_read_ <= read_ <= seen_write_ <= write_ <= read_ + capacity.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <parley/pipe/doorbell.hpp>
#include <parley/pipe/pipe_cells.hpp>
#include <parley/pipe/wait_strategy.hpp>
#include <span>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace parley {

enum class push_result {
  pushed,
  full,    // no room: now, before the deadline, or before the stop
  closed,  // there never will be
};

namespace detail {
class pipe_peers;

template<class U, class T>
concept makes = std::is_constructible_v<T, U&&>;

// What holds this many bytes in a register; void: nothing does.
template<std::size_t Size>
using word_of = std::conditional_t<
    Size == 8, std::uint64_t,
    std::conditional_t<Size == 4, std::uint32_t,
                       std::conditional_t<Size == 2, std::uint16_t,
                                          std::conditional_t<Size == 1, std::uint8_t, void>>>>;
}  // namespace detail

template<class T>
class mpsc_pipe;

template<class T>
class spsc_pipe {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "a pipe's items must move without throwing: an item half moved would be lost");
  static_assert(std::is_nothrow_destructible_v<T>, "a pipe's items must not throw when destroyed");

 public:
  // Room for at least this many items: the next power of two. Requires: 1 <= capacity <= 2^48.
  explicit spsc_pipe(std::size_t capacity, wait_strategy strategy = {})
      : spsc_pipe{capacity, std::make_shared<doorbell>(strategy),
                  std::make_shared<doorbell>(strategy)} {}
  // The ends wait at bells that they may share with other pipes of the same thread.
  spsc_pipe(std::size_t capacity, std::shared_ptr<doorbell> read_bell,
            std::shared_ptr<doorbell> write_bell);
  ~spsc_pipe();
  spsc_pipe(const spsc_pipe&) = delete;
  spsc_pipe& operator=(const spsc_pipe&) = delete;

  // Writer. The item is made in its slot from item, which is untouched unless pushed.

  template<detail::makes<T> U>
  [[nodiscard, gnu::always_inline]] push_result try_push(U&& item);
  template<detail::makes<T> U>
  [[gnu::always_inline]] push_result push(U&& item, const std::stop_token& stop = {});
  template<detail::makes<T> U, class Rep, class Period>
  [[nodiscard]] push_result push_for(U&& item, std::chrono::duration<Rep, Period> time,
                                     const std::stop_token& stop = {});
  // Moves as many as there is room for, from the front, and publishes them at once.
  // Returns how many.
  [[nodiscard]] std::size_t try_push_n(std::span<T> items) noexcept;
  // Moves all, waiting for room. Returns fewer only when closed or stopped.
  std::size_t push_n(std::span<T> items, const std::stop_token& stop = {});
  // A push would not find the pipe full.
  [[nodiscard]] bool writable() const noexcept;
  [[nodiscard]] doorbell& write_bell() noexcept { return *write_bell_; }

  // Reader. Nothing from pop means closed or stopped, from pop_for also that the time was up.

  [[nodiscard, gnu::always_inline]] std::optional<T> try_pop() noexcept;
  [[nodiscard, gnu::always_inline]] std::optional<T> pop(const std::stop_token& stop = {});
  template<class Rep, class Period>
  [[nodiscard]] std::optional<T> pop_for(std::chrono::duration<Rep, Period> time,
                                         const std::stop_token& stop = {});
  // Calls take(T&&) for up to most items, in their slots, and gives the slots back at once.
  // Of messages take gets detail::packed_message&&, which is a message to whoever wants one.
  // Returns how many; an item whose take throws is popped.
  template<class Take>
  [[gnu::always_inline]] std::size_t try_pop_n(Take&& take, std::size_t most = SIZE_MAX);
  // Waits for the first. Returns 0 only when closed or stopped.
  template<class Take>
  std::size_t pop_n(Take&& take, std::size_t most = SIZE_MAX, const std::stop_token& stop = {});
  // A pop would not find the pipe empty: there is an item, or there never will be one.
  [[nodiscard]] bool readable() const noexcept;
  // Closed, and everything delivered.
  [[nodiscard]] bool drained() const noexcept;
  [[nodiscard]] doorbell& read_bell() noexcept { return *read_bell_; }

  // Anyone.

  void close() noexcept;
  [[nodiscard]] bool closed() const noexcept {
    return closed_.load(std::memory_order_acquire);  // acquires what was pushed before close
  }
  [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }
  // Exact for neither side: the writer may see too many, the reader too few.
  [[nodiscard]] std::size_t approx_size() const noexcept {
    const auto read = popped();  // first, so that the difference is never negative
    return static_cast<std::size_t>(pushed() - read);
  }
  // How many items ever went in and came out.
  [[nodiscard]] std::uint64_t pushed() const noexcept {
    return write_.load(std::memory_order_acquire);  // as in has_item
  }
  [[nodiscard]] std::uint64_t popped() const noexcept {
    return read_.load(std::memory_order_acquire);  // pushed() after it is not from before it
  }

 private:
  template<class>
  friend class mpsc_pipe;           // finds an item in one of its lanes, then pops it there
  friend class detail::pipe_peers;  // a socket's shortest way: while sees_room, sees_item

  using index = std::uint64_t;

  // What the writer may use of its own without synchronising: only it stores them.
  [[nodiscard]] index own_write() const noexcept { return write_.load(std::memory_order_relaxed); }
  // The same for the reader.
  [[nodiscard]] index own_read() const noexcept { return read_.load(std::memory_order_relaxed); }

  // Open, and room for one, without a look at read_.
  [[nodiscard, gnu::always_inline]] bool sees_room() const noexcept {
    return own_write() - seen_read_ <= mask_ && !closed_.load(std::memory_order_relaxed);
  }
  [[nodiscard, gnu::always_inline]] std::size_t room_for(std::size_t wanted) noexcept;
  [[nodiscard, gnu::always_inline]] push_result
  find_room() noexcept;  // pushed: there is room for one
  [[nodiscard, gnu::noinline]] push_result wait_for_room(detail::steady_point deadline,
                                                         const std::stop_token& stop);
  template<class U>
  [[gnu::always_inline]] void push_one(U&& item);
  void publish(index write) noexcept;

  // An item, without a look at write_.
  [[nodiscard, gnu::always_inline]] bool sees_item() const noexcept {
    return seen_write_ != own_read();
  }
  [[nodiscard, gnu::always_inline]] std::size_t items_for(std::size_t wanted) noexcept;
  void look_at_write() noexcept;
  [[nodiscard, gnu::noinline]] bool wait_for_item(detail::steady_point deadline,
                                                  const std::stop_token& stop);
  [[gnu::always_inline]] void pop_into(std::optional<T>& next) noexcept;
  static constexpr bool is_word =
      std::is_trivially_copyable_v<T> && !std::is_void_v<detail::word_of<sizeof(T)>>;
  // Requires: is_word, and there is an item.
  [[gnu::always_inline]] std::optional<T> pop_word() noexcept;
  // Requires: there is an item, and take does not throw.
  template<class Take>
  [[gnu::always_inline]] void pop_one(Take&& take) noexcept;
  void give_back(index read) noexcept;

  // Written when the pipe is made and when it is closed.
  const std::size_t mask_;
  const std::shared_ptr<doorbell> read_bell_;
  const std::shared_ptr<doorbell> write_bell_;
  std::atomic<bool> closed_{false};

  // Written by the writer.
  alignas(detail::cache_line) std::atomic<index> write_{0};
  alignas(detail::cache_line) index seen_read_ = 0;  // what it last saw of read_

  // Written by the reader.
  alignas(detail::cache_line) std::atomic<index> read_{0};
  alignas(detail::cache_line) index seen_write_ = 0;  // what it last saw of write_
  int pauses_ = 0;                                    // before it looks again

  alignas(detail::cache_line) detail::pipe_cells<T> cells_;  // shared, or on lines of each side
};

template<class T>
spsc_pipe<T>::spsc_pipe(std::size_t capacity, std::shared_ptr<doorbell> read_bell,
                        std::shared_ptr<doorbell> write_bell)
    : mask_{std::bit_ceil(capacity) - 1},
      read_bell_{std::move(read_bell)},
      write_bell_{std::move(write_bell)},
      cells_{std::bit_ceil(capacity)} {
  assert(capacity >= 1 && capacity <= std::size_t{1} << 48 && read_bell_ && write_bell_);
}

template<class T>
spsc_pipe<T>::~spsc_pipe() {
  const index end = write_.load(std::memory_order_acquire);  // the slots before it are made
  for (index at = own_read(); at != end; ++at)
    cells_.take(at, [](auto&&) {});
}

// The common case is inlined, what waits is not. It is more than the cost of a call: an item that
// passes through memory between caller and slot is copied by loads that must wait for the stores
// before them, and those queue behind the other core's cache lines. Left to the compiler, it was 4
// times slower.

// Writer.

template<class T>
template<detail::makes<T> U>
inline push_result spsc_pipe<T>::try_push(U&& item) {
  const push_result result = find_room();
  if (result == push_result::pushed) push_one(std::forward<U>(item));
  return result;
}

template<class T>
template<detail::makes<T> U>
inline push_result spsc_pipe<T>::push(U&& item, const std::stop_token& stop) {
  push_result result = find_room();
  if (result == push_result::full) result = wait_for_room(detail::never, stop);
  if (result == push_result::pushed) push_one(std::forward<U>(item));
  return result;
}

template<class T>
template<detail::makes<T> U, class Rep, class Period>
push_result spsc_pipe<T>::push_for(U&& item, std::chrono::duration<Rep, Period> time,
                                   const std::stop_token& stop) {
  push_result result = find_room();
  if (result == push_result::full) result = wait_for_room(detail::deadline_after(time), stop);
  if (result == push_result::pushed) push_one(std::forward<U>(item));
  return result;
}

template<class T>
std::size_t spsc_pipe<T>::try_push_n(std::span<T> items) noexcept {
  if (find_room() != push_result::pushed) return 0;
  const std::size_t n = room_for(items.size());
  const index write = own_write();
  for (std::size_t i = 0; i < n; ++i) {
    cells_.make(write + i, std::move(items[i]));
  }
  if (n != 0) publish(write + n);
  return n;
}

template<class T>
std::size_t spsc_pipe<T>::push_n(std::span<T> items, const std::stop_token& stop) {
  std::size_t done = try_push_n(items);
  while (done < items.size()) {
    if (wait_for_room(detail::never, stop) != push_result::pushed) break;
    done += try_push_n(items.subspan(done));
  }
  return done;
}

template<class T>
bool spsc_pipe<T>::writable() const noexcept {
  // Acquire: the reader is done with the slots before read_.
  return own_write() - read_.load(std::memory_order_acquire) <= mask_ || closed();
}

// At most wanted free slots; looks at read_ only when those seen before do not suffice.
template<class T>
inline std::size_t spsc_pipe<T>::room_for(std::size_t wanted) noexcept {
  const index write = own_write();
  auto room = static_cast<std::size_t>(capacity() - (write - seen_read_));
  if (room < wanted) {
    seen_read_ = read_.load(std::memory_order_acquire);  // the reader is done with slots before it
    room = static_cast<std::size_t>(capacity() - (write - seen_read_));
  }
  return std::min(room, wanted);
}

template<class T>
inline push_result spsc_pipe<T>::find_room() noexcept {
  // Relaxed: nothing that the closing side wrote is used here.
  if (closed_.load(std::memory_order_relaxed)) [[unlikely]] {
    return push_result::closed;
  }
  return room_for(1) != 0 ? push_result::pushed : push_result::full;
}

template<class T>
push_result spsc_pipe<T>::wait_for_room(detail::steady_point deadline,
                                        const std::stop_token& stop) {
  write_bell_->wait([this] { return writable(); }, deadline, stop);
  return find_room();
}

template<class T>
template<class U>
inline void spsc_pipe<T>::push_one(U&& item) {
  const index write = own_write();
  cells_.make(write, std::forward<U>(item));
  write_.store(write + 1, std::memory_order_release);  // as in publish
  // For the next ones: this one waits for nothing.
  if (cells_.wants_lines(write + 1)) cells_.claim(write + 1, seen_read_ + mask_ - write);
  read_bell_->ring();
}

template<class T>
void spsc_pipe<T>::publish(index write) noexcept {
  write_.store(write, std::memory_order_release);  // publishes the slots before it
  read_bell_->ring();
}

// Reader.

template<class T>
inline std::optional<T> spsc_pipe<T>::try_pop() noexcept {
  if constexpr (is_word) {
    if (items_for(1) == 0) return std::nullopt;
    return pop_word();
  }
  std::optional<T> next;  // one name for both outcomes: g++ 12 warns of two returns
  if (items_for(1) != 0) pop_into(next);
  return next;
}

template<class T>
inline std::optional<T> spsc_pipe<T>::pop(const std::stop_token& stop) {
  if constexpr (is_word) {
    if (items_for(1) == 0 && !wait_for_item(detail::never, stop)) return std::nullopt;
    return pop_word();
  }
  std::optional<T> next;
  if (items_for(1) != 0 || wait_for_item(detail::never, stop)) pop_into(next);
  return next;
}

template<class T>
template<class Rep, class Period>
std::optional<T> spsc_pipe<T>::pop_for(std::chrono::duration<Rep, Period> time,
                                       const std::stop_token& stop) {
  if constexpr (is_word) {
    if (items_for(1) == 0 && !wait_for_item(detail::deadline_after(time), stop))
      return std::nullopt;
    return pop_word();
  }
  std::optional<T> next;
  if (items_for(1) != 0 || wait_for_item(detail::deadline_after(time), stop)) pop_into(next);
  return next;
}

template<class T>
template<class Take>
inline std::size_t spsc_pipe<T>::try_pop_n(Take&& take, std::size_t most) {
  const index end = own_read() + items_for(most);
  if (end == own_read()) return 0;  // nothing to give back, nobody to ring for
  // Destroys what was taken, and gives the slots back in the end, even when take throws.
  struct taken {
    spsc_pipe& pipe;
    index read;
    ~taken() { pipe.give_back(read); }
  } taken{*this, own_read()};
  while (taken.read != end)
    cells_.take(taken.read++, take);
  return static_cast<std::size_t>(end - own_read());
}

template<class T>
template<class Take>
std::size_t spsc_pipe<T>::pop_n(Take&& take, std::size_t most, const std::stop_token& stop) {
  if (items_for(1) == 0 && !wait_for_item(detail::never, stop)) return 0;
  return try_pop_n(take, most);
}

template<class T>
bool spsc_pipe<T>::readable() const noexcept {
  // Acquire: the slots before write_ are made.
  return write_.load(std::memory_order_acquire) != own_read() || closed();
}

template<class T>
bool spsc_pipe<T>::drained() const noexcept {
  // In this order: who sees the close sees what was pushed before it.
  return closed() && write_.load(std::memory_order_acquire) == own_read();
}

// At most wanted items; looks at write_ only when those seen before do not suffice.
template<class T>
inline std::size_t spsc_pipe<T>::items_for(std::size_t wanted) noexcept {
  const index read = own_read();
  auto items = static_cast<std::size_t>(seen_write_ - read);
  if (items < wanted) {
    look_at_write();
    items = static_cast<std::size_t>(seen_write_ - read);
  }
  return std::min(items, wanted);
}

// A reader as fast as the writer would find one item each time it looks, and each look takes the
// line of write_ from the writer, who waits for it with the next item: both crawl, in step. So who
// found few lets some gather, the longer the longer that goes on: how long a line takes from core
// to core differs by ten from machine to machine. Costs nothing where items are rare: then it looks
// in vain first.
template<class T>
inline void spsc_pipe<T>::look_at_write() noexcept {
  const index few = std::min<index>(32, capacity() / 8);
  constexpr int shortest = 8;  // pauses: some 100 ns
  constexpr int longest = 64;
  for (int i = 0; i < pauses_; ++i)
    detail::cpu_relax();
  const index before = seen_write_;
  seen_write_ = write_.load(std::memory_order_acquire);  // the slots before it are made
  const index found = seen_write_ - before;
  if (found == 0) {
    pauses_ = 0;
  } else if (found == 1) {
    pauses_ = shortest;  // it may be one who waits for our answer
  } else if (found < few) {
    pauses_ = std::clamp(2 * pauses_, shortest, longest);
  } else if (found > 4 * few) {
    pauses_ /= 2;
  }
}

// False: closed, stopped or too late. Looks once more after it saw the close: who sees it sees
// what was pushed before it.
template<class T>
bool spsc_pipe<T>::wait_for_item(detail::steady_point deadline, const std::stop_token& stop) {
  read_bell_->wait([this] { return readable(); }, deadline, stop);
  return items_for(1) != 0;
}

template<class T>
inline void spsc_pipe<T>::pop_into(std::optional<T>& next) noexcept {
  pop_one([&](auto&& item)
              __attribute__((always_inline)) { next.emplace(std::forward<decltype(item)>(item)); });
}

// g++ 12 builds the optional of a small class in memory and copies it by a load wider than the
// stores before it, which waits until they, and what this side stored for the other to see, are
// through. Written as a word, it stays in registers.
template<class T>
inline std::optional<T> spsc_pipe<T>::pop_word() noexcept {
  detail::word_of<sizeof(T)> bits{};
  pop_one([&](T && item) __attribute__((always_inline)) {
    std::memcpy(&bits, std::addressof(item), sizeof bits);
  });
  std::optional<T> next{std::in_place, std::bit_cast<T>(bits)};
  std::memcpy(static_cast<void*>(std::addressof(*next)), &bits, sizeof bits);
  return next;
}

template<class T>
template<class Take>
inline void spsc_pipe<T>::pop_one(Take&& take) noexcept {
  const index read = own_read();
  cells_.take(read, take);
  give_back(read + 1);
}

template<class T>
void spsc_pipe<T>::give_back(index read) noexcept {
  read_.store(read, std::memory_order_release);  // our last use of the slots before it
  write_bell_->ring();
}

template<class T>
void spsc_pipe<T>::close() noexcept {
  closed_.store(true, std::memory_order_release);  // publishes what the caller pushed
  read_bell_->ring();
  write_bell_->ring();
}

}  // namespace parley
