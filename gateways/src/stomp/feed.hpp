// SPDX-License-Identifier: MPL-2.0
//
// One subscription's place: where it gets messages from, and whether it can take one.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "stomp/router.hpp"

namespace parley::stomp {

class router::feed final : public queue::consumer {
 public:
  feed(client& to, subscription& of) : to_{to}, of_{of} {}

  queue::taken try_take(const queue::entry& next) override {
    if (!to_.session_.has_credit(of_) || !has_room()) {
      refused_ = true;
      return queue::taken::refused;
    }
    to_.session_.deliver(of_, next, *source_);
    to_.owner_.counters_.deliveries.add();
    to_.owner_.attend(to_);
    return queue::taken::held;
  }

  // A topic's message, with nothing to acknowledge.
  void deliver(const message& content) {
    if (!has_room()) {
      drop();
      return;
    }
    to_.session_.deliver(of_, content);
    to_.owner_.counters_.deliveries.add();
    to_.owner_.attend(to_);
  }

  // A topic's message, to be acknowledged: it waits in a queue of the subscription's own.
  void enqueue(const message_ptr& content) {
    if (!own_->push(content)) {
      drop();
      return;
    }
    own_->dispatch();
  }

  void wake() {
    if (source_ != nullptr && std::exchange(refused_, false)) {
      source_->wake(*this);
      to_.owner_.touch(*source_);
    }
  }

 private:
  friend class router;

  [[nodiscard]] bool has_room() const {
    return to_.session_.unsent_bytes() < to_.owner_.limits_.output;
  }
  void drop() {
    ++of_.dropped;
    to_.owner_.counters_.dropped_slow.add();
  }

  client& to_;
  subscription& of_;
  named_queue* source_ = nullptr;     // of a queue, or own_
  std::unique_ptr<named_queue> own_;  // of a topic in an acknowledging mode
  std::string pattern_;               // of a topic
  bool refused_ = false;
};

}  // namespace parley::stomp
