// SPDX-License-Identifier: MPL-2.0
//
// Numbers that one thread counts and any thread reads.
#pragma once

#include <atomic>
#include <cstdint>

namespace parley::stomp {

class counter {
 public:
  // Only the gateway's thread writes, so no locked instruction is needed; relaxed, since a number
  // publishes nothing but itself.
  void add(std::uint64_t amount = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t amount = 1) noexcept { add(0 - amount); }
  [[nodiscard]] std::uint64_t get() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct counters {
  counter connections;  // open now
  counter connections_total;
  counter refused;           // connections beyond the limit
  counter subscriptions;     // open now
  counter sends;             // SEND frames that were accepted
  counter deliveries;        // MESSAGE frames written
  counter native_in;         // messages and tasks from native peers
  counter native_out;        // messages and tasks to native peers
  counter calls;             // to services
  counter calls_failed;      // answered with an error
  counter waits;             // SEND or COMMIT that had to wait for room in a queue
  counter errors;            // connections closed with an ERROR
  counter dead;              // connections dropped for their silence
  counter dropped_slow;      // topic messages that a subscriber was too slow for
  counter dropped_topics;    // native messages whose topic was too long
  counter dropped_rejected;  // queue messages that were rejected too often
  counter dropped_replies;   // replies whose asker has gone, or asked for too many at once
};

}  // namespace parley::stomp
