// SPDX-License-Identifier: MPL-2.0
#include "call_link.hpp"

#include <parley/socket_rest.hpp>

namespace parley::detail {
namespace {

bool has_events(const endpoint& where) {
  return where.kind() == transport::tcp || where.kind() == transport::ipc;
}

}  // namespace

call_link::call_link(context& owner, const socket_options& options, bool connects)
    : context_{owner}, options_{options}, connects_{connects} {}

void call_link::make() {
  native_.emplace(context_, socket_kind::dealer, options_);
  if (has_events(where_)) {
    events_.emplace(context_, *native_);
    judges_ = connects_;
  }
}

endpoint call_link::bind(const endpoint& where) {
  where_ = where;
  make();
  where_ = native_->bind(where);
  return where_;
}

void call_link::connect(const endpoint& where) {
  where_ = where;
  make();
  native_->connect(where);
}

void call_link::close() noexcept {
  events_.reset();
  if (native_) {
    static_cast<void>(native_->close_for(std::chrono::seconds{0}));
    native_.reset();
  }
  is_connected_ = is_lost_ = false;
}

void call_link::renew() {
  close();
  try {
    make();
    native_->connect(where_);
  } catch (...) {
    close();
    throw;
  }
}

std::vector<int> call_link::event_fds() {
  return events_ ? socket_rest::fds(events_->events()) : std::vector<int>{};
}

void call_link::hear(std::vector<connection_event>& told) {
  while (events_) {
    if (told.size() == told.capacity()) {
      told.reserve(2 * told.size() + 4);  // before there is something to lose
    }
    auto event = events_->try_receive();
    if (!event) {
      return;
    }
    if (event->change == connection_change::ready) {
      is_connected_ = true;
    } else if (event->change == connection_change::disconnected && judges_) {
      is_lost_ = is_lost_ || is_connected_;
      is_connected_ = false;
    }
    told.push_back(std::move(*event));
  }
}

}  // namespace parley::detail
