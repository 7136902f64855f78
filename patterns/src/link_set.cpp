// SPDX-License-Identifier: MPL-2.0
#include "link_set.hpp"

#include <parley/error.hpp>
#include <parley/socket_rest.hpp>

#include <algorithm>
#include <utility>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;

// Who said nothing for so long is not remembered.
constexpr std::chrono::seconds most_silent{60};
constexpr std::chrono::seconds look_for_silent{5};
// How soon to try again where nothing could be sent.
constexpr std::chrono::milliseconds try_again{10};

}  // namespace

link_set::link_set(context& owner, const socket_options& options, socket_kind plain,
                   duration patience)
    : context_{owner}, options_{options}, plain_kind_{plain}, patience_{patience} {}

socket& link_set::router() {
  if (!router_) {
    router_.emplace(context_, socket_kind::router, options_);
    watch(router_events_, router_);
  }
  return *router_;
}

socket& link_set::plain() {
  if (!plain_) {
    socket_options chosen = options_;
    // Else a task would wait for a peer that never comes. Not for who receives: libzmq then throws
    // away what was received and not yet read when the connection goes.
    chosen.only_connected = plain_kind_ == socket_kind::push;
    plain_.emplace(context_, plain_kind_, chosen);
    watch(plain_events_, plain_);
    plain_link_ = ++last_;
    open_.push_back(plain_link_);
  }
  return *plain_;
}

endpoint link_set::bind(const endpoint& where) { return router().bind(where); }

void link_set::connect(const endpoint& where) {
  const auto is_known = [&](link each) { return peers_.at(each).own->where() == where; };
  if (std::any_of(own_.begin(), own_.end(), is_known)) {
    return;
  }
  auto made = std::make_unique<call_link>(context_, options_, true);
  made->connect(where);
  peers_[++last_].own = std::move(made);
  own_.push_back(last_);
}

void link_set::disconnect(const endpoint& where) {
  const auto known = std::find_if(own_.begin(), own_.end(),
                                  [&](link each) { return peers_.at(each).own->where() == where; });
  if (known == own_.end()) {
    return;
  }
  gone_.push_back(*known);
  std::erase(open_, *known);
  peers_.erase(*known);
  own_.erase(known);
}

endpoint link_set::bind_plain(const endpoint& where) { return plain().bind(where); }

void link_set::connect_plain(const endpoint& where) { plain().connect(where); }

void link_set::watch() {
  is_watched_ = true;
  watch(router_events_, router_);
  watch(plain_events_, plain_);
}

void link_set::watch(std::optional<monitor>& events, std::optional<socket>& of) {
  if (is_watched_ && of && !events) {
    events.emplace(context_, *of);
  }
}

void link_set::hear(std::optional<monitor>& events) {
  while (events) {
    auto event = events->try_receive();
    if (!event) {
      return;
    }
    events_.push_back(std::move(*event));
  }
}

// Receiving.

void link_set::receive(std::vector<news>& into, std::size_t most, time_point now) {
  hear(router_events_);
  hear(plain_events_);
  for (const link each : std::exchange(gone_, {})) {
    into.push_back({news::kind::lost, each});
  }
  if (router_) {
    receive_routed(into, most, now);
  }
  for (const link each : own_) {
    receive_own(each, peers_.at(each), into, most);
  }
  if (plain_) {
    if (!std::exchange(plain_is_told_, true)) {
      into.push_back({news::kind::opened_plain, plain_link_});
    }
    const bool takes_plain = plain_kind_ == socket_kind::pull && !is_plain_paused_;
    for (std::size_t count = 0; takes_plain && count < most; ++count) {
      auto incoming = plain_->try_receive();
      if (!incoming) {
        break;
      }
      into.push_back({news::kind::came, plain_link_, std::move(*incoming)});
    }
  }
  if (keeps_) {
    send_kept();
  }
  if (keeps_ || now >= next_look_) {
    lose_silent(into, now);
  }
}

void link_set::receive_routed(std::vector<news>& into, std::size_t most, time_point now) {
  for (std::size_t count = 0; count < most; ++count) {
    auto incoming = router_->try_receive();
    if (!incoming) {
      return;
    }
    const auto [at, is_new] = by_address_.try_emplace(std::string{incoming->front().view()}, 0);
    if (is_new) {
      at->second = ++last_;
      peer& made = peers_[last_];
      made.address = incoming->front();
      made.is_open = true;
      open_.push_back(last_);
    }
    peer& from = peers_.at(at->second);
    from.heard = now;
    incoming->drop_front(1);
    into.push_back({news::kind::came, at->second, std::move(*incoming)});
  }
}

