// SPDX-License-Identifier: MPL-2.0
#include "stomp/router.hpp"

#include <algorithm>
#include <charconv>
#include <exception>
#include <optional>
#include <random>
#include <utility>

#include "stomp/quote.hpp"

namespace parley::stomp {
namespace {

using std::chrono::milliseconds;
using kind = destination::kind;

constexpr std::string_view topic_word = "/topic/";
constexpr std::string_view temp_word = "/temp-queue/";
constexpr std::string_view reply_word = "/reply-queue/";

// Names one session's reply queues: nobody else can guess it.
std::string make_token() {
  static constexpr char digits[] = "0123456789abcdef";
  std::random_device random;
  std::string token;
  for (int i = 0; i < 4; ++i) {
    for (std::uint32_t bits = random(), n = 0; n < 8; ++n, bits >>= 4)
      token += digits[bits & 15];
  }
  return token;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_pattern(std::string_view topic) { return topic_prefix(topic).size() != topic.size(); }

}  // namespace

// One subscription's place: where it gets messages from, and whether it can take one.
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

// ---- client ----

router::client::client(router& owner, clock::time_point now)
    : owner_{owner},
      token_{make_token()},
      reader_{owner.limits_.frames},
      session_{owner.limits_.sessions, owner.next_session_++,
               std::string{reply_word} + token_ + "/", now} {
  owner_.by_token_.emplace(token_, this);
  owner_.counters_.connections.add();
  owner_.counters_.connections_total.add();
}

router::client::~client() = default;

clock::time_point router::client::due() const noexcept {
  const clock::time_point own = session_.due();
  return blocked() ? std::min(own, blocked_until_) : own;
}

void router::client::on_room() {
  blocked_on_ = nullptr;
  owner_.resumable_.push_back(this);
}

// ---- the rim of a client ----

void router::received(client& from, clock::time_point now) {
  from.session_.heard(now);
  advance(from, now);
  run(now);
}

void router::sent(client& to, clock::time_point now) {
  to.session_.sent(now, done_);
  for (const delivery& each : done_) {
    each.from->settled(each.entry);
    touch(*each.from);
  }
  done_.clear();
  for (const auto& each : to.feeds_)
    each->wake();
  if (std::exchange(to.stalled_, false)) {
    to.session_.listen_again(now);
    attend(to);
    advance(to, now);
  }
  run(now);
}

bool router::tick(client& of, clock::time_point now) {
  if (of.blocked() && now >= of.blocked_until_) {
    of.session_.fail(
        (of.blocked_on_ != nullptr ? "the queue " + quote(of.blocked_on_->name) + " stayed full"
                                   : "too many calls stayed in flight") +
        " for " + std::to_string(limits_.queue_wait.count()) + " ms; the message was not accepted");
    release(of);
    run(now);
    return true;
  }
  const bool alive = of.session_.tick(now);
  if (!alive) counters_.dead.add();
  if (of.session_.has_output()) attend(of);
  run(now);
  return alive;
}

void router::close(client& of, std::string_view sentence) {
  of.session_.fail(sentence);
  release(of);
  run(clock::now());
}

void router::disconnect(client& gone) {
  release(gone);
  for (delivery& each : gone.session_.take_unsent()) {
    give_back(*each.from, std::move(each.entry), false, nullptr);
  }
  // Whoever waits for room in a queue that goes now finds it gone when asked again.
  for (auto& [name, temp] : gone.temp_queues_) {
    for (const place_in_line& each : temp.messages->producers)
      each.who->on_room();
    counters_.dropped_replies.add(temp.messages->size());
    std::erase(touched_, temp.messages.get());
  }
  gone.temp_queues_.clear();
  std::erase_if(calls_, [&](const auto& each) {
    if (each.second.by != &gone) return false;
    deadlines_.erase({each.second.deadline, each.first});
    return true;
  });
  by_token_.erase(gone.token_);
  std::erase(resumable_, &gone);
  counters_.connections.subtract();
  run(clock::now());
  std::erase(changed_, &gone);
}

// Everything a client holds goes back as soon as it closes, while its last bytes are still sent.
void router::release(client& closing) {
  if (std::exchange(closing.released_, true)) return;
  attend(closing);
  if (closing.blocked_on_ != nullptr) {
    std::erase_if(closing.blocked_on_->producers,
                  [&](const place_in_line& each) { return each.who == &closing; });
    touch(*closing.blocked_on_);
    closing.blocked_on_ = nullptr;
  }
  closing.waits_for_calls_ = false;
  if (closing.session_.failed()) counters_.errors.add();
  for (const settlement& each : closing.session_.pending().settlements) {
    give_back(*each.from, queue::entry{each.entry}, false, nullptr);
  }
  auto& subscriptions = closing.session_.subscriptions();
  while (!subscriptions.empty()) {
    unsubscribe(closing, *subscriptions.back());
    subscriptions.pop_back();
  }
}

void router::attend(client& changed) {
  if (!std::exchange(changed.changed_, true)) changed_.push_back(&changed);
}

void router::touch(queue& changed) {
  auto& named = static_cast<named_queue&>(changed);
  if (!std::exchange(named.touched, true)) touched_.push_back(&named);
}

// The net below all that a peer's bytes lead to: what is thrown ends that client alone.
template<typename Work>
void router::guard(client& of, Work&& work) {
  try {
    work();
  } catch (const std::exception& problem) {
    outside_.report(std::string{"a client was closed: "} + problem.what());
    if (!of.session_.closing()) of.session_.fail("the gateway failed to carry this out");
    release(of);
  }
}

// What one event leads to: queues hand out, room is given to who waits for it, and so on until
// nothing moves. Each step settles, delivers or accepts something, so it ends.
void router::run(clock::time_point now) {
  while (!touched_.empty() || !resumable_.empty()) {
    if (resumable_.empty()) {
      named_queue& next = *touched_.back();
      touched_.pop_back();
      next.touched = false;
      next.dispatch();
      while (!next.producers.empty() &&
             next.has_room(next.producers.front().messages, next.producers.front().bytes)) {
        waiter* const who = next.producers.front().who;
        next.producers.pop_front();
        who->on_room();
        // A client is asked again below, and takes its room before the next is told of it.
        if (!resumable_.empty()) {
          touch(next);
          break;
        }
      }
      if (!next.kept && !next.touched && next.size() == 0 && !next.has_consumers() &&
          next.producers.empty()) {
        queues_.erase(next.name);
      }
      continue;
    }
    client& next = *resumable_.front();
    resumable_.pop_front();
    if (next.session_.closing()) continue;
    guard(next, [&] {
      const progress came = try_publish(next, true, now);
      if (came == progress::waits) return;
      next.session_.listen_again(now);
      attend(next);
      if (came == progress::done) {
        settle(next);
        next.session_.complete();
      }
    });
    if (!next.blocked()) advance(next, now);
  }
  // attend() may lead to a call of the router again, which then finds an empty list.
  while (!changed_.empty()) {
    client& next = *changed_.back();
    changed_.pop_back();
    next.changed_ = false;
    next.attend();
  }
}

void router::advance(client& of, clock::time_point now) {
  while (!of.session_.closing() && !of.blocked()) {
    // Topics are dropped for it long before.
    if (of.session_.unsent_bytes() >= 2 * limits_.output) {
      // It does not read what it asked for: it is not read from either.
      of.stalled_ = true;
      of.session_.stop_listening();
      attend(of);
      break;
    }
    const auto outcome = of.reader_.next();
    if (outcome == frame_reader::outcome::more) break;
    if (outcome == frame_reader::outcome::wrong) {
      of.session_.malformed(of.reader_.problem());
      break;
    }
    guard(of, [&] {
      of.session_.receive(of.reader_.current(), now);
      perform(of, now);
    });
  }
  if (of.session_.has_output()) attend(of);
  if (of.session_.closing()) release(of);
}

void router::perform(client& of, clock::time_point now) {
  const request& asked = of.session_.pending();
  switch (asked.what) {
    case request::kind::none:
      return;
    case request::kind::log_in:  // any login is accepted
      of.session_.complete();
      of.reader_.set_version(of.session_.negotiated());
      return;
    case request::kind::publish: {
      const progress came = try_publish(of, false, now);
      if (came == progress::failed) return;
      if (came == progress::waits) {
        of.blocked_until_ = now + limits_.queue_wait;
        of.session_.stop_listening();
        counters_.waits.add();
        attend(of);
        return;
      }
      settle(of);
      break;
    }
    case request::kind::subscribe:
      subscribe(of, *asked.subject);
      if (of.session_.closing()) return;
      break;
    case request::kind::unsubscribe:
      unsubscribe(of, *asked.subject);
      break;
    case request::kind::settle:
      settle(of);
      break;
    case request::kind::leave:
      break;
  }
  of.session_.complete();
}

// ---- SEND ----

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
    const std::string_view type = is_utf8(body) ? "text/plain" : "application/octet-stream";
    route_topic(topic, message::make(std::string{topic_word}.append(topic),
                                     {{"content-type", type}}, body));
  }
}

