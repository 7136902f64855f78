// SPDX-License-Identifier: MPL-2.0
#include "pipe_registry.hpp"

#include "subscription_message.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <string_view>
#include <utility>

namespace parley::detail {
namespace {

// As libzmq does it: what the sender may have on the way and what the receiver may keep.
std::size_t capacity(const pipe_mailbox& from, const pipe_mailbox& to) noexcept {
  return static_cast<std::size_t>(from.options->send_limit) +
         static_cast<std::size_t>(to.options->receive_limit);
}

pipe_link::end end_of(const pipe_mailbox& who) {
  return {who.read_bell, who.write_bell, who.options->routing_id};
}

}  // namespace

bool may_talk(socket_kind one, socket_kind other) noexcept {
  using enum socket_kind;
  switch (one) {
    case pair:
      return other == pair;
    case push:
      return other == pull;
    case pull:
      return other == push;
    case pub:
    case xpub:
      return other == sub || other == xsub;
    case sub:
    case xsub:
      return other == pub || other == xpub;
    case req:
      return other == rep || other == router;
    case rep:
      return other == req || other == dealer;
    case dealer:
      return other == rep || other == dealer || other == router;
    case router:
      return other == req || other == dealer || other == router;
    case stream:
      return false;
  }
  return false;
}

void pipe_registry::enter(const mailbox& who) {
  const std::lock_guard lock{mutex_};
  members_.insert(who);
  if (is_shut_down_) {
    who->shut_down();
  }
}

void pipe_registry::shut_down() {
  const std::lock_guard lock{mutex_};
  is_shut_down_ = true;
  for (const mailbox& each : members_) {
    each->shut_down();
  }
}

void pipe_registry::leave(const mailbox& who) noexcept {
  const std::lock_guard lock{mutex_};
  members_.erase(who);
  const auto now = std::chrono::steady_clock::now();
  for (auto at = names_.begin(); at != names_.end();) {
    name& here = at->second;
    std::erase_if(here.connections, [&](connection& each) {
      if (each.who != who || each.closed) {
        return false;
      }
      if (!each.room) {
        return true;
      }
      const std::lock_guard waiting{each.room->mutex};
      each.closed = true;
      each.expires = now + who->options->linger;
      return each.room->messages.empty() || who->options->linger.count() == 0;
    });
    if (here.bound == who) {
      here.bound = nullptr;
    }
    for (connection& each : here.connections) {
      if (each.joined_to == who) {
        each.joined_to = nullptr;
        try {
          wait_for_bind(each);
          if (here.bound != nullptr && may_talk(here.bound->kind, each.who->kind)) {
            join(here.bound, std::array{&each});
          }
        } catch (const std::bad_alloc&) {
          // The next bind tries again.
        }
      }
    }
    const auto next = std::next(at);
    forget_if_empty(at);
    at = next;
  }
}

bool pipe_registry::bind(const std::string& which, const mailbox& who) {
  const std::lock_guard lock{mutex_};
  const auto at = names_.try_emplace(which).first;
  name& here = at->second;
  if (here.bound != nullptr) {
    return false;
  }
  const auto now = std::chrono::steady_clock::now();
  try {
    std::vector<connection*> waiting;
    for (connection& each : here.connections) {
      if (!each.room && each.joined_to == nullptr) {
        wait_for_bind(each);  // there was no memory when who had bound the name before went
      }
      const bool expired = each.closed && each.expires < now;
      if (each.room && !expired && may_talk(who->kind, each.who->kind)) {
        waiting.push_back(&each);
      }
    }
    join(who, waiting);
  } catch (...) {
    forget_if_empty(at);
    throw;
  }
  here.bound = who;
  // Closed sockets' messages are on their way now, or too old.
  std::erase_if(here.connections, [](const connection& each) { return each.closed; });
  return true;
}

bool pipe_registry::unbind(const std::string& which, const mailbox& who) {
  const std::lock_guard lock{mutex_};
  const auto at = names_.find(which);
  if (at == names_.end() || at->second.bound != who) {
    return false;
  }
  at->second.bound = nullptr;
  forget_if_empty(at);
  return true;
}

bool pipe_registry::connect(const std::string& which, const mailbox& who, std::uint64_t id) {
  const std::lock_guard lock{mutex_};
  const auto at = names_.try_emplace(which).first;
  name& here = at->second;
  if (here.bound != nullptr && !may_talk(who->kind, here.bound->kind)) {
    return false;
  }
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(here.connections,
                [now](const connection& each) { return each.closed && each.expires < now; });
  const std::size_t before = here.connections.size();
  try {
    connection& made = here.connections.emplace_back(connection{who, id, {}, {}, false, {}});
    wait_for_bind(made);
    if (here.bound != nullptr) {
      join(here.bound, std::array{&made});
    }
  } catch (...) {
    here.connections.erase(here.connections.begin() + static_cast<std::ptrdiff_t>(before),
                           here.connections.end());
    forget_if_empty(at);
    throw;
  }
  return true;
}

void pipe_registry::disconnect(const std::string& which, const mailbox& who, std::uint64_t id) {
  const std::lock_guard lock{mutex_};
  const auto at = names_.find(which);
  if (at != names_.end()) {
    std::erase_if(at->second.connections,
                  [&](const connection& each) { return each.who == who && each.id == id; });
    forget_if_empty(at);
  }
}

// Or throws, and changes nothing.
void pipe_registry::wait_for_bind(connection& which) {
  auto room =
      std::make_shared<waiting_room>(static_cast<std::size_t>(which.who->options->send_limit));
  pipe_mailbox::arrival_list told;
  told.push_back({which.id, link_side::connected, nullptr, room});
  which.room = std::move(room);
  which.who->post(std::move(told));
}

// What a join needs memory for.
struct pipe_registry::joining {
  connection& with;
  std::shared_ptr<pipe_link> link;
  pipe_mailbox::arrival_list to_bound;
  pipe_mailbox::arrival_list to_connected;
};

// Requires: the subscriber's subscriptions_mutex, until the two are joined.
pipe_registry::joining pipe_registry::prepare(pipe_mailbox& bound, connection& with) {
  // Either end may be the one that subscribes; it may have done so before it has a peer.
  const bool bound_subscribes = subscribes(bound.kind);
  const subscription_set& wanted = bound_subscribes ? bound.subscriptions : with.who->subscriptions;
  // Beside what waits in the room.
  const std::size_t room_for_them =
      2 * wanted.size() + static_cast<std::size_t>(with.who->options->send_limit);
  auto link = std::make_shared<pipe_link>(
      end_of(bound), end_of(*with.who),
      std::array{std::max(capacity(bound, *with.who), bound_subscribes ? room_for_them : 0),
                 std::max(capacity(*with.who, bound), bound_subscribes ? 0 : room_for_them)});
  std::uint64_t subscription_bytes = 0;
  auto& asked = link->out(bound_subscribes ? link_side::bound : link_side::connected);
  wanted.for_each([&](const std::string& prefix, std::size_t) {
    message each = subscription_message(subscribe_byte, prefix);
    subscription_bytes += each.bytes();
    static_cast<void>(asked.try_push(std::move(each)));
  });
  joining made{with, link, {}, {}};
  made.to_bound.push_back({0, link_side::bound, link, nullptr, subscription_bytes});
  if (!with.closed) {
    made.to_connected.push_back({with.id, link_side::connected, link, nullptr, subscription_bytes});
  }
  return made;
}

void pipe_registry::join(const mailbox& bound, joining& made) noexcept {
  connection& with = made.with;
  const std::shared_ptr<waiting_room> room = std::move(with.room);
  with.joined_to = bound;
  auto& up = made.link->out(link_side::connected);
  const std::lock_guard waiting{room->mutex};
  for (message& each : room->messages) {
    static_cast<void>(up.try_push(std::move(each)));  // there is room for all: the room is smaller
  }
  room->messages.clear();
  room->link = made.link;
  if (with.closed) {
    made.link->leave(link_side::connected);
  } else {
    with.who->post(std::move(made.to_connected));
  }
  bound->post(std::move(made.to_bound));
}

// All of them; or throws, and joins none.
void pipe_registry::join(const mailbox& bound, std::span<connection* const> all) {
  std::vector<std::unique_lock<std::mutex>> subscriptions;  // of each subscriber
  std::vector<joining> made;
  made.reserve(all.size());
  for (connection* const each : all) {
    std::mutex& mutex = (subscribes(bound->kind) ? *bound : *each->who).subscriptions_mutex;
    if (std::none_of(subscriptions.begin(), subscriptions.end(),
                     [&](const auto& held) { return held.mutex() == &mutex; })) {
      subscriptions.emplace_back(mutex);
    }
    made.push_back(prepare(*bound, *each));
  }
  for (joining& each : made) {
    join(bound, each);
  }
}

void pipe_registry::forget_if_empty(std::map<std::string, name>::iterator at) {
  if (at->second.bound == nullptr && at->second.connections.empty()) {
    names_.erase(at);
  }
}

}  // namespace parley::detail