void link_set::receive_own(link which, peer& from, std::vector<news>& into, std::size_t most) {
  if (from.has_to_renew) {
    renew(from);
  }
  const std::size_t known = events_.size();
  from.own->hear(events_);
  if (!is_watched_) {
    events_.erase(events_.begin() + static_cast<std::ptrdiff_t>(known), events_.end());
  }
  for (std::size_t count = 0; count < most; ++count) {
    auto incoming = from.own->native().try_receive();
    if (!incoming) {
      break;
    }
    if (!std::exchange(from.is_open, true)) {
      open_.push_back(which);
      into.push_back({news::kind::opened, which});
    }
    into.push_back({news::kind::came, which, std::move(*incoming)});
  }
  if (from.own->take_loss()) {
    lose(which, into);
    renew(from);  // what could not be sent is for nobody
  }
  if (!from.is_open && from.own->is_there(from.own->native().can_send())) {
    from.is_open = true;
    open_.push_back(which);
    into.push_back({news::kind::opened, which});
  }
}

void link_set::renew(peer& which) {
  try {
    which.has_to_renew = true;
    which.own->renew();
    which.has_to_renew = false;
  } catch (const closed&) {
    throw;
  } catch (const error&) {
    // No descriptors are left: again the next time.
  }
}

// Losing.

void link_set::lose(link which, std::vector<news>& into) {
  peer& gone = peers_.at(which);
  if (!gone.is_open) {
    return;
  }
  gone.is_open = false;
  gone.kept.reset();
  std::erase(open_, which);
  into.push_back({news::kind::lost, which});
  if (!gone.own) {
    by_address_.erase(std::string{gone.address.view()});
    peers_.erase(which);
  }
}

void link_set::lose_silent(std::vector<news>& into, time_point now) {
  std::vector<link> gone;
  for (const auto& [which, each] : peers_) {
    const bool is_stuck = each.kept && now >= each.kept_since + patience_;
    if (is_stuck || (!each.own && now >= each.heard + most_silent)) {
      gone.push_back(which);
    }
  }
  for (const link each : gone) {
    lose(each, into);
    if (const auto still = peers_.find(each); still != peers_.end()) {
      renew(still->second);
    }
  }
  next_look_ = now + look_for_silent;
}

// Sending.

bool link_set::takes(link to) const {
  if (to == plain_link_) {
    return plain_kind_ == socket_kind::push && plain_->can_send();
  }
  const auto found = peers_.find(to);
  return found != peers_.end() && found->second.is_open && !found->second.kept;
}

void link_set::send(link to, message&& outgoing, time_point now) {
  if (to == plain_link_) {
    static_cast<void>(plain_->try_send(std::move(outgoing)));  // it takes
    return;
  }
  const auto found = peers_.find(to);
  if (found == peers_.end()) {
    return;  // disconnected, and about to be told as lost
  }
  peer& target = found->second;
  if (!try_send(target, outgoing)) {
    target.kept = std::move(outgoing);
    target.kept_since = now;
    keeps_ = true;
  }
}

bool link_set::try_send(peer& to, message& outgoing) {
  if (to.own) {
    return to.own->native().try_send(std::move(outgoing));
  }
  message addressed;
  addressed.reserve(1 + outgoing.size());
  addressed.push_back(to.address);
  for (const frame& each : outgoing) {
    addressed.push_back(each);
  }
  return router_->try_send(std::move(addressed));
}

void link_set::send_kept() {
  keeps_ = false;
  for (auto& [which, each] : peers_) {
    if (each.kept && try_send(each, *each.kept)) {
      each.kept.reset();
    }
    keeps_ = keeps_ || each.kept;
  }
}

// Sleeping.

bool link_set::begin_rest(std::vector<int>& fds, time_point& until, time_point now) {
  bool may_rest = true;
  const auto add = [&](socket& each) {
    may_rest = !socket_rest::begin(each).receive && may_rest;
    const auto its = socket_rest::fds(each);
    fds.insert(fds.end(), its.begin(), its.end());
  };
  const auto add_events = [&](const std::vector<int>& its) {
    fds.insert(fds.end(), its.begin(), its.end());
  };
  if (router_) {
    add(*router_);
  }
  if (plain_ && !is_plain_paused_) {
    add(*plain_);
  }
  for (auto* const events : {&router_events_, &plain_events_}) {
    if (*events) {
      add_events(socket_rest::fds((*events)->events()));
    }
  }
  for (const link each : own_) {
    peer& from = peers_.at(each);
    add(from.own->native());
    add_events(from.own->event_fds());
    if (from.has_to_renew) {
      until = std::min(until, now + 100ms);
    } else if (!from.is_open && from.own->is_there(from.own->native().can_send())) {
      may_rest = false;
    }
  }
  if (keeps_) {
    until = std::min(until, now + try_again);
  }
  until = std::min(until, next_look_);
  return may_rest;
}

void link_set::end_rest() {
  if (router_) {
    socket_rest::end(*router_);
  }
  if (plain_ && !is_plain_paused_) {
    socket_rest::end(*plain_);
  }
  for (const link each : own_) {
    socket_rest::end(peers_.at(each).own->native());
  }
}

}  // namespace parley::detail
