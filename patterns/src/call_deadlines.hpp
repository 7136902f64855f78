// SPDX-License-Identifier: MPL-2.0
//
// When a client's calls are late. Calls that have ended may be in here still, for a while: there
// are at most twice as many as open ones, and some.
//
// Calls with one timeout come in the order of their deadlines: they stand in a line, and to add one
// and to let it go costs next to nothing. The others are in a heap. One thread at a time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace parley::detail {

class call_deadlines {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  // is_open(id) says whether that call has not ended, open how many have not.
  template<class IsOpen>
  void add(time_point when, std::uint64_t id, std::size_t open, IsOpen is_open) {
    while (!line_.empty() && !is_open(line_.front().second)) {
      line_.pop_front();
    }
    if (line_.empty() || line_.back().first <= when) {
      line_.emplace_back(when, id);
    } else {
      heap_.emplace_back(when, id);
      std::push_heap(heap_.begin(), heap_.end(), std::greater<>{});
    }
    if (line_.size() + heap_.size() > 2 * open + 64) {
      const auto has_ended = [&](const entry& each) { return !is_open(each.second); };
      std::erase_if(line_, has_ended);
      std::erase_if(heap_, has_ended);
      std::make_heap(heap_.begin(), heap_.end(), std::greater<>{});
    }
  }

  // max: there is none.
  [[nodiscard]] time_point earliest() const noexcept {
    return std::min(line_.empty() ? time_point::max() : line_.front().first,
                    heap_.empty() ? time_point::max() : heap_.front().first);
  }
  // The earliest, if its time has come.
  [[nodiscard]] std::optional<std::uint64_t> due(time_point now) const noexcept {
    if (earliest() > now || size() == 0) {
      return std::nullopt;
    }
    return is_line_first() ? line_.front().second : heap_.front().second;
  }
  // Lets it go. Requires: there is one.
  void pop() noexcept {
    if (is_line_first()) {
      line_.pop_front();
    } else {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>{});
      heap_.pop_back();
    }
  }
  [[nodiscard]] std::size_t size() const noexcept { return line_.size() + heap_.size(); }

 private:
  [[nodiscard]] bool is_line_first() const noexcept {
    return heap_.empty() || (!line_.empty() && line_.front() <= heap_.front());
  }

  using entry = std::pair<time_point, std::uint64_t>;

  std::deque<entry> line_;  // the earliest first
  std::vector<entry> heap_;
};

}  // namespace parley::detail
