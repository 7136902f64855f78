// SPDX-License-Identifier: MPL-2.0
//
// One queue: bounded, in order, each message to one consumer at a time.
//
// What a consumer has taken stays its own (and counts against the limits) until it says settled()
// or gives it back; given back, it goes to the next ready consumer ahead of all that is younger.
// A message that is rejected too often is not tried again: give_back says so.
//
// Every accepted message is waiting, in flight, or was settled: size() = waiting() + in_flight().
#pragma once

#include <parley/stomp_limits.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "stomp/message.hpp"

namespace parley::stomp {

class queue {
 public:
  struct entry {
    message_ptr content;
    std::uint64_t number = 0;  // place in the queue's order
    unsigned rejections = 0;   // how many NACKs it has seen
    bool redelivered = false;
    const void* rejected_by = nullptr;  // goes to somebody else, where there is one
  };

  enum class taken : std::uint8_t { refused, held, settled };

  // Who takes messages. Must outlive its membership; is only called from within dispatch().
  class consumer {
   public:
    // Refused: there is no room now; it is not asked again before wake().
    virtual taken try_take(const entry& next) = 0;

   protected:
    ~consumer() = default;
  };

  enum class returned { waits, given_up };

  explicit queue(const queue_limits& limits) : limits_{limits} {}

  // Whether that many messages of that size would be accepted now, or ever.
  [[nodiscard]] bool has_room(std::size_t messages, std::size_t bytes) const noexcept {
    return size() == 0 ? messages <= limits_.messages
                       : size() + messages <= limits_.messages && bytes_ + bytes <= limits_.bytes;
  }
  [[nodiscard]] bool could_ever_hold(std::size_t messages) const noexcept {
    return messages <= limits_.messages;
  }

  // False when full: nothing was taken.
  [[nodiscard]] bool push(message_ptr content);

  void add(consumer& who);
  void remove(consumer& who);
  // That consumer has room again.
  void wake(consumer& who);

  // Hands out what it can, to the ready consumers in turn.
  void dispatch();

  void settled(const entry& done) noexcept;
  // `rejected`: by a NACK of `by`. Otherwise the consumer just went away.
  returned give_back(entry held, bool rejected, const consumer* by);
  // Never left the gateway: no redelivery.
  void put_back(entry held);

  [[nodiscard]] std::size_t waiting() const noexcept { return fresh_.size() + returned_.size(); }
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }
  [[nodiscard]] std::size_t size() const noexcept { return waiting() + in_flight_; }
  [[nodiscard]] bool has_consumers() const noexcept { return !consumers_.empty(); }

 private:
  void forget(const entry& gone) noexcept;

  queue_limits limits_;
  std::deque<entry> fresh_;      // ascending numbers
  std::vector<entry> returned_;  // descending numbers: all are older than what is fresh
  std::size_t in_flight_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t next_number_ = 0;
  std::vector<consumer*> consumers_;
  std::deque<consumer*> ready_;  // those that were not refusing, next one first
};

}  // namespace parley::stomp
