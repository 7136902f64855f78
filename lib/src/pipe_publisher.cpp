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
  const std::string_view topic = outgoing.front().view();
  const std::size_t shortest =
      options_.private_topics && (topic.empty() || is_private(topic)) ? 1 : 0;
  subscribers_.match(topic, shortest, [this](pipe_peer& each) {
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
  into = told_.front();
  told_.pop();
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
  if (!is_subscription(incoming)) {
    if (is_xpub_ && !told_.add(std::move(incoming))) {
      counters_.dropped_unwanted.add(1);  // the program does not ask for it
    }
    return;
  }
  const std::string_view text = incoming.front().view();
  const std::string_view prefix = text.substr(1);
  if (text.front() == subscribe_byte) {
    const bool is_first = subscribers_.add(prefix, &from);
    if (tells(is_first)) {
      told_.subscribed(prefix, is_first);
    }
  } else {
    const bool is_last = subscribers_.remove(prefix, &from);
    if (tells(is_last)) {
      told_.cancelled(prefix, is_last);
    }
  }
}

void pipe_publisher::forget(pipe_peer& who) {
  subscribers_.remove_peer(&who, [this](std::string_view prefix, bool nobody_left) {
    if (tells(nobody_left)) {
      told_.cancelled(prefix, nobody_left);
    }
  });
}

}  // namespace parley::detail
