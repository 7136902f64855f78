// SPDX-License-Identifier: MPL-2.0
//
// Peers in one process, over the loopback interface.
#include <parley/error.hpp>
#include <parley/peers.hpp>

#include <future>
#include <string>
#include <thread>

#include "support/beacon_port.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using kind = peer_event::kind;
using support::patience;

namespace {

struct network {
  support::beacon_port port;
  context owner;

  [[nodiscard]] peers_options options(std::string name) const {
    return {
        .name = std::move(name), .port = port.number(), .interfaces = {"lo"}, .interval = 100ms};
  }
};

// Passes over what else happens.
peer_event await(peers& of, kind what) {
  for (;;) {
    auto event = of.receive_for(patience);
    INFO(of.name() << " waits for " << to_string(what));
    REQUIRE(event.has_value());
    if (event->what == what) {
      return std::move(*event);
    }
  }
}

}  // namespace

TEST_CASE("peers find each other, by name, with their headers and groups") {
  network lan;
  auto options = lan.options("ada");
  options.headers = {{"role", "desk"}};
  peers ada{lan.owner, options};
  ada.join("lobby");
  peers bob{lan.owner, lan.options("bob")};

  const auto entered = await(bob, kind::enter);
  CHECK(entered.peer == ada.id());
  CHECK(entered.name == "ada");
  CHECK(entered.headers.at("role") == "desk");
  const auto joined = await(bob, kind::join);
  CHECK(joined.peer == ada.id());
  CHECK(joined.group == "lobby");
  CHECK(await(ada, kind::enter).peer == bob.id());

  REQUIRE(bob.wait_for_peers(1, patience, "lobby"));
  const auto here = bob.here("lobby");
  REQUIRE(here.size() == 1);
  CHECK(here.front().id == ada.id());
  CHECK(here.front().groups == std::vector<std::string>{"lobby"});
  CHECK(bob.here("elsewhere").empty());
}

TEST_CASE("a whisper reaches one peer, a shout all others of the group, in order") {
  network lan;
  peers ada{lan.owner, lan.options("ada")};
  peers bob{lan.owner, lan.options("bob")};
  peers eve{lan.owner, lan.options("eve")};
  ada.join("lobby");
  bob.join("lobby");
  REQUIRE(ada.wait_for_peers(1, patience, "lobby"));
  REQUIRE(ada.wait_for_peers(2, patience));
  REQUIRE(bob.wait_for_peers(2, patience));

  for (int count = 0; count < 1000; ++count) {
    REQUIRE(ada.whisper(bob.id(), count));
  }
  CHECK(ada.shout("lobby", "all of you") == 1);
  for (int count = 0; count < 1000; ++count) {
    const auto said = await(bob, kind::whisper);
    REQUIRE(said.peer == ada.id());
    REQUIRE(said.as<int>() == count);
  }
  const auto shouted = await(bob, kind::shout);
  CHECK(shouted.group == "lobby");
  CHECK(shouted.content.front().view() == "all of you");

  // And eve heard none of it.
  REQUIRE(bob.whisper(eve.id(), "only now"));
  CHECK(await(eve, kind::whisper).peer == bob.id());
}

TEST_CASE("what is said beyond the end of the 16-bit numbers arrives as all else does") {
  network lan;
  auto options = lan.options("bob");
  options.limit = 200'000;
  peers bob{lan.owner, options};
  peers ada{lan.owner, lan.options("ada")};
  REQUIRE(ada.wait_for_peers(1, patience));
  for (int count = 0; count < 70'000; ++count) {
    REQUIRE(ada.whisper(bob.id(), count));
  }
  for (int count = 0; count < 70'000; ++count) {
    if (await(bob, kind::whisper).as<int>() != count) {
      FAIL(count << " did not come in its turn");
    }
  }
  CHECK(bob.statistics().entered == 1);
}

TEST_CASE("groups are joined and left, and others hear of it") {
  network lan;
  peers ada{lan.owner, lan.options("ada")};
  peers bob{lan.owner, lan.options("bob")};
  REQUIRE(ada.wait_for_peers(1, patience));
  REQUIRE(bob.wait_for_peers(1, patience));
  // More than the counter of joins and leaves has room for.
  for (int count = 0; count < 300; ++count) {
    ada.join("lobby");
    ada.leave("lobby");
  }
  ada.join("office");
  for (int count = 0; count < 300; ++count) {
    CHECK(await(bob, kind::join).group == "lobby");
    CHECK(await(bob, kind::leave).group == "lobby");
  }
  CHECK(await(bob, kind::join).group == "office");
  CHECK(bob.statistics().nonsense == 0);
}

