// SPDX-License-Identifier: MPL-2.0
#include <parley/pub_sub.hpp>

#include <parley/monitor.hpp>

#include "shared_socket.hpp"
#include "subscription_counts.hpp"

#include <utility>

namespace parley {
namespace {

using detail::deadline_after;
using time_point = detail::shared_socket::time_point;

socket_options publisher_socket(const publisher_options& options) {
  socket_options chosen;
  chosen.send_limit = options.limit;
  chosen.linger = options.linger;
  chosen.all_subscriptions = true;
  chosen.max_frame_bytes = default_max_frame_bytes;
  chosen.curve = options.curve;
  return chosen;
}

socket_options subscriber_socket(const subscriber_options& options) {
  socket_options chosen;
  chosen.receive_limit = options.limit;
  chosen.linger =
      std::chrono::milliseconds{0};  // subscriptions that no publisher took are of no use
  chosen.max_frame_bytes = options.max_frame_bytes;
  chosen.curve = options.curve;
  return chosen;
}

}  // namespace

struct publisher::state {
  state(context& owner, const publisher_options& options)
      : link{owner, socket_kind::xpub, publisher_socket(options)} {}

  // Takes in the subscriptions that have come; runs inside link.with().
  void take_subscriptions(socket& native) {
    while (auto incoming = native.try_receive()) {
      counts.apply(incoming->front().view());
    }
  }

  detail::shared_socket link;
  detail::subscription_counts counts;  // guarded by link's mutex
  unsigned unread = 0;                 // publishes since subscriptions were last taken in; likewise
};

publisher::publisher(context& owner, const publisher_options& options)
    : state_{new state{owner, options}} {}

publisher::publisher(context& owner, const endpoint& bound, const publisher_options& options)
    : publisher{owner, options} {
  bind(bound);
}

publisher::publisher(publisher&&) noexcept = default;
publisher& publisher::operator=(publisher&&) noexcept = default;
publisher::~publisher() = default;

endpoint publisher::bind(const endpoint& where) { return state_->link.bind(where); }

void publisher::connect(const endpoint& where) { state_->link.connect(where); }

void publisher::publish_frame(std::string_view topic, frame body) {
  // libzmq keeps subscriptions for the program until it reads them: read now and then, so that a
  // publisher that never asks for its subscriptions does not collect them for ever.
  constexpr unsigned publishes_between_reads = 256;
  message outgoing;
  outgoing.push_back(topic);
  outgoing.push_back(std::move(body));
  state_->link.with([&](socket& native) {
    if (++state_->unread >= publishes_between_reads) {
      state_->unread = 0;
      state_->take_subscriptions(native);
    }
    native.send(std::move(outgoing));  // never waits: xpub drops for the slow
  });
}

std::size_t publisher::subscriptions(std::string_view topic) const {
  return state_->link.with([&](socket& native) {
    state_->take_subscriptions(native);
    return state_->counts.matching(topic);
  });
}

bool publisher::wait_for_subscriptions(std::size_t count, duration limit,
                                       std::string_view topic) const {
  const time_point deadline = deadline_after(limit);
  while (subscriptions(topic) < count) {
    if (!state_->link.wait_until_readable(deadline)) {
      return subscriptions(topic) >= count;
    }
  }
  return true;
}

monitor publisher::watch() { return state_->link.watch(); }

void publisher::close() noexcept {
  if (state_.is_here()) {
    state_->link.close();
  }
}

struct subscriber::state {
  state(context& owner, const subscriber_options& options)
      : link{owner, socket_kind::sub, subscriber_socket(options)} {}

  std::optional<publication> receive_until(time_point deadline) {
    auto incoming = link.receive_until(deadline);
    if (!incoming) {
      return std::nullopt;
    }
    publication received;
    received.topic = std::move((*incoming)[0]);
    if (incoming->size() > 1) {
      received.body = std::move((*incoming)[1]);
    }
    return received;
  }

  detail::shared_socket link;
};

subscriber::subscriber(context& owner, const subscriber_options& options)
    : state_{new state{owner, options}} {}

subscriber::subscriber(context& owner, const endpoint& connected,
                       const std::vector<std::string>& prefixes, const subscriber_options& options)
    : subscriber{owner, options} {
  for (const std::string& prefix : prefixes) {
    subscribe(prefix);
  }
  connect(connected);
}

subscriber::subscriber(subscriber&&) noexcept = default;
subscriber& subscriber::operator=(subscriber&&) noexcept = default;
subscriber::~subscriber() = default;

endpoint subscriber::bind(const endpoint& where) { return state_->link.bind(where); }

void subscriber::connect(const endpoint& where) { state_->link.connect(where); }

void subscriber::subscribe(std::string_view prefix) {
  state_->link.with([&](socket& native) { native.subscribe(prefix); });
}

void subscriber::unsubscribe(std::string_view prefix) {
  state_->link.with([&](socket& native) { native.unsubscribe(prefix); });
}

publication subscriber::receive() {
  for (;;) {
    if (auto received = state_->receive_until(time_point::max())) {
      return std::move(*received);
    }
  }
}

std::optional<publication> subscriber::receive_for(duration limit) {
  return state_->receive_until(deadline_after(limit));
}

std::optional<publication> subscriber::try_receive() { return receive_for(duration::zero()); }

monitor subscriber::watch() { return state_->link.watch(); }

void subscriber::close() noexcept {
  if (state_.is_here()) {
    state_->link.close();
  }
}

}  // namespace parley
