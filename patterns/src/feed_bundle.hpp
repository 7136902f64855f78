// SPDX-License-Identifier: MPL-2.0
//
// Entries as they travel, packed one after another: messages of one lane with numbers in a row, or
// one thing that a subscriber is to be told. Who publishes packs a message into it; queues and the
// memory point to parts of it, and what is sent are slices of it.
//
// Threads: one at a time until it is published. Then it belongs to the publisher's thread, but for
// its bytes, which do not change any more.
#pragma once

#include <parley/frame.hpp>

#include "feed_wire.hpp"
#include "packed_bytes.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace parley::detail {

struct feed_bundle : frame::body {
  using time_point = std::chrono::steady_clock::time_point;

  // It is full with as many bytes; a body of that size travels in a frame of its own, behind it.
  static constexpr std::size_t most_bytes = 32 << 10;
  static constexpr std::size_t large_body = 4 << 10;
  // For the topic of a part: that of the one before it.
  static constexpr std::uint32_t as_before = std::numeric_limits<std::uint32_t>::max();

  struct part {
    std::uint32_t begin = 0;  // of its bytes
    std::uint32_t topic = 0;  // its slot at the publisher; before it is published: as_before or 0
  };

  // Messages: which lane, the number of the first, and room for so much to begin with.
  feed_bundle(bool urgent, std::uint64_t first, std::size_t bytes, std::size_t parts);
  // One thing to be told.
  explicit feed_bundle(const feed_entry& told);
  ~feed_bundle();

  [[nodiscard]] bool is_message() const noexcept { return what == feed_entry::kind::message; }
  [[nodiscard]] std::uint32_t size() const noexcept {
    return static_cast<std::uint32_t>(parts.size());
  }
  [[nodiscard]] bool has_room_for(std::size_t its_topic, std::size_t its_body) const noexcept {
    constexpr std::size_t most_besides = 40;
    return parts.empty() ||
           (is_message() && following.empty() &&
            bytes.size() + its_topic + (its_body < large_body ? its_body : 0) + most_besides <=
                most_bytes);
  }
  // The next message, in the lane and with the number that are next here.
  void add(std::string_view its_topic, std::string_view its_small_body);
  // One with a large body, or that was relayed.
  void add(const feed_entry& relayed, frame&& its_body);
  // Some of another bundle's messages.
  void add(const struct feed_range& some);
  // No more is added: gives back what is not needed.
  void fit();
  // Its bytes are in that sum from now on, until its end, on whatever thread that is.
  using sum = std::shared_ptr<std::atomic<std::size_t>>;
  void count_in(const sum& all);

  [[nodiscard]] std::uint64_t sequence(std::uint32_t index) const noexcept {
    return message_sequence(bytes.data() + parts[index].begin);
  }
  [[nodiscard]] std::string_view topic(std::uint32_t index) const noexcept {
    return message_topic(bytes.data() + parts[index].begin);
  }
  [[nodiscard]] frame body_of(std::uint32_t index) const;
  // The last body is a frame of its own, and belongs to a part that ends there.
  [[nodiscard]] bool is_followed(std::uint32_t end) const noexcept {
    return end == size() && !following.empty();
  }
  [[nodiscard]] std::string_view packed(std::uint32_t begin, std::uint32_t end) const noexcept {
    const std::size_t from = parts[begin].begin;
    return bytes.view().substr(from, (end < size() ? parts[end].begin : bytes.size()) - from);
  }
  // In bytes.
  [[nodiscard]] std::size_t cost(std::uint32_t begin, std::uint32_t end) const noexcept {
    return packed(begin, end).size() + (is_followed(end) ? following.size() : 0);
  }

  const feed_entry::kind what;
  const bool is_urgent = false;
  std::uint64_t next = 0;  // the number of the message that is added next
  time_point at{};
  packed_bytes bytes;
  std::vector<part> parts;
  frame following;

 private:
  friend struct feed_range;

  // Returns whether its topic is that of the one before.
  bool begin_part(std::string_view its_topic);
  void note_topic() noexcept;

  std::size_t topic_at_ = 0;  // where the last message's topic is among the bytes
  std::size_t topic_size_ = 0;
  sum counted_in_;
  std::size_t counted_ = 0;
};

// An owner.
class feed_ref {
 public:
  feed_ref() noexcept = default;
  // Takes over the share that is made with it.
  explicit feed_ref(feed_bundle* made) noexcept : bundle_{made} {}
  feed_ref(const feed_ref& other) noexcept : bundle_{other.bundle_} {
    if (bundle_ != nullptr) {
      // Relaxed: whoever adds a share holds one already.
      bundle_->owners.fetch_add(1, std::memory_order_relaxed);
    }
  }
  feed_ref(feed_ref&& other) noexcept : bundle_{std::exchange(other.bundle_, nullptr)} {}
  feed_ref& operator=(feed_ref other) noexcept {
    std::swap(bundle_, other.bundle_);
    return *this;
  }
  ~feed_ref() {
    if (bundle_ != nullptr) {
      frame::drop_share(bundle_);
    }
  }

  [[nodiscard]] feed_bundle* operator->() const noexcept { return bundle_; }
  [[nodiscard]] feed_bundle& operator*() const noexcept { return *bundle_; }
  [[nodiscard]] feed_bundle* get() const noexcept { return bundle_; }
  explicit operator bool() const noexcept { return bundle_ != nullptr; }

 private:
  feed_bundle* bundle_ = nullptr;
};

// Some entries of a bundle: [begin, end).
struct feed_range {
  feed_ref of;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  [[nodiscard]] std::uint32_t size() const noexcept { return end - begin; }
  [[nodiscard]] std::size_t cost() const noexcept { return of->cost(begin, end); }
  // Of the first message, and of the last.
  [[nodiscard]] std::uint64_t first() const noexcept { return of->sequence(begin); }
  [[nodiscard]] std::uint64_t last() const noexcept { return of->sequence(end - 1); }
  [[nodiscard]] static feed_range of_one(const feed_entry& told) {
    return {feed_ref{new feed_bundle{told}}, 0, 1};
  }
  // Takes so many off the front.
  feed_range take(std::uint32_t count) {
    feed_range taken{of, begin, begin + count};
    begin += count;
    return taken;
  }
  // Whether the other one goes on where this ends, and then has it too.
  [[nodiscard]] bool join(const feed_range& other) noexcept {
    const bool goes_on = of.get() == other.of.get() && end == other.begin;
    end = goes_on ? other.end : end;
    return goes_on;
  }
  // The same, or a copy, if the rest of the bundle would be kept for little.
  [[nodiscard]] feed_range alone() const;
  // The bytes; those of a large body not among them.
  [[nodiscard]] frame packed() const;

  friend bool operator==(const feed_range& left, const feed_range& right) noexcept {
    return left.of.get() == right.of.get() && left.begin == right.begin && left.end == right.end;
  }
};

}  // namespace parley::detail
