// SPDX-License-Identifier: MPL-2.0
#include <parley/forwarder.hpp>
#include <parley/pub_sub.hpp>
#include <parley/socket.hpp>

#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

// A publisher, a forwarder of its messages, and where subscribers find that.
struct relayed {
  explicit relayed(const forwarder_options& options = {}, const publisher_options& source = {})
      : root{owner, source}, node{owner, options}, there{node.bind("tcp://127.0.0.1:*")} {
    node.connect(root.bind("tcp://127.0.0.1:*"));
  }

  context owner;
  publisher root;
  forwarder node;
  endpoint there;
};

}  // namespace

TEST_CASE("a forwarded message keeps the name and the number of who published it first") {
  relayed feed;
  subscriber reader{feed.owner, feed.there, {"a."}};
  REQUIRE(feed.root.wait_for_subscribers(1, patience, "a.b"));
  feed.root.publish("c", "not asked for");
  const std::uint64_t number = feed.root.publish("a.b", "body");
  const auto received = reader.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->topic == "a.b");
  CHECK(received->body == "body");
  CHECK(received->publisher == feed.root.id());
  CHECK(received->sequence == number);
  CHECK(received->hops == 1);
  CHECK(feed.node.statistics().forwarded == 1);
}

TEST_CASE("a chain of forwarders counts the hops") {
  relayed feed;
  forwarder second{feed.owner};
  second.connect(feed.there);
  subscriber reader{feed.owner, second.bind("inproc://second-forwarder"), {""}};
  REQUIRE(feed.root.wait_for_subscribers(1, patience, "t"));
  feed.root.publish("t", "x");
  const auto received = reader.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->publisher == feed.root.id());
  CHECK(received->hops == 2);
}

TEST_CASE("urgent messages stay urgent on their way through a forwarder") {
  relayed feed;
  subscriber reader{feed.owner, feed.there, {""}};
  REQUIRE(feed.root.wait_for_subscribers(1, patience, "t"));
  feed.root.publish_urgent("t", "now");
  const auto received = reader.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->is_urgent);
}

TEST_CASE("forwarders in a ring pass each message on once") {
  context owner;
  publisher root{owner};
  forwarder first{owner};
  forwarder second{owner};
  const endpoint at_first = first.bind("tcp://127.0.0.1:*");
  const endpoint at_second = second.bind("tcp://127.0.0.1:*");
  first.connect(root.bind("tcp://127.0.0.1:*"));
  first.connect(at_second);
  second.connect(at_first);
  subscriber reader{owner, at_second, {""}};
  REQUIRE(root.wait_for_subscribers(1, patience, "t"));
  // The ring is closed when each asks the other.
  REQUIRE(first.downstream().wait_for_subscribers(1, patience, "t"));
  REQUIRE(second.downstream().wait_for_subscribers(2, patience, "t"));
  for (int number = 0; number < 100; ++number) {
    root.publish("t", std::to_string(number));
  }
  for (int number = 0; number < 100; ++number) {
    const auto received = reader.receive_for(patience);
    REQUIRE(received.has_value());
    CHECK(received->body == std::to_string(number));
  }
  while (first.statistics().seen_before < 100) {
    std::this_thread::yield();  // they come round, in time
  }
  CHECK(!reader.try_receive());
}

TEST_CASE("a message ends after most_hops forwarders") {
  context owner;
  publisher root{owner};
  endpoint last = root.bind("inproc://hops-root");
  std::vector<forwarder> chain;
  for (int hop = 0; hop < forwarder::most_hops; ++hop) {
    forwarder& next = chain.emplace_back(owner);
    next.connect(last);
    last = next.bind("inproc://hops-" + std::to_string(hop));
  }
  subscriber near{owner, last, {""}};
  forwarder beyond{owner};
  beyond.connect(last);
  subscriber far{owner, beyond.bind("inproc://hops-beyond"), {""}};
  REQUIRE(chain.back().downstream().wait_for_subscribers(2, patience, "t"));
  REQUIRE(root.wait_for_subscribers(1, patience, "t"));
  root.publish("t", "x");
  const auto received = near.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->hops == forwarder::most_hops);
  while (beyond.statistics().too_far == 0) {
    std::this_thread::yield();
  }
  CHECK(!far.try_receive());
}