bool router::push(std::string_view queue_name, std::string_view body, waiter& by, bool again) {
  named_queue* const into = find_queue(queue_name);
  const std::string_view type = is_utf8(body) ? "text/plain" : "application/octet-stream";
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

// ---- services ----

// A reply needs no SUBSCRIBE: where there is none, the client gets it under the name of the queue.
void router::expect_replies(client& by, const message& content) {
  const std::string reply_to = content.find("reply-to").value_or("");
  if (!reply_to.starts_with(by.session_.reply_prefix())) return;
  const std::string_view name =
      std::string_view{reply_to}.substr(by.session_.reply_prefix().size());
  temp_queue* const replies = find_or_make_temp(by, name);
  if (replies == nullptr || replies->subscribed || replies->messages->has_consumers()) return;
  subscription& implied = by.session_.add_implicit(std::string{temp_word}.append(name));
  feed& to = add_feed(by, implied);
  to.source_ = replies->messages.get();
  to.source_->add(to);
}

void router::route_call(client& by, const destination& to, const message& content,
                        clock::time_point now) {
  const std::string reply_to =
      std::string{temp_word} +
      content.find("reply-to").value_or("").substr(by.session_.reply_prefix().size());
  const std::string correlation = content.find("correlation-id").value_or("");
  const std::string type = content.find("content-type").value_or("");
  const bool wants_msgpack = is_msgpack(type);
  const auto refuse = [&](std::string error, std::string text) {
    answer(by, reply_to, correlation, {false, {}, std::move(error), std::move(text)},
           wants_msgpack);
  };
  counters_.calls.add();

  milliseconds timeout = limits_.call_timeout;
  if (const auto asked = content.find("timeout")) {
    const auto value = parse_number(*asked);
    if (!value || *value < 1) {
      return refuse("bad_request", "timeout is " + quote(*asked) + "; expected milliseconds");
    }
    timeout = milliseconds{std::min<std::int64_t>(*value, 24 * 60 * 60 * 1000)};
  } else if (const auto expires = content.find("expires"); expires && *expires != "0") {
    const auto value = parse_number(*expires);
    const auto since_1970 = std::chrono::duration_cast<milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    if (!value) {
      return refuse("bad_request",
                    "expires is " + quote(*expires) + "; expected milliseconds since 1970");
    }
    if (*value <= since_1970.count()) return refuse("timed_out", "the request had expired");
    timeout = std::min(milliseconds{*value} - since_1970, milliseconds{24 * 60 * 60 * 1000});
  }
  const service_parameters parameters = to_parameters(type, content.body());
  if (!parameters.problem.empty()) return refuse("bad_request", parameters.problem);

  const std::uint64_t number = next_call_++;
  const clock::time_point deadline = now + timeout;
  switch (outside_.call(number, to.name, to.method, parameters.packed, deadline)) {
    case native::call_start::started:
      break;
    case native::call_start::no_such_service:
      return refuse("no_such_service", "this gateway knows no service " + quote(to.name));
    case native::call_start::busy:
      return refuse("busy", "the service " + quote(to.name) + " has too many calls waiting");
  }
  calls_.emplace(number, call{&by, deadline, reply_to, correlation, wants_msgpack});
  deadlines_.emplace(deadline, number);
  ++by.calls_in_flight_;
}

void router::replied(std::uint64_t number, const service_reply& reply) {
  const auto found = calls_.find(number);
  if (found == calls_.end()) {
    counters_.dropped_replies.add();  // too late, or its asker has gone
    return;
  }
  const call asked = std::move(found->second);
  calls_.erase(found);
  deadlines_.erase({asked.deadline, number});
  --asked.by->calls_in_flight_;
  answer(*asked.by, asked.reply_to, asked.correlation, reply, asked.wants_msgpack);
  if (std::exchange(asked.by->waits_for_calls_, false)) resumable_.push_back(asked.by);
}

void router::expire_calls(clock::time_point now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    replied(deadlines_.begin()->second,
            {false, {}, "timed_out", "the service did not answer in time"});
  }
}

