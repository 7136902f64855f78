// SPDX-License-Identifier: MPL-2.0
//
// Items from any threads to the gateway's own, many at a time: whoever puts the first one in has to
// wake the gateway, the others ride along.
//
// Full: put waits, until there is room or close(). put_now never waits; its items must be bounded
// by other means.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace parley::stomp {

template<typename Item>
class handover {
 public:
  explicit handover(std::size_t capacity) : capacity_{capacity} {}

  // What became of it: nothing is taken once it is closed.
  enum class put_result { closed, taken, taken_and_wake };

  // Takes all of items, and leaves it empty.
  put_result put(std::vector<Item>& items) {
    std::unique_lock lock{mutex_};
    room_.wait(lock, [&] { return closed_ || items_.size() < capacity_; });
    for (Item& each : items)
      items_.push_back(std::move(each));
    items.clear();
    return woken();
  }
  put_result put_now(Item item) {
    const std::lock_guard lock{mutex_};
    items_.push_back(std::move(item));
    return woken();
  }

  // Appends to `into`.
  void take(std::vector<Item>& into) {
    const std::lock_guard lock{mutex_};
    awake_ = false;
    if (into.empty()) {
      into.swap(items_);
    } else {
      for (Item& each : items_)
        into.push_back(std::move(each));
      items_.clear();
    }
    room_.notify_all();
  }

  void close() noexcept {
    const std::lock_guard lock{mutex_};
    closed_ = true;
    room_.notify_all();
  }

 private:
  put_result woken() {
    if (closed_) return put_result::closed;
    return std::exchange(awake_, true) ? put_result::taken : put_result::taken_and_wake;
  }

  std::mutex mutex_;
  std::condition_variable room_;
  const std::size_t capacity_;
  std::vector<Item> items_;
  bool awake_ = false;
  bool closed_ = false;
};

}  // namespace parley::stomp