TEST_CASE("a late joiner has the memory of the forwarder") {
  relayed feed{{.downstream = {.history = 10, .last_value = true}, .always = {""}}};
  REQUIRE(feed.root.wait_for_subscribers(1, patience, "t"));
  for (const char* body : {"1", "2", "3"}) {
    feed.root.publish("t", body);
  }
  while (feed.node.statistics().forwarded < 3) {
    std::this_thread::yield();
  }
  subscriber all{feed.owner, feed.there, {""}, {.start = feed_start::history()}};
  for (const char* body : {"1", "2", "3"}) {
    const auto received = all.receive_for(patience);
    REQUIRE(received.has_value());
    CHECK(received->body == body);
  }
  subscriber last{feed.owner, feed.there, {""}, {.start = feed_start::last_values()}};
  const auto received = last.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->body == "3");
}

TEST_CASE("who asks a forwarder late has the memory of the publisher topic by topic") {
  relayed feed{
      {.downstream = {.last_value = true}, .upstream = {.start = feed_start::last_values()}},
      {.last_value = true}};
  feed.root.publish("a", "first");
  feed.root.publish("b", "second");
  subscriber reader{feed.owner, feed.there, {"b"}, {.start = feed_start::last_values()}};
  auto received = reader.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->body == "second");
  // It is older than what came before it.
  reader.subscribe("a");
  received = reader.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->body == "first");
}

TEST_CASE("a forwarder asks for nothing upstream that nobody asks of it") {
  relayed feed;
  {
    subscriber reader{feed.owner, feed.there, {"a."}};
    REQUIRE(feed.root.wait_for_subscribers(1, patience, "a.b"));
    REQUIRE(reader.wait_for_publishers(1, patience));
    CHECK(feed.root.subscribers("b") == 0);
  }
  while (feed.root.subscribers("a.b") > 0) {
    std::this_thread::yield();
  }
}

TEST_CASE("what is lost on the way to a forwarder is told to its subscribers") {
  relayed feed{{.upstream = {.limit = 1}},
               {.limit = 2, .when_lagging = lag_policy::newest_by_topic}};
  std::uint64_t missing = 0;
  std::uint64_t missing_upstream = 0;
  subscriber reader{feed.owner, feed.there, {""}};
  reader.on_event([&](const feed_event& event) {
    missing += event.count;
    missing_upstream += event.reason == loss_reason::upstream ? event.count : 0;
  });
  REQUIRE(feed.root.wait_for_subscribers(1, patience, "t"));
  constexpr std::uint64_t published = 20'000;
  for (std::uint64_t number = 1; number <= published; ++number) {
    feed.root.publish("t", std::to_string(number));
  }
  std::uint64_t received = 0;
  while (received + missing < published && reader.receive_for(patience)) {
    ++received;
  }
  CHECK(received + missing == published);
  CHECK(missing > 0);
  CHECK(missing_upstream == missing);
  CHECK(feed.node.statistics().lost == missing);
}

TEST_CASE("plain publishers feed a forwarder and plain subscribers take from it") {
  context owner;
  parley::socket plain_out{owner, socket_kind::xpub};
  forwarder node{owner};
  node.connect(plain_out.bind("tcp://127.0.0.1:*"));
  parley::socket plain_in{owner, socket_kind::sub};
  plain_in.connect(node.bind("tcp://127.0.0.1:*"));
  plain_in.subscribe("a");
  const auto is_asked_for_a = [&] {
    const auto asked = plain_out.receive_for(patience);
    REQUIRE(asked.has_value());
    return asked->front() == "\1a";
  };
  while (!is_asked_for_a()) {
  }
  plain_out.send(message{"a", "body"});
  const auto received = plain_in.receive_for(patience);
  REQUIRE(received.has_value());
  REQUIRE(received->size() == 3);
  CHECK((*received)[0] == "a");
  CHECK((*received)[1] == "body");
}
