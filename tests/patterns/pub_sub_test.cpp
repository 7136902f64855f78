// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/pub_sub.hpp>
#include <parley/socket.hpp>

#include <string>
#include <thread>

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
    REQUIRE(prices.wait_for_subscriptions(2, patience, "prices.eurusd"));
    prices.publish("prices.eurusd", "1.0842");
    for (subscriber* each : {&first, &second}) {
      const auto received = each->receive_for(patience);
      REQUIRE(received.has_value());
      CHECK(received->topic == "prices.eurusd");
      CHECK(received->body == "1.0842");
    }
  }
}

TEST_CASE("typed bodies come back as they were") {
  context owner;
  publisher prices{owner};
  subscriber feed{owner, prices.bind("inproc://typed"), {""}};
  REQUIRE(prices.wait_for_subscriptions(1, patience));
  prices.publish("eurusd", quote{1.0842, 1.0844});
  const auto received = feed.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->as<quote>().ask == 1.0844);
  CHECK_THROWS_AS(received->as<std::string>(), protocol_error);
}

TEST_CASE("topics that nobody subscribed to do not arrive") {
  context owner;
  publisher news{owner};
  subscriber reader{owner, news.bind("tcp://127.0.0.1:0"), {"sport."}};
  REQUIRE(news.wait_for_subscriptions(1, patience, "sport."));
  news.publish("weather", "rain");
  news.publish("sport.chess", "draw");
  CHECK(reader.receive_for(patience)->topic == "sport.chess");
}

TEST_CASE("subscriptions come and go while the subscriber runs") {
  context owner;
  publisher news{owner};
  subscriber reader{owner, news.bind("tcp://127.0.0.1:0"), {}};
  CHECK(news.subscriptions("a") == 0);
  reader.subscribe("a");
  REQUIRE(news.wait_for_subscriptions(1, patience, "a"));
  reader.subscribe("b");
  REQUIRE(news.wait_for_subscriptions(1, patience, "b"));
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
  CHECK(one.wait_for_subscriptions(1, patience));
  CHECK(two.wait_for_subscriptions(1, patience));
  one.publish("from", "one");
  two.publish("from", "two");
  receiving.join();
  CHECK((seen == "onetwo" || seen == "twoone"));
}

TEST_CASE("a wait for subscriptions gives up at its limit") {
  context owner;
  publisher lonely{owner, "inproc://lonely"};
  CHECK_FALSE(lonely.wait_for_subscriptions(1, 1ms));
  CHECK(lonely.wait_for_subscriptions(0, 0ms));
}

TEST_CASE("a subscriber that does not read loses messages, never the publisher its time") {
  context owner;
  publisher flood{owner, {.limit = 10}};
  subscriber slow{owner, flood.bind("inproc://slow"), {""}, {.limit = 10}};
  REQUIRE(flood.wait_for_subscriptions(1, patience));
  for (int index = 0; index < 1000; ++index) {
    flood.publish("n", std::to_string(index));
  }
  int received = 0;
  while (slow.try_receive()) {
    ++received;
  }
  CHECK(received >= 10);
  CHECK(received < 1000);
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
  REQUIRE(shared.wait_for_subscriptions(1, patience, "t"));
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
