// SPDX-License-Identifier: MPL-2.0
#include "gossip_book.hpp"

#include <algorithm>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;
using kind = gossip_message::kind;

// How often seeds are told, and how long what they are told counts.
constexpr auto told_every = 10s;
constexpr auto remembered = 60s;
// Between questions for all that a seed knows, for each fact: a minute for a thousand of them.
constexpr auto asked_every = 60ms;
constexpr std::size_t most_guests = 1000;

}  // namespace

gossip_book::time_point gossip_book::tick(time_point now) {
  if (now >= next_tell_) {
    next_tell_ = now + told_every;
    std::erase_if(facts_, [now](const auto& each) { return each.second.until <= now; });
    tell_seeds(now);
  }
  return next_tell_;
}

void gossip_book::tell_seeds(time_point now) {
  const bool asks = now >= next_ask_;
  if (asks) {
    // Not all at a time, though they may all have begun when their seed did: by their ids.
    const auto usual = std::max<std::chrono::milliseconds>(told_every, facts_.size() * asked_every);
    next_ask_ = now + usual / 2 + usual * own_.bytes().front() / 255;
  }
  for (std::size_t seed = 0; seed < seeds_; ++seed) {
    if (asks) {
      steps_.push_back({.guest = {}, .seed = seed, .said = {.what = kind::hello}});
    }
    steps_.push_back({.guest = {}, .seed = seed, .is_self = true});
    for (const auto& [text, each] : facts_) {
      if (!each.is_of_seed) {
        steps_.push_back({.guest = {}, .seed = seed, .said = each.told});
      }
    }
  }
}

void gossip_book::hear_seed(std::size_t which, std::string_view frame, time_point now) {
  const auto told = read_gossip(frame);
  const auto fact = told && told->what == kind::publish ? fact_of(*told) : std::nullopt;
  if (fact) {
    heard_.push_back(*fact);
    if (learn(*fact, true, now)) {
      pass_on(*fact, {}, which);
    }
  }
}

void gossip_book::hear_guest(const std::string& address, const std::string& host,
                             std::string_view frame, time_point now) {
  const auto said = read_gossip(frame);
  if (!said) {
    steps_.push_back({.guest = address, .said = {.what = kind::invalid}});
    return;
  }
  switch (said->what) {
    case kind::hello:
      greet(address, host);
      break;
    case kind::publish:
      // One that asked us before we were started anew, or before its connection broke.
      if (!guests_.contains(address)) {
        greet(address, host);
      }
      if (const auto fact = fact_of(*said)) {
        heard_.push_back(*fact);
        if (learn(*fact, false, now)) {
          pass_on(*fact, address, nobody);
        }
      }
      break;
    case kind::ping:
      steps_.push_back({.guest = address, .said = {.what = kind::pong}});
      break;
    default:
      break;
  }
}

void gossip_book::greet(const std::string& address, const std::string& host) {
  if (!guests_.contains(address)) {
    if (guests_.size() >= most_guests) {
      return;
    }
    guests_.insert(address);
  }
  steps_.push_back({.guest = address, .is_self = true, .host = host});
  for (const auto& [text, each] : facts_) {
    steps_.push_back({.guest = address, .said = each.told});
  }
}

// True: it is new.
bool gossip_book::learn(const gossip_fact& fact, bool is_of_seed, time_point now) {
  if (fact.who == own_) {
    return false;
  }
  gossip_message told = message_of(fact);
  std::string text = told.key + told.value;
  if (const auto same = facts_.find(text); same != facts_.end()) {
    same->second.until = now + remembered;
    same->second.is_of_seed = same->second.is_of_seed || is_of_seed;
    return false;
  }
  if (facts_.size() >= most_facts_) {
    return false;
  }
  facts_.emplace(std::move(text), known{std::move(told), now + remembered, is_of_seed});
  return true;
}

void gossip_book::know(const gossip_fact& fact, time_point now) {
  if (learn(fact, false, now)) {
    pass_on(fact, {}, nobody);
  }
}

void gossip_book::pass_on(const gossip_fact& fact, const std::string& but_guest,
                          std::size_t but_seed) {
  const gossip_message told = message_of(fact);
  for (const std::string& each : guests_) {
    if (each != but_guest) {
      steps_.push_back({.guest = each, .said = told});
    }
  }
  for (std::size_t seed = 0; seed < seeds_; ++seed) {
    if (seed != but_seed) {
      steps_.push_back({.guest = {}, .seed = seed, .said = told});
    }
  }
}

}  // namespace parley::detail