void router::answer(client& to, const std::string& reply_to, const std::string& correlation,
                    const service_reply& reply, bool wants_msgpack) {
  std::vector<header> headers;
  if (!correlation.empty()) headers.push_back({"correlation-id", correlation});
  std::string body;
  service_reply shown = reply;
  if (shown.ok) {
    body = wants_msgpack ? shown.result : to_json(shown.result);
    if (body.empty()) shown = {false, {}, "protocol", "the service's reply is no MessagePack"};
  }
  if (shown.ok) {
    headers.push_back({"content-type", wants_msgpack ? "application/msgpack" : "application/json"});
  } else {
    counters_.calls_failed.add();
    headers.push_back({"error", shown.error.empty() ? std::string_view{"error"} : shown.error});
    headers.push_back({"content-type", "text/plain"});
    body = shown.text;
  }
  temp_queue* const into =
      find_or_make_temp(to, std::string_view{reply_to}.substr(temp_word.size()));
  if (into == nullptr || !into->messages->push(message::make(reply_to, headers, body))) {
    counters_.dropped_replies.add();
    return;
  }
  touch(*into->messages);
}

// ---- SUBSCRIBE, UNSUBSCRIBE, ACK, NACK ----

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

// ---- queues ----

router::named_queue* router::find_queue(std::string_view name) {
  const auto known = queues_.find(name);
  return known == queues_.end() ? nullptr : known->second.get();
}

