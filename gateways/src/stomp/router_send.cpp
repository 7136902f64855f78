// SPDX-License-Identifier: MPL-2.0
//
// What a SEND leads to: whether there is room for it, and where it goes.
#include "stomp/router.hpp"

#include <parley/text.hpp>

#include <algorithm>
#include <utility>

#include "stomp/feed.hpp"
#include "stomp/quote.hpp"

namespace parley::stomp {
namespace {

using kind = destination::kind;

bool is_pattern(std::string_view topic) { return topic_prefix(topic).size() != topic.size(); }

}  // namespace

// All messages of the pending request, or none.
router::progress router::try_publish(client& by, bool again, clock::time_point now) {
  const progress possible = check(by, again);
  if (possible != progress::done) return possible;
  for (const message_ptr& each : by.session_.pending().messages) {
    counters_.sends.add();
    route(by, each, now);
  }
  return progress::done;
}

router::progress router::check(client& by, bool again) {
  struct need {
    named_queue* of;
    std::size_t messages, bytes;
  };
  const auto& messages = by.session_.pending().messages;
  std::vector<need> needs;
  std::size_t calls = 0;
  for (const message_ptr& each : messages) {
    const auto to = destination::parse(each->destination());
    if (!to) {
      by.session_.fail(destination::expected(each->destination()));
      return progress::failed;
    }
    if (!to->within(limits_.destinations)) {
      by.session_.fail(destination::too_long(limits_.destinations));
      return progress::failed;
    }
    named_queue* into = nullptr;
    if (to->what == kind::queue) {
      into = find_or_make_queue(to->name);
      if (into == nullptr) {
        by.session_.fail("too many queues: at most " + std::to_string(limits_.queue_count));
        return progress::failed;
      }
    } else if (to->what == kind::temp_queue) {
      temp_queue* const own = find_or_make_temp(by, to->name);
      if (own == nullptr) {
        by.session_.fail("too many temporary queues: at most " +
                         std::to_string(limits_.temp_queues) + " in one connection");
        return progress::failed;
      }
      into = own->messages.get();
    } else if (to->what == kind::reply_queue) {
      into = find_reply_queue(to->name, nullptr);
    } else if (to->what == kind::topic && is_pattern(to->name)) {
      by.session_.fail("SEND to the pattern " + quote(each->destination()) +
                       "; expected a topic without * and #");
      return progress::failed;
    } else if (to->what == kind::service) {
      const auto reply_to = each->find("reply-to");
      if (!reply_to || !reply_to->starts_with(by.session_.reply_prefix()) ||
          reply_to->size() == by.session_.reply_prefix().size()) {
        by.session_.fail("SEND to " + quote(each->destination()) +
                         " needs a reply-to header, such as reply-to:/temp-queue/answers");
        return progress::failed;
      }
      ++calls;
    }
    if (into == nullptr) continue;
    // A lone SEND, the usual case, needs no list.
    if (messages.size() == 1) {
      if ((again || into->producers.empty()) && into->has_room(1, each->size())) continue;
      into->dispatch();
      if ((again || into->producers.empty()) && into->has_room(1, each->size())) continue;
    }
    const auto known =
        std::find_if(needs.begin(), needs.end(), [&](const need& n) { return n.of == into; });
    if (known == needs.end()) {
      needs.push_back({into, 1, each->size()});
    } else {
      ++known->messages;
      known->bytes += each->size();
    }
  }
  if (calls > limits_.calls) {
    by.session_.fail("the transaction makes " + std::to_string(calls) + " calls; at most " +
                     std::to_string(limits_.calls) + " may be in flight");
    return progress::failed;
  }
  if (calls != 0 && by.calls_in_flight_ + calls > limits_.calls) {
    by.waits_for_calls_ = true;
    return progress::waits;
  }
  for (const need& each : needs) {
    if (!each.of->could_ever_hold(each.messages)) {
      by.session_.fail("the transaction sends " + std::to_string(each.messages) +
                       " messages to the queue " + quote(each.of->name) + ", which holds fewer");
      return progress::failed;
    }
    each.of->dispatch();
    if ((again || each.of->producers.empty()) && each.of->has_room(each.messages, each.bytes)) {
      continue;
    }
    const place_in_line entry{&by, each.messages, each.bytes};
    if (again) {
      each.of->producers.push_front(entry);  // it has waited longest
    } else {
      each.of->producers.push_back(entry);
    }
    by.blocked_on_ = each.of;
    return progress::waits;
  }
  return progress::done;
}

void router::route(client& by, const message_ptr& content, clock::time_point now) {
  const auto to = destination::parse(content->destination());
  if (content->has_reply_to()) expect_replies(by, *content);
  switch (to->what) {
    case kind::topic:
      route_topic(to->name, content);
      outside_.publish(to->name, content->body());
      return;
    case kind::service:
      route_call(by, *to, *content, now);
      return;
    case kind::queue: {
      named_queue* const into = find_or_make_queue(to->name);
      if (into == nullptr || !into->push(content)) return;  // check() made room
      into->dispatch();
      if (into->producers.empty()) return;
      touch(*into);
      return;
    }
    case kind::temp_queue: {
      temp_queue* const into = find_or_make_temp(by, to->name);
      if (into == nullptr || !into->messages->push(content)) return;
      into->messages->dispatch();
      return;
    }
    case kind::reply_queue: {
      client* asker = nullptr;
      named_queue* const into = find_reply_queue(to->name, &asker);
      const std::string_view name = to->name.substr(to->name.find('/') + 1);
      if (into == nullptr ||
          !into->push(content->redirected(std::string{temp_word}.append(name)))) {
        counters_.dropped_replies.add();  // its asker has gone: no fault of who answers
        return;
      }
      into->dispatch();
      return;
    }
  }
}

void router::route_topic(std::string_view name, const message_ptr& content) {
  for (feed* const each : topics_.match(name)) {
    if (each->own_) {
      each->enqueue(content);
    } else {
      each->deliver(*content);
    }
  }
}

void router::publish(std::string_view topic, std::string_view body) {
  counters_.native_in.add();
  if (!destination{kind::topic, topic, {}}.within(limits_.destinations)) {
    counters_.dropped_topics.add();
    return;
  }
  if (!topics_.match(topic).empty()) {
    const std::string_view type = detail::is_utf8(body) ? "text/plain" : "application/octet-stream";
    route_topic(topic, message::make(std::string{topic_word}.append(topic),
                                     {{"content-type", type}}, body));
  }
}

bool router::push(std::string_view queue_name, std::string_view body, waiter& by, bool again) {
  named_queue* const into = find_queue(queue_name);
  const std::string_view type = detail::is_utf8(body) ? "text/plain" : "application/octet-stream";
  message_ptr content =
      message::make(std::string{"/queue/"}.append(queue_name), {{"content-type", type}}, body);
  const std::size_t size = content->size();
  if ((!again && !into->producers.empty()) || !into->push(std::move(content))) {
    into->producers.push_back({&by, 1, size});
    touch(*into);
    return false;
  }
  counters_.native_in.add();
  touch(*into);
  return true;
}

}  // namespace parley::stomp
