// SPDX-License-Identifier: MPL-2.0
//
// What became of messages, as a publisher and its subscribers keep the books.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

// Why a subscriber does not get a message.
enum class loss_reason : std::uint8_t {
  lagged,      // it had more than publisher_options::limit before it
  superseded,  // a newer one of its topic took its place: lag_policy::newest_by_topic
  too_old,     // publisher_options::max_age passed before it could be sent
  away,        // it had no connection, and does not recover; or was away for too long
  forgotten,   // it asked for what the publisher does not remember any more
  cut_off,     // lag_policy::cut_off
  upstream,    // a forwarder on the way lost it
};
inline constexpr std::size_t loss_reasons = 7;

// "lagged", ...
[[nodiscard]] std::string_view to_string(loss_reason reason) noexcept;

// How many were lost for which reason.
class loss_counts {
 public:
  [[nodiscard]] std::uint64_t operator[](loss_reason reason) const noexcept {
    return counts_[static_cast<std::size_t>(reason)];
  }
  void add(loss_reason reason, std::uint64_t count) noexcept {
    counts_[static_cast<std::size_t>(reason)] += count;
  }
  void remove(loss_reason reason, std::uint64_t count) noexcept {
    counts_[static_cast<std::size_t>(reason)] -= count;
  }
  [[nodiscard]] std::uint64_t total() const noexcept {
    return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
  }
  loss_counts& operator+=(const loss_counts& other) noexcept {
    for (std::size_t index = 0; index < loss_reasons; ++index) {
      counts_[index] += other.counts_[index];
    }
    return *this;
  }
  friend bool operator==(const loss_counts&, const loss_counts&) = default;

 private:
  std::array<std::uint64_t, loss_reasons> counts_{};
};

// Of one prefix of one subscriber. A message is booked under the longest prefix that matches it.
// At every moment published = delivered + queued + dropped.total().
struct prefix_ledger {
  std::string prefix;
  std::uint64_t published = 0;  // meant for it, also out of the memory when it joined
  std::uint64_t delivered = 0;  // handed to its program, as it says
  std::uint64_t queued = 0;     // kept for it, and on the way to it
  loss_counts dropped;

  prefix_ledger& operator+=(const prefix_ledger& other) noexcept;  // leaves the prefix
};

// What a publisher knows of one subscriber.
struct subscriber_ledger {
  std::uint64_t id = 0;  // made up by the subscriber: subscriber::id()
  bool is_here = true;   // false: its connection is lost, and it is waited for
  bool is_cut_off = false;
  std::vector<prefix_ledger> prefixes;  // also those that it gave up, by prefix

  [[nodiscard]] prefix_ledger sum() const;
};

struct publisher_statistics {
  std::uint64_t published = 0;
  std::uint64_t sent_plain = 0;        // also to subscriptions of plain SUB sockets, which are not
                                       // booked: ZeroMQ does not tell what becomes of those
  std::uint64_t left_subscribers = 0;  // given up, or gone for good
  prefix_ledger left;                  // the sum of their books; queued is 0
  std::size_t remembered = 0;          // in the history now
  std::size_t last_values = 0;         // topics
  std::uint64_t nonsense = 0;          // from subscribers, not understood
};

// Of one prefix of one publisher, as its subscriber keeps the books. A message is under the prefix
// under which the publisher booked it; one of a plain publisher under the longest that matched when
// it was received.
struct feed_prefix_ledger {
  std::string prefix;
  std::uint64_t received = 0;  // handed to the program
  std::uint64_t waiting = 0;   // for the program to receive
  loss_counts lost;            // as the publisher told
};

// What a subscriber knows of one publisher.
struct feed_ledger {
  std::uint64_t publisher = 0;  // publisher::id(); 0: all plain publishers together
  std::uint64_t received = 0;
  std::uint64_t waiting = 0;
  std::uint64_t repeated = 0;  // came twice, and were handed out once
  loss_counts lost;
  // Also the last thousand that were given up, by prefix. What came under none is above only.
  std::vector<feed_prefix_ledger> prefixes;
};

}  // namespace parley
