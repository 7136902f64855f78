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
#include <string>
#include <utility>

namespace parley::detail {

struct feed_topic {
  frame name;
  std::uint32_t slot = 0;  // no other topic has it now
  std::uint64_t published = 0;
};

struct feed_item {
  using time_point = std::chrono::steady_clock::time_point;

  std::uint32_t owners = 0;
  std::uint32_t topic_slot = 0;
  feed_entry::kind what = feed_entry::kind::message;
  bool is_urgent = false;  // joined: it was asked for
  std::uint8_t hops = 0;
  loss_reason reason = loss_reason::lagged;
  std::uint64_t sequence = 0;
  std::uint64_t origin = 0;  // 0: of this publisher
  std::uint64_t origin_sequence = 0;
  std::uint64_t last = 0;
  std::uint64_t count = 0;
  time_point at{};
  frame topic;  // or the prefix
  frame body;

  [[nodiscard]] bool is_message() const noexcept { return what == feed_entry::kind::message; }
};

// An owner.
class feed_ref {
 public:
  feed_ref() noexcept = default;
  explicit feed_ref(feed_item&& made) : item_{new feed_item{std::move(made)}} { ++item_->owners; }
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
      delete item_;
    }
  }

  [[nodiscard]] const feed_item* operator->() const noexcept { return item_; }
  [[nodiscard]] const feed_item& operator*() const noexcept { return *item_; }
  [[nodiscard]] const feed_item* get() const noexcept { return item_; }
  explicit operator bool() const noexcept { return item_ != nullptr; }

 private:
  feed_item* item_ = nullptr;
};

}  // namespace parley::detail