// Who makes one pushes to it, subscribes or waits; run() removes it when it is of no use.
router::named_queue* router::find_or_make_queue(std::string_view name) {
  if (named_queue* const known = find_queue(name)) return known;
  if (queues_.size() >= limits_.queue_count) return nullptr;
  return &make_queue(name);
}

router::named_queue& router::make_queue(std::string_view name) {
  auto made = std::make_unique<named_queue>(limits_.queues, name);
  named_queue& result = *made;
  queues_.emplace(std::string{name}, std::move(made));
  touch(result);
  return result;
}

router::temp_queue* router::find_or_make_temp(client& of, std::string_view name) {
  if (const auto known = of.temp_queues_.find(name); known != of.temp_queues_.end()) {
    return &known->second;
  }
  if (of.temp_queues_.size() >= limits_.temp_queues) return nullptr;
  temp_queue made;
  made.messages =
      std::make_unique<named_queue>(limits_.queues, std::string{temp_word}.append(name));
  made.messages->kept = true;
  return &of.temp_queues_.emplace(std::string{name}, std::move(made)).first->second;
}

router::named_queue* router::find_reply_queue(std::string_view name, client** owner) {
  const auto asker = by_token_.find(name.substr(0, name.find('/')));
  if (asker == by_token_.end() || name.find('/') == std::string_view::npos) return nullptr;
  // Others cannot make queues here: only what the asker named is there.
  const auto known = asker->second->temp_queues_.find(name.substr(name.find('/') + 1));
  if (known == asker->second->temp_queues_.end()) return nullptr;
  if (owner != nullptr) *owner = asker->second;
  return known->second.messages.get();
}

void router::keep(std::string_view queue_name) {
  named_queue* const known = find_queue(queue_name);
  (known != nullptr ? *known : make_queue(queue_name)).kept = true;
}

void router::attach(std::string_view queue_name, queue::consumer& who) {
  named_queue* const source = find_queue(queue_name);
  source->add(who);
  touch(*source);
}

void router::wake(std::string_view queue_name, queue::consumer& who) {
  named_queue* const source = find_queue(queue_name);
  source->wake(who);
  touch(*source);
}

bool router::has_waiting(std::string_view queue_name) const {
  const auto known = queues_.find(queue_name);
  return known != queues_.end() && known->second->waiting() != 0;
}

}  // namespace parley::stomp
