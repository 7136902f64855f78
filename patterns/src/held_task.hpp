// SPDX-License-Identifier: MPL-2.0
//
// Tasks that a worker has, and what they are kept in.
//
// Those that wait are the tray's, as they came: in runs. One that was taken belongs to the
// program's `task`; the tray knows it still, until it has ended. Objects are used again: a worker
// makes as many as it ever has at once.
#pragma once

#include <parley/frame.hpp>
#include <parley/task.hpp>

#include "task_set.hpp"
#include "task_wire.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace parley::detail {

struct task_peer;

// Tasks of one source that came together and wait; each that is not usual is alone.
struct task_run {
  frame bodies;  // packed, if it has more than one
  std::uint32_t count = 1;
  task_set left = 0;        // those that wait
  std::string_view unread;  // of bodies, from that of index `next_body` on
  std::uint32_t next_body = 0;
  // Of the first; the others' follow.
  task_id id;
  task_ticket ticket = 0;
  std::uint32_t attempt = 1;
  std::string key;
  std::chrono::steady_clock::time_point deadline{};  // to begin it
  task_peer* from = nullptr;
  task_run* next = nullptr;
  task_run* previous = nullptr;
};

struct held_task {
  using time_point = std::chrono::steady_clock::time_point;

  // What the program's task reads.
  task_id id;
  std::uint32_t attempt = 1;
  std::string key;

  // The program's.
  bool is_answered = false;
  // Set once, so that no task counts owners: the object keeps its worker while the pool is open.
  std::shared_ptr<worker_core> owner;

  // The tray's.
  enum class place : std::uint8_t { nowhere, begun, told };
  frame body;                               // until it is taken
  std::stop_source stop{std::nostopstate};  // made when somebody asks for it
  bool should_stop = false;
  place at = place::nowhere;  // told: its source knows that it has begun; nowhere: it has ended
  task_peer* from = nullptr;  // who waits for its answer, if anybody
  task_ticket ticket = 0;
  time_point began{};
  bool is_timed = false;  // began is exact
  time_point lease = time_point::max();
  held_task* next = nullptr;
  held_task* previous = nullptr;
};

// Things in a row; each is in one row at most.
template<class Task>
class row_of {
 public:
  [[nodiscard]] Task* first() const noexcept { return first_; }
  [[nodiscard]] Task* last() const noexcept { return last_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // Behind `before`; null: in front.
  void insert(Task* before, Task& added) noexcept {
    Task* const after = before != nullptr ? before->next : first_;
    added.previous = before;
    added.next = after;
    (before != nullptr ? before->next : first_) = &added;
    (after != nullptr ? after->previous : last_) = &added;
    ++size_;
  }
  void push_back(Task& added) noexcept { insert(last_, added); }
  void remove(Task& which) noexcept {
    (which.previous != nullptr ? which.previous->next : first_) = which.next;
    (which.next != nullptr ? which.next->previous : last_) = which.previous;
    --size_;
  }

 private:
  Task* first_ = nullptr;
  Task* last_ = nullptr;
  std::size_t size_ = 0;
};

using task_row = row_of<held_task>;

// Objects to be used again, until it is closed. give: any thread, at any time; the others: one
// thread at a time.
class task_pool {
 public:
  task_pool() noexcept = default;
  ~task_pool() { close(); }
  task_pool(const task_pool&) = delete;
  task_pool& operator=(const task_pool&) = delete;

  [[nodiscard]] held_task& take() {
    if (held_task* const taken = try_take()) {
      return *taken;
    }
    throw std::bad_alloc{};
  }
  // Null: there is no memory.
  [[nodiscard]] held_task* try_take() noexcept {
    if (free_ == nullptr && given_.load(std::memory_order_relaxed) != &closed_) {
      free_ = given_.exchange(nullptr, std::memory_order_acquire);  // with what givers did before
    }
    if (free_ == nullptr) {
      return new (std::nothrow) held_task;
    }
    return std::exchange(free_, free_->next);
  }
  // False: it is closed, and the object is the caller's. True: whoever closes it may do so already.
  [[nodiscard]] bool give(held_task& over) noexcept {
    over.body = frame{};
    over.key.clear();
    if (over.stop.stop_possible()) {
      over.stop = std::stop_source{std::nostopstate};
    }
    over.should_stop = false;
    over.is_answered = false;
    over.from = nullptr;
    // Relaxed: what it points to is read by others only, after their exchange.
    over.next = given_.load(std::memory_order_relaxed);
    do {
      if (over.next == &closed_) {
        return false;
      }
      // Release: publishes the object to them.
    } while (!given_.compare_exchange_weak(over.next, &over, std::memory_order_release,
                                           std::memory_order_relaxed));
    return true;
  }
  void close() noexcept {
    destroy(std::exchange(free_, nullptr));
    held_task* const given = given_.exchange(&closed_, std::memory_order_acquire);  // as in take
    if (given != &closed_) {
      destroy(given);
    }
  }

 private:
  static void destroy(held_task* first) noexcept {
    while (first != nullptr) {
      delete std::exchange(first, first->next);
    }
  }

  held_task* free_ = nullptr;
  std::atomic<held_task*> given_{nullptr};
  held_task closed_;  // its address stands for a pool that is
};

}  // namespace parley::detail
