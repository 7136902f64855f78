// SPDX-License-Identifier: MPL-2.0
//
// A task that a worker has, and what such tasks are kept in.
//
// One that waits is the tray's, one that was taken belongs to the program's `task`; the tray knows
// it still, until it has ended. Objects are used again: a worker makes as many as it ever has at
// once.
#pragma once

#include <parley/frame.hpp>
#include <parley/task.hpp>

#include "task_wire.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

namespace parley::detail {

struct task_peer;

struct held_task {
  using time_point = std::chrono::steady_clock::time_point;

  // What the program's task reads.
  task_id id;
  std::uint32_t attempt = 1;
  std::string key;

  // The program's.
  std::shared_ptr<worker_core> owner;  // while it is not the tray's
  bool is_answered = false;

  // The tray's.
  enum class place : std::uint8_t { nowhere, waiting, begun, told };
  frame body;                               // until it is taken
  std::stop_source stop{std::nostopstate};  // made when somebody asks for it
  bool should_stop = false;
  place at = place::nowhere;  // told: its source knows that it has begun; nowhere: it has ended
  task_peer* from = nullptr;  // who waits for its answer, if anybody
  task_ticket ticket = 0;
  time_point deadline = time_point::max();  // to begin it
  time_point began{};
  time_point lease = time_point::max();
  held_task* next = nullptr;
  held_task* previous = nullptr;
};

// Tasks in a row; each is in one row at most.
class task_row {
 public:
  [[nodiscard]] held_task* first() const noexcept { return first_; }
  [[nodiscard]] held_task* last() const noexcept { return last_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // Behind `before`; null: in front.
  void insert(held_task* before, held_task& added) noexcept {
    held_task* const after = before != nullptr ? before->next : first_;
    added.previous = before;
    added.next = after;
    (before != nullptr ? before->next : first_) = &added;
    (after != nullptr ? after->previous : last_) = &added;
    ++size_;
  }
  void push_back(held_task& added) noexcept { insert(last_, added); }
  void remove(held_task& which) noexcept {
    (which.previous != nullptr ? which.previous->next : first_) = which.next;
    (which.next != nullptr ? which.next->previous : last_) = which.previous;
    --size_;
  }

 private:
  held_task* first_ = nullptr;
  held_task* last_ = nullptr;
  std::size_t size_ = 0;
};

// Objects to be used again. take: one thread at a time; give: any.
class task_pool {
 public:
  task_pool() noexcept = default;
  ~task_pool() {
    destroy(free_);
    destroy(given_.load(std::memory_order_acquire));  // what givers did before
  }
  task_pool(const task_pool&) = delete;
  task_pool& operator=(const task_pool&) = delete;

  [[nodiscard]] held_task& take() {
    if (free_ == nullptr) {
      free_ = given_.exchange(nullptr, std::memory_order_acquire);  // with what givers did before
      if (free_ == nullptr) {
        return *new held_task;
      }
    }
    held_task& taken = *std::exchange(free_, free_->next);
    return taken;
  }
  void give(held_task& over) noexcept {
    over.body = frame{};
    over.key.clear();
    if (over.stop.stop_possible()) {
      over.stop = std::stop_source{std::nostopstate};
    }
    over.should_stop = false;
    over.is_answered = false;
    over.from = nullptr;
    // Relaxed: what it points to is read by take only, after the exchange.
    over.next = given_.load(std::memory_order_relaxed);
    // Release: publishes the object to take.
    while (!given_.compare_exchange_weak(over.next, &over, std::memory_order_release,
                                         std::memory_order_relaxed)) {
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
};

}  // namespace parley::detail
