// SPDX-License-Identifier: MPL-2.0
//
// So much within so much time, and no more. Not thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>

class rate_limit {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  // Requires: count is positive.
  rate_limit(std::size_t count, duration window) : count_{count}, window_{window} {}

  // When the next one is free: now, or later.
  [[nodiscard]] time_point next(time_point now) const {
    return taken_.size() < count_ ? now : std::max(now, taken_.front() + window_);
  }
  // False: not now, and nothing was taken.
  [[nodiscard]] bool take(time_point now) {
    if (next(now) > now) {
      return false;
    }
    if (taken_.size() == count_) {
      taken_.pop_front();
    }
    taken_.push_back(now);
    return true;
  }

 private:
  std::size_t count_;
  duration window_;
  std::deque<time_point> taken_;
};
