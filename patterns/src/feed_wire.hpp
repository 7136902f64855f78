// SPDX-License-Identifier: MPL-2.0
//
// What publishers and subscribers of Parley say to each other; docs/wire.md has the grammar.
//
// A publisher is an XPUB socket with private topics, a subscriber an XSUB. A subscriber speaks in
// subscriptions only: they go to all its publishers, and ZeroMQ repeats them when a connection is
// made anew. (Not in messages upstream: of an XPUB in manual mode, libzmq 4.3 takes a subscription
// behind such a message for one of another peer.) A publisher has a link for
// each subscriber, which is a row of entries, numbered from 1 (their positions). It sends them on
// the subscriber's private topic, many in one frame. No I/O; readers take any bytes.
#pragma once

#include <parley/feed_ledger.hpp>
#include <parley/frame.hpp>
#include <parley/subscriber.hpp>

#include "network_order.hpp"
#include "packed_bytes.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace parley::detail {

// The first octet of what publishers and subscribers say to each other, and of no topic
// (socket_options::private_topics). ZeroMQ repeats subscriptions in the order of their bytes: as it
// is a low one, a new connection says whose a prefix is before it says the prefix itself.
inline constexpr char feed_octet = '\1';

// Subscriptions.

// What a subscriber wants of each publisher. Its words come before the prefixes, and its inbox
// after them: ZeroMQ repeats subscriptions in the order of their bytes.
struct feed_wishes {
  std::uint64_t subscriber = 0;
  std::uint32_t limit = 0;  // messages on the way and not yet received by the program
  std::uint64_t limit_bytes = 0;
  bool recovers = true;
  feed_start start{};
};

struct feed_subscription {
  enum class kind : std::uint8_t { wishes, prefix, inbox };
  kind what;
  feed_wishes wishes;       // of prefix and inbox: the subscriber only
  std::string_view prefix;  // of the bytes that were read
};

[[nodiscard]] std::string wishes_topic(const feed_wishes& wishes);
[[nodiscard]] std::string prefix_topic(std::uint64_t subscriber, std::string_view prefix);
[[nodiscard]] std::string inbox_topic(std::uint64_t subscriber);
// Of the topic without the octet that says whether it comes or goes. Nothing: a plain one.
[[nodiscard]] std::optional<feed_subscription> parse_subscription(std::string_view topic) noexcept;

// Down the link.

// The first frame of what a publisher sends to one subscriber.
struct feed_address {
  std::uint64_t subscriber = 0;
  std::uint64_t link = 0;      // random; another after the publisher forgot the subscriber
  std::uint64_t position = 0;  // of the first entry in it, or that will come next
};

[[nodiscard]] frame pack_address(const feed_address& address);
[[nodiscard]] std::optional<feed_address> parse_address(std::string_view bytes) noexcept;

struct feed_entry {
  enum class kind : std::uint8_t {
    message = 1,
    lost = 2,
    joined = 3,    // the first of a link
    active = 4,    // a prefix is served from here on
    resumed = 5,   // the subscriber had no connection, and has again
    cut_off = 6,   // the last of a link
    beat = 7,      // has no position: tells that there is nothing more
    inactive = 8,  // a prefix is not served any more from here on
  };
  kind what = kind::beat;
  bool is_urgent = false;     // message, lost
  bool is_relayed = false;    // message, lost: origin, origin_sequence and hops are set
  bool body_follows = false;  // message: its body is the next frame, and it the last entry
  loss_reason reason = loss_reason::lagged;  // lost
  std::uint64_t sequence = 0;                // message; lost: the first
  std::uint64_t last = 0;                    // lost
  std::uint64_t count = 0;                   // lost
  // message: who published it first, and its number there; lost: which forwarder missed it, and the
  // number that it gave to that.
  std::uint64_t origin = 0;
  std::uint64_t origin_sequence = 0;
  std::uint8_t hops = 0;
  std::string_view topic{};  // message; lost, active, inactive: the prefix
  std::string_view body{};   // message
  // joined: whether it is the answer to `from`, the publisher, microseconds since it was made, and
  // the numbers that come next. A subscriber that is older than it missed all before.
  bool is_asked_for = false;
  std::uint64_t publisher = 0;
  std::uint64_t age = 0;
  std::uint64_t next = 0;
  std::uint64_t next_urgent = 0;
  // joined: entries that the publisher sends before it hears that they were received, so that the
  // subscriber says so in time, and microseconds in which it says something. 0: not told.
  std::uint32_t window = 0;
  std::uint64_t heartbeat = 0;
};

