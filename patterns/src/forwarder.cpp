// SPDX-License-Identifier: MPL-2.0
#include <parley/forwarder.hpp>

#include <parley/error.hpp>
#include <parley/monitor.hpp>

#include "origins.hpp"

#include <mutex>
#include <thread>
#include <utility>

namespace parley {

struct forwarder::state {
  state(context& owner, const forwarder_options& options)
      : from{owner, options.upstream}, to{owner, options.downstream} {
    for (const std::string& each : options.always) {
      from.subscribe(each);
    }
    from.on_event([this](const feed_event& event) { pass_on(event); });
    to.on_demand([this](std::string_view prefix, bool is_wanted) { ask(prefix, is_wanted); });
    thread = std::thread{[this] { work(); }};
  }
  ~state() { close(); }

  // Both ends first: the thread may wait for either.
  void close() noexcept {
    from.close();
    to.close();
    const std::lock_guard lock{joining};
    if (thread.joinable()) {
      thread.join();
    }
  }

  // The publisher's thread calls it.
  void ask(std::string_view prefix, bool is_wanted) {
    try {
      if (is_wanted) {
        from.subscribe(prefix);
      } else {
        from.unsubscribe(prefix);
      }
    } catch (const error&) {
      // The end has begun.
    }
  }

  void work() noexcept {
    try {
      for (;;) {
        forward(from.receive());
      }
    } catch (const error&) {
      // Closed, or the context was shut down.
    }
  }

  void forward(publication&& received) {
    {
      const std::lock_guard lock{mutex};
      const bool is_ours = received.publisher == to.id();
      if (is_ours ||
          (received.publisher != 0 && !seen.is_new(received.publisher, received.topic.view(),
                                                   received.sequence, received.is_urgent))) {
        ++counts.seen_before;
        return;
      }
      if (received.hops >= most_hops) {
        ++counts.too_far;
        return;
      }
      ++counts.forwarded;
    }
    to.relay(std::move(received));
  }

  // In its place among the messages: who receives calls it. A loss is told once too, by the number
  // that who missed it gave to it; no message has the empty topic.
  void pass_on(feed_event event) {
    if (event.what != feed_event::kind::lost) {
      return;
    }
    {
      const std::lock_guard lock{mutex};
      if (event.missed_by == 0) {
        event.missed_by = to.id();
        event.loss = ++losses;
        event.hops = 0;
      } else if (event.missed_by == to.id() || event.hops >= most_hops ||
                 !seen.is_new(event.missed_by, {}, event.loss, event.is_urgent)) {
        return;
      }
      counts.lost += event.count;
    }
    to.relay_loss(event);
  }

  subscriber from;
  publisher to;
  mutable std::mutex mutex;
  detail::origins seen;
  forwarder_statistics counts;
  std::uint64_t losses = 0;  // that began here
  std::mutex joining;
  std::thread thread;
};

forwarder::forwarder(context& owner, const forwarder_options& options)
    : state_{new state{owner, options}} {}

forwarder::forwarder(forwarder&&) noexcept = default;
forwarder& forwarder::operator=(forwarder&&) noexcept = default;
forwarder::~forwarder() = default;

void forwarder::connect(const endpoint& publisher) { state_->from.connect(publisher); }

endpoint forwarder::bind(const endpoint& where) { return state_->to.bind(where); }

const publisher& forwarder::downstream() const noexcept { return state_->to; }

std::vector<feed_ledger> forwarder::upstream_ledger() const { return state_->from.ledger(); }

forwarder_statistics forwarder::statistics() const {
  const std::lock_guard lock{state_->mutex};
  return state_->counts;
}

monitor forwarder::watch_upstream() { return state_->from.watch(); }
monitor forwarder::watch_downstream() { return state_->to.watch(); }

void forwarder::close() noexcept {
  if (state_.is_here()) {
    state_->close();
  }
}

}  // namespace parley
