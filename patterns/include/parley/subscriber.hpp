// SPDX-License-Identifier: MPL-2.0
//
// The receiving end of publish-subscribe; see pub_sub.hpp.
//
// Threads: any, at once. A subscriber has no thread: what it says to its publishers is said by who
// receives, waits, subscribes or closes. One that is not received from for long lags.
#pragma once

#include <parley/codec.hpp>
#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/endpoint.hpp>
#include <parley/feed_ledger.hpp>
#include <parley/home_process.hpp>
#include <parley/socket_options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

class monitor;

// Where somebody who joins wants to begin, as far as the publisher remembers.
struct feed_start {
  enum class kind : std::uint8_t { now, last_values, history, since_sequence, since_age };
  kind what = kind::now;
  std::uint64_t value = 0;  // a sequence number, or microseconds

  [[nodiscard]] static feed_start now() noexcept { return {}; }
  // The last message of each topic, then what comes.
  [[nodiscard]] static feed_start last_values() noexcept { return {kind::last_values, 0}; }
  // Everything that is remembered.
  [[nodiscard]] static feed_start history() noexcept { return {kind::history, 0}; }
  // That message and all after it.
  [[nodiscard]] static feed_start since(std::uint64_t sequence) noexcept {
    return {kind::since_sequence, sequence};
  }
  // What was published so long ago or later.
  [[nodiscard]] static feed_start since(std::chrono::microseconds age) noexcept {
    return {kind::since_age, static_cast<std::uint64_t>(age.count())};
  }
};

// What a subscriber receives.
struct publication {
  frame topic;
  frame body;
  std::uint64_t publisher = 0;  // publisher::id(), of who published it first; 0: a plain PUB
  std::uint64_t sequence = 0;   // as publish() returned it; 0: a plain PUB
  bool is_urgent = false;
  std::uint8_t hops = 0;  // forwarders that it went through

  // Throws protocol_error when the body is no MessagePack of this type.
  template<class T>
  [[nodiscard]] T as() const {
    return decode<T>(body);
  }
};

// What else happens to a subscriber.
struct feed_event {
  enum class kind : std::uint8_t {
    joined,   // a publisher serves us now
    active,   // a publisher serves `prefix` now
    resumed,  // a publisher serves us again, and goes on where it stopped
    lost,     // `count` messages from `first` to `last` of that prefix will not come
    cut_off,  // a publisher serves us no more: we lagged
  };
  kind what;
  std::uint64_t publisher = 0;
  std::string prefix{};
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t count = 0;
  bool is_urgent = false;  // the numbers are of urgent messages
  loss_reason reason = loss_reason::lagged;
  // upstream: publisher::id() of the forwarder that missed them, the number that it gave to this
  // loss, and the forwarders between that one and us. The other numbers are those it missed.
  std::uint64_t missed_by = 0;
  std::uint64_t loss = 0;
  std::uint8_t hops = 0;
};

struct subscriber_options {
  // On the way and waiting to be received, of each publisher: messages, and bytes. The rest waits
  // at the publisher, which also bounds this to half its limit.
  std::size_t limit = 10'000;
  std::size_t limit_bytes = std::size_t{16} << 20;
  feed_start start = feed_start::now();
  // Gets what was published while it was not connected, and what a publisher that started after the
  // last connect() or bind() published before it got connected, as far as the publisher
  // remembers. False: only what comes, and is told how much it missed.
  bool recover = true;
  // A publisher that sends a larger frame is cut off, and not connected to again.
  std::size_t max_frame_bytes = any_frame_bytes;
  // Encryption and authentication over tcp and ipc; see docs/security.md.
  curve_security curve{};
};

class subscriber {
 public:
  using duration = std::chrono::steady_clock::duration;

  explicit subscriber(context& owner, const subscriber_options& options = {});
  subscriber(context& owner, const endpoint& connected, const std::vector<std::string>& prefixes,
             const subscriber_options& options = {});
  subscriber(subscriber&&) noexcept;
  subscriber& operator=(subscriber&&) noexcept;
  ~subscriber();

  // A publisher that connects to it learns the subscriptions while some thread receives.
  endpoint bind(const endpoint& where);
  void connect(const endpoint& where);

  // An empty prefix means every topic. Each subscribe is undone by one unsubscribe.
  void subscribe(std::string_view prefix);
  void unsubscribe(std::string_view prefix);
  // Waits until so many publishers serve that prefix, or without one everything that was subscribed
  // to; false: not within limit. Plain publishers cannot say so. Messages that come meanwhile are
  // kept.
  [[nodiscard]] bool wait_for_publishers(std::size_t count, duration limit,
                                         std::string_view prefix = {});

  // Throws closed. A plain publisher's message of one frame arrives as a topic without a body.
  [[nodiscard]] publication receive();
  [[nodiscard]] std::optional<publication> receive_for(duration limit);
  [[nodiscard]] std::optional<publication> try_receive();
  // Hands each message to the function, until the token says stop. Throws closed, and what the
  // function throws.
  void run(const std::function<void(const publication&)>& each, std::stop_token stop = {});

  // For an event loop: becomes readable when try_receive may give something where it gave nothing.
  // Call try_receive until it gives nothing before you wait for it, and once more 10 ms later, so
  // that the publishers hear what was received. Never read from it. See awaitable_feed.hpp.
  [[nodiscard]] int fd();

  // Called by who receives, between the messages where it happened. One at a time; set it before
  // anything is received. It must not use the subscriber.
  void on_event(std::function<void(const feed_event&)> handler);

  // Random, of this object; publishers keep their books under it.
  [[nodiscard]] std::uint64_t id() const noexcept;
  [[nodiscard]] std::vector<feed_ledger> ledger() const;

  // What happens to its connections over tcp and ipc, from now on; one at a time. Let it go first.
  [[nodiscard]] monitor watch();

  // Ends all waits with parley::closed, and tells the publishers what was received.
  void close() noexcept;

 private:
  struct state;
  detail::home_ptr<state> state_;
};

}  // namespace parley
