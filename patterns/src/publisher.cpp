// SPDX-License-Identifier: MPL-2.0
#include <parley/publisher.hpp>

#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/pipe/doorbell.hpp>  // deadline_after
#include <parley/subscriber.hpp>

#include "named_ends.hpp"
#include "publisher_core.hpp"

#include <string>

namespace parley {

struct publisher::state : detail::publisher_core {
  state(context& owner, const publisher_options& options)
      : publisher_core{owner, options}, names{owner} {}

  detail::named_ends names;
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

endpoint publisher::bind(const endpoint& where) {
  state& self = *state_.operator->();
  return self.names.bind(where, [&](const endpoint& real) { return self.bind(real); });
}

void publisher::connect(const endpoint& where) {
  detail::publisher_core* const core = state_.operator->();
  state_->names.connect(
      where, [core](const endpoint& found) { core->connect(found); },
      [core](const endpoint& gone) { core->disconnect(gone); });
}

std::uint64_t publisher::publish_bytes(std::string_view topic, std::string_view body,
                                       const frame* whole, bool is_urgent) {
  constexpr std::size_t longest_topic = 65'535;
  if (topic.empty() || topic.size() > longest_topic || topic.front() == detail::feed_octet)
      [[unlikely]] {
    throw config_error{"a topic has 1 to 65,535 octets, and the first is not 1: " +
                       std::string{topic.substr(0, 40)}};
  }
  return state_->publish(topic, body, whole, is_urgent);
}

void publisher::relay(publication&& received) {
  detail::feed_entry entry;
  entry.topic = received.topic.view();
  entry.is_urgent = received.is_urgent;
  entry.is_relayed = received.publisher != 0;
  entry.origin = received.publisher;
  entry.origin_sequence = received.sequence;
  entry.hops = static_cast<std::uint8_t>(received.hops + 1);
  state_->relay(entry, std::move(received.body));
}

void publisher::relay_loss(const feed_event& lost) {
  detail::feed_entry entry;
  entry.what = detail::feed_entry::kind::lost;
  entry.topic = lost.prefix;
  entry.is_urgent = lost.is_urgent;
  entry.reason = loss_reason::upstream;
  entry.sequence = lost.first;
  entry.last = lost.last;
  entry.count = lost.count;
  entry.is_relayed = lost.missed_by != 0;
  entry.origin = lost.missed_by;
  entry.origin_sequence = lost.loss;
  entry.hops = static_cast<std::uint8_t>(lost.hops + 1);
  state_->relay_loss(entry);
}

void publisher::on_demand(std::function<void(std::string_view prefix, bool is_wanted)> handler) {
  state_->on_demand(std::move(handler));
}

std::size_t publisher::subscribers(std::string_view topic) const {
  return state_->ask([&](const detail::feed_desk& desk) { return desk.subscribers(topic); });
}

bool publisher::wait_for_subscribers(std::size_t count, duration limit,
                                     std::string_view topic) const {
  return state_->wait_until(detail::deadline_after(limit), [&](const detail::feed_desk& desk) {
    return desk.subscribers(topic) >= count;
  });
}

bool publisher::wait_until_delivered(duration limit) const {
  return state_->wait_until_delivered(detail::deadline_after(limit));
}

std::uint64_t publisher::id() const noexcept { return state_->id(); }

std::vector<subscriber_ledger> publisher::ledger() const {
  return state_->ask([](const detail::feed_desk& desk) { return desk.ledger(); });
}

publisher_statistics publisher::statistics() const {
  return state_->ask([](const detail::feed_desk& desk) { return desk.statistics(); });
}

monitor publisher::watch() { return state_->watch(); }

void publisher::close() noexcept {
  if (state_.is_here()) {
    state_->names.clear();
    state_->close();
  }
}

}  // namespace parley
