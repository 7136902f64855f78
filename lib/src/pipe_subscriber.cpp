// SPDX-License-Identifier: MPL-2.0
#include "pipe_subscriber.hpp"

#include "subscription_message.hpp"

#include <utility>

namespace parley::detail {

void pipe_subscriber::subscribe(std::string_view prefix) {
  mailbox_.subscriptions.add(prefix);
  tell_peers(subscribe_byte, prefix);
}

void pipe_subscriber::unsubscribe(std::string_view prefix) {
  if (mailbox_.subscriptions.remove(prefix)) {
    filters_ = true;
    tell_peers(unsubscribe_byte, prefix);
  }
}

void pipe_subscriber::tell_peers(char what, std::string_view prefix) {
  const message news = subscription_message(what, prefix);
  for (const auto& each : peers_) {
    if (each->out == nullptr) {
      continue;
    }
    message copy = news;
    if (!each->backlog.empty() || !peers_.put(*each, copy)) {
      each->backlog.push_back(std::move(copy));
      has_backlog_ = true;
    }
  }
}

void pipe_subscriber::pass_on_backlog() {
  has_backlog_ = false;
  for (const auto& each : peers_) {
    while (each->out != nullptr && !each->backlog.empty() &&
           peers_.put(*each, each->backlog.front())) {
      each->backlog.pop_front();
    }
    if (each->out == nullptr) {
      each->backlog.clear();
    }
    has_backlog_ = has_backlog_ || !each->backlog.empty();
  }
}

// An unsubscription takes effect at once, whatever is on the way.
bool pipe_subscriber::fetch(message& into) {
  while (peers_.pop(into) != nullptr) {
    if (!filters_ || mailbox_.subscriptions.matches(into.front().view())) {
      return true;
    }
    counters_.dropped_unwanted.add(1);
  }
  return false;
}

void pipe_subscriber::send_upstream(message& outgoing) {
  for (const auto& each : peers_) {
    if (each->out != nullptr) {
      peers_.put_or_drop(*each, message{outgoing});
    }
  }
  outgoing.clear();
}

}  // namespace parley::detail
