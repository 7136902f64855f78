// SPDX-License-Identifier: MPL-2.0
//
// What the options of all patterns say about their connections: keys, and how large a frame may be.
#include <parley/allow_list.hpp>
#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/pipeline.hpp>
#include <parley/pub_sub.hpp>
#include <parley/request_reply.hpp>
#include <parley/socket.hpp>

#include <future>
#include <string>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

struct key_ring {
  curve_keys server = generate_curve_keys();
  curve_keys client = generate_curve_keys();
  curve_security as_server{server};
  curve_security as_client{server.public_key, client};
  curve_security mistaken{client.public_key, client};
};

connection_event await(monitor& watch, connection_change wanted) {
  for (;;) {
    auto event = watch.receive_for(patience);
    INFO("waiting for " << to_string(wanted));
    REQUIRE(event.has_value());
    if (event->change == wanted) {
      return *event;
    }
  }
}

}  // namespace

TEST_CASE("all patterns talk encrypted, by one option on each side") {
  const key_ring keys;
  context owner;
  const allow_list friends{owner, std::vector{keys.client.public_key}};

  publisher prices{owner, publisher_options{.curve = keys.as_server}};
  subscriber feed{owner, subscriber_options{.curve = keys.as_client}};
  feed.subscribe("");
  feed.connect(prices.bind("tcp://127.0.0.1:0"));
  REQUIRE(prices.wait_for_subscribers(1, patience));
  prices.publish("a", "x");
  CHECK(feed.receive_for(patience).has_value());

  source tasks{owner, source_options{.curve = keys.as_server}};
  worker working{owner, worker_options{.curve = keys.as_client}};
  working.connect(tasks.bind("tcp://127.0.0.1:0"));
  CHECK(tasks.push_for("task", patience));
  CHECK(working.receive_for(patience).has_value());

  server adder{owner, server_options{.curve = keys.as_server}};
  adder.handle("add", [](int a, int b) { return a + b; });
  client asking{owner, client_options{.curve = keys.as_client}};
  asking.connect(adder.bind("tcp://127.0.0.1:0"));
  CHECK(asking.call<int>({.timeout = patience}, "add", 2, 3) == 5);
  CHECK(friends.allowed() == 3);
}

TEST_CASE("a pattern without keys, or with the wrong ones, is not heard by one with keys") {
  const key_ring keys;
  context owner;
  server adder{owner, server_options{.curve = keys.as_server}};
  adder.handle("add", [](int a, int b) { return a + b; });
  const endpoint where = adder.bind("tcp://127.0.0.1:0");
  client plain{owner, where};
  client mistaken{owner, where, client_options{.curve = keys.mistaken}};
  CHECK_THROWS_AS(plain.call<int>({.timeout = 50ms}, "add", 2, 3), no_server);
  CHECK_THROWS_AS(mistaken.call<int>({.timeout = 50ms}, "add", 2, 3), no_server);
}

TEST_CASE("watch tells why a pattern's handshake failed") {
  const key_ring keys;
  context owner;
  server adder{owner, server_options{.curve = keys.as_server}};
  monitor watch = adder.watch();
  const endpoint where = adder.bind("tcp://127.0.0.1:0");
  client mistaken{owner, where, client_options{.curve = keys.mistaken}};
  CHECK(await(watch, connection_change::handshake_failed).reason ==
        "the peer's encryption does not fit; does it know the right server key?");
}

TEST_CASE("watch tells of every pattern's connections") {
  context owner;
  publisher prices{owner};
  subscriber feed{owner};
  source tasks{owner};
  worker working{owner};
  server adder{owner};
  const auto check = [](auto& binding, auto& connecting) {
    monitor first = binding.watch();
    monitor second = connecting.watch();
    connecting.connect(binding.bind("tcp://127.0.0.1:0"));
    await(first, connection_change::ready);
    await(second, connection_change::ready);
  };
  check(prices, feed);

  const auto check_told = [](auto& connecting, const endpoint& where) {
    std::promise<void> made;
    connecting.on_connection([&](const connection_event& event) {
      if (event.change == connection_change::ready) {
        made.set_value();
      }
    });
    connecting.connect(where);
    CHECK(made.get_future().wait_for(patience) == std::future_status::ready);
    connecting.on_connection(nullptr);
  };
  client asking{owner};
  check_told(asking, adder.bind("tcp://127.0.0.1:0"));
  check_told(working, tasks.bind("tcp://127.0.0.1:0"));
  std::promise<void> made;
  tasks.on_connection([&](const connection_event& event) {
    if (event.change == connection_change::ready) {
      made.set_value();
    }
  });
  worker another{owner, tasks.bind("tcp://127.0.0.1:0")};
  CHECK(made.get_future().wait_for(patience) == std::future_status::ready);
  tasks.on_connection(nullptr);
}

