// SPDX-License-Identifier: MPL-2.0
//
// Joins networks of publish-subscribe: subscribes upstream to what is asked of it downstream, and
// publishes what it gets, with a memory of its own. See docs/pub_sub.md.
//
// Each message keeps the number and the name of who published it first. It goes through no
// forwarder twice, so forwarders may be connected in a ring; and through most_hops at most.
//
// Threads: any, at once. It has two threads of its own. Destructor: as of publisher.
#pragma once

#include <parley/context.hpp>
#include <parley/endpoint.hpp>
#include <parley/home_process.hpp>
#include <parley/publisher.hpp>
#include <parley/subscriber.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace parley {

struct forwarder_options {
  publisher_options downstream{};
  subscriber_options upstream{};
  // Subscribed to also while nobody asks for them, so that they are in the memory when somebody
  // does.
  std::vector<std::string> always{};
};

struct forwarder_statistics {
  std::uint64_t forwarded = 0;
  std::uint64_t seen_before = 0;  // came round, or by another way
  std::uint64_t too_far = 0;      // had gone through most_hops forwarders
  std::uint64_t lost = 0;         // on the way here; told downstream
};

class forwarder {
 public:
  static constexpr std::uint8_t most_hops = 16;

  explicit forwarder(context& owner, const forwarder_options& options = {});
  forwarder(forwarder&&) noexcept;
  forwarder& operator=(forwarder&&) noexcept;
  ~forwarder();

  // Upstream: publishers, and other forwarders.
  void connect(const endpoint& publisher);
  // Downstream: a place for subscribers. Returns what was really bound.
  endpoint bind(const endpoint& where);

  // Its downstream side, to ask for subscribers and books.
  [[nodiscard]] const publisher& downstream() const noexcept;
  [[nodiscard]] std::vector<feed_ledger> upstream_ledger() const;
  [[nodiscard]] forwarder_statistics statistics() const;

  // What happens to its connections over tcp and ipc, on either side; as of subscriber and
  // publisher.
  [[nodiscard]] monitor watch_upstream();
  [[nodiscard]] monitor watch_downstream();

  void close() noexcept;

 private:
  struct state;
  detail::home_ptr<state> state_;
};

}  // namespace parley
