// SPDX-License-Identifier: MPL-2.0
//
// A bounded pipe from many writing threads to one reading thread, made of one spsc_pipe, a lane,
// per writer: writers never touch each other's cache lines, and a slow one holds up nobody.
//
// Anyone: add_writer, close, closed, approx_size, pushed, popped.  A writer: one thread at a time.
// Reader: the pop words, readable, drained, read_bell.
// Order: kept per writer. Between writers the reader takes turns, at most a burst of items each.
// Full: each writer has room for capacity items of its own.
// Closed: as in spsc_pipe, for all writers at once. A writer that is destroyed closes its lane
// only; what it pushed is delivered. Writers may outlive the pipe, whose end closes it.
//
// Invariants
//  1. all_ holds every lane that the reader did not yet see drained; lanes_, which is the reader's
//  own,
//     is the beginning of all_.
//  2. has_new_ is set when all_ is longer than lanes_.
//  3. Every lane in all_ is closed when closed_ is set.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <parley/pipe/doorbell.hpp>
#include <parley/pipe/spsc_pipe.hpp>
#include <parley/pipe/wait_strategy.hpp>
#include <span>
#include <stop_token>
#include <utility>
#include <vector>

namespace parley {

template<class T>
class mpsc_pipe {
  using lane = spsc_pipe<T>;

 public:
  // One thread's end, with the push words of spsc_pipe. Requires: not used after it was moved from.
  class writer {
   public:
    writer(writer&&) noexcept = default;
    writer& operator=(writer&& other) noexcept {
      std::swap(lane_, other.lane_);
      return *this;
    }
    ~writer() {
      if (lane_) lane_->close();
    }

    template<detail::makes<T> U>
    [[nodiscard]] push_result try_push(U&& item) {
      return lane_->try_push(std::forward<U>(item));
    }
    template<detail::makes<T> U>
    push_result push(U&& item, const std::stop_token& stop = {}) {
      return lane_->push(std::forward<U>(item), stop);
    }
    template<detail::makes<T> U, class Rep, class Period>
    [[nodiscard]] push_result push_for(U&& item, std::chrono::duration<Rep, Period> time,
                                       const std::stop_token& stop = {}) {
      return lane_->push_for(std::forward<U>(item), time, stop);
    }
    [[nodiscard]] std::size_t try_push_n(std::span<T> items) noexcept {
      return lane_->try_push_n(items);
    }
    std::size_t push_n(std::span<T> items, const std::stop_token& stop = {}) {
      return lane_->push_n(items, stop);
    }
    [[nodiscard]] bool writable() const noexcept { return lane_->writable(); }
    [[nodiscard]] doorbell& write_bell() noexcept { return lane_->write_bell(); }

   private:
    friend class mpsc_pipe;
    explicit writer(std::shared_ptr<lane> end) noexcept : lane_{std::move(end)} {}
    std::shared_ptr<lane> lane_;
  };

  // Room for at least this many items of each writer: the next power of two.
  explicit mpsc_pipe(std::size_t capacity, wait_strategy strategy = {})
      : capacity_{capacity},
        strategy_{strategy},
        read_bell_{std::make_shared<doorbell>(strategy)} {}
  ~mpsc_pipe() { close(); }
  mpsc_pipe(const mpsc_pipe&) = delete;
  mpsc_pipe& operator=(const mpsc_pipe&) = delete;

  // Anyone.

  // After close: a writer whose every push says closed.
  [[nodiscard]] writer add_writer();
  void close() noexcept;
  [[nodiscard]] bool closed() const noexcept {
    return closed_.load(std::memory_order_acquire);  // acquires what was pushed before close
  }
  // Over all writers there ever were. They take a lock, the words above them do not.
  [[nodiscard]] std::uint64_t pushed() const;
  [[nodiscard]] std::uint64_t popped() const;
  // As in spsc_pipe: exact only while nobody works.
  [[nodiscard]] std::size_t approx_size() const;

  // Reader. Nothing means what it means in spsc_pipe.

