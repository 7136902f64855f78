// SPDX-License-Identifier: MPL-2.0
//
// Publish-subscribe when processes die, sleep and come back, when the link between them is cut,
// stalled and slow, when one of many is slow, and when the other side is hostile. Every time the
// books balance to the message: what comes is in order and comes once, what does not is named.
#include <parley/error.hpp>
#include <parley/forwarder.hpp>
#include <parley/monitor.hpp>
#include <parley/pub_sub.hpp>
#include <parley/socket.hpp>

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "feed_wire.hpp"
#include "support/await.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/connected.hpp"
#include "support/fault_proxy.hpp"
#include "support/nothing_left.hpp"
#include "support/sanitizers.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace std::chrono_literals;
using namespace parley::detail;
using support::await;
using support::child;
using support::fault_proxy;
using support::nothing_left;
using support::patience;

namespace {

using kind = feed_event::kind;

// What the allocator has given out.
std::size_t bytes_in_use() {
  const struct mallinfo2 all = ::mallinfo2();
  return all.uordblks + all.hblkhd;
}

// Receives the messages of one topic of one publisher, whose bodies are their numbers, and says
// what was wrong. Not for newest_by_topic.
class receiver {
 public:
  explicit receiver(subscriber& from, std::uint64_t next = 1) : from_{from}, next_{next} {
    from_.on_event([this](const feed_event& event) { hear(event); });
  }
  receiver(const receiver&) = delete;

  // Everything up to that number was received, or told as lost.
  bool reach(std::uint64_t last) {
    auto end = std::chrono::steady_clock::now() + patience;
    while (next_ <= last && std::chrono::steady_clock::now() < end) {
      if (receive(10ms)) {  // a loss ends no receive
        end = std::chrono::steady_clock::now() + patience;
      }
    }
    return is_good && next_ == last + 1;
  }
  // False: nothing came.
  bool receive(std::chrono::steady_clock::duration limit) {
    const std::uint64_t before = next_;
    const auto got = from_.receive_for(limit);
    if (got) {
      is_good = is_good && got->sequence == next_ && got->body == std::to_string(next_);
      ++received;
      next_ = got->sequence + 1;
    }
    return next_ != before;
  }
  [[nodiscard]] std::vector<feed_event> all(kind what) const {
    std::vector<feed_event> found = events;
    std::erase_if(found, [what](const feed_event& each) { return each.what != what; });
    return found;
  }
  [[nodiscard]] std::uint64_t next() const noexcept { return next_; }

  bool is_good = true;  // in order, once, and each gap was told
  std::uint64_t received = 0;
  std::uint64_t lost = 0;
  std::uint64_t joined = 0;          // publishers; each begins anew
  bool is_behind_forwarder = false;  // who joins is not who publishes
  std::vector<feed_event> events;

 private:
  void hear(const feed_event& event) {
    events.push_back(event);
    if (event.what == kind::joined && !is_behind_forwarder && joined != event.publisher) {
      next_ = joined == 0 ? next_ : 1;
      joined = event.publisher;
    }
    if (event.what == kind::lost) {
      is_good = is_good && event.first == next_ && event.count == event.last - event.first + 1;
      lost += event.count;
      next_ = event.last + 1;
    }
  }

  subscriber& from_;
  std::uint64_t next_;
};

void publish(publisher& by, std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t number = first; number <= last; ++number) {
    if (by.publish("n", std::to_string(number)) != number) {
      FAIL("another number than " << number);
    }
  }
}

// What was received is said by who receives.
bool is_delivered(const publisher& of, receiver& to) {
  return await([&] {
    static_cast<void>(to.receive(1ms));
    return of.wait_until_delivered(0ms);
  });
}

// One subscriber's books.
prefix_ledger books(const publisher& of) {
  const std::vector<subscriber_ledger> all = of.ledger();
  REQUIRE(all.size() == 1);
  return all.front().sum();
}

// What was delivered, and what was lost for which reason, on either end: "prefix:1+2.3.0.0.0.0.0 ".
std::string line_of(const std::string& prefix, std::uint64_t delivered, const loss_counts& lost) {
  std::string line = prefix + ":" + std::to_string(delivered) + "+";
  for (std::size_t reason = 0; reason < loss_reasons; ++reason) {
    line += std::to_string(lost[static_cast<loss_reason>(reason)]) + ".";
  }
  return line + " ";
}
std::string by_prefix(const subscriber_ledger& of) {
  std::string text;
  for (const prefix_ledger& each : of.prefixes) {
    text += line_of(each.prefix, each.delivered, each.dropped);
  }
  return text;
}
std::string by_prefix(const feed_ledger& of) {
  std::string text;
  for (const feed_prefix_ledger& each : of.prefixes) {
    text += line_of(each.prefix, each.received, each.lost);
  }
  return text;
}

bool is_here(const publisher& of) {
  const std::vector<subscriber_ledger> all = of.ledger();
  return all.size() == 1 && all.front().is_here;
}