TEST_CASE("a peer that goes says so") {
  network lan;
  peers ada{lan.owner, lan.options("ada")};
  {
    peers bob{lan.owner, lan.options("bob")};
    REQUIRE(ada.wait_for_peers(1, patience));
    REQUIRE(bob.wait_for_peers(1, patience));
    CHECK(bob.whisper(ada.id(), "so long"));
  }
  CHECK(await(ada, kind::whisper).content.front().view() == "so long");
  const auto gone = await(ada, kind::exit);
  CHECK(gone.reason == peer_exit::left);
  CHECK(ada.here().empty());
  CHECK_FALSE(ada.whisper(gone.peer, "too late"));
}

TEST_CASE("a peer beyond its rate is muted, and told so") {
  network lan;
  auto options = lan.options("ada");
  options.rate = {.messages = 5, .within = 1s};
  peers ada{lan.owner, options};
  peers bob{lan.owner, lan.options("bob")};
  REQUIRE(bob.wait_for_peers(1, patience));
  for (int count = 0; count < 20; ++count) {
    REQUIRE(bob.whisper(ada.id(), count));
  }
  CHECK(await(ada, kind::muted).peer == bob.id());
  const auto told = await(bob, kind::muted_by);
  CHECK(told.peer == ada.id());
  CHECK(told.count == 1000);
  const auto over = await(ada, kind::unmuted);
  CHECK(over.count == ada.statistics().muted);
  CHECK(over.count > 0);
  REQUIRE(bob.whisper(ada.id(), 77));
  CHECK(await(ada, kind::whisper).as<int>() == 77);
}

TEST_CASE("programs on another port are another network") {
  network lan;
  network other;
  peers ada{lan.owner, lan.options("ada")};
  peers eve{other.owner, other.options("eve")};
  peers bob{lan.owner, lan.options("bob")};
  REQUIRE(ada.wait_for_peers(1, patience));
  CHECK(ada.here().front().id == bob.id());
  CHECK(eve.here().empty());
}

TEST_CASE("close ends a wait for peers and for what they say") {
  network lan;
  peers ada{lan.owner, lan.options("ada")};
  auto received = std::async(std::launch::async, [&] { return ada.receive(); });
  auto waited = std::async(std::launch::async, [&] { return ada.wait_for_peers(1, patience); });
  ada.close();
  CHECK_THROWS_AS(received.get(), closed);
  CHECK_THROWS_AS(waited.get(), closed);
  CHECK_THROWS_AS(ada.join("lobby"), closed);
}

TEST_CASE("run hands over what happens until it is told to stop") {
  network lan;
  peers ada{lan.owner, lan.options("ada")};
  peers bob{lan.owner, lan.options("bob")};
  std::stop_source stop;
  ada.run(
      [&](const peer_event& event) {
        CHECK(event.what == kind::enter);
        stop.request_stop();
      },
      stop.get_token());
  std::jthread later{
      [&](const std::stop_token& token) { bob.run([](const peer_event&) {}, token); }};
  later.request_stop();
}

TEST_CASE("options of peers that make no sense are refused") {
  context owner;
  CHECK_THROWS_AS((peers{owner, {.name = std::string(256, 'n')}}), config_error);
  CHECK_THROWS_AS((peers{owner, {.interval = 0ms}}), config_error);
  // Such ends pyre (trap 11).
  CHECK_THROWS_AS((peers{owner, {.name = "\xff"}}), config_error);
  CHECK_THROWS_AS((peers{owner, {.headers = {{"\xff", "x"}}}}), config_error);
  CHECK_THROWS_AS((peers{owner, {.headers = {{"x", "\xff"}}}}), config_error);
  CHECK_THROWS_AS((peers{owner, {.identity = "\xff"}}), config_error);
  CHECK_THROWS_AS((peers{owner, {.evasive = 2s, .expired = 1s}}), config_error);
  CHECK_THROWS_AS((peers{owner, {.rate = {.within = 0s}}}), config_error);
  peers silent{owner, {.port = 0}};
  CHECK_THROWS_AS(silent.join(""), config_error);
  CHECK_THROWS_AS(silent.join("\xff"), config_error);
  CHECK_THROWS_AS(silent.shout(std::string(256, 'g'), "x"), config_error);
}
