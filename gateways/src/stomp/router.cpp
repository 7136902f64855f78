// SPDX-License-Identifier: MPL-2.0
#include "stomp/router.hpp"

#include <algorithm>
#include <exception>
#include <random>
#include <utility>

#include "stomp/feed.hpp"
#include "stomp/quote.hpp"

namespace parley::stomp {
namespace {

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

}  // namespace

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
  std::erase_if(calls_, [&](const auto& each) { return each.second.by == &gone; });
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

// ---- the native side ----

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
