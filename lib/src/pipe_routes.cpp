// SPDX-License-Identifier: MPL-2.0
#include "pipe_routes.hpp"

#include "pipe_envelope.hpp"

#include <cstring>
#include <new>
#include <utility>

namespace parley::detail {
namespace {

bool is_there(const pipe_peer& who) noexcept { return who.out != nullptr && !who.out->closed(); }

}  // namespace

bool pipe_routes::add(pipe_peer& who, const pipe_link& by) {
  who.routing_id = by.routing_id(other(who.side));
  if (who.routing_id.empty()) {
    // Nine bytes that begin with zero: no program may choose such a name, and libzmq makes five.
    char name[9] = {};
    ++last_name_;
    std::memcpy(name + 1, &last_name_, sizeof last_name_);
    who.routing_id.assign(name, sizeof name);
  }
  who.name = frame{who.routing_id};
  if (const auto taken = routes_.find(who.routing_id); taken != routes_.end()) {
    pipe_peer& before = *taken->second;
    const bool stays = is_there(before);
    if (stays && !options_.handover) {
      return false;
    }
    if (stays) {
      peers_.make_room_to_part();
    }
    taken->second = &who;
    if (stays) {
      peers_.part(before);
    }
    return true;
  }
  routes_.emplace(who.routing_id, &who);
  return true;
}

void pipe_routes::forget(const pipe_peer& who) {
  if (const auto route = routes_.find(who.routing_id);
      route != routes_.end() && route->second == &who) {
    routes_.erase(route);
  }
}

pipe_peer* pipe_routes::find(std::string_view routing_id) const {
  const auto route = routes_.find(routing_id);
  return route != routes_.end() && is_there(*route->second) ? route->second : nullptr;
}

bool pipe_routes::fetch(message& into) {
  frame name;
  if (has_untaken()) [[unlikely]] {
    into = std::exchange(untaken_, {});
    name = std::move(untaken_from_);
  } else if (const pipe_peer* const from = peers_.pop(into)) {
    name = from->name;
  } else {
    return false;
  }
  try {
    into = with_prefix(message{name}, into);
  } catch (const std::bad_alloc&) {
    untaken_ = std::move(into);
    untaken_from_ = std::move(name);
    throw;
  }
  return true;
}

bool pipe_routes::send(message& outgoing) {
  refused_by_.clear();
  pipe_peer* const to = find(outgoing.front().view());
  if (to != nullptr && to->out->writable()) {
    const frame name = outgoing.front();
    outgoing.drop_front(1);
    if (outgoing.empty() || peers_.put(*to, outgoing)) {
      return true;  // an address alone carries nothing
    }
    outgoing = with_prefix(message{name}, outgoing);  // it left just now
  } else if (to != nullptr && options_.mandatory) {
    refused_by_ = to->routing_id;
  }
  if (options_.mandatory) {
    return false;
  }
  counters_.sent(outgoing.bytes() - outgoing.front().size());
  (to != nullptr ? counters_.dropped_full : counters_.dropped_gone).add(1);
  outgoing.clear();
  return true;
}

bool pipe_routes::may_take_again() const noexcept {
  const auto route = routes_.find(refused_by_);
  return route == routes_.end() || route->second->out == nullptr || route->second->out->writable();
}

}  // namespace parley::detail