// Appends it to the bytes.
void pack_entry(std::string& to, const feed_entry& entry);
// Takes one off the front of the bytes, and points into them. Nothing: they are malformed.
[[nodiscard]] std::optional<feed_entry> take_entry(std::string_view& bytes) noexcept;

// Nearly all entries are messages that come as they were published here.
struct feed_message {
  bool is_urgent;
  std::uint64_t sequence;
  std::string_view topic;
  std::string_view body;
};
// As take_entry, in a tenth of the time. False: what comes is something else, or malformed; bytes
// are as they were.
[[nodiscard]] inline bool take_message(std::string_view& bytes, feed_message& into) noexcept {
  constexpr std::size_t topic_at = 1 + 1 + 8 + 2;
  const char* const at = bytes.data();
  if (bytes.size() < topic_at + 4 || at[0] != char{1} || (at[1] & ~char{1}) != 0) {
    return false;
  }
  const std::size_t left = bytes.size() - topic_at - 4;
  const std::size_t topic_size = number_at<std::uint16_t>(at + 10);
  if (left < topic_size ||
      at[topic_at] == feed_octet) {  // there is something, if only the body's size
    return false;
  }
  const char* const body_at = at + topic_at + topic_size + 4;
  const std::size_t body_size = number_at<std::uint32_t>(body_at - 4);
  if (left - topic_size < body_size) {
    return false;
  }
  into.is_urgent = at[1] != 0;
  into.sequence = number_at<std::uint64_t>(at + 2);
  into.topic = {at + topic_at, topic_size};
  into.body = {body_at, body_size};
  bytes = {body_at + body_size, left - topic_size - body_size};
  return true;
}
// As pack_entry.
inline void pack_message(packed_bytes& to, const feed_message& message) {
  char* at = to.extend(1 + 1 + 8 + 2 + message.topic.size() + 4 + message.body.size());
  *at++ = char{1};
  *at++ = message.is_urgent ? char{1} : char{0};
  at = put_number(at, message.sequence);
  at = put_number(at, static_cast<std::uint16_t>(message.topic.size()));
  at = std::copy_n(message.topic.data(), message.topic.size(), at);
  at = put_number(at, static_cast<std::uint32_t>(message.body.size()));
  std::copy_n(message.body.data(), message.body.size(), at);
}
// Of any message, if it is well packed.
[[nodiscard]] inline std::uint64_t message_sequence(const char* packed) noexcept {
  return number_at<std::uint64_t>(packed + 2);
}
[[nodiscard]] inline std::string_view message_topic(const char* packed) noexcept {
  constexpr char relayed = 2;
  const char* const at = packed + 1 + 1 + 8 + ((packed[1] & relayed) != 0 ? 8 + 8 + 1 : 0);
  return {at + 2, number_at<std::uint16_t>(at)};
}

// Upstream.

// What a subscriber says of one link, by a subscription that takes the place of the one before.
struct feed_request {
  enum class kind : std::uint8_t {
    received = 1,  // the program has all entries up to `position`
    again = 2,     // send the entries from `position` on once more: some are missing
    from = 3,      // begin a new link, with the messages from `sequence` and `sequence_urgent` on
    leave = 4,  // forget the subscriber, which has all entries up to `position`; link 0: any link
  };
  kind what = kind::received;
  std::uint64_t subscriber = 0;
  std::uint64_t link = 0;
  std::uint64_t position = 0;
  std::uint64_t sequence = 0;
  std::uint64_t sequence_urgent = 0;
  std::uint32_t number = 0;  // no other of this subscriber has it: it can be said again
};

[[nodiscard]] std::string request_topic(const feed_request& request);
[[nodiscard]] std::optional<feed_request> parse_feed_request(std::string_view bytes) noexcept;

// To plain subscriptions.

// The frame behind topic and body, by which a plain subscriber can tell a gap, and ours a copy of
// what comes by its link.
struct feed_mark {
  std::uint64_t publisher = 0;
  std::uint64_t sequence = 0;
  std::uint64_t topic_sequence = 0;  // 1, 2, ... of that topic
};

[[nodiscard]] frame pack_mark(const feed_mark& mark);
[[nodiscard]] std::optional<feed_mark> parse_mark(std::string_view bytes) noexcept;

}  // namespace parley::detail