// A publisher in a process of its own, which has published some before it can be reached, says
// where it is, and then goes on whenever it gets a subscriber.
child publish_in_child(const std::string& where, std::uint64_t before, std::size_t history) {
  return child{[=](child::line out) {
    context own;
    publisher feed{own, {.history = history}};
    publish(feed, 1, before);
    static_cast<void>(feed.wait_until_delivered(patience));
    out.say(feed.bind(where).str());
    static_cast<void>(feed.wait_for_subscribers(1, patience, "n"));
    publish(feed, before + 1, before + 100);
    for (;;) {
      ::pause();
    }
  }};
}

// Where the next one of a child can bind too.
std::string fresh_place(bool over_ipc, const support::temporary_directory& fresh) {
  return over_ipc ? "ipc://" + (fresh / "feed").string() : "tcp://127.0.0.1:0";
}

}  // namespace

TEST_CASE("a publisher that is killed and started anew is joined, and all it published comes") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  for (const bool over_ipc : {false, true}) {
    const support::temporary_directory fresh;
    std::unique_ptr<child> feeding{
        new child(publish_in_child(fresh_place(over_ipc, fresh), 0, 1000))};
    const endpoint where{feeding->hear()};
    context owner;
    subscriber reader{owner, where, {"n"}};
    receiver got{reader};
    CHECK(got.reach(100));
    for (int round = 0; round < 3; ++round) {
      const std::uint64_t before = got.joined;
      feeding->kill();
      feeding.reset(new child(publish_in_child(where.str(), 500, 1000)));
      CHECK(feeding->hear() == where.str());
      REQUIRE(await([&] {
        static_cast<void>(got.receive(1ms));
        return got.joined != before;
      }));
      CHECK(got.reach(600));
      CHECK(got.lost == 0);
    }
    CHECK(got.received == 100 + 3 * 600);
  }
}

TEST_CASE("what a publisher that was started anew forgot is told as one range") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  for (const std::size_t history : {0, 50}) {
    const support::temporary_directory fresh;
    std::unique_ptr<child> feeding{new child(publish_in_child("tcp://127.0.0.1:0", 0, 1000))};
    const endpoint where{feeding->hear()};
    context owner;
    subscriber reader{owner, where, {"n"}};
    receiver got{reader};
    CHECK(got.reach(100));
    const std::uint64_t before = got.joined;
    feeding->kill();
    feeding.reset(new child(publish_in_child(where.str(), 500, history)));
    CHECK(feeding->hear() == where.str());
    REQUIRE(await([&] {
      static_cast<void>(got.receive(1ms));
      return got.joined != before;
    }));
    CHECK(got.reach(600));
    const std::vector<feed_event> losses = got.all(kind::lost);
    REQUIRE(losses.size() == 1);
    const feed_event& loss = losses.front();
    CHECK(loss.reason == loss_reason::forgotten);
    CHECK(loss.publisher == got.joined);
    CHECK(loss.first == 1);
    CHECK(loss.last >= 500 - history);
    CHECK(loss.last <= 600 - history);
  }
}

