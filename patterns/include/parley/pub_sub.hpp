// SPDX-License-Identifier: MPL-2.0
//
// Publish-subscribe: a publisher sends to everybody who subscribed to a prefix of the topic.
//
// Threads: publisher and subscriber may be used from any thread at once.
// Full: a subscriber that lets publisher_options::limit messages pile up misses what comes then;
// the publisher does not wait for it.
// Wire: two frames, topic and body, as plain ZeroMQ PUB and SUB sockets use them (RFC 29).
#pragma once

#include <parley/codec.hpp>
#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/endpoint.hpp>
#include <parley/home_process.hpp>
#include <parley/socket_options.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

class monitor;

struct publisher_options {
  int limit = 100'000;                     // messages kept for each subscriber that lags behind
  std::chrono::milliseconds linger{1000};  // for messages not yet sent when the publisher goes
  // Encryption and authentication over tcp and ipc; see docs/security.md.
  curve_security curve{};
};

class publisher {
 public:
  using duration = std::chrono::steady_clock::duration;

  explicit publisher(context& owner, const publisher_options& options = {});
  publisher(context& owner, const endpoint& bound, const publisher_options& options = {});
  publisher(publisher&&) noexcept;
  publisher& operator=(publisher&&) noexcept;
  ~publisher();

  endpoint bind(const endpoint& where);  // returns what was really bound
  void connect(const endpoint& where);

  // Text and frames go out as they are, every other type as MessagePack.
  template<class T>
  void publish(std::string_view topic, const T& body) {
    publish_frame(topic, to_body(body));
  }

  // How many subscriptions a message on this topic would reach now. A subscriber with two prefixes
  // that both match counts twice.
  [[nodiscard]] std::size_t subscriptions(std::string_view topic = {}) const;
  // Waits until there are at least that many; false: not within limit. What is published after
  // true reaches all of them: nobody misses the start.
  [[nodiscard]] bool wait_for_subscriptions(std::size_t count, duration limit,
                                            std::string_view topic = {}) const;

  // What happens to its connections over tcp and ipc, from now on; one at a time. Let it go first.
  [[nodiscard]] monitor watch();

  // Ends all waits with parley::closed. The destructor does it too.
  void close() noexcept;

 private:
  void publish_frame(std::string_view topic, frame body);

  struct state;
  detail::home_ptr<state> state_;
};

// What a subscriber receives.
struct publication {
  frame topic;
  frame body;

  // Throws protocol_error when the body is no MessagePack of this type.
  template<class T>
  [[nodiscard]] T as() const {
    return decode<T>(body);
  }
};

struct subscriber_options {
  int limit = 100'000;  // messages kept for a program that does not receive
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

  // A publisher that connects learns the subscriptions while some thread receives.
  endpoint bind(const endpoint& where);
  void connect(const endpoint& where);

  // An empty prefix means every topic. Each subscribe is undone by one unsubscribe.
  void subscribe(std::string_view prefix);
  void unsubscribe(std::string_view prefix);

  // Throws closed. A plain publisher's message of one frame arrives as a topic without a body.
  [[nodiscard]] publication receive();
  [[nodiscard]] std::optional<publication> receive_for(duration limit);
  [[nodiscard]] std::optional<publication> try_receive();

  // What happens to its connections over tcp and ipc, from now on; one at a time. Let it go first.
  [[nodiscard]] monitor watch();

  void close() noexcept;

 private:
  struct state;
  detail::home_ptr<state> state_;
};

}  // namespace parley
