// SPDX-License-Identifier: MPL-2.0
#include "event_queue.hpp"

#include <utility>

namespace parley::detail {
namespace {

std::size_t bytes_of(const peer_event& event) {
  std::size_t bytes = event.content.bytes() + event.group.size();
  for (const auto& [name, value] : event.headers) {
    bytes += name.size() + value.size();
  }
  return bytes;
}

// Who is here must be known even if what is said is too much; but not each time that one comes and
// goes.
constexpr std::size_t most_presence = 16;

bool is_presence(const peer_event& event) {
  return event.what == peer_event::kind::enter || event.what == peer_event::kind::exit;
}

}  // namespace

bool event_queue::has_room(const share& of, const peer_event& event, std::size_t bytes) const {
  if (is_presence(event) && of.presence < most_presence) {
    return events_.size() < 2 * limit_ && bytes_ < 2 * limit_bytes_;
  }
  return of.count + events_.size() < limit_ &&
         (of.count == 0 ? bytes_ : of.bytes + bytes + bytes_) <= limit_bytes_;
}

void event_queue::add(peer_event&& event, share& of, std::size_t bytes) {
  ++of.count;
  of.presence += is_presence(event) ? 1 : 0;
  of.bytes += bytes;
  bytes_ += bytes;
  events_.push_back(std::move(event));
}

void event_queue::push(peer_event&& event) {
  share& of = shares_[event.peer];
  const std::size_t bytes = bytes_of(event);
  if (!has_room(of, event, bytes)) {
    ++of.lost;
    ++lost_;
    return;
  }
  if (of.lost > 0) {
    add({.what = peer_event::kind::lost,
         .peer = event.peer,
         .name = event.name,
         .count = std::exchange(of.lost, 0)},
        of, 0);
  }
  add(std::move(event), of, bytes);
}

bool event_queue::offer(peer_event&& event) {
  share& of = shares_[event.peer];
  const std::size_t bytes = bytes_of(event);
  const bool fits = has_room(of, event, bytes);
  if (fits) {
    push(std::move(event));
  } else if (of.count == 0) {
    shares_.erase(event.peer);
  }
  return fits;
}

std::optional<peer_event> event_queue::pop() {
  if (events_.empty()) {
    return std::nullopt;
  }
  peer_event event = std::move(events_.front());
  events_.pop_front();
  const std::size_t bytes = bytes_of(event);
  bytes_ -= bytes;
  const auto of = shares_.find(event.peer);
  of->second.bytes -= bytes;
  of->second.presence -= is_presence(event) ? 1 : 0;
  if (--of->second.count == 0) {
    if (of->second.lost > 0) {
      // Nothing more of it may come: tell it now.
      add({.what = peer_event::kind::lost,
           .peer = event.peer,
           .name = event.name,
           .count = std::exchange(of->second.lost, 0)},
          of->second, 0);
    } else {
      shares_.erase(of);
    }
  }
  return event;
}

}  // namespace parley::detail
