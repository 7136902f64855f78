// SPDX-License-Identifier: MPL-2.0
//
// SUBSCRIBE, UNSUBSCRIBE, ACK and NACK.
#include "stomp/router.hpp"

#include <algorithm>
#include <utility>

#include "stomp/feed.hpp"
#include "stomp/quote.hpp"

namespace parley::stomp {
namespace {

using kind = destination::kind;

}  // namespace

router::feed& router::add_feed(client& to, subscription& of) {
  feed& made = *to.feeds_.emplace_back(std::make_unique<feed>(to, of));
  of.outlet = &made;
  counters_.subscriptions.add();
  return made;
}

void router::subscribe(client& by, subscription& wanted) {
  const auto from = destination::parse(wanted.destination);
  if (!from || from->what == kind::service || from->what == kind::reply_queue) {
    by.session_.fail(from ? "SUBSCRIBE to " + quote(wanted.destination) +
                                " is not possible; replies come to /temp-queue/NAME"
                          : destination::expected(wanted.destination));
    return;
  }
  if (!from->within(limits_.destinations)) {
    by.session_.fail(destination::too_long(limits_.destinations));
    return;
  }
  if (from->what == kind::topic) {
    feed& to = add_feed(by, wanted);
    to.pattern_ = from->name;
    if (wanted.mode != ack_mode::automatic) {
      to.own_ = std::make_unique<named_queue>(limits_.queues, wanted.destination);
      to.own_->kept = true;
      to.source_ = to.own_.get();
      to.source_->add(to);
    }
    topics_.add(from->name, &to);
    const std::string_view prefix = topic_prefix(from->name);
    if (const auto known = wanted_.find(prefix); known != wanted_.end()) {
      ++known->second;
    } else {
      wanted_.emplace(prefix, 1);
      outside_.want(prefix);
    }
    return;
  }
  named_queue* source = nullptr;
  if (from->what == kind::queue) {
    source = find_or_make_queue(from->name);
    if (source == nullptr) {
      by.session_.fail("too many queues: at most " + std::to_string(limits_.queue_count));
      return;
    }
  } else {
    temp_queue* const own = find_or_make_temp(by, from->name);
    if (own == nullptr) {
      by.session_.fail("too many temporary queues: at most " + std::to_string(limits_.temp_queues) +
                       " in one connection");
      return;
    }
    own->subscribed = true;
    source = own->messages.get();
    // The client's own SUBSCRIBE takes the place of what its reply-to implied.
    auto& all = by.session_.subscriptions();
    const auto implied = std::find_if(all.begin(), all.end(), [&](const auto& each) {
      return each->implicit && each->destination == wanted.destination;
    });
    if (implied != all.end()) {
      unsubscribe(by, **implied);
      all.erase(implied);
    }
  }
  feed& to = add_feed(by, wanted);
  to.source_ = source;
  source->add(to);
  touch(*source);
}

void router::unsubscribe(client& by, subscription& ended) {
  auto* const from = static_cast<feed*>(ended.outlet);
  if (from == nullptr) return;  // it was refused
  ended.outlet = nullptr;
  counters_.subscriptions.subtract();
  if (from->source_ != nullptr) from->source_->remove(*from);
  // Newest first, so that each goes before the one given back last.
  while (!ended.unsettled.empty()) {
    delivery& each = ended.unsettled.back();
    if (!from->own_) give_back(*each.from, std::move(each.entry), false, nullptr);
    ended.unsettled.pop_back();
  }
  if (from->source_ != nullptr) touch(*from->source_);
  if (!from->pattern_.empty()) {
    topics_.remove(from->pattern_, from);
    const std::string prefix{topic_prefix(from->pattern_)};
    const auto known = wanted_.find(prefix);
    if (--known->second == 0) {
      wanted_.erase(known);
      outside_.unwant(prefix);
    }
  }
  if (from->own_) std::erase(touched_, from->own_.get());
  std::erase_if(by.feeds_, [&](const auto& each) { return each.get() == from; });
}

void router::give_back(queue& to, queue::entry&& entry, bool rejected, const queue::consumer* by) {
  if (to.give_back(std::move(entry), rejected, by) == queue::returned::given_up) {
    counters_.dropped_rejected.add();
  }
  touch(to);
}

void router::settle(client& by) {
  for (const settlement& each : by.session_.pending().settlements) {
    if (each.accepted) {
      each.from->settled(each.entry);
      touch(*each.from);
    } else {
      give_back(*each.from, queue::entry{each.entry}, true, each.who->outlet);
    }
    if (each.who->outlet != nullptr) static_cast<feed*>(each.who->outlet)->wake();
  }
}

}  // namespace parley::stomp
