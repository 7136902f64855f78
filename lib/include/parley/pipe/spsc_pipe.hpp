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

#include <atomic>
#include <bit>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <parley/pipe/doorbell.hpp>
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
  // The ends wait at bells that they share with other pipes of the same thread.
  spsc_pipe(std::size_t capacity, std::shared_ptr<doorbell> read_bell,
            std::shared_ptr<doorbell> write_bell);
  ~spsc_pipe();
  spsc_pipe(const spsc_pipe&) = delete;
  spsc_pipe& operator=(const spsc_pipe&) = delete;

  // Writer. The item is made in its slot from item, which is untouched unless pushed.

  template<class U>
  requires std::is_constructible_v<T, U&&>
  [[nodiscard]] push_result try_push(U&& item);
  template<class U>
  requires std::is_constructible_v<T, U&&> push_result push(U&& item,
                                                            const std::stop_token& stop = {}) {
    return push_until(std::forward<U>(item), detail::never, stop);
  }
  template<class U, class Rep, class Period>
  requires std::is_constructible_v<T, U&&>
  [[nodiscard]] push_result push_for(U&& item, std::chrono::duration<Rep, Period> time,
                                     const std::stop_token& stop = {});
  // Moves as many as there is room for, from the front, and publishes them at once. Returns how
  // many.
  [[nodiscard]] std::size_t try_push_n(std::span<T> items) noexcept;
  // Moves all, waiting for room. Returns fewer only when closed or stopped.
  std::size_t push_n(std::span<T> items, const std::stop_token& stop = {});
  // A push would not find the pipe full.
  [[nodiscard]] bool writable() const noexcept {
    return has_room(write_.load(std::memory_order_relaxed)) || closed();  // relaxed: our own store
  }
  [[nodiscard]] doorbell& write_bell() noexcept { return *write_bell_; }

  // Reader. Nothing from pop means closed or stopped, from pop_for also that the time was up.

  [[nodiscard]] std::optional<T> try_pop() noexcept;
  [[nodiscard]] std::optional<T> pop(const std::stop_token& stop = {}) {
    return pop_until(detail::never, stop);
  }
  template<class Rep, class Period>
  [[nodiscard]] std::optional<T> pop_for(std::chrono::duration<Rep, Period> time,
                                         const std::stop_token& stop = {});
  // Calls take(T&&) for up to most items, in their slots, and gives the slots back at once. Returns
  // how many; an item whose take throws is popped.
  template<class Take>
  std::size_t try_pop_n(Take&& take, std::size_t most = SIZE_MAX);
  // Waits for the first. Returns 0 only when closed or stopped.
  template<class Take>
  std::size_t pop_n(Take&& take, std::size_t most = SIZE_MAX, const std::stop_token& stop = {});
  // A pop would not find the pipe empty: there is an item, or there never will be one.
  [[nodiscard]] bool readable() const noexcept {
    return has_item(read_.load(std::memory_order_relaxed)) || closed();  // relaxed: our own store
  }
  // Closed, and everything delivered.
  [[nodiscard]] bool drained() const noexcept {
    // In this order: closed acquires the last store of write_ of a writer that closed.
    return closed() && !has_item(read_.load(std::memory_order_relaxed));
  }
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
    return write_.load(std::memory_order_acquire);  // not before the load of read_ in approx_size
  }
  [[nodiscard]] std::uint64_t popped() const noexcept {
    return read_.load(std::memory_order_acquire);
  }

 private:
  using index = std::uint64_t;

  [[nodiscard]] T* slot(index at) const noexcept { return slots_ + (at & mask_); }
  // Acquire: the reader is done with the slots before read_.
  [[nodiscard]] bool has_room(index write) const noexcept {
    return write - read_.load(std::memory_order_acquire) <= mask_;
  }
  // Acquire: the slots before write_ are made.
  [[nodiscard]] bool has_item(index read) const noexcept {
    return write_.load(std::memory_order_acquire) != read;
  }
  [[nodiscard]] std::size_t room_for(std::size_t wanted, index write) noexcept;
  [[nodiscard]] std::size_t items_for(std::size_t wanted, index read) noexcept;
  void publish(index write) noexcept {
    write_.store(write, std::memory_order_release);  // publishes the slots before it
    read_bell_->ring();
  }
  void give_back(index read) noexcept {
    read_.store(read, std::memory_order_release);  // our last use of the slots before it
    write_bell_->ring();
  }
  template<class U>
  push_result push_until(U&& item, detail::steady_point deadline, const std::stop_token& stop);
  std::optional<T> pop_until(detail::steady_point deadline, const std::stop_token& stop);

  // Written when the pipe is made and when it is closed.
  T* const slots_;
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
};

namespace detail {
// Whole cache lines, so that a pipe's slots share none with a stranger.
template<class T>
constexpr std::align_val_t slot_alignment{alignof(T) > cache_line ? alignof(T) : cache_line};
}  // namespace detail

template<class T>
spsc_pipe<T>::spsc_pipe(std::size_t capacity, std::shared_ptr<doorbell> read_bell,
                        std::shared_ptr<doorbell> write_bell)
    : slots_{static_cast<T*>(
          ::operator new(std::bit_ceil(capacity) * sizeof(T), detail::slot_alignment<T>))},
      mask_{std::bit_ceil(capacity) - 1},
      read_bell_{std::move(read_bell)},
      write_bell_{std::move(write_bell)} {
  assert(capacity >= 1 && capacity <= std::size_t{1} << 48 && read_bell_ && write_bell_);
}

template<class T>
spsc_pipe<T>::~spsc_pipe() {
  try_pop_n([](T&&) {});
  ::operator delete(slots_, detail::slot_alignment<T>);
}

