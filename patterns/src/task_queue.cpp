// SPDX-License-Identifier: MPL-2.0
#include "task_queue.hpp"

#include <algorithm>
#include <cassert>

namespace parley::detail {

void task_queue::add(task_slot which, time_point now) {
  task_record& record = tasks_[which];
  if (knows_oldest_) {
    ages_.make_room(which);
  }
  if (record.more == nullptr) {
    enter_lane(which, record);
  } else {
    add_special(which, record, now);
  }
  if (knows_oldest_) {
    ages_.add(which, static_cast<slot_heap::key>(record.number));
  }
}

void task_queue::add_special(task_slot which, task_record& record, time_point now) {
  task_extras& more = *record.more;
  timers_.make_room(which);
  task_lane* const lane = open_lane(more.options.to);
  bool is_behind = false;
  if (!more.options.key.empty()) {
    try {
      const auto [at, is_new] = keys_.try_emplace(more.options.key);
      at->second.name = at->first;
      more.key = &at->second;
      is_behind = !is_new;
    } catch (...) {
      close_lane(lane);
      throw;
    }
  }
  // From here on nothing needs memory.
  more.lane = lane;
  if (is_behind) {
    more.key->behind.push_back(tasks_, which);
    record.where = place::behind;
    ++behind_;
    set_timer(which, more.deadline);
    return;
  }
  if (more.key != nullptr) {
    more.key->first = which;
  }
  enter(which, record, true, now);
}

void task_queue::enter(task_slot which, task_record& record, bool is_new, time_point now) {
  if (record.more->not_before > now) {
    delay(which, record, record.more->not_before);
  } else {
    is_new ? enter_lane(which, record) : enter_again(which, record);
    set_timer(which, record.more->deadline);
  }
}

void task_queue::delay(task_slot which, task_record& record, time_point until) {
  record.where = place::delayed;
  ++delayed_;
  timers_.add(which, (record.more == nullptr ? until : std::min(until, record.more->deadline))
                         .time_since_epoch()
                         .count());
}

void task_queue::set_timer(task_slot which, time_point at) {
  if (at != time_point::max()) {
    timers_.add(which, at.time_since_epoch().count());
  }
}

void task_queue::put_back(task_slot which) {
  task_record& record = tasks_[which];
  enter_again(which, record);
  if (record.more != nullptr) {
    set_timer(which, record.more->deadline);
  }
  if (knows_oldest_) {
    ages_.add(which, static_cast<slot_heap::key>(record.number));
  }
}

void task_queue::put_off(task_slot which, time_point until) {
  task_record& record = tasks_[which];
  delay(which, record, until);
  if (knows_oldest_) {
    ages_.add(which, static_cast<slot_heap::key>(record.number));
  }
}

task_slot task_queue::take_some(task_slot which, std::uint32_t count) {
  const task_slot taken = tasks_.copy(which, 0, count);
  task_record& rest = tasks_[which];
  auto& again = lane_of(rest).again;
  auto node = rest.where == place::again ? again.extract(rank(rest)) : decltype(spare_){};
  rest.bodies.drop_front(count);
  rest.number += count;
  ready_ -= count;
  if (!node.empty()) {
    node.key() = rank(rest);
    again.insert(std::move(node));
  }
  if (knows_oldest_) {
    ages_.remove(which);
    ages_.add(which, static_cast<slot_heap::key>(rest.number));
  }
  return taken;
}

void task_queue::remove(task_slot which) noexcept {
  task_record& record = tasks_[which];
  switch (record.where) {
    case place::ready:
    case place::again:
      leave_lane(which, record);
      break;
    case place::behind:
      record.more->key->behind.remove(tasks_, which);
      record.more->key = nullptr;
      --behind_;
      break;
    case place::delayed:
      --delayed_;
      break;
    default:
      assert(false);
  }
  record.where = place::nowhere;
  timers_.remove(which);
  ages_.remove(which);
}

void task_queue::make_room_to_forget(task_slot which) {
  const task_record& record = tasks_[which];
  if (record.where == place::behind || record.more == nullptr || record.more->key == nullptr ||
      record.more->key->behind.empty()) {
    return;  // nothing comes up
  }
  timers_.make_room(record.more->key->behind.first);
  if (spare_.empty()) {
    decltype(task_lane::again) made;
    made.emplace(0, no_slot);
    spare_ = made.extract(made.begin());
  }
}

void task_queue::forget(task_slot which, time_point now) {
  task_record& record = tasks_[which];
  if (record.more == nullptr) {
    return;
  }
  if (task_key* const key = std::exchange(record.more->key, nullptr); key != nullptr) {
    const task_slot next = key->behind.first;
    key->first = next;
    if (next == no_slot) {
      keys_.erase(keys_.find(key->name));
    } else {
      key->behind.remove(tasks_, next);
      --behind_;
      timers_.remove(next);
      enter(next, tasks_[next], false, now);
    }
  }
  close_lane(std::exchange(record.more->lane, nullptr));
}

task_lane* task_queue::open_lane(std::string_view name) {
  if (name.empty()) {
    return nullptr;
  }
  auto at = lanes_.find(name);
  if (at == lanes_.end()) {
    at = lanes_.try_emplace(std::string{name}).first;
    at->second.name = at->first;
  }
  ++at->second.users;
  return &at->second;
}

void task_queue::close_lane(task_lane* lane) noexcept {
  if (lane != nullptr && --lane->users == 0) {
    lanes_.erase(lanes_.find(lane->name));
  }
}

task_slot task_queue::pass(time_point now) {
  while (next_pass() <= now) {
    const task_slot which = timers_.first();
    task_record& record = tasks_[which];
    const time_point deadline = record.more == nullptr ? time_point::max() : record.more->deadline;
    if (deadline <= now) {
      return which;
    }
    assert(record.where == place::delayed);
    timers_.remove(which);
    --delayed_;
    enter_again(which, record);
    set_timer(which, deadline);
  }
  return no_slot;
}

}  // namespace parley::detail
