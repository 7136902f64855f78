// SPDX-License-Identifier: MPL-2.0
//
// The tasks that a source holds, in slots, and lists of slots. A slot has a run of tasks that go
// the same way, up to 64 that were pushed one after another and want nothing special, or a single
// one. Slots are used again, the last one first: its memory is warm. One thread at a time.
#pragma once

#include <parley/frame.hpp>
#include <parley/task.hpp>

#include "chunk_list.hpp"
#include "task_pack.hpp"
#include "task_set.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace parley::detail {

struct task_lane;
struct task_key;

using task_slot = std::uint32_t;
inline constexpr task_slot no_slot = UINT32_MAX;

// What most tasks do not have.
struct task_extras {
  using time_point = std::chrono::steady_clock::time_point;

  task_options options;
  std::function<void(task_outcome&&)> when_ended;
  time_point not_before = time_point::min();
  time_point deadline = time_point::max();
  // The queue's; null: it is for anybody, it has no key or does not wait for one.
  task_lane* lane = nullptr;
  task_key* key = nullptr;
};

struct task_record {
  enum class place : std::uint8_t {
    nowhere,
    ready,    // in a lane
    again,    // there too, not for the first time, or after it had to wait
    behind,   // another one of its key
    delayed,  // until its time
    working,  // at a worker
  };

  task_bodies bodies;
  std::uint64_t number = 0;  // of the first; the others' follow
  std::unique_ptr<task_extras> more;
  // In the list of those who are at the same place.
  task_slot next = no_slot;
  task_slot previous = no_slot;
  std::uint32_t deal = 0;      // of the last attempt: a part of its ticket; the others' follow
  std::uint32_t link = 0;      // who has it; if nobody, who gave it back
  std::uint32_t attempts = 0;  // that failed
  place where = place::nowhere;
  std::uint8_t priority = 0;
  bool is_suspect = false;  // may have killed the worker that had it last
  // At a worker: those that are, and of them those known to have begun.
  task_set left = 0;
  task_set begun = 0;

  [[nodiscard]] std::uint32_t count() const noexcept { return bodies.count(); }
};

class task_slab {
 public:
  [[nodiscard]] task_record& operator[](task_slot which) noexcept { return records_[which]; }
  [[nodiscard]] const task_record& operator[](task_slot which) const noexcept {
    return records_[which];
  }
  // Slots that were used ever.
  [[nodiscard]] task_slot size() const noexcept { return static_cast<task_slot>(records_.size()); }

  // As one that is new, but for deal.
  [[nodiscard]] task_slot take() {
    if (const task_slot spare = spare_; spare != no_slot) {
      spare_ = (*this)[spare].next;
      return spare;
    }
    records_.grow();
    return size() - 1;
  }
  void give(task_slot which) noexcept {
    task_record& record = (*this)[which];
    record.bodies = task_bodies{};
    record.more.reset();
    record.link = 0;
    record.attempts = 0;
    record.where = task_record::place::nowhere;
    record.priority = 0;
    record.is_suspect = false;
    record.left = record.begun = 0;
    record.next = spare_;
    spare_ = which;
  }
  // A slot of their own for some tasks of that run, which are at no place yet; the run is left as
  // it is.
  [[nodiscard]] task_slot copy(task_slot which, std::uint32_t begin, std::uint32_t end) {
    const task_slot made = take();
    task_record& record = (*this)[made];
    const task_record& from = (*this)[which];
    record.bodies = from.bodies.some(begin, end);
    record.number = from.number + begin;
    record.link = from.link;
    return made;
  }

 private:
  chunk_list<task_record, 256> records_;
  task_slot spare_ = no_slot;
};

// Through next and previous of its tasks.
struct task_list {
  task_slot first = no_slot;
  task_slot last = no_slot;

  [[nodiscard]] bool empty() const noexcept { return first == no_slot; }
  void push_back(task_slab& tasks, task_slot which) noexcept {
    task_record& record = tasks[which];
    record.next = no_slot;
    record.previous = last;
    (last == no_slot ? first : tasks[last].next) = which;
    last = which;
  }
  void remove(task_slab& tasks, task_slot which) noexcept {
    const task_record& record = tasks[which];
    (record.previous == no_slot ? first : tasks[record.previous].next) = record.next;
    (record.next == no_slot ? last : tasks[record.next].previous) = record.previous;
  }
};

}  // namespace parley::detail
