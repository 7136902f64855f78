// SPDX-License-Identifier: MPL-2.0
//
// What stands in a publisher's queues: a message, which many subscribers and the memory share, or
// what one subscriber is to be told. Belongs to the publisher's thread; owners are counted without
// atomics.
#pragma once

#include <parley/frame.hpp>

#include "feed_wire.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace parley::detail {

class feed_items;

struct feed_item {
  using time_point = std::chrono::steady_clock::time_point;

  std::uint32_t owners = 0;
  std::uint32_t topic_slot = 0;
  feed_entry::kind what = feed_entry::kind::message;
  bool is_urgent = false;  // joined: it was asked for
  std::uint8_t hops = 0;
  loss_reason reason = loss_reason::lagged;
  std::uint64_t sequence = 0;
  std::uint64_t origin = 0;  // message, lost: 0: of this publisher
  std::uint64_t origin_sequence = 0;
  std::uint64_t last = 0;
  std::uint64_t count = 0;
  time_point at{};
  frame topic;  // or the prefix
  frame body;

  [[nodiscard]] bool is_message() const noexcept { return what == feed_entry::kind::message; }

  feed_items* home = nullptr;  // where it goes when nobody owns it any more; null: nowhere
};

// Messages that nobody owns, for the next ones: they come and go by the million. Outlives them.
class feed_items {
 public:
  feed_items() { spare_.reserve(most); }

  // As one that is new.
  [[nodiscard]] std::unique_ptr<feed_item> take() {
    if (spare_.empty()) {
      auto made = std::make_unique<feed_item>();
      made->home = this;
      return made;
    }
    std::unique_ptr<feed_item> last = std::move(spare_.back());
    spare_.pop_back();
    return last;
  }
  void give(std::unique_ptr<feed_item> unowned) noexcept {
    if (spare_.size() < most) {
      unowned->body = frame{};
      spare_.push_back(std::move(unowned));  // within what is reserved
    }
  }

 private:
  static constexpr std::size_t most = 8192;
  std::vector<std::unique_ptr<feed_item>> spare_;
};

// An owner.
class feed_ref {
 public:
  feed_ref() noexcept = default;
  explicit feed_ref(std::unique_ptr<feed_item> made) noexcept : item_{made.release()} {
    ++item_->owners;
  }
  explicit feed_ref(feed_item&& made) : feed_ref{std::make_unique<feed_item>(std::move(made))} {}
  feed_ref(const feed_ref& other) noexcept : item_{other.item_} {
    if (item_ != nullptr) {
      ++item_->owners;
    }
  }
  feed_ref(feed_ref&& other) noexcept : item_{std::exchange(other.item_, nullptr)} {}
  feed_ref& operator=(feed_ref other) noexcept {
    std::swap(item_, other.item_);
    return *this;
  }
  ~feed_ref() {
    if (item_ != nullptr && --item_->owners == 0) {
      let_go();
    }
  }

  [[nodiscard]] const feed_item* operator->() const noexcept { return item_; }
  [[nodiscard]] const feed_item& operator*() const noexcept { return *item_; }
  [[nodiscard]] const feed_item* get() const noexcept { return item_; }
  explicit operator bool() const noexcept { return item_ != nullptr; }

 private:
  void let_go() noexcept {
    std::unique_ptr<feed_item> unowned{item_};
    if (unowned->home != nullptr) {
      feed_items* const home = unowned->home;
      home->give(std::move(unowned));
    }
  }

  feed_item* item_ = nullptr;
};

}  // namespace parley::detail
