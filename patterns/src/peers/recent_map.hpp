// SPDX-License-Identifier: MPL-2.0
//
// What was touched lately: a bounded number of things, each for a bounded time. Who is new takes
// the place of the one that was touched longest ago. One thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <map>

namespace parley::detail {

template<class Key, class Value>
class recent_map {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  struct entry {
    Key key;
    time_point touched;
    Value value{};
  };

  recent_map(std::size_t most, std::chrono::steady_clock::duration memory)
      : most_{most}, memory_{memory} {}
  recent_map(const recent_map&) = delete;
  recent_map& operator=(const recent_map&) = delete;

  // Made if it is not there.
  Value& touch(const Key& key, time_point now) {
    forget(now);
    if (const auto found = by_key_.find(key); found != by_key_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
    } else {
      if (entries_.size() >= most_) {
        drop_last();
      }
      entries_.push_front({key, now});
      by_key_.emplace(key, entries_.begin());
    }
    entries_.front().touched = now;
    return entries_.front().value;
  }

  void forget(time_point now) {
    while (!entries_.empty() && now - entries_.back().touched >= memory_) {
      drop_last();
    }
  }

  // The latest first.
  [[nodiscard]] const std::list<entry>& entries() const noexcept { return entries_; }

 private:
  void drop_last() {
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }

  const std::size_t most_;
  const std::chrono::steady_clock::duration memory_;
  std::list<entry> entries_;
  std::map<Key, typename std::list<entry>::iterator> by_key_;
};

}  // namespace parley::detail
