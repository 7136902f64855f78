// SPDX-License-Identifier: MPL-2.0
#include "pipe_subscriber.hpp"

#include "subscription_message.hpp"

#include <utility>

namespace parley::detail {

void pipe_subscriber::subscribe(std::string_view prefix) {
  const bool is_first = mailbox_.subscriptions.add(prefix);
  tell_peers(subscribe_byte, prefix, is_first);
}

void pipe_subscriber::unsubscribe(std::string_view prefix) {
  if (mailbox_.subscriptions.remove(prefix)) {
    filters_ = true;
    tell_peers(unsubscribe_byte, prefix, true);
  }
}

// What changes nothing, and finds no room, need not be told.
void pipe_subscriber::tell_peers(char what, std::string_view prefix, bool changes) {
  const message news = subscription_message(what, prefix);
  for (const auto& each : peers_) {
    if (each->out == nullptr) {
      continue;
    }
    message copy = news;
    if ((each->backlog.empty() && peers_.put(*each, copy)) || !changes) {
      continue;
    }
    has_backlog_ = true;  // or there will be none, and nothing is passed on
    if (what == subscribe_byte) {
      each->backlog.subscribed(prefix, true);
    } else {
      each->backlog.cancelled(prefix, true);
    }
  }
}

void pipe_subscriber::pass_on_backlog() {
  bool is_left = false;
  for (const auto& each : peers_) {
    while (each->out != nullptr && !each->backlog.empty()) {
      message next = each->backlog.front();
      if (!peers_.put(*each, next)) {
        break;
      }
      each->backlog.pop();
    }
    if (each->out == nullptr) {
      each->backlog.clear();
    }
    is_left = is_left || !each->backlog.empty();
  }
  has_backlog_ = is_left;  // last: who had no memory on the way tries again
}

// An unsubscription takes effect at once, whatever is on the way.
bool pipe_subscriber::fetch(message& into) {
  while (peers_.pop(into) != nullptr) {
    if (!filters_ || mailbox_.subscriptions.matches(into.front().view())) {
      return true;
    }
    into.clear();
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
