// SPDX-License-Identifier: MPL-2.0
#include "served_run.hpp"

#include <cassert>
#include <limits>

namespace parley::detail {

bool served_run::set_out(const task_run& run, time_point now) {
  assert(is_over());
  if (run.bodies.size() > std::numeric_limits<std::uint32_t>::max()) {
    return false;  // it may be done, but not here
  }
  const std::uint32_t offset = most_in_run - run.count;
  bodies_ = run.bodies;
  bytes_ = bodies_.view().data();
  std::string_view unread = bodies_.view();
  std::string_view body;
  for (std::uint32_t place = offset; place < nothing; ++place) {
    if (!next_body(unread, body)) [[unlikely]] {
      bodies_ = frame{};
      return false;
    }
    begins_[place] = static_cast<std::uint32_t>(body.data() - bytes_);
  }
  begins_[nothing] =
      static_cast<std::uint32_t>(body.data() + body.size() + wire::body_head - bytes_);
  source_ = run.id.source;
  number_ = run.id.number - offset;
  ticket_ = run.ticket - offset;
  first_ = counted_ = offset + first_of(run.left);
  since_ = now;
  is_called_in_ = false;
  done_ = known_ = claimed_ = 0;
  settled_.store(0, std::memory_order_relaxed);
  // Release: all that, to who takes.
  next_.store(first_, std::memory_order_release);
  return true;
}

std::uint32_t served_run::call_in() noexcept {
  // Relaxed: who took has read what is written here, and says so when it is done.
  const std::uint32_t count = count_to(next_.exchange(closed, std::memory_order_relaxed));
  const task_set taken = between(first_, counted_);
  // Acquire: what those say that are done.
  const task_set settled = settled_.fetch_or(taken, std::memory_order_acquire);
  done_ = settled & taken & ~known_;
  const task_set in_hand = taken & ~done_ & ~known_;
  for_each(in_hand, [this](std::uint32_t place) { held_[place] = nullptr; });
  known_ |= in_hand;
  is_called_in_ = true;
  let_go_if_over();
  return count;
}

served_run::census served_run::count() const noexcept {
  if (is_called_in_) {
    return {};
  }
  const auto end = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(next_.load(std::memory_order_relaxed), nothing));
  const task_set taken = between(first_, end) & ~known_;
  const std::uint32_t done = size_of(taken & settled_.load(std::memory_order_relaxed));
  return {end - counted_, done, size_of(taken) - done};
}

}  // namespace parley::detail