TEST_CASE("the books of a subscriber that was stopped balance to the message") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  for (const lag_policy policy : {lag_policy::drop_oldest, lag_policy::drop_newest}) {
    for (const bool over_ipc : {false, true}) {
      constexpr std::uint64_t published = 300'000;
      const support::temporary_directory fresh;
      const std::string place = fresh_place(over_ipc, fresh);
      child sleepy{[place](child::line out) {
        context own;
        subscriber reader{own, {.limit = 500}};
        reader.subscribe("n");
        out.say(reader.bind(place).str());
        receiver got{reader};
        out.say(std::to_string(reader.id()));
        if (!got.reach(published)) {
          out.say("gap at " + std::to_string(got.next()));
        }
        const std::vector<feed_ledger> heard = reader.ledger();
        out.say(std::to_string(got.received) + " " + std::to_string(got.lost) + " " +
                by_prefix(heard.front()));
        for (;;) {
          static_cast<void>(reader.receive());
        }
      }};
      context owner;
      publisher feed{owner, {.limit = 1000, .when_lagging = policy}};
      feed.connect(endpoint{sleepy.hear()});
      const std::uint64_t id = std::stoull(sleepy.hear());
      REQUIRE(feed.wait_for_subscribers(1, patience, "n"));
      publish(feed, 1, 100'000);
      sleepy.stop();
      publish(feed, 100'001, 200'000);
      CHECK(books(feed).dropped[loss_reason::lagged] >= 100'000 - 1000 - 4096 - 500);
      sleepy.resume();
      publish(feed, 200'001, published);
      REQUIRE(feed.wait_until_delivered(patience));
      const prefix_ledger kept = books(feed);
      CHECK(feed.ledger().front().id == id);
      CHECK(kept.published == published);
      CHECK(kept.queued == 0);
      CHECK(kept.delivered + kept.dropped.total() == published);
      CHECK(sleepy.hear() == std::to_string(kept.delivered) + " " +
                                 std::to_string(kept.dropped.total()) + " " +
                                 by_prefix(feed.ledger().front()));
    }
  }
}

TEST_CASE("a link that is cut within the memory loses nothing") {
  const nothing_left afterwards;
  context owner;
  publisher feed{owner};
  fault_proxy proxy{feed.bind("tcp://127.0.0.1:0")};
  subscriber reader{owner, proxy.where(), {"n"}};
  receiver got{reader};
  REQUIRE(feed.wait_for_subscribers(1, patience, "n"));
  std::minstd_rand random{1};
  std::uint64_t published = 0;
  for (int round = 0; round < 20; ++round) {
    // Cut with much under way, and published to, before and after it was noticed.
    publish(feed, published + 1, published + 2000);
    published += 2000;
    for (auto count = random() % 1000; count > 0 && got.next() <= published; --count) {
      static_cast<void>(got.receive(patience));
    }
    proxy.cut();
    publish(feed, published + 1, published + 100);
    published += 100;
    if (round % 2 == 0) {
      REQUIRE(await([&] { return !is_here(feed); }));
    }
    publish(feed, published + 1, published + 100);
    published += 100;
    proxy.restore();
    if (round % 3 == 0) {
      CHECK(got.reach(published));
    }
  }
  CHECK(got.reach(published));
  CHECK(got.received == published);
  CHECK(!got.all(kind::resumed).empty());
  REQUIRE(is_delivered(feed, got));
  CHECK(books(feed).published == published);
  CHECK(books(feed).delivered == published);
}

TEST_CASE("of two ways to a publisher one may be cut") {
  const nothing_left afterwards;
  context owner;
  publisher feed{owner, {.away = 50ms, .heartbeat = 50ms}};
  const endpoint where = feed.bind("tcp://127.0.0.1:0");
  monitor watch = feed.watch();
  fault_proxy proxy{where};
  subscriber reader{owner, where, {"n"}};
  reader.connect(proxy.where());
  receiver got{reader};
  std::uint64_t published = 0;
  const auto go_on = [&] {
    publish(feed, published + 1, published + 20);
    published += 20;
    return got.reach(published);
  };
  REQUIRE(feed.wait_for_subscribers(1, patience, "n"));
  // What comes both ways comes twice, and is given to the program once.
  REQUIRE(await([&] { return go_on() && reader.ledger().front().repeated > 0; }));
  proxy.cut();
  REQUIRE(await([&] {
    const auto event = watch.try_receive();
    return go_on() && event && event->change == connection_change::disconnected;
  }));
  for (int round = 0; round < 20; ++round) {
    CHECK(go_on());
    REQUIRE(is_delivered(feed, got));
  }
  CHECK(got.received == published);
  CHECK(got.all(kind::resumed).empty());
  CHECK(feed.statistics().left_subscribers == 0);
  CHECK(is_here(feed));
}

TEST_CASE("a link that is down past the memory loses exactly the range that is told") {
  const nothing_left afterwards;
  context owner;
  publisher feed{owner, {.limit = 100}};
  fault_proxy proxy{feed.bind("tcp://127.0.0.1:0")};
  subscriber reader{owner, proxy.where(), {"n"}};
  receiver got{reader};
  REQUIRE(feed.wait_for_subscribers(1, patience, "n"));
  std::uint64_t published = 0;
  for (int round = 1; round <= 5; ++round) {
    publish(feed, published + 1, published + 10);
    published += 10;
    CHECK(got.reach(published));
    REQUIRE(is_delivered(feed, got));
    proxy.cut();
    REQUIRE(await([&] { return !is_here(feed); }));
    publish(feed, published + 1, published + 1000);
    published += 1000;
    proxy.restore();
    CHECK(got.reach(published));
    const feed_event& loss = got.events.back();
    CHECK(loss.what == kind::lost);
    CHECK(loss.reason == loss_reason::away);
    CHECK(loss.first == published - 999);
    CHECK(loss.last == published - 100);
    CHECK(got.lost == 900 * static_cast<std::uint64_t>(round));
    REQUIRE(is_delivered(feed, got));
    CHECK(books(feed).published == published);
    CHECK(books(feed).delivered == got.received);
    CHECK(books(feed).dropped[loss_reason::away] == got.lost);
  }
}

TEST_CASE("who does not recover is told how much it missed while the link was down") {
  const nothing_left afterwards;
  context owner;
  publisher feed{owner, {.history = 1000}};
  fault_proxy proxy{feed.bind("tcp://127.0.0.1:0")};
  subscriber reader{owner, proxy.where(), {"n"}, {.recover = false}};
  receiver got{reader};
  REQUIRE(feed.wait_for_subscribers(1, patience, "n"));
  publish(feed, 1, 10);
  CHECK(got.reach(10));
  REQUIRE(is_delivered(feed, got));
  proxy.cut();
  REQUIRE(await([&] { return !is_here(feed); }));
  publish(feed, 11, 60);
  proxy.restore();
  REQUIRE(await([&] {
    static_cast<void>(got.receive(1ms));  // who receives sees to the connection
    return is_here(feed);
  }));
  publish(feed, 61, 70);
  CHECK(got.reach(70));
  CHECK(got.received == 20);
  CHECK(got.lost == 50);
  const std::vector<feed_event> losses = got.all(kind::lost);
  REQUIRE(losses.size() == 1);
  CHECK(losses[0].first == 11);
  CHECK(losses[0].last == 60);
}

TEST_CASE("a link that is down for longer than a subscriber is waited for") {
  const nothing_left afterwards;
  for (const std::size_t history : {0, 50, 10'000}) {
    INFO("history " << history);
    context owner;
    publisher feed{owner, {.away = 1ms, .history = history, .heartbeat = 10ms}};
    fault_proxy proxy{feed.bind("tcp://127.0.0.1:0")};
    subscriber reader{owner, proxy.where(), {"n"}};
    receiver got{reader};
    REQUIRE(feed.wait_for_subscribers(1, patience, "n"));
    publish(feed, 1, 10);
    CHECK(got.reach(10));
    REQUIRE(is_delivered(feed, got));
    proxy.cut();
    REQUIRE(await([&] { return feed.ledger().empty(); }));
    publish(feed, 11, 1010);
    proxy.restore();
    CHECK(got.reach(1010));
    const std::uint64_t missing = history >= 1000 ? 0 : 1000 - history;
    CHECK(got.lost == missing);
    CHECK(got.received == 1010 - missing);
    const publisher_statistics all = feed.statistics();
    CHECK(all.left_subscribers == 1);
    CHECK(all.left.published == 10);
    CHECK(all.left.delivered == 10);
    REQUIRE(is_delivered(feed, got));
    CHECK(books(feed).delivered == 1000 - missing);
    CHECK(books(feed).dropped[loss_reason::forgotten] == missing);
  }
}

TEST_CASE("over a link that is stalled a publisher goes on, and the books balance afterwards") {
  const nothing_left afterwards;
  context owner;
  publisher feed{owner, {.limit = 1000}};
  fault_proxy proxy{feed.bind("tcp://127.0.0.1:0")};
  subscriber reader{owner, proxy.where(), {"n"}};
  receiver got{reader};
  REQUIRE(feed.wait_for_subscribers(1, patience, "n"));
  std::uint64_t published = 0;
  for (int round = 0; round < 5; ++round) {
    proxy.stall();
    publish(feed, published + 1, published + 50'000);
    published += 50'000;
    proxy.resume();
    CHECK(got.reach(published));
    REQUIRE(is_delivered(feed, got));
  }
  CHECK(got.lost > 0);
  CHECK(books(feed).published == published);
  CHECK(books(feed).delivered == got.received);
  CHECK(books(feed).dropped.total() == got.lost);
}

TEST_CASE("over a slow link all comes, in order and once") {
  const nothing_left afterwards;
  context owner;
  publisher feed{owner};
  fault_proxy proxy{feed.bind("tcp://127.0.0.1:0")};
  proxy.delay(20ms, 20ms);
  subscriber reader{owner, proxy.where(), {"n"}, {.limit = 5000}};
  receiver got{reader};
  REQUIRE(feed.wait_for_subscribers(1, patience, "n"));
  publish(feed, 1, 50'000);
  CHECK(got.reach(50'000));
  CHECK(got.lost == 0);
  REQUIRE(is_delivered(feed, got));
  CHECK(books(feed).delivered == 50'000);
}

TEST_CASE("over links that fail at random each message comes once, or is told as lost") {
  const nothing_left afterwards;
  for (unsigned seed = 1; seed <= 5; ++seed) {
    INFO("seed " << seed);
    std::minstd_rand random{seed};
    context owner;
    publisher feed{owner, {.limit = seed % 2 == 0 ? std::size_t{500} : std::size_t{100'000}}};
    fault_proxy proxy{feed.bind("tcp://127.0.0.1:0")};
    subscriber reader{owner, proxy.where(), {"n"}, {.limit = 100}};
    receiver got{reader};
    REQUIRE(feed.wait_for_subscribers(1, patience, "n"));
    std::uint64_t published = 0;
    for (int step = 0; step < 300; ++step) {
      switch (random() % 10) {
        case 0:
          proxy.cut();
          break;
        case 1:
          proxy.stall();
          break;
        case 2:
          proxy.delay(1ms * (random() % 5), 1ms * (random() % 5));
          break;
        case 3:
        case 4:
          proxy.restore();
          proxy.resume();
          break;
        default: {
          const std::uint64_t count = random() % 200;
          publish(feed, published + 1, published + count);
          published += count;
        }
      }
      for (auto count = random() % 100; count > 0; --count) {
        if (!got.receive(1ms)) {
          break;
        }
      }
    }
    proxy.restore();
    proxy.resume();
    CHECK(got.reach(published));
    REQUIRE(is_delivered(feed, got));
    CHECK(books(feed).published == published);
    CHECK(books(feed).delivered == got.received);
    CHECK(books(feed).dropped.total() == got.lost);
    CHECK(got.received + got.lost == published);
    CHECK((seed % 2 == 0 || got.lost == 0));
  }
}

TEST_CASE("of eight subscribers the slow one alone misses something, under each policy") {
  const nothing_left afterwards;
  for (const lag_policy policy :
       {lag_policy::drop_oldest, lag_policy::drop_newest, lag_policy::newest_by_topic,
        lag_policy::wait, lag_policy::cut_off}) {
    INFO("policy " << static_cast<int>(policy));
    context owner;
    // The seven have room for two rounds: what they received is said a little later.
    publisher feed{owner, {.limit = 4000, .when_lagging = policy, .max_wait = 1ms}};
    const endpoint where = feed.bind("tcp://127.0.0.1:0");
    subscriber slow{owner, where, {"n", "n1", "other"}, {.limit = 100}};
    std::uint64_t lost = 0;
    bool is_cut_off = false;
    slow.on_event([&](const feed_event& event) {
      lost += event.count;
      is_cut_off = is_cut_off || event.what == kind::cut_off;
    });
    struct quick_one {
      explicit quick_one(context& owner, const endpoint& at) : reader{owner, at, {"n"}} {
        reader.on_event([this](const feed_event& event) { lost += event.count; });
      }
      ~quick_one() { leave(); }
      void leave() {
        reader.close();
        if (thread.joinable()) {
          thread.join();
        }
      }
      subscriber reader;
      std::atomic<std::uint64_t> received{0};
      std::atomic<std::uint64_t> lost{0};
      std::atomic<bool> is_good{true};
      std::thread thread{};
    };
    std::vector<std::unique_ptr<quick_one>> quick;
    for (int count = 0; count < 7; ++count) {
      quick.push_back(std::make_unique<quick_one>(owner, where));
      quick_one& self = *quick.back();
      self.thread = std::thread{[&self] {
        try {
          for (;;) {
            const publication got = self.reader.receive();
            self.is_good = self.is_good && got.sequence == self.received + 1;
            ++self.received;
          }
        } catch (const closed&) {
        }
      }};
    }
    REQUIRE(feed.wait_for_subscribers(8, patience, "n"));
    std::uint64_t published = 0;
    for (int round = 0; round < 20; ++round) {
      for (int count = 0; count < 300; ++count) {
        ++published;
        feed.publish("n" + std::to_string(published % 5), std::to_string(published));
      }
      // Seven keep up with it.
      REQUIRE(await([&] {
        return std::all_of(quick.begin(), quick.end(),
                           [&](const auto& each) { return each->received == published; });
      }));
    }
    std::uint64_t received = 0;
    REQUIRE(await([&] {
      while (slow.receive_for(1ms)) {
        ++received;
      }
      return is_cut_off || received + lost == published;
    }));
    for (const auto& each : quick) {
      each->leave();
      CHECK(each->is_good);
      CHECK(each->lost == 0);
    }
    CHECK(is_cut_off == (policy == lag_policy::cut_off));
    REQUIRE(await([&] { return feed.ledger().size() == 1; }));
    REQUIRE(await([&] {
      static_cast<void>(slow.receive_for(1ms));
      return books(feed).queued == 0;
    }));
    const prefix_ledger kept = books(feed);
    CHECK(lost > 0);
    CHECK(kept.delivered == received);
    CHECK(kept.dropped.total() == lost);
    CHECK(kept.published == received + lost);
    CHECK(by_prefix(feed.ledger().front()) == by_prefix(slow.ledger().front()));
    CHECK((is_cut_off || kept.published == published));
    const publisher_statistics all = feed.statistics();
    CHECK(all.left_subscribers == 7);
    CHECK(all.left.published == 7 * published);
    CHECK(all.left.delivered == 7 * published);
  }
}

TEST_CASE("subscribers that are killed are waited for, and leave nothing behind") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  for (const bool over_ipc : {false, true}) {
    const support::temporary_directory fresh;
    std::vector<std::unique_ptr<child>> doomed;
    for (int count = 0; count < 4; ++count) {
      const std::string place = over_ipc ? "ipc://" + (fresh / std::to_string(count)).string()
                                         : std::string{"tcp://127.0.0.1:0"};
      doomed.push_back(std::make_unique<child>([place](child::line out) {
        context own;
        subscriber reader{own, {.limit = 100}};
        reader.subscribe("n");
        out.say(reader.bind(place).str());
        for (;;) {
          static_cast<void>(reader.receive());
        }
      }));
    }
    context owner;
    publisher feed{owner, {.limit = 1000, .away = 300ms, .heartbeat = 50ms}};
    for (const auto& each : doomed) {
      feed.connect(endpoint{each->hear()});
    }
    subscriber reader{owner, feed.bind("tcp://127.0.0.1:0"), {"n"}};
    receiver got{reader};
    REQUIRE(feed.wait_for_subscribers(5, patience, "n"));
    std::uint64_t published = 0;
    const auto go_on = [&] {
      publish(feed, published + 1, published + 500);
      published += 500;
      CHECK(got.reach(published));
    };
    go_on();
    for (const auto& each : doomed) {
      each->kill();
      REQUIRE(await([&] {
        go_on();
        const std::vector<subscriber_ledger> all = feed.ledger();
        return std::any_of(all.begin(), all.end(), [](const auto& one) { return !one.is_here; });
      }));
      for (const subscriber_ledger& one : feed.ledger()) {
        CHECK(one.sum().queued <= 1000 + 100);
        CHECK(one.sum().published ==
              one.sum().delivered + one.sum().queued + one.sum().dropped.total());
      }
    }
    REQUIRE(await([&] {
      go_on();
      return feed.ledger().size() == 1;
    }));
    const prefix_ledger left = feed.statistics().left;
    CHECK(feed.statistics().left_subscribers == 4);
    CHECK(left.queued == 0);
    CHECK(left.published == left.delivered + left.dropped.total());
    CHECK(left.dropped[loss_reason::away] > 0);
    CHECK(feed.subscribers("n") == 1);
    CHECK(got.received == published);
  }
}

namespace {

// Says to a publisher whatever it likes. Has a context of its own, so that all it had is freed when
// it goes, and what stays is the publisher's.
class hostile_subscriber {
 public:
  explicit hostile_subscriber(const endpoint& at)
      : native_{owner_, socket_kind::xsub, {.send_limit = 1'000'000, .linger = 0ms}} {
    native_.connect(at);
  }
  // Once: libzmq tells of each, but at the end only that all of them are gone.
  void say(const std::string& topic) {
    if (said_.insert(topic).second) {
      native_.subscribe(topic);
    }
  }
  void unsay(const std::string& topic) {
    if (said_.erase(topic) == 1) {
      native_.unsubscribe(topic);
    }
  }

 private:
  context owner_;
  parley::socket native_;
  std::set<std::string> said_;
};

std::string noise(std::minstd_rand& random, std::size_t most) {
  std::string bytes(random() % most, '\0');
  std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random() % 256); });
  return bytes;
}

}  // namespace

TEST_CASE("hostile subscribers are noticed by nobody else, and leave nothing behind") {
  const nothing_left afterwards;
  context owner;
  publisher feed{owner, {.limit = 100, .away = 50ms, .history = 100, .heartbeat = 50ms}};
  const endpoint where = feed.bind("tcp://127.0.0.1:0");
  subscriber reader{owner, where, {"n"}};
  receiver got{reader};
  parley::socket plain{owner, socket_kind::sub};
  plain.connect(where);
  plain.subscribe("n");
  REQUIRE(feed.wait_for_subscribers(2, patience, "n"));
  std::uint64_t published = 0;
  const auto go_on = [&] {
    publish(feed, published + 1, published + 20);
    published += 20;
    CHECK(got.reach(published));
    for (int count = 0; count < 20; ++count) {
      const auto copy = plain.receive_for(patience);
      REQUIRE(copy.has_value());
      CHECK(copy->front() == "n");
    }
  };
  // The publisher knows the two readers, and nothing that another said.
  const auto is_alone = [&] {
    go_on();
    return feed.ledger().size() == 1 && feed.subscribers("") == 2;
  };
  REQUIRE(await(is_alone));
  const std::size_t bytes = bytes_in_use();
  std::minstd_rand random{1};
  for (int round = 0; round < 2; ++round) {
    {
      hostile_subscriber mad{where};
      for (int count = 0; count < 500; ++count) {
        const std::uint64_t victim = random() % 2 == 0 ? reader.id() ^ 1 : random();
        std::string said;
        switch (random() % 6) {
          case 0:
            said = "\1PR" + noise(random, 60);
            break;
          case 1:
            said = wishes_topic({.subscriber = victim,
                                 .limit = static_cast<std::uint32_t>(random()),
                                 .limit_bytes = random()});
            break;
          case 2:
            said = prefix_topic(victim, "x" + noise(random, 10));
            break;
          case 3:
            said = inbox_topic(victim);
            break;
          case 4:
            // Of others' links, as far as it can guess them.
            said = request_topic({static_cast<feed_request::kind>(1 + random() % 4),
                                  random() % 2 == 0 ? reader.id() : victim, random(), random(),
                                  random(), random(), static_cast<std::uint32_t>(random())});
            break;
          default:
            said = noise(random, 30);
        }
        if (random() % 3 == 0) {
          said.resize(random() % (said.size() + 1));
        }
        mad.say(said);
        if (random() % 4 == 0) {
          mad.unsay(said);
        }
        if (count % 50 == 0) {
          go_on();
        }
      }
      go_on();
    }
    REQUIRE(await(is_alone));
    {
      hostile_subscriber many{where};
      for (std::uint64_t id = 1; id <= 1000; ++id) {
        many.say(wishes_topic({.subscriber = id, .limit = 10, .limit_bytes = 1000}));
        many.say(prefix_topic(id, ""));
        many.say(inbox_topic(id));
      }
      REQUIRE(feed.wait_for_subscribers(1002, patience, "n"));
      go_on();
    }
    REQUIRE(await(is_alone));
    {
      hostile_subscriber large{where};
      large.say(wishes_topic({.subscriber = 5, .limit = 10, .limit_bytes = 1000}));
      // One of each: libzmq's trie is slow with such prefixes, for whoever they come from.
      const std::string huge(100'000, 'x');
      large.say(huge);
      large.say(prefix_topic(5, huge));
      large.say(prefix_topic(5, huge.substr(0, 60'000)));
      large.say(inbox_topic(5));
      large.say(prefix_topic(5, "last"));
      REQUIRE(feed.wait_for_subscribers(1, patience, "last"));
      go_on();
    }
    {
      // It never says its inbox, so all of this is kept until it goes.
      hostile_subscriber unfinished{where};
      for (int count = 0; count < 10'000; ++count) {
        unfinished.say(prefix_topic(6, std::to_string(count)));
      }
      unfinished.say("unfinished");
      REQUIRE(feed.wait_for_subscribers(1, patience, "unfinished"));
      go_on();
    }
    REQUIRE(await(is_alone));
  }
  CHECK(feed.statistics().nonsense > 0);
  CHECK(got.received == published);
  // libzmq frees what it had of a connection in the background.
  CHECK((support::address_sanitizer || support::thread_sanitizer ||
         await([&] { return bytes_in_use() < bytes + (std::size_t{1} << 20); })));
}

TEST_CASE("hostile publishers disturb no other, and what they send is bounded") {
  const nothing_left afterwards;
  context owner;
  publisher feed{owner, {.heartbeat = 50ms}};
  subscriber reader{
      owner, feed.bind("tcp://127.0.0.1:0"), {"n"}, {.limit = 100, .limit_bytes = 100'000}};
  std::uint64_t received = 0;
  bool is_good = true;
  reader.on_event([&](const feed_event& event) {
    is_good = is_good && (event.publisher != feed.id() || event.what != kind::lost);
  });
  REQUIRE(feed.wait_for_subscribers(1, patience, "n"));
  std::atomic<bool> is_over{false};
  parley::socket mad{owner, socket_kind::xpub, {.send_limit = 1000, .linger = 0ms}};
  reader.connect(mad.bind("tcp://127.0.0.1:0"));
  std::thread lies{[&] {
    std::minstd_rand random{1};
    std::uint64_t link = 1;
    std::uint64_t position = 1;
    const auto entry = [&](std::string& into) {
      feed_entry made;
      made.what = static_cast<feed_entry::kind>(1 + random() % 7);
      made.is_urgent = random() % 2 == 0;
      made.is_relayed = random() % 2 == 0;
      made.sequence = random();
      made.last = random() % 2 == 0 ? random() : ~std::uint64_t{0};
      made.count = random();
      made.topic = "n";
      made.body = "hostile";
      made.publisher = 1 + random();
      made.next = random() % 3;
      made.window = static_cast<std::uint32_t>(random());
      made.heartbeat = random() % 1000;
      pack_entry(into, made);
    };
    while (!is_over) {
      const bool is_new = random() % 4 == 0;
      link = is_new ? random() : link;
      position = is_new ? 1 : position;
      std::string entries;
      if (is_new) {
        feed_entry joined;
        joined.what = feed_entry::kind::joined;
        joined.publisher = 1 + random();
        joined.next = joined.next_urgent = 1;
        joined.heartbeat = 1'000'000;
        pack_entry(entries, joined);
      }
      for (auto count = random() % 20; count > 0; --count) {
        entry(entries);
        ++position;
      }
      if (random() % 4 == 0) {
        entries.resize(random() % (entries.size() + 1));
      }
      if (random() % 8 == 0) {
        entries = noise(random, 2000);
      }
      message said{pack_address({reader.id(), link, random() % 8 == 0 ? random() : position})};
      if (random() % 16 == 0) {
        said = message{frame{inbox_topic(reader.id()) + noise(random, 40)}};
      }
      for (auto frames = random() % 8 == 0 ? random() % 4 : 1; frames > 0; --frames) {
        said.push_back(frame{entries});
      }
      static_cast<void>(mad.send_for(std::move(said), 10ms));
      while (mad.try_receive()) {
      }
    }
  }};
  std::uint64_t published = 0;
  std::size_t bytes = 0;
  for (int round = 0; round < 200 && is_good; ++round) {
    publish(feed, published + 1, published + 50);
    published += 50;
    is_good = await([&] {
                for (int count = 0; count < 1000 && received < published; ++count) {
                  const auto got = reader.receive_for(1ms);
                  if (got && got->publisher == feed.id() && got->body != "hostile") {
                    is_good = is_good && got->sequence == ++received;
                  }
                }
                return received == published;
              }) &&
              is_good;
    if (round == 100) {
      bytes = bytes_in_use();
    }
  }
  is_over = true;
  lies.join();
  CHECK(reader.ledger().size() > 1);  // some of it was taken for a publisher's
  CHECK(is_good);
  CHECK(received == published);
  CHECK((support::address_sanitizer || support::thread_sanitizer ||
         bytes_in_use() < bytes + (std::size_t{16} << 20)));
}

TEST_CASE("a forwarder that is killed and started anew goes on with what is published") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  const support::temporary_directory fresh;
  const std::string upstream = "ipc://" + (fresh / "upstream").string();
  const std::string downstream = "ipc://" + (fresh / "downstream").string();
  const auto forward = [&] {
    return new child{[=](child::line out) {
      context own;
      forwarder node{
          own, {.downstream = {.history = 100'000}, .upstream = {.start = feed_start::history()}}};
      node.connect(upstream);
      node.bind(downstream);
      out.say("bound");
      for (;;) {
        ::pause();
      }
    }};
  };
  std::unique_ptr<child> node{forward()};
  CHECK(node->hear() == "bound");
  context owner;
  publisher feed{owner, endpoint{upstream}, {.history = 100'000}};
  subscriber reader{owner, endpoint{downstream}, {"n"}};
  std::uint64_t next = 1;
  std::uint64_t lost = 0;
  bool is_good = true;
  reader.on_event([&](const feed_event& event) { lost += event.count; });
  const auto reach = [&](std::uint64_t last) {
    return await([&] {
      while (next <= last) {
        const auto got = reader.receive_for(1ms);
        if (!got) {
          return false;
        }
        is_good = is_good && got->publisher == feed.id() && got->sequence <= next;
        next = std::max(next, got->sequence + 1);  // a new forwarder begins from the beginning
      }
      return true;
    });
  };
  std::uint64_t published = 0;
  for (int round = 0; round < 4; ++round) {
    publish(feed, published + 1, published + 1000);
    published += 1000;
    CHECK(reach(published));
    node->kill();
    publish(feed, published + 1, published + 1000);
    published += 1000;
    node.reset(forward());
    CHECK(node->hear() == "bound");
    CHECK(reach(published));
  }
  CHECK(is_good);
  CHECK(lost == 0);
}

TEST_CASE("in a ring of forwarders whose links are cut each message comes once everywhere") {
  const nothing_left afterwards;
  context owner;
  publisher feed{owner};
  std::vector<std::unique_ptr<forwarder>> nodes;
  std::vector<std::unique_ptr<fault_proxy>> links;
  std::vector<std::unique_ptr<subscriber>> readers;
  const fault_proxy source{feed.bind("tcp://127.0.0.1:0")};
  for (int at = 0; at < 3; ++at) {
    nodes.push_back(std::make_unique<forwarder>(owner));
    const endpoint where = nodes.back()->bind("tcp://127.0.0.1:0");
    links.push_back(std::make_unique<fault_proxy>(where));
    readers.push_back(std::make_unique<subscriber>(owner, where, std::vector<std::string>{"n"}));
  }
  nodes[0]->connect(source.where());
  for (std::size_t at = 0; at < 3; ++at) {
    nodes[(at + 1) % 3]->connect(links[at]->where());
    REQUIRE(nodes[at]->downstream().wait_for_subscribers(2, patience, "n"));
  }
  REQUIRE(feed.wait_for_subscribers(1, patience, "n"));
  std::minstd_rand random{1};
  std::vector<std::unique_ptr<receiver>> got;
  for (const auto& each : readers) {
    got.push_back(std::make_unique<receiver>(*each));
    got.back()->is_behind_forwarder = true;
  }
  std::uint64_t published = 0;
  for (int round = 0; round < 20; ++round) {
    fault_proxy& which = *links[random() % 3];
    which.cut();
    publish(feed, published + 1, published + 500);
    published += 500;
    if (round % 2 == 0) {
      which.restore();
      for (const auto& each : got) {
        CHECK((&which != links[0].get() || each->reach(published)));
      }
    }
    for (const auto& each : links) {
      each->restore();
    }
  }
  for (const auto& each : got) {
    CHECK(each->reach(published));
    CHECK(each->received == published);
    CHECK(each->lost == 0);
  }
}

TEST_CASE("all waits end when the context is shut down under many threads") {
  const nothing_left afterwards;
  for (const std::string& where : {std::string{"pipe://shut-down"}, std::string{"inproc://shut"},
                                   std::string{"tcp://127.0.0.1:0"}}) {
    for (const lag_policy policy : {lag_policy::drop_oldest, lag_policy::wait}) {
      context owner;
      publisher feed{owner, {.limit = 100, .when_lagging = policy, .max_wait = 1h}};
      const endpoint bound = feed.bind(where);
      forwarder node{owner, {.downstream = {.limit = 100, .when_lagging = policy, .max_wait = 1h}}};
      node.connect(bound);
      subscriber quick{owner, bound, {"n"}};
      subscriber behind{owner, node.bind("inproc://behind"), {"n"}};
      subscriber silent{owner, bound, {"n"}};
      REQUIRE(feed.wait_for_subscribers(3, patience, "n"));
      std::atomic<int> running{0};
      std::vector<std::thread> threads;
      const auto run = [&](const std::function<void()>& what) {
        threads.emplace_back([&running, what] {
          ++running;
          try {
            for (;;) {
              what();
            }
          } catch (const closed&) {
          }
        });
      };
      for (int count = 0; count < 2; ++count) {
        run([&] { feed.publish("n", "1"); });
        run([&] { static_cast<void>(quick.receive()); });
        run([&] { static_cast<void>(behind.receive()); });
        run([&] { static_cast<void>(feed.wait_for_subscribers(100, 1h)); });
        run([&] { static_cast<void>(feed.wait_until_delivered(1h)); });
        run([&] { static_cast<void>(silent.wait_for_publishers(100, 1h)); });
        run([&, count] {
          quick.subscribe("x" + std::to_string(count));
          quick.unsubscribe("x" + std::to_string(count));
        });
      }
      REQUIRE(await([&] { return running == 14; }));
      owner.shutdown();
      for (std::thread& each : threads) {
        each.join();
      }
    }
  }
}
