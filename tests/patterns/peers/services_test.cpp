// SPDX-License-Identifier: MPL-2.0
//
// Names in place of addresses: each pattern finds what another context announces, and follows it.
#include <parley/error.hpp>
#include <parley/peers.hpp>
#include <parley/pipeline.hpp>
#include <parley/pub_sub.hpp>
#include <parley/request_reply.hpp>
#include <parley/socket.hpp>

#include <optional>
#include <set>
#include <string>

#include "support/beacon_port.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

// One program: a context in which somebody looks.
struct program {
  explicit program(const support::beacon_port& port)
      : lan{owner, {.port = port.number(), .interfaces = {"lo"}, .interval = 100ms}} {}
  context owner;
  peers lan;
};

struct adder_program : program {
  adder_program(const support::beacon_port& port, std::string called) : program{port} {
    adder.handle("add", [](int left, int right) { return left + right; });
    adder.handle("who", [called] { return called; });
    adder.bind("service:adder");
  }
  server adder{owner};
};

}  // namespace

TEST_CASE("a client finds a server by name, whichever of them was there first") {
  const support::beacon_port port;
  program here{port};
  client calls{here.owner, "service:adder"};
  adder_program there{port, "one"};
  CHECK(calls.call<int>("add", 2, 3) == 5);
  CHECK(here.lan.services("service:adder").size() == 1);

  program late{port};
  client late_calls{late.owner, "service:adder"};
  CHECK(late_calls.call<int>("add", 2, 4) == 6);
}

TEST_CASE("a client follows a service that goes and comes back at another address") {
  const support::beacon_port port;
  program here{port};
  client calls{here.owner, "service:adder"};
  std::optional<adder_program> there;
  there.emplace(port, "first");
  CHECK(calls.call<std::string>("who") == "first");
  there.reset();
  there.emplace(port, "second");
  CHECK(calls.call<std::string>({.timeout = patience, .idempotent = true}, "who") == "second");
}

TEST_CASE("a client knows all who offer a service, and goes on with those that stay") {
  const support::beacon_port port;
  program here{port};
  client calls{here.owner, "service:adder"};
  adder_program one{port, "one"};
  std::optional<adder_program> two;
  two.emplace(port, "two");
  REQUIRE(calls.wait_for_servers(2, patience));
  two.reset();
  for (int count = 0; count < 20; ++count) {
    CHECK(calls.call<std::string>({.timeout = patience, .idempotent = true}, "who") == "one");
  }
  calls.disconnect("service:adder");
  CHECK(calls.servers().empty());
}

TEST_CASE("a subscriber finds publishers, and a worker sources, by name") {
  const support::beacon_port port;
  program here{port};
  subscriber feed{here.owner};
  feed.subscribe("price.");
  feed.connect("service:prices");
  worker working{here.owner};
  working.connect("service:jobs");

  program there{port};
  publisher prices{there.owner};
  prices.bind("service:prices");
  source jobs{there.owner};
  jobs.bind("service:jobs");
  REQUIRE(prices.wait_for_subscribers(1, patience, "price."));
  prices.publish("price.gold", 7);
  const auto price = feed.receive_for(patience);
  REQUIRE(price.has_value());
  CHECK(price->as<int>() == 7);

  jobs.push(std::string{"polish"});
  auto job = working.receive_for(patience);
  REQUIRE(job.has_value());
  CHECK(job->body == "polish");
  job->done();
}

TEST_CASE("a service of the same program is found, too") {
  const support::beacon_port port;
  adder_program here{port, "one"};
  client calls{here.owner, "service:adder"};
  CHECK(calls.call<int>("add", 2, 3) == 5);
}

TEST_CASE("what was bound otherwise can be announced, and withdrawn") {
  const support::beacon_port port;
  program here{port};
  program there{port};
  server adder{there.owner};
  adder.handle("add", [](int left, int right) { return left + right; });
  const endpoint bound = adder.bind("tcp://127.0.0.1:0");
  there.lan.announce("service:adder", bound);
  client calls{here.owner, "service:adder"};
  CHECK(calls.call<int>("add", 2, 3) == 5);
  CHECK(here.lan.services("service:adder") == std::vector{bound});
  CHECK(here.lan.here().front().groups.empty());

  there.lan.withdraw("service:adder", bound);
  while (!here.lan.services("service:adder").empty()) {
    static_cast<void>(here.lan.receive_for(100ms));
  }
  CHECK(calls.servers().empty());
}

TEST_CASE("a name in a context where nobody looks is refused in words") {
  context owner;
  try {
    client calls{owner, "service:adder"};
    FAIL("it was taken");
  } catch (const config_error& refused) {
    CHECK(std::string{refused.what()}.find("make a parley::peers first") != std::string::npos);
  }
  parley::socket plain{owner, socket_kind::dealer};
  CHECK_THROWS_AS(plain.connect("service:adder"), error);
  const support::beacon_port port;
  program here{port};
  CHECK_THROWS_AS(here.lan.join("service:adder"), config_error);
  CHECK_THROWS_AS(here.lan.announce("service:adder", "ipc:///tmp/x"), config_error);
}
