// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/pub_sub.hpp>
#include <parley/socket.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

const std::string carriers[] = {"pipe://pub-sub-test", "inproc://pub-sub-test", "ipc://*",
                                "tcp://127.0.0.1:*"};

struct quote {
  double bid = 0;
  double ask = 0;
  MSGPACK_DEFINE(bid, ask)
};

}  // namespace

TEST_CASE("nobody who is waited for misses the first message") {
  for (const std::string& where : carriers) {
    context owner;
    publisher prices{owner};
    const endpoint bound = prices.bind(where);
    subscriber first{owner, bound, {"prices."}};
    subscriber second{owner, bound, {"prices.eur"}};
    REQUIRE(prices.wait_for_subscribers(2, patience, "prices.eurusd"));
    prices.publish("prices.eurusd", "1.0842");
    for (subscriber* each : {&first, &second}) {
      const auto received = each->receive_for(patience);
      REQUIRE(received.has_value());
      CHECK(received->topic == "prices.eurusd");
      CHECK(received->body == "1.0842");
    }
  }
}

TEST_CASE("however many prefixes a subscriber has, it gets what follows when it was waited for") {
  std::vector<std::string> prefixes{""};
  while (prefixes.size() < 20'000) {
    prefixes.push_back("a." + std::to_string(prefixes.size()));
  }
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    publisher one{owner};
    subscriber feed{owner, one.bind(endpoint{where}), prefixes};
    REQUIRE(one.wait_for_subscribers(1, patience, "a.1"));
    one.publish("a.1", "first");
    CHECK(feed.receive_for(patience)->body == "first");
  }
}

TEST_CASE("typed bodies come back as they were") {
  context owner;
  publisher prices{owner};
  subscriber feed{owner, prices.bind("inproc://typed"), {""}};
  REQUIRE(prices.wait_for_subscribers(1, patience));
  prices.publish("eurusd", quote{1.0842, 1.0844});
  const auto received = feed.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->as<quote>().ask == 1.0844);
  CHECK_THROWS_AS(received->as<std::string>(), protocol_error);
}

TEST_CASE("where nobody is, all is delivered at once") {
  context owner;
  publisher news{owner};
  news.bind("inproc://nobody");
  news.publish("t", "x");
  CHECK(news.wait_until_delivered(patience));
}

TEST_CASE("topics that nobody subscribed to do not arrive") {
  context owner;
  publisher news{owner};
  subscriber reader{owner, news.bind("tcp://127.0.0.1:0"), {"sport."}};
  REQUIRE(news.wait_for_subscribers(1, patience, "sport."));
  news.publish("weather", "rain");
  news.publish("sport.chess", "draw");
  CHECK(reader.receive_for(patience)->topic == "sport.chess");
}

TEST_CASE("a prefix that is given up and wanted again at once is served again") {
  for (const std::string& where : carriers) {
    context owner;
    publisher news{owner};
    subscriber reader{owner, news.bind(where), {"a"}};
    for (int round = 0; round < 20; ++round) {
      REQUIRE(reader.wait_for_publishers(1, patience, "a"));
      reader.unsubscribe("a");
      reader.subscribe("a");
    }
    REQUIRE(reader.wait_for_publishers(1, patience, "a"));
    news.publish("a", "x");
    CHECK(reader.receive_for(patience)->topic == "a");
  }
}

TEST_CASE("subscriptions come and go while the subscriber runs") {
  context owner;
  publisher news{owner};
  subscriber reader{owner, news.bind("tcp://127.0.0.1:0"), {}};
  CHECK(news.subscribers("a") == 0);
  reader.subscribe("a");
  REQUIRE(news.wait_for_subscribers(1, patience, "a"));
  reader.subscribe("b");
  REQUIRE(news.wait_for_subscribers(1, patience, "b"));
  reader.unsubscribe("a");
  news.publish("b", "still here");
  CHECK(reader.receive_for(patience)->body == "still here");
}

TEST_CASE("either side may bind") {
  context owner;
  subscriber collector{owner};
  collector.subscribe("");
  const endpoint bound = collector.bind("tcp://127.0.0.1:0");
  publisher one{owner};
  publisher two{owner};
  one.connect(bound);
  two.connect(bound);
  std::string seen;
  std::thread receiving{[&] {
    seen = collector.receive().body.str();
    seen += collector.receive().body.str();
  }};
  CHECK(one.wait_for_subscribers(1, patience));
  CHECK(two.wait_for_subscribers(1, patience));
  one.publish("from", "one");
  two.publish("from", "two");
  receiving.join();
  CHECK((seen == "onetwo" || seen == "twoone"));
}