  [[nodiscard, gnu::always_inline]] std::optional<T> try_pop();
  [[nodiscard, gnu::always_inline]] std::optional<T> pop(const std::stop_token& stop = {});
  template<class Rep, class Period>
  [[nodiscard]] std::optional<T> pop_for(std::chrono::duration<Rep, Period> time,
                                         const std::stop_token& stop = {});
  // Goes round all writers once and takes what there is, up to most.
  template<class Take>
  std::size_t try_pop_n(Take&& take, std::size_t most = SIZE_MAX);
  template<class Take>
  std::size_t pop_n(Take&& take, std::size_t most = SIZE_MAX, const std::stop_token& stop = {});
  // There is something for a pop word to do: an item, a writer that came or went, or the close.
  [[nodiscard]] bool readable() const noexcept;
  // Closed, and everything delivered.
  [[nodiscard]] bool drained() const noexcept;
  [[nodiscard]] doorbell& read_bell() noexcept { return *read_bell_; }

 private:
  // Items in a row from one writer while others wait: its cache lines come faster in a stream.
  static constexpr unsigned burst = 64;

  // A lane with an item in it, or null.
  [[nodiscard, gnu::always_inline]] lane* find_item();
  [[nodiscard, gnu::noinline]] lane* find_next_item();
  [[nodiscard, gnu::noinline]] lane* wait_for_item(detail::steady_point deadline,
                                                   const std::stop_token& stop);
  void meet_new_lanes();
  [[nodiscard]] lane* next_lane();

  const std::size_t capacity_;
  const wait_strategy strategy_;
  const std::shared_ptr<doorbell> read_bell_;  // shared with the lanes of writers that outlive us
  std::atomic<bool> closed_{false};
  std::atomic<bool> has_new_{false};

  mutable std::mutex lock_;  // guards the next two, and every change of the flags above
  std::vector<std::shared_ptr<lane>> all_;
  std::uint64_t gone_items_ = 0;  // what crossed the lanes that were dropped

  // The reader's own.
  alignas(detail::cache_line) std::vector<std::shared_ptr<lane>> lanes_;
  std::size_t current_ = 0;  // whose turn it is
  unsigned turn_ = 0;        // how many more items in a row it may give
};

template<class T>
typename mpsc_pipe<T>::writer mpsc_pipe<T>::add_writer() {
  auto added = std::make_shared<lane>(capacity_, read_bell_, std::make_shared<doorbell>(strategy_));
  const std::lock_guard guard{lock_};
  if (closed()) {
    added->close();
  } else {
    all_.push_back(added);
    // The reader need not wake for it: the first push rings, and who wakes looks at has_new_ first.
    has_new_.store(true, std::memory_order_release);
  }
  return writer{std::move(added)};
}

template<class T>
void mpsc_pipe<T>::close() noexcept {
  const std::lock_guard guard{lock_};
  for (const auto& each : all_)
    each->close();
  closed_.store(true, std::memory_order_release);  // after the lanes: who sees it sees them closed
  read_bell_->ring();
}

template<class T>
std::uint64_t mpsc_pipe<T>::pushed() const {
  const std::lock_guard guard{lock_};
  std::uint64_t sum = gone_items_;
  for (const auto& each : all_)
    sum += each->pushed();
  return sum;
}

template<class T>
std::uint64_t mpsc_pipe<T>::popped() const {
  const std::lock_guard guard{lock_};
  std::uint64_t sum = gone_items_;
  for (const auto& each : all_)
    sum += each->popped();
  return sum;
}

template<class T>
std::size_t mpsc_pipe<T>::approx_size() const {
  const std::lock_guard guard{lock_};
  std::size_t sum = 0;
  for (const auto& each : all_)
    sum += each->approx_size();
  return sum;
}

// Reader.

template<class T>
inline std::optional<T> mpsc_pipe<T>::try_pop() {
  std::optional<T> next;
  if (lane* const found = find_item()) found->pop_into(next);
  return next;
}

template<class T>
inline std::optional<T> mpsc_pipe<T>::pop(const std::stop_token& stop) {
  std::optional<T> next;
  lane* found = find_item();
  if (!found) found = wait_for_item(detail::never, stop);
  if (found) found->pop_into(next);
  return next;
}

template<class T>
template<class Rep, class Period>
std::optional<T> mpsc_pipe<T>::pop_for(std::chrono::duration<Rep, Period> time,
                                       const std::stop_token& stop) {
  std::optional<T> next;
  lane* found = find_item();
  if (!found) found = wait_for_item(detail::deadline_after(time), stop);
  if (found) found->pop_into(next);
  return next;
}

template<class T>
template<class Take>
std::size_t mpsc_pipe<T>::try_pop_n(Take&& take, std::size_t most) {
  meet_new_lanes();
  turn_ = 0;
  std::size_t taken = 0;
  for (std::size_t left = lanes_.size(); left != 0 && taken != most; --left) {
    lane* const next = next_lane();
    if (!next) break;
    taken += next->try_pop_n(take, most - taken);
  }
  return taken;
}

template<class T>
template<class Take>
std::size_t mpsc_pipe<T>::pop_n(Take&& take, std::size_t most, const std::stop_token& stop) {
  const std::size_t taken = try_pop_n(take, most);
  if (taken != 0 || !wait_for_item(detail::never, stop)) return taken;
  return try_pop_n(take, most);
}

template<class T>
bool mpsc_pipe<T>::readable() const noexcept {
  if (closed() || has_new_.load(std::memory_order_acquire)) return true;  // acquire: all_ has them
  return std::any_of(lanes_.begin(), lanes_.end(),
                     [](const auto& each) { return each->readable(); });
}

template<class T>
bool mpsc_pipe<T>::drained() const noexcept {
  // In this order: who sees the close sees the last new lanes, and all that was pushed before it.
  if (!closed() || has_new_.load(std::memory_order_acquire)) return false;
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [](const auto& each) { return each->drained(); });
}

