// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/forwarder.hpp>
#include <parley/pub_sub.hpp>
#include <parley/socket.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/await.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::await;
using support::patience;

namespace {

const std::string carriers[] = {"pipe://forwarder-test-", "inproc://forwarder-test-", "ipc://*",
                                "tcp://127.0.0.1:*"};

// Of a carrier, for the one of that name.
std::string place(const std::string& carrier, const std::string& name) {
  return carrier.ends_with('-') ? carrier + name : carrier;
}

// The bodies of so many messages.
std::string bodies(subscriber& from, std::size_t count) {
  std::string all;
  for (; count > 0; --count) {
    const auto got = from.receive_for(patience);
    REQUIRE(got.has_value());
    all += got->body.str() + " ";
  }
  return all;
}

}  // namespace

TEST_CASE("a forwarder passes on what its subscribers want, as who published it said it") {
  for (const std::string& carrier : carriers) {
    INFO(carrier);
    context owner;
    publisher source{owner};
    forwarder node{owner};
    node.connect(source.bind(place(carrier, "source")));
    subscriber reader{owner, node.bind(place(carrier, "node")), {"a"}};
    REQUIRE(source.wait_for_subscribers(1, patience, "a"));
    REQUIRE(node.downstream().wait_for_subscribers(1, patience, "a"));
    source.publish("b", "unwanted");
    source.publish("a", "1");
    const auto usual = reader.receive_for(patience);
    REQUIRE(usual.has_value());
    CHECK(usual->topic == "a");
    CHECK(usual->body == "1");
    CHECK(usual->publisher == source.id());
    CHECK(usual->sequence == 2);
    CHECK(usual->hops == 1);
    CHECK_FALSE(usual->is_urgent);
    source.publish_urgent("a", "2");
    const auto urgent = reader.receive_for(patience);
    REQUIRE(urgent.has_value());
    CHECK(urgent->publisher == source.id());
    CHECK(urgent->sequence == 1);
    CHECK(urgent->is_urgent);
    CHECK(node.statistics().forwarded == 2);
  }
}

TEST_CASE("what is asked for downstream is asked for upstream, until nobody wants it") {
  context owner;
  publisher source{owner};
  forwarder first{owner};
  forwarder second{owner};
  first.connect(source.bind("tcp://127.0.0.1:0"));
  second.connect(first.bind("tcp://127.0.0.1:0"));
  const endpoint place = second.bind("tcp://127.0.0.1:0");
  CHECK(source.subscribers("a") == 0);
  {
    subscriber one{owner, place, {"a"}};
    subscriber other{owner, place, {"a"}};
    REQUIRE(source.wait_for_subscribers(1, patience, "a"));
    CHECK(source.subscribers("a") == 1);
    CHECK(source.subscribers("b") == 0);
    other.subscribe("b");
    REQUIRE(source.wait_for_subscribers(1, patience, "b"));
    REQUIRE(one.wait_for_publishers(1, patience));  // so that they know whom to leave
    REQUIRE(other.wait_for_publishers(1, patience));
    one.unsubscribe("a");
    other.unsubscribe("a");
    CHECK(await([&] { return source.subscribers("a") == 0; }));
    CHECK(source.subscribers("b") == 1);
  }
  CHECK(await([&] { return source.subscribers("b") == 0; }));
}

TEST_CASE("who joins a forwarder late gets what it remembers") {
  context owner;
  publisher source{owner};
  forwarder node{owner, {.downstream = {.history = 2, .last_value = true}, .always = {"t"}}};
  node.connect(source.bind("tcp://127.0.0.1:0"));
  const endpoint place = node.bind("tcp://127.0.0.1:0");
  REQUIRE(source.wait_for_subscribers(1, patience, "t"));
  for (const char* each : {"1", "2", "3"}) {
    source.publish("t1", each);
    source.publish("t2", each);
  }
  REQUIRE(await([&] { return node.downstream().statistics().published == 6; }));
  subscriber recent{owner, place, {"t"}, {.start = feed_start::history()}};
  CHECK(bodies(recent, 2) == "3 3 ");
  subscriber last{owner, place, {"t1"}, {.start = feed_start::last_values()}};
  CHECK(bodies(last, 1) == "3 ");
}

TEST_CASE("a prefix that is asked for late is not mistaken for what came before") {
  context owner;
  publisher source{owner, {.history = 10}};
  forwarder node{owner, {.upstream = {.start = feed_start::history()}}};
  node.connect(source.bind("tcp://127.0.0.1:0"));
  source.publish("b", "1");
  source.publish("a", "2");
  REQUIRE(source.wait_until_delivered(patience));
  subscriber reader{owner, node.bind("tcp://127.0.0.1:0"), {"a"}};
  CHECK(bodies(reader, 1) == "2 ");
  reader.subscribe("b");
  CHECK(bodies(reader, 1) == "1 ");
}