TEST_CASE("a wait for subscriptions gives up at its limit") {
  context owner;
  publisher lonely{owner, "inproc://lonely"};
  CHECK_FALSE(lonely.wait_for_subscribers(1, 1ms));
  CHECK(lonely.wait_for_subscribers(0, 0ms));
}

TEST_CASE("a subscriber that does not read loses messages, never the publisher its time") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    publisher flood{owner, {.limit = 10}};
    subscriber slow{owner, flood.bind(where), {"n"}, {.limit = 10}};
    std::vector<feed_event> losses;
    slow.on_event([&](const feed_event& event) {
      if (event.what == feed_event::kind::lost) {
        losses.push_back(event);
      }
    });
    REQUIRE(flood.wait_for_subscribers(1, patience, "n"));
    constexpr std::uint64_t published = 1000;
    for (std::uint64_t index = 1; index <= published; ++index) {
      CHECK(flood.publish("n", std::to_string(index)) == index);
    }
    std::uint64_t next = 1;
    std::uint64_t received = 0;
    std::uint64_t lost = 0;
    while (next <= published) {
      const auto got = slow.receive_for(patience);
      REQUIRE(got.has_value());
      for (const feed_event& each : losses) {
        CHECK(each.first == next);
        CHECK(each.prefix == "n");
        CHECK(each.reason == loss_reason::lagged);
        lost += each.count;
        next = each.last + 1;
      }
      losses.clear();
      CHECK(got->sequence == next);
      CHECK(got->body == std::to_string(next));
      ++next;
      ++received;
    }
    CHECK(received >= 10);
    CHECK(lost > 0);
    CHECK(received + lost == published);
    CHECK_FALSE(slow.try_receive().has_value());
    REQUIRE(flood.wait_until_delivered(patience));
    const prefix_ledger books = flood.ledger().front().sum();
    CHECK(books.published == published);
    CHECK(books.dropped[loss_reason::lagged] == lost);
    CHECK(books.delivered == received);
    CHECK(books.queued == 0);
  }
}

TEST_CASE("a publisher that waits loses nothing, however slow the subscriber") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    publisher patient{owner,
                      {.limit = 100, .when_lagging = lag_policy::wait, .max_wait = patience}};
    subscriber slow{owner, patient.bind(where), {"n"}, {.limit = 10}};
    REQUIRE(patient.wait_for_subscribers(1, patience, "n"));
    constexpr int published = 20'000;
    std::thread publishing{[&] {
      for (int index = 1; index <= published; ++index) {
        patient.publish("n", std::to_string(index));
      }
    }};
    int next = 1;
    for (; next <= published; ++next) {
      const auto got = slow.receive_for(patience);
      if (!got || got->body != std::to_string(next)) {
        break;
      }
    }
    CHECK(next == published + 1);
    publishing.join();
    CHECK(patient.ledger().front().sum().dropped.total() == 0);
  }
}

TEST_CASE("who joins late begins with the last values, or with what went on") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    publisher prices{owner, {.history = 3, .last_value = true}};
    const endpoint bound = prices.bind(where);
    for (const char* each : {"1", "2", "3"}) {
      prices.publish("eur", each);
      prices.publish("usd", each);
    }
    REQUIRE(prices.wait_until_delivered(patience));  // to the memory
    const auto bodies = [&](feed_start start, std::size_t count) {
      subscriber late{owner, bound, {""}, {.start = start}};
      std::string all;
      for (; count > 0; --count) {
        const auto got = late.receive_for(patience);
        REQUIRE(got.has_value());
        all += got->topic.str() + got->body.str() + " ";
      }
      return all;
    };
    CHECK(bodies(feed_start::last_values(), 2) == "eur3 usd3 ");
    CHECK(bodies(feed_start::history(), 3) == "usd2 eur3 usd3 ");
    CHECK(bodies(feed_start::since(6), 1) == "usd3 ");
  }
}

TEST_CASE("a subscriber knows when its publishers serve a prefix") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    publisher one{owner};
    subscriber reader{owner, one.bind(where), {"a"}};
    CHECK(reader.wait_for_publishers(1, patience, "a"));
    CHECK_FALSE(reader.wait_for_publishers(2, 1ms, "a"));
    reader.subscribe("b");
    CHECK(reader.wait_for_publishers(1, patience, "b"));
    one.publish("b", "1");
    CHECK(reader.receive_for(patience)->body == "1");
  }
}

TEST_CASE("who waits for publishers may have more prefixes than room for messages") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    publisher one{owner};
    subscriber reader{owner, {.limit = 1}};
    for (int count = 0; count < 100; ++count) {
      reader.subscribe(std::to_string(count));
    }
    reader.connect(one.bind(where));
    CHECK(reader.wait_for_publishers(1, patience));
    one.publish("99", "1");
    CHECK(reader.receive_for(patience)->body == "1");
  }
}

