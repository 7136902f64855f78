// SPDX-License-Identifier: MPL-2.0
//
// How fast the threads of a worker work: how long a task takes them, how many are at work at once,
// and how long they had nothing to do. No clock.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace parley::detail {

class work_pace {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = time_point::duration;

  // A task took so long.
  void took(duration time) noexcept {
    constexpr int mean_of = 8;  // one counts for one part in so many
    mean_ = mean_.count() == 0 ? time : mean_ + (time - mean_) / mean_of;
  }
  // Whether tasks take so little that it is not worth a look at the clock for each.
  [[nodiscard]] bool is_quick() const noexcept {
    constexpr std::chrono::microseconds quick{20};
    return mean_ < quick;
  }
  [[nodiscard]] bool is_known() const noexcept { return mean_.count() != 0; }

  // So many work.
  void at_work(std::size_t threads) noexcept { most_working_ = std::max(most_working_, threads); }
  // After a while those that worked at once before are forgotten.
  void look_back(std::size_t working, time_point now) noexcept {
    constexpr std::chrono::milliseconds while_ago{100};
    if (now - most_since_ > while_ago) {
      most_since_ = now;
      most_working_ = working;
    }
  }

  // So many threads wait for a task.
  void wait(std::size_t threads) noexcept { waiting_ = threads; }
  [[nodiscard]] std::size_t threads_waiting() const noexcept { return waiting_; }
  // Somebody asked for a task in vain, and did not wait; or there are tasks again.
  void found(bool something) noexcept { found_nothing_ = !something; }
  // Whenever that changes.
  void count(bool are_there_tasks, time_point now) noexcept {
    idle_ = idle_until(now);
    since_ = now;
    is_idle_ = !are_there_tasks && (waiting_ > 0 || found_nothing_);
  }
  [[nodiscard]] bool is_idle() const noexcept { return is_idle_; }
  [[nodiscard]] duration idle_until(time_point now) const noexcept {
    return idle_ + (is_idle_ ? now - since_ : duration::zero());
  }

  // Tasks that are done in `ahead`, at least one for each thread, at most so many.
  [[nodiscard]] std::size_t done_in(duration ahead, std::size_t working,
                                    std::size_t most) const noexcept {
    const std::size_t threads = std::max(most_working_, working + waiting_);
    const std::size_t least = std::clamp<std::size_t>(threads, 1, most);
    if (!is_known()) {
      return least;
    }
    const auto each = static_cast<std::size_t>(ahead / mean_);
    return std::clamp(threads > 0 ? each * threads : each, least, most);
  }

 private:
  duration mean_{0};
  std::size_t most_working_ = 0;  // of late
  time_point most_since_{};
  std::size_t waiting_ = 0;
  bool found_nothing_ = false;
  bool is_idle_ = false;
  time_point since_{};
  duration idle_{0};
};

}  // namespace parley::detail
