// SPDX-License-Identifier: MPL-2.0
#include "subscription_news.hpp"

#include "subscription_message.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

namespace parley::detail {

subscription_news::entry& subscription_news::of(std::string_view prefix, bool was_live) {
  if (const auto found = prefixes_.find(prefix); found != prefixes_.end()) {
    return *found->second;
  }
  entry& made = entries_.emplace_back(entry{std::string{prefix}, was_live});
  try {
    prefixes_.emplace(made.prefix, std::prev(entries_.end()));
  } catch (...) {
    entries_.pop_back();
    throw;
  }
  return made;
}

void subscription_news::drop_if_void(const entry& which) {
  if (which.cancellations == 0 && which.subscriptions == 0) {
    const auto found = prefixes_.find(which.prefix);
    const auto at = found->second;
    prefixes_.erase(found);
    entries_.erase(at);
  }
}

void subscription_news::subscribed(std::string_view prefix, bool is_first) {
  entry& at = of(prefix, !is_first);
  if (at.cancellations > 0 && !keeps_all_) {
    --at.cancellations;
  } else {
    ++at.subscriptions;
  }
  drop_if_void(at);
}

void subscription_news::cancelled(std::string_view prefix, bool is_last) {
  entry& at = of(prefix, true);
  if (is_last && keeps_all_ && is_private(prefix) && !at.was_live && at.subscriptions > 0 &&
      add(subscription_message(subscribe_byte, prefix))) {
    // Who subscribes to a private topic says something by it, and not just until it ends.
    at.subscriptions = 0;
    at.was_live = true;
    entries_.splice(entries_.end(), entries_, prefixes_.find(prefix)->second);
  }
  if (is_last) {
    at.subscriptions = 0;
    at.cancellations = at.was_live ? std::max<std::size_t>(at.cancellations, 1) : 0;
  } else if (at.subscriptions > 0) {
    --at.subscriptions;
  } else {
    ++at.cancellations;
  }
  drop_if_void(at);
}

bool subscription_news::add(message&& other) {
  assert(!other.empty());
  if (others_ == limit_) {
    return false;
  }
  entries_.emplace_back(entry{{}, false}).other = std::move(other);
  ++others_;
  return true;
}

message subscription_news::front() const {
  const entry& oldest = entries_.front();
  if (!oldest.other.empty()) {
    return oldest.other;
  }
  return subscription_message(oldest.cancellations > 0 ? unsubscribe_byte : subscribe_byte,
                              oldest.prefix);
}

void subscription_news::pop() {
  entry& oldest = entries_.front();
  if (!oldest.other.empty()) {
    --others_;
    entries_.pop_front();
    return;
  }
  if (oldest.cancellations > 0) {
    --oldest.cancellations;
  } else {
    --oldest.subscriptions;
    oldest.was_live = true;
  }
  drop_if_void(oldest);
}

void subscription_news::clear() noexcept {
  prefixes_.clear();
  entries_.clear();
  others_ = 0;
}

}  // namespace parley::detail