template<class T>
inline typename mpsc_pipe<T>::lane* mpsc_pipe<T>::find_item() {
  if (turn_ != 0) {
    lane* const current = lanes_[current_].get();
    if (current->items_for(1) != 0) {
      --turn_;
      return current;
    }
  }
  return find_next_item();
}

template<class T>
typename mpsc_pipe<T>::lane* mpsc_pipe<T>::find_next_item() {
  meet_new_lanes();
  for (std::size_t left = lanes_.size(); left != 0; --left) {
    lane* const next = next_lane();
    if (!next) break;
    if (next->items_for(1) != 0) {
      turn_ = burst - 1;
      return next;
    }
  }
  turn_ = 0;
  return nullptr;
}

template<class T>
typename mpsc_pipe<T>::lane* mpsc_pipe<T>::wait_for_item(detail::steady_point deadline,
                                                         const std::stop_token& stop) {
  for (;;) {
    const bool last = closed();  // before the look: it then finds all that was pushed before close
    lane* const found = find_next_item();
    if (found || last) return found;
    // What wakes us may be a writer that came or went, and no item.
    if (!read_bell_->wait([this] { return readable(); }, deadline, stop)) return nullptr;
  }
}

template<class T>
void mpsc_pipe<T>::meet_new_lanes() {
  if (!has_new_.load(std::memory_order_relaxed)) return;  // the lock acquires what all_ holds
  const std::lock_guard guard{lock_};
  has_new_.store(false, std::memory_order_relaxed);  // changes under the lock only
  lanes_.insert(lanes_.end(), all_.begin() + static_cast<std::ptrdiff_t>(lanes_.size()),
                all_.end());
}

// Gives the turn to the next lane, and drops those on the way whose writer is gone and that are
// empty. Null: there is no lane.
template<class T>
typename mpsc_pipe<T>::lane* mpsc_pipe<T>::next_lane() {
  for (;;) {
    if (lanes_.empty()) return nullptr;
    if (++current_ >= lanes_.size()) current_ = 0;
    lane* const next = lanes_[current_].get();
    if (!next->drained()) return next;
    const std::lock_guard guard{lock_};
    // Who closed it was not its writer, which may be at a last push: keep it, so that this is
    // counted.
    if (closed()) return next;
    gone_items_ += next->popped();
    const auto at = static_cast<std::ptrdiff_t>(current_);
    all_.erase(all_.begin() + at);
    lanes_.erase(lanes_.begin() + at);
    --current_;  // wraps at the first, as ++ does back
  }
}

}  // namespace parley
