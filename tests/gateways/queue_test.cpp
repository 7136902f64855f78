// SPDX-License-Identifier: MPL-2.0
#include "stomp/queue.hpp"

#include <random>

#include "support/catch.hpp"

using namespace parley::stomp;

namespace {

struct taker final : queue::consumer {
  explicit taker(std::size_t most = 100) : credit{most} {}

  queue::taken try_take(const queue::entry& next) override {
    if (taken.size() == credit) return queue::taken::refused;
    taken.push_back(next);
    return queue::taken::held;
  }
  std::string bodies() const {
    std::string out;
    for (const auto& each : taken) {
      out += each.content->body();
      if (each.redelivered) out += '!';
    }
    return out;
  }

  std::size_t credit;
  std::vector<queue::entry> taken;
};

struct fixture {
  bool push(std::string_view body) {
    const bool accepted = jobs.push(message::make("/queue/jobs", {}, body));
    jobs.dispatch();
    return accepted;
  }
  void join(taker& who) {
    jobs.add(who);
    jobs.dispatch();
  }
  // Newest first, as sessions do.
  void leave(taker& who) {
    jobs.remove(who);
    while (!who.taken.empty()) {
      jobs.give_back(who.taken.back(), false, &who);
      who.taken.pop_back();
    }
    jobs.dispatch();
  }
  queue::returned reject(taker& who, std::size_t which = 0) {
    const auto entry = who.taken[which];
    who.taken.erase(who.taken.begin() + static_cast<std::ptrdiff_t>(which));
    const auto result = jobs.give_back(entry, true, &who);
    jobs.wake(who);
    jobs.dispatch();
    return result;
  }

  queue jobs{queue_limits{.messages = 5, .bytes = 1'000'000, .attempts = 3}};
};

}  // namespace

TEST_CASE("a queue keeps what nobody takes yet, in order") {
  fixture f;
  for (const char* const body : {"a", "b", "c"})
    CHECK(f.push(body));
  taker one;
  f.join(one);
  CHECK(one.bodies() == "abc");
}

TEST_CASE("each message goes to one consumer, in turn") {
  fixture f;
  taker one, two;
  f.join(one);
  f.join(two);
  for (const char* const body : {"a", "b", "c", "d"})
    f.push(body);
  CHECK(one.bodies() == "ac");
  CHECK(two.bodies() == "bd");
}

TEST_CASE("a consumer without credit is passed over until it is woken") {
  fixture f;
  taker one{1}, two;
  f.join(one);
  f.join(two);
  for (const char* const body : {"a", "b", "c", "d"})
    f.push(body);
  CHECK(one.bodies() == "a");
  CHECK(two.bodies() == "bcd");
  f.jobs.settled(one.taken[0]);
  one.taken.clear();
  f.jobs.remove(two);
  f.push("e");
  CHECK(one.bodies().empty());
  f.jobs.wake(one);
  f.jobs.dispatch();
  CHECK(one.bodies() == "e");
}

TEST_CASE("push refuses when full, and in-flight messages count") {
  fixture f;
  taker one;
  f.join(one);
  for (const char* const body : {"a", "b", "c", "d", "e"})
    CHECK(f.push(body));
  CHECK(f.jobs.in_flight() == 5);
  CHECK_FALSE(f.push("f"));
  CHECK_FALSE(f.jobs.has_room(1, 1));
  f.jobs.settled(one.taken[0]);
  CHECK(f.push("f"));
}

TEST_CASE("the limit in bytes refuses too, but for a message alone") {
  queue jobs{queue_limits{.messages = 5, .bytes = 1'000, .attempts = 3}};
  CHECK(jobs.push(message::make("/queue/jobs", {}, std::string(5'000, 'x'))));
  CHECK_FALSE(jobs.push(message::make("/queue/jobs", {}, "y")));
}

TEST_CASE("what a dead consumer held goes to another one, first and in order") {
  fixture f;
  taker one{3}, two;
  f.join(one);
  for (const char* const body : {"a", "b", "c", "d"})
    f.push(body);
  f.leave(one);
  f.join(two);
  CHECK(two.bodies() == "a!b!c!d");
}

TEST_CASE("a rejected message goes to somebody else") {
  fixture f;
  taker one, two;
  f.join(one);
  f.push("a");
  f.join(two);
  CHECK(f.reject(one) == queue::returned::waits);
  CHECK(one.bodies().empty());
  CHECK(two.bodies() == "a!");
}

TEST_CASE("a message that its only consumer keeps rejecting is given up") {
  fixture f;
  taker one;
  f.join(one);
  f.push("a");
  CHECK(f.reject(one) == queue::returned::waits);
  CHECK(f.reject(one) == queue::returned::waits);
  CHECK(f.reject(one) == queue::returned::given_up);
  CHECK(one.taken.empty());
  CHECK(f.jobs.size() == 0);
}

TEST_CASE("consumers that die do not use up a message's attempts") {
  fixture f;
  f.push("a");
  for (int i = 0; i < 20; ++i) {
    taker one;
    f.join(one);
    REQUIRE(one.taken.size() == 1);
    f.leave(one);
  }
  CHECK(f.jobs.waiting() == 1);
}

TEST_CASE("whatever happens, accepted = waiting + in flight + settled + given up") {
  std::mt19937 random{42};
  queue jobs{queue_limits{.messages = 50, .bytes = 1'000'000, .attempts = 3}};
  std::vector<std::unique_ptr<taker>> takers;
  std::size_t accepted = 0, finished = 0;
  for (int step = 0; step < 20'000; ++step) {
    const auto pick = [&](std::size_t n) { return random() % n; };
    switch (pick(6)) {
      case 0:
      case 1:
        accepted += jobs.push(message::make("/queue/jobs", {}, "x"));
        break;
      case 2:
        if (takers.size() < 5) jobs.add(*takers.emplace_back(std::make_unique<taker>(pick(4) + 1)));
        break;
      case 3:
        if (!takers.empty() && pick(10) == 0) {
          const auto gone = takers.begin() + static_cast<std::ptrdiff_t>(pick(takers.size()));
          jobs.remove(**gone);
          while (!(*gone)->taken.empty()) {
            jobs.give_back((*gone)->taken.back(), false, gone->get());
            (*gone)->taken.pop_back();
          }
          takers.erase(gone);
        }
        break;
      default:
        if (!takers.empty()) {
          taker& who = *takers[pick(takers.size())];
          if (who.taken.empty()) break;
          const auto which = pick(who.taken.size());
          const auto entry = who.taken[which];
          who.taken.erase(who.taken.begin() + static_cast<std::ptrdiff_t>(which));
          if (pick(3) == 0) {
            finished += jobs.give_back(entry, true, &who) == queue::returned::given_up;
          } else {
            jobs.settled(entry);
            ++finished;
          }
          jobs.wake(who);
        }
    }
    jobs.dispatch();
    std::size_t held = 0;
    for (const auto& each : takers)
      held += each->taken.size();
    REQUIRE(held == jobs.in_flight());
    REQUIRE(accepted == jobs.size() + finished);
    REQUIRE(jobs.size() <= 50);
  }
  CHECK(finished > 1'000);
}
