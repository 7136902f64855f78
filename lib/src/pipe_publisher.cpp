// SPDX-License-Identifier: MPL-2.0
#include "pipe_publisher.hpp"

#include "subscription_message.hpp"

#include <cstddef>
#include <string_view>
#include <utility>

namespace parley::detail {

void pipe_publisher::publish(message& outgoing) {
  take_subscriptions();
  matching_.clear();
  ++topics_;
  subscribers_.match(outgoing.front().view(), [this](pipe_peer& each) {
    if (each.matched != topics_) {
      each.matched = topics_;
      matching_.push_back(&each);
    }
  });
  for (std::size_t index = 0; index < matching_.size(); ++index) {
    const bool is_last = index + 1 == matching_.size();
    peers_.put_or_drop(*matching_[index], is_last ? std::move(outgoing) : message{outgoing});
  }
  outgoing.clear();
}

bool pipe_publisher::fetch(message& into) {
  take_subscriptions();
  if (told_.empty()) {
    return false;
  }
  into = std::move(told_.front());
  told_.pop_front();
  return true;
}

void pipe_publisher::take_subscriptions() {
  for (std::size_t index = 0; index < peers_.size();) {
    pipe_peer& each = peers_[index];
    if (each.in != nullptr && each.in->readable()) {
      each.in->try_pop_n([&](message&& incoming) { take_subscription(each, std::move(incoming)); });
      if (each.in->drained()) {
        peers_.lose(index);
        continue;
      }
    }
    ++index;
  }
}

void pipe_publisher::take_subscription(pipe_peer& from, message&& incoming) {
  counters_.received(incoming);
  bool tells = is_xpub_;
  if (is_subscription(incoming)) {
    const std::string_view text = incoming.front().view();
    const bool changes = text.front() == subscribe_byte
                             ? subscribers_.add(text.substr(1), &from)
                             : subscribers_.remove(text.substr(1), &from);
    tells = is_xpub_ && (changes || options_.all_subscriptions);
  }
  if (tells) {
    told_.push_back(std::move(incoming));
  }
}

void pipe_publisher::forget(pipe_peer& who) {
  subscribers_.remove_peer(&who, [this](std::string_view prefix, bool nobody_left) {
    if (is_xpub_ && (nobody_left || options_.all_subscriptions)) {
      told_.push_back(subscription_message(unsubscribe_byte, prefix));
    }
  });
}

}  // namespace parley::detail