TEST_CASE("the newest of each topic go through a forwarder in whatever order they come") {
  context owner;
  publisher source{owner, {.when_lagging = lag_policy::newest_by_topic}};
  // Its subscriber holds it up, so that it lags.
  forwarder node{
      owner,
      {.downstream = {.limit = 2, .when_lagging = lag_policy::wait, .max_wait = patience},
       .upstream = {.limit = 1}}};
  node.connect(source.bind("tcp://127.0.0.1:0"));
  subscriber reader{owner, node.bind("tcp://127.0.0.1:0"), {"t"}, {.limit = 1}};
  std::uint64_t lost = 0;
  reader.on_event([&](const feed_event& event) { lost += event.count; });
  REQUIRE(source.wait_for_subscribers(1, patience, "t"));
  REQUIRE(node.downstream().wait_for_subscribers(1, patience, "t"));
  constexpr std::uint64_t published = 1000;
  for (std::uint64_t number = 1; number <= published; ++number) {
    // Each topic once at first, so that the first of them are replaced where they wait.
    source.publish("t" + std::to_string(number % 100 < 50 ? number % 100 : number % 7),
                   std::to_string(number));
  }
  std::uint64_t received = 0;
  while (received + lost < published && reader.receive_for(patience)) {
    ++received;
  }
  CHECK(received + lost == published);
  CHECK(lost > 0);
  CHECK(node.statistics().seen_before == 0);
}

TEST_CASE("what is lost on the way to a forwarder is told downstream, once at each") {
  context owner;
  publisher source{owner, {.limit = 1}};
  forwarder first{owner, {.upstream = {.limit = 1}}};
  forwarder second{owner};
  first.connect(source.bind("tcp://127.0.0.1:0"));
  second.connect(first.bind("tcp://127.0.0.1:0"));
  subscriber reader{owner, second.bind("tcp://127.0.0.1:0"), {"t"}};
  std::uint64_t lost = 0;
  std::vector<feed_event> events;
  reader.on_event([&](const feed_event& event) {
    lost += event.count;
    if (event.what == feed_event::kind::lost) {
      events.push_back(event);
    }
  });
  REQUIRE(source.wait_for_subscribers(1, patience, "t"));
  std::uint64_t published = 0;
  std::uint64_t received = 0;
  while (lost == 0) {
    for (int count = 0; count < 1000; ++count) {
      source.publish("t", std::to_string(++published));
    }
    while (received + lost < published && reader.receive_for(patience)) {
      ++received;
    }
    REQUIRE(received + lost == published);
  }
  for (const feed_event& each : events) {
    CHECK(each.reason == loss_reason::upstream);
    CHECK(each.missed_by == first.downstream().id());
    CHECK(each.hops == 2);
  }
  CHECK(first.statistics().lost == lost);
  CHECK(second.statistics().lost == lost);
  REQUIRE(first.downstream().wait_until_delivered(patience));
  const prefix_ledger books = first.downstream().ledger().front().sum();
  CHECK(books.published == published);
  CHECK(books.delivered == received);
  CHECK(books.dropped[loss_reason::upstream] == lost);
}

TEST_CASE("in a ring of forwarders each message comes once, and each loss") {
  for (const std::string& carrier : carriers) {
    INFO(carrier);
    context owner;
    publisher source{owner, {.limit = 1}};
    forwarder nodes[] = {forwarder{owner, {.upstream = {.limit = 1}}}, forwarder{owner},
                         forwarder{owner}};
    nodes[0].connect(source.bind(place(carrier, "source")));
    endpoint places[] = {nodes[0].bind(place(carrier, "0")), nodes[1].bind(place(carrier, "1")),
                         nodes[2].bind(place(carrier, "2"))};
    for (std::size_t at = 0; at < 3; ++at) {
      nodes[(at + 1) % 3].connect(places[at]);
    }
    subscriber reader{owner, places[2], {"t"}};
    std::uint64_t lost = 0;
    reader.on_event([&](const feed_event& event) { lost += event.count; });
    REQUIRE(source.wait_for_subscribers(1, patience, "t"));
    // What is asked for goes round: it comes back to the last one only when all asked.
    for (const forwarder& each : nodes) {
      REQUIRE(each.downstream().wait_for_subscribers(1, patience, "t"));
    }
    std::uint64_t published = 0;
    std::uint64_t received = 0;
    while (lost == 0) {
      for (int count = 0; count < 1000; ++count) {
        source.publish("t", std::to_string(++published));
      }
      while (received + lost < published) {
        const auto got = reader.receive_for(patience);
        REQUIRE(got.has_value());
        ++received;
        CHECK(got->body == std::to_string(got->sequence));
        CHECK(got->hops == 3);
      }
    }
    // The first one has seen the end of the last round.
    CHECK(await([&] { return nodes[0].statistics().seen_before == received; }));
    for (const forwarder& each : nodes) {
      REQUIRE(each.downstream().wait_until_delivered(patience));
      CHECK(each.statistics().forwarded == received);
      CHECK(each.statistics().lost == lost);
    }
    CHECK(received + lost == published);
    CHECK_FALSE(reader.try_receive().has_value());
  }
}