TEST_CASE("what was published before a publisher's first subscriber could connect is recovered") {
  context owner;
  subscriber early{owner};
  early.subscribe("n");
  const endpoint place = early.bind("tcp://127.0.0.1:0");
  publisher late{owner, {.history = 100}};
  late.publish("n", "1");
  late.publish("n", "2");
  late.connect(place);
  CHECK(early.receive_for(patience)->body == "1");
  CHECK(early.receive_for(patience)->body == "2");
}

TEST_CASE("an urgent message comes before what waits") {
  context owner;
  publisher both{owner};
  subscriber slow{owner, both.bind("tcp://127.0.0.1:0"), {"n"}, {.limit = 4}};
  REQUIRE(both.wait_for_subscribers(1, patience, "n"));
  for (int index = 0; index < 100; ++index) {
    both.publish("n", "bulk");
  }
  both.publish_urgent("n", "now");
  int before = 0;
  while (slow.receive_for(patience)->body != "now") {
    ++before;
  }
  CHECK(before < 100);
  for (; before < 100; ++before) {
    CHECK(slow.receive_for(patience)->body == "bulk");
  }
}

TEST_CASE("topics that cannot be are refused") {
  context owner;
  publisher one{owner};
  CHECK_THROWS_AS(one.publish("", "x"), config_error);
  CHECK_THROWS_AS(one.publish("\1", "x"), config_error);
  CHECK_THROWS_AS(one.publish(std::string(65'536, 'x'), "x"), config_error);
  CHECK(one.publish(std::string(65'535, 'x'), "x") == 1);
}

TEST_CASE("bodies of every size arrive, also many at once") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    publisher one{owner, {.when_lagging = lag_policy::wait, .max_wait = patience}};
    subscriber reader{owner, one.bind(where), {"n"}};
    REQUIRE(one.wait_for_subscribers(1, patience, "n"));
    std::vector<std::size_t> sizes;
    for (std::size_t size : {0, 1, 63, 64, 65, 1023, 1024, 4095, 4096, 4097, 100'000, 3'000'000}) {
      sizes.insert(sizes.end(), 5, size);
    }
    std::thread publishing{[&] {
      for (const std::size_t size : sizes) {
        one.publish("n", std::string(size, static_cast<char>('a' + size % 26)));
      }
    }};
    for (const std::size_t size : sizes) {
      const auto got = reader.receive_for(patience);
      REQUIRE(got.has_value());
      CHECK(got->body == std::string(size, static_cast<char>('a' + size % 26)));
    }
    publishing.join();
  }
}

TEST_CASE("a publisher that goes leaves nothing behind that its subscribers have room for") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    std::optional<publisher> brief{std::in_place, owner};
    subscriber reader{owner, brief->bind(where), {"n"}};
    REQUIRE(brief->wait_for_subscribers(1, patience, "n"));
    for (int index = 0; index < 1000; ++index) {
      brief->publish("n", std::to_string(index));
    }
    brief.reset();
    for (int index = 0; index < 1000; ++index) {
      const auto got = reader.receive_for(patience);
      REQUIRE(got.has_value());
      CHECK(got->body == std::to_string(index));
    }
  }
}

TEST_CASE("a plain publisher's message of one frame is a topic without a body") {
  context owner;
  parley::socket plain{owner, socket_kind::xpub};
  subscriber reader{owner, plain.bind("inproc://plain"), {"1"}};
  static_cast<void>(plain.receive_for(patience));
  plain.send(frame{"10001 32 5"});
  const auto received = reader.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->topic == "10001 32 5");
  CHECK(received->body.empty());
}

TEST_CASE("many threads publish, subscribe and receive at once") {
  context owner;
  publisher shared{owner};
  subscriber reader{owner, shared.bind("tcp://127.0.0.1:0"), {"t"}};
  REQUIRE(shared.wait_for_subscribers(1, patience, "t"));
  std::vector<std::thread> threads;
  for (int count = 0; count < 3; ++count) {
    threads.emplace_back([&, count] {
      for (int index = 0; index < 300; ++index) {
        shared.publish("t", std::to_string(index));
        if (index % 50 == 0) {
          reader.subscribe("x" + std::to_string(count));
        }
      }
    });
  }
  int received = 0;
  while (received < 900 && reader.receive_for(patience)) {
    ++received;
  }
  for (std::thread& each : threads) {
    each.join();
  }
  CHECK(received == 900);
}

TEST_CASE("close ends a subscriber's wait") {
  context owner;
  subscriber reader{owner};
  std::thread other{[&] { reader.close(); }};
  CHECK_THROWS_AS(reader.receive(), closed);
  other.join();
}