template<class T>
template<class U>
requires std::is_constructible_v<T, U&&> push_result spsc_pipe<T>::try_push(U&& item) {
  // Relaxed: nothing that the closing side wrote is used here.
  if (closed_.load(std::memory_order_relaxed)) [[unlikely]]
    return push_result::closed;
  const index write = write_.load(std::memory_order_relaxed);  // our own store
  if (room_for(1, write) == 0) return push_result::full;
  ::new (static_cast<void*>(slot(write))) T(std::forward<U>(item));
  publish(write + 1);
  return push_result::pushed;
}

template<class T>
std::size_t spsc_pipe<T>::try_push_n(std::span<T> items) noexcept {
  if (closed_.load(std::memory_order_relaxed)) return 0;       // as in try_push
  const index write = write_.load(std::memory_order_relaxed);  // our own store
  const std::size_t n = room_for(items.size(), write);
  for (std::size_t i = 0; i < n; ++i) {
    ::new (static_cast<void*>(slot(write + i))) T(std::move(items[i]));
  }
  if (n != 0) publish(write + n);
  return n;
}

template<class T>
std::size_t spsc_pipe<T>::push_n(std::span<T> items, const std::stop_token& stop) {
  std::size_t done = try_push_n(items);
  while (done < items.size()) {
    const bool ready = write_bell_->wait([this] { return writable(); }, detail::never, stop);
    if (!ready || closed()) break;
    done += try_push_n(items.subspan(done));
  }
  return done;
}

template<class T>
template<class U>
push_result spsc_pipe<T>::push_until(U&& item, detail::steady_point deadline,
                                     const std::stop_token& stop) {
  for (;;) {
    const push_result result = try_push(std::forward<U>(item));  // untouched unless pushed
    if (result != push_result::full) return result;
    if (!write_bell_->wait([this] { return writable(); }, deadline, stop)) return result;
  }
}

template<class T>
template<class U, class Rep, class Period>
requires std::is_constructible_v<T, U&&> push_result spsc_pipe<T>::push_for(
    U&& item, std::chrono::duration<Rep, Period> time, const std::stop_token& stop) {
  const push_result result = try_push(std::forward<U>(item));
  if (result != push_result::full) return result;
  return push_until(std::forward<U>(item), detail::deadline_after(time), stop);
}

template<class T>
std::optional<T> spsc_pipe<T>::try_pop() noexcept {
  const index read = read_.load(std::memory_order_relaxed);  // our own store
  if (items_for(1, read) == 0) return std::nullopt;
  T* const item = slot(read);
  std::optional<T> result{std::move(*item)};
  item->~T();
  give_back(read + 1);
  return result;
}

template<class T>
template<class Take>
std::size_t spsc_pipe<T>::try_pop_n(Take&& take, std::size_t most) {
  const index first = read_.load(std::memory_order_relaxed);  // our own store
  const index end = first + items_for(most, first);
  if (first == end) return 0;
  // Gives back what was taken even when take throws.
  struct taken {
    spsc_pipe& pipe;
    index read;
    ~taken() { pipe.give_back(read); }
  } taken{*this, first};
  while (taken.read != end) {
    T* const item = slot(taken.read++);
    struct destroyed {
      T* item;
      ~destroyed() { item->~T(); }
    } destroyed{item};
    take(std::move(*item));
  }
  return static_cast<std::size_t>(end - first);
}

template<class T>
template<class Take>
std::size_t spsc_pipe<T>::pop_n(Take&& take, std::size_t most, const std::stop_token& stop) {
  for (;;) {
    const bool last = closed();  // first, so that the look after it finds all that was pushed
    const std::size_t n = try_pop_n(take, most);
    if (n != 0 || last || most == 0) return n;
    if (!read_bell_->wait([this] { return readable(); }, detail::never, stop)) return 0;
  }
}

template<class T>
std::optional<T> spsc_pipe<T>::pop_until(detail::steady_point deadline,
                                         const std::stop_token& stop) {
  for (;;) {
    const bool last = closed();  // first, so that the look after it finds all that was pushed
    std::optional<T> item = try_pop();
    if (item || last) return item;
    if (!read_bell_->wait([this] { return readable(); }, deadline, stop)) return std::nullopt;
  }
}

template<class T>
template<class Rep, class Period>
std::optional<T> spsc_pipe<T>::pop_for(std::chrono::duration<Rep, Period> time,
                                       const std::stop_token& stop) {
  std::optional<T> item = try_pop();
  if (item) return item;
  return pop_until(detail::deadline_after(time), stop);
}

template<class T>
void spsc_pipe<T>::close() noexcept {
  closed_.store(true, std::memory_order_release);  // publishes what the caller pushed
  read_bell_->ring();
  write_bell_->ring();
}

// At most wanted free slots; looks at read_ only when those seen before do not suffice.
template<class T>
std::size_t spsc_pipe<T>::room_for(std::size_t wanted, index write) noexcept {
  std::size_t room = capacity() - static_cast<std::size_t>(write - seen_read_);
  if (room < wanted) {
    seen_read_ = read_.load(std::memory_order_acquire);  // the reader is done with slots before it
    room = capacity() - static_cast<std::size_t>(write - seen_read_);
  }
  return room < wanted ? room : wanted;
}

// At most wanted items; looks at write_ only when those seen before do not suffice.
template<class T>
std::size_t spsc_pipe<T>::items_for(std::size_t wanted, index read) noexcept {
  auto items = static_cast<std::size_t>(seen_write_ - read);
  if (items < wanted) {
    seen_write_ = write_.load(std::memory_order_acquire);  // the slots before it are made
    items = static_cast<std::size_t>(seen_write_ - read);
  }
  return items < wanted ? items : wanted;
}

}  // namespace parley