TEST_CASE("who sends a frame larger than max_frame_bytes is cut off, the others are not") {
  context owner;
  const std::size_t most = std::size_t{1} << 20;
  worker working{owner, worker_options{.max_frame_bytes = most}};
  const endpoint where = working.bind("tcp://127.0.0.1:0");
  parley::socket rude{owner, socket_kind::dealer, {.linger = 0ms}};
  {
    std::promise<void> cut;
    working.on_connection([&](const connection_event& event) {
      if (event.change == connection_change::disconnected) {
        cut.set_value();
      }
    });
    rude.connect(where);
    rude.send(frame{std::string(most + 1, 'x')});
    CHECK(cut.get_future().wait_for(patience) == std::future_status::ready);
    working.on_connection(nullptr);
  }
  source polite{owner};
  polite.connect(where);
  polite.push(std::string(most, 'x'));
  const auto received = working.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->body.size() == most);
}

TEST_CASE("a task larger than a worker takes becomes a dead letter, and the others are done") {
  context owner;
  source tasks{owner, {.attempts = 2, .retry_delay = 1ms}};
  worker small{owner, tasks.bind("tcp://127.0.0.1:0"), {.max_frame_bytes = 1000}};
  tasks.push(std::string(1001, 'x'));
  tasks.push(std::string(1000, 'x'));
  tasks.push(std::string(1000'000, 'x'));
  auto received = small.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->body.size() == 1000);
  received->done();
  CHECK(tasks.wait_until_done(patience));
  CHECK(tasks.dead_letters().size() == 2);
}

TEST_CASE("a server whose reply is larger than max_frame_bytes is lost") {
  context owner;
  server large{owner};
  large.handle("large", [](std::size_t size) { return std::string(size, 'x'); });
  client asking{owner, large.bind("tcp://127.0.0.1:0"), client_options{.max_frame_bytes = 1000}};
  CHECK(asking.call<std::string>({.timeout = patience}, "large", 900).size() == 900);
  CHECK_THROWS_AS(asking.call<std::string>({.timeout = patience}, "large", 1000), server_lost);
  // The client connects anew.
  CHECK(asking.call<std::string>({.timeout = patience}, "large", 900).size() == 900);
}

TEST_CASE("a server cuts off a client that asks with too large a frame, and serves the next") {
  context owner;
  server adder{owner, server_options{.max_frame_bytes = 1000}};
  adder.handle("size", [](const std::string& text) { return text.size(); });
  const endpoint where = adder.bind("tcp://127.0.0.1:0");
  client rude{owner, where};
  CHECK_THROWS_AS(rude.call<std::size_t>({.timeout = patience}, "size", std::string(2000, 'x')),
                  server_lost);
  client polite{owner, where};
  CHECK(polite.call<std::size_t>({.timeout = patience}, "size", std::string(100, 'x')) == 100);
}

TEST_CASE("who connects takes frames of any size, a server none beyond 64 MiB") {
  context owner;
  const std::string large((std::size_t{64} << 20) + 1, 'x');
  source tasks{owner};
  worker working{owner};
  working.connect(tasks.bind("tcp://127.0.0.1:0"));
  tasks.push(large);
  const auto received = working.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->body.size() == large.size());

  CHECK(subscriber_options{}.max_frame_bytes == any_frame_bytes);
  CHECK(client_options{}.max_frame_bytes == any_frame_bytes);
  CHECK(server_options{}.max_frame_bytes == std::size_t{64} << 20);
}

TEST_CASE("a subscriber cuts off a publisher that publishes too large a frame") {
  context owner;
  publisher rude{owner};
  subscriber feed{owner, subscriber_options{.max_frame_bytes = 1000}};
  feed.subscribe("");
  feed.connect(rude.bind("tcp://127.0.0.1:0"));
  REQUIRE(rude.wait_for_subscribers(1, patience));
  monitor watch = feed.watch();
  rude.publish("a", std::string(1001, 'x'));
  await(watch, connection_change::disconnected);
}
