// SPDX-License-Identifier: MPL-2.0
#include "stomp/queue.hpp"

#include <algorithm>
#include <utility>

namespace parley::stomp {

bool queue::push(message_ptr content) {
  const std::size_t bytes = content->size();
  if (!has_room(1, bytes)) return false;
  bytes_ += bytes;
  entry fresh;
  fresh.content = std::move(content);
  fresh.number = next_number_++;
  fresh_.push_back(std::move(fresh));
  return true;
}

void queue::add(consumer& who) {
  consumers_.push_back(&who);
  ready_.push_back(&who);
}

void queue::remove(consumer& who) {
  std::erase(consumers_, &who);
  std::erase(ready_, &who);
}

void queue::wake(consumer& who) {
  if (std::find(ready_.begin(), ready_.end(), &who) == ready_.end()) ready_.push_back(&who);
}

void queue::dispatch() {
  while (waiting() != 0 && !ready_.empty()) {
    entry& next = returned_.empty() ? fresh_.front() : returned_.back();
    if (next.rejected_by == ready_.front() && ready_.size() > 1) {
      std::swap(ready_[0], ready_[1]);
    }
    consumer* const who = ready_.front();
    ready_.pop_front();
    const taken came = who->try_take(next);
    if (came == taken::refused) continue;
    ready_.push_back(who);
    ++in_flight_;
    if (came == taken::settled) forget(next);
    if (returned_.empty()) {
      fresh_.pop_front();
    } else {
      returned_.pop_back();
    }
  }
}

void queue::forget(const entry& gone) noexcept {
  --in_flight_;
  bytes_ -= gone.content->size();
}

void queue::settled(const entry& done) noexcept { forget(done); }

queue::returned queue::give_back(entry held, bool rejected, const consumer* by) {
  if (rejected) {
    ++held.rejections;
    held.rejected_by = by;
    if (held.rejections >= limits_.attempts) {
      forget(held);
      return returned::given_up;
    }
  }
  held.redelivered = true;
  put_back(std::move(held));
  return returned::waits;
}

void queue::put_back(entry held) {
  --in_flight_;
  const auto place =
      std::partition_point(returned_.begin(), returned_.end(),
                           [&](const entry& each) { return each.number > held.number; });
  returned_.insert(place, std::move(held));
}

}  // namespace parley::stomp