TEST_CASE("a message goes through sixteen forwarders, and no further") {
  context owner;
  publisher source{owner};
  std::vector<std::unique_ptr<forwarder>> chain;
  endpoint last = source.bind("pipe://chain");
  std::vector<endpoint> places;
  for (int count = 0; count <= forwarder::most_hops; ++count) {
    chain.push_back(std::make_unique<forwarder>(owner));
    chain.back()->connect(last);
    last = chain.back()->bind("pipe://chain-" + std::to_string(count));
    places.push_back(last);
  }
  subscriber sixteenth{owner, places[forwarder::most_hops - 1], {"t"}};
  subscriber beyond{owner, places[forwarder::most_hops], {"t"}};
  REQUIRE(source.wait_for_subscribers(1, patience, "t"));
  REQUIRE(chain[forwarder::most_hops - 1]->downstream().wait_for_subscribers(2, patience, "t"));
  REQUIRE(beyond.wait_for_publishers(1, patience, "t"));
  source.publish("t", "far");
  const auto got = sixteenth.receive_for(patience);
  REQUIRE(got.has_value());
  CHECK(got->hops == forwarder::most_hops);
  CHECK(await([&] { return chain.back()->statistics().too_far == 1; }));
  CHECK(chain.back()->statistics().forwarded == 0);
  CHECK_FALSE(beyond.try_receive().has_value());
}

TEST_CASE("a tree of forwarders brings each message to each leaf once, whatever joins them") {
  context owner;
  publisher source{owner, {.when_lagging = lag_policy::wait, .max_wait = patience}};
  const endpoint root = source.bind("tcp://127.0.0.1:0");
  const publisher_options waiting{.when_lagging = lag_policy::wait, .max_wait = patience};
  std::vector<std::unique_ptr<forwarder>> nodes;
  const auto node = [&](const endpoint& upstream, const std::string& where) {
    nodes.push_back(std::make_unique<forwarder>(owner, forwarder_options{.downstream = waiting}));
    nodes.back()->connect(upstream);
    return nodes.back()->bind(where);
  };
  std::vector<std::unique_ptr<subscriber>> leaves;
  for (int branch = 0; branch < 2; ++branch) {
    const std::string name = "pipe://tree-" + std::to_string(branch);
    const endpoint middle = node(root, name);
    for (const std::string& where : {name + "-leaf", std::string{"tcp://127.0.0.1:0"}}) {
      const endpoint place = node(middle, where);
      for (int count = 0; count < 2; ++count) {
        leaves.push_back(std::make_unique<subscriber>(owner, place, std::vector<std::string>{"t"}));
      }
    }
  }
  REQUIRE(source.wait_for_subscribers(2, patience, "t"));
  for (std::size_t at = 0; at < nodes.size(); ++at) {
    REQUIRE(nodes[at]->downstream().wait_for_subscribers(2, patience, "t"));
  }
  constexpr std::uint64_t published = 5000;
  std::thread publishing{[&] {
    for (std::uint64_t number = 1; number <= published; ++number) {
      source.publish("t", std::to_string(number));
    }
  }};
  for (std::uint64_t number = 1; number <= published; ++number) {
    for (const auto& each : leaves) {
      const auto got = each->receive_for(patience);
      if (!got || got->sequence != number || got->hops != 2) {
        FAIL_CHECK("number " << number);
        number = published;
        break;
      }
    }
  }
  publishing.join();
  for (const auto& each : leaves) {
    CHECK_FALSE(each->try_receive().has_value());
  }
}

TEST_CASE("a plain publisher's messages get the forwarder's name and numbers") {
  context owner;
  parley::socket plain{owner, socket_kind::xpub};
  forwarder node{owner, {.always = {"t"}}};
  subscriber reader{owner, node.bind("tcp://127.0.0.1:0"), {"t"}};
  node.connect(plain.bind("tcp://127.0.0.1:0"));
  REQUIRE(reader.wait_for_publishers(1, patience, "t"));
  for (std::string heard; heard != "\1t";) {
    const auto said = plain.receive_for(patience);
    REQUIRE(said.has_value());
    heard = said->front().str();
  }
  plain.send(message{frame{"t"}, frame{"body"}});
  const auto got = reader.receive_for(patience);
  REQUIRE(got.has_value());
  CHECK(got->body == "body");
  CHECK(got->publisher == node.downstream().id());
  CHECK(got->sequence == 1);
}

TEST_CASE("a forwarder ends, though it waits for who does not receive") {
  context owner;
  publisher source{owner};
  forwarder node{
      owner,
      {.downstream = {
           .limit = 1, .when_lagging = lag_policy::wait, .max_wait = 1h, .linger = 0ms}}};
  node.connect(source.bind("tcp://127.0.0.1:0"));
  subscriber silent{owner, node.bind("tcp://127.0.0.1:0"), {"t"}, {.limit = 1}};
  REQUIRE(source.wait_for_subscribers(1, patience, "t"));
  REQUIRE(node.downstream().wait_for_subscribers(1, patience, "t"));
  for (int count = 0; count < 100; ++count) {
    source.publish("t", "body");
  }
  // One is on its way, some wait in front of the forwarder's door.
  REQUIRE(await([&] { return node.statistics().forwarded >= 3; }));
  node.close();
  CHECK(node.statistics().forwarded < 100);
}
