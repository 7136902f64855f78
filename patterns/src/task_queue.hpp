// SPDX-License-Identifier: MPL-2.0
//
// The tasks of a source that wait: for a worker, for another one of their key, or for their time.
//
// A task for a worker's name is in the lane of that name, any other in the lane for anybody. In a
// lane higher priorities go first; of one priority, smaller numbers, whatever they had to wait for
// before. Of the tasks of a key only the first can be in a lane; it stands for all of them until it
// ends, also while a worker has it and while it waits to be tried again. No clock. One thread at a
// time.
#pragma once

#include "slot_heap.hpp"
#include "task_slab.hpp"

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace parley::detail {

inline constexpr std::size_t task_priorities = 10;

struct task_lane {
  // New ones, in the order of their numbers by themselves.
  std::array<task_list, task_priorities> lists;
  std::uint32_t filled = 0;  // a bit for each list that is not empty
  // Those that come to the lane later than others of larger numbers, by rank.
  std::map<std::uint64_t, task_slot> again;
  std::size_t users = 0;  // tasks, also those at workers, and workers of that name
  std::string_view name{};

  // Requires: filled != 0.
  [[nodiscard]] std::size_t highest() const noexcept {
    return static_cast<std::size_t>(std::bit_width(filled)) - 1;
  }
};

struct task_key {
  task_slot first = no_slot;
  task_list behind;
  std::string_view name{};
};

class task_queue {
 public:
  using time_point = task_extras::time_point;

  // knows_oldest: oldest() will be asked for.
  task_queue(task_slab& tasks, bool knows_oldest) : tasks_{tasks}, knows_oldest_{knows_oldest} {}

  // A new one. Without memory for it all stays as it was.
  void add(task_slot which, time_point now);
  // One that was taken; or not before its time.
  void put_back(task_slot which);
  void put_off(task_slot which, time_point until);
  // It leaves for a worker, of a run so many at most: then in a slot of their own, while the others
  // wait on. Requires: it is `next` for somebody, or oldest and a run.
  [[nodiscard]] task_slot take(task_slot which, std::uint32_t most = most_in_run) {
    task_record& record = tasks_[which];
    if (record.count() > most) {
      return take_some(which, most);
    }
    leave_lane(which, record);
    if (record.more != nullptr) {
      timers_.remove(which);
    }
    if (knows_oldest_) {
      ages_.remove(which);
    }
    return which;
  }
  // Requires: it waits, and is no run. Forget it afterwards.
  void remove(task_slot which) noexcept;
  // To forget that one then needs no memory.
  void make_room_to_forget(task_slot which);
  // It ends: the next one of its key comes up. Requires: it waits no more.
  void forget(task_slot which, time_point now);

  // The lane of that name; null for none. Each is to be closed as often.
  [[nodiscard]] task_lane* open_lane(std::string_view name);
  void close_lane(task_lane* lane) noexcept;
  // What comes next for the worker of that lane; no_slot: nothing.
  [[nodiscard]] task_slot next(const task_lane* lane) const noexcept {
    const task_slot for_anybody = first_of(anybody_);
    return lane == nullptr ? for_anybody : earlier(first_of(*lane), for_anybody);
  }
  // no_slot: none waits.
  [[nodiscard]] task_slot oldest() const noexcept {
    return ages_.empty() ? no_slot : ages_.first();
  }

  // Moves those whose time has come into their lanes. The next one whose deadline passed, to be
  // removed; no_slot: no more.
  [[nodiscard]] task_slot pass(time_point now);
  [[nodiscard]] time_point next_pass() const noexcept {
    return timers_.empty() ? time_point::max()
                           : time_point{time_point::duration{timers_.first_key()}};
  }

  [[nodiscard]] std::size_t ready() const noexcept { return ready_; }  // in lanes
  [[nodiscard]] std::size_t waiting() const noexcept { return ready_ + behind_; }
  [[nodiscard]] std::size_t delayed() const noexcept { return delayed_; }

 private:
  using place = task_record::place;
  struct hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  [[nodiscard]] task_lane& lane_of(const task_record& record) noexcept {
    return record.more != nullptr && record.more->lane != nullptr ? *record.more->lane : anybody_;
  }
  // Smaller goes first. Numbers are counted from 1, and do not get that far.
  [[nodiscard]] static std::uint64_t rank(const task_record& record) noexcept {
    return (task_priorities - 1 - record.priority) << 59 | record.number;
  }
  [[nodiscard]] task_slot first_of(const task_lane& lane) const noexcept {
    const task_slot first = lane.filled == 0 ? no_slot : lane.lists[lane.highest()].first;
    return lane.again.empty() ? first : earlier(first, lane.again.begin()->second);
  }
  [[nodiscard]] task_slot earlier(task_slot left, task_slot right) const noexcept {
    if (left == no_slot || right == no_slot) {
      return left == no_slot ? right : left;
    }
    return rank(tasks_[left]) < rank(tasks_[right]) ? left : right;
  }
  void enter_lane(task_slot which, task_record& record) noexcept {
    task_lane& lane = lane_of(record);
    lane.lists[record.priority].push_back(tasks_, which);
    lane.filled |= 1U << record.priority;
    record.where = place::ready;
    ready_ += record.count();
  }
  void enter_again(task_slot which, task_record& record) {
    put_again(lane_of(record), rank(record), which);
    record.where = place::again;
    ready_ += record.count();
  }
  void leave_lane(task_slot which, task_record& record) noexcept {
    task_lane& lane = lane_of(record);
    if (record.where == place::again) [[unlikely]] {
      lane.again.erase(rank(record));
      record.where = place::nowhere;
      ready_ -= record.count();
      return;
    }
    task_list& list = lane.lists[record.priority];
    list.remove(tasks_, which);
    if (list.empty()) {
      lane.filled &= ~(1U << record.priority);
    }
    record.where = place::nowhere;
    ready_ -= record.count();
  }
  void put_again(task_lane& lane, std::uint64_t at, task_slot which) {
    if (spare_.empty()) [[likely]] {
      lane.again.emplace(at, which);
      return;
    }
    spare_.key() = at;
    spare_.mapped() = which;
    lane.again.insert(std::move(spare_));
  }
  [[nodiscard]] task_slot take_some(task_slot which, std::uint32_t count);
  void add_special(task_slot which, task_record& record, time_point now);
  void enter(task_slot which, task_record& record, bool is_new, time_point now);
  void delay(task_slot which, task_record& record, time_point until);
  void set_timer(task_slot which, time_point at);

  task_slab& tasks_;
  const bool knows_oldest_;
  task_lane anybody_;
  std::map<std::string, task_lane, std::less<>> lanes_;
  std::unordered_map<std::string, task_key, hash, std::equal_to<>> keys_;
  // When a task's time comes, or its deadline passes, whichever is first.
  slot_heap timers_;
  slot_heap ages_;                               // by number
  decltype(task_lane::again)::node_type spare_;  // empty, or for the next one that comes later
  std::size_t ready_ = 0;
  std::size_t behind_ = 0;
  std::size_t delayed_ = 0;
};

}  // namespace parley::detail
