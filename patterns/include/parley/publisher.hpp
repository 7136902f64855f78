// SPDX-License-Identifier: MPL-2.0
//
// The sending end of publish-subscribe; see pub_sub.hpp.
//
// Threads: any, at once. publish() hands the message to the publisher's own thread, and waits only
// while that thread is behind, or under lag_policy::wait. Destructor: waits up to
// publisher_options::linger until those who are here have everything.
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
#include <string_view>
#include <type_traits>
#include <vector>

namespace parley {

class monitor;
struct feed_event;
struct publication;

// What happens when a subscriber has `limit` messages before it.
enum class lag_policy : std::uint8_t {
  drop_oldest,
  drop_newest,
  newest_by_topic,  // as soon as it lags, it gets only the newest of each topic; then drop_oldest
  wait,             // publish() waits, up to max_wait; then drop_oldest
  cut_off,          // it is told so, and gets nothing more until it connects anew
};

struct publisher_options {
  // Kept for each subscriber that lags or is away: messages, and bytes of their bodies.
  std::size_t limit = 100'000;
  std::size_t limit_bytes = std::size_t{64} << 20;
  lag_policy when_lagging = lag_policy::drop_oldest;
  std::chrono::milliseconds max_wait{1000};
  // Not sent when older than that; 0: however old.
  std::chrono::milliseconds max_age{0};
  // How long a subscriber whose connection was lost is waited for, with all that is kept for it.
  std::chrono::milliseconds away{30'000};

  // Kept for all subscribers together, in bytes; what several are to get counts once. Whoever has
  // most before it loses of that first, whatever the policy.
  std::size_t total_bytes = std::size_t{1} << 30;

  // Memory, for who joins later: so many messages, bytes and time back (0: however old).
  std::size_t history = 0;
  std::size_t history_bytes = std::size_t{64} << 20;
  std::chrono::milliseconds history_age{0};
  // The last message of each topic is remembered besides.
  bool last_value = false;
  // Topics known at a time; one more forgets the one that was silent longest, and its last value.
  std::size_t topics = 100'000;

  // A message waits for others up to this long, so that more leave together; 0: it leaves at once,
  // with what else is there.
  std::chrono::microseconds batch_delay{0};
  // How often those who hear nothing are told that there was nothing.
  std::chrono::milliseconds heartbeat{1000};
  std::chrono::milliseconds linger{1000};
  // Encryption and authentication over tcp and ipc; see docs/security.md.
  curve_security curve{};
};

class publisher {
 public:
  using duration = std::chrono::steady_clock::duration;

  // Throws config_error.
  explicit publisher(context& owner, const publisher_options& options = {});
  publisher(context& owner, const endpoint& bound, const publisher_options& options = {});
  publisher(publisher&&) noexcept;
  publisher& operator=(publisher&&) noexcept;
  ~publisher();

  endpoint bind(const endpoint& where);  // returns what was really bound
  void connect(const endpoint& where);

  // Text and frames go out as they are, every other type as MessagePack. Returns its sequence
  // number: 1, 2, ... of this publisher, the urgent ones by themselves. Throws closed, and
  // config_error: a topic has 1 to 65,535 octets, of which the first is not 1.
  template<class T>
  std::uint64_t publish(std::string_view topic, const T& body) {
    return publish_body(topic, body, false);
  }
  // Overtakes all that is not urgent and still here. It is in no history.
  template<class T>
  std::uint64_t publish_urgent(std::string_view topic, const T& body) {
    return publish_body(topic, body, true);
  }

  // Who would get a message on this topic now; without a topic: who is connected. A plain SUB
  // socket counts once for each of its subscriptions.
  [[nodiscard]] std::size_t subscribers(std::string_view topic = {}) const;
  // Waits until there are at least that many; false: not within limit. What is published after
  // true reaches all of them: nobody misses the start.
  [[nodiscard]] bool wait_for_subscribers(std::size_t count, duration limit,
                                          std::string_view topic = {}) const;
  // Waits until everybody who is here has got all that was published before; false: not within
  // limit. Plain SUB sockets cannot say what they got.
  [[nodiscard]] bool wait_until_delivered(duration limit) const;

  // Random, of this object: it tells a publisher from the one that came after it.
  [[nodiscard]] std::uint64_t id() const noexcept;
  // Those who are connected or waited for.
  [[nodiscard]] std::vector<subscriber_ledger> ledger() const;
  [[nodiscard]] publisher_statistics statistics() const;

  // What happens to its connections over tcp and ipc, from now on; one at a time. Let it go first.
  [[nodiscard]] monitor watch();

  // Ends all waits with parley::closed; what is not yet sent has until linger. The destructor does
  // it too.
  void close() noexcept;

 private:
  // For who passes on what others published: with its number, and what it lost. Who asks first for
  // a prefix, and who gives it up last, is told by the publisher's thread.
  friend class forwarder;
  void relay(publication&& received);
  void relay_loss(const feed_event& lost);
  void on_demand(std::function<void(std::string_view prefix, bool is_wanted)> handler);

  // A small body is packed from where it is; a large frame is shared.
  template<class T>
  std::uint64_t publish_body(std::string_view topic, const T& body, bool is_urgent) {
    if constexpr (std::is_same_v<T, frame>) {
      return publish_bytes(topic, body.view(), &body, is_urgent);
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      return publish_bytes(topic, body, nullptr, is_urgent);
    } else {
      return publish_body(topic, to_body(body), is_urgent);
    }
  }
  std::uint64_t publish_bytes(std::string_view topic, std::string_view body, const frame* whole,
                              bool is_urgent);

  struct state;
  detail::home_ptr<state> state_;
};

}  // namespace parley
