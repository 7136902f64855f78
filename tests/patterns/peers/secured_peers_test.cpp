// SPDX-License-Identifier: MPL-2.0
//
// Peers with keys, over the loopback interface.
#include <parley/allow_list.hpp>
#include <parley/client.hpp>
#include <parley/error.hpp>
#include <parley/peers.hpp>
#include <parley/server.hpp>

#include <fstream>
#include <string>
#include <vector>

#include "support/beacon_port.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/nothing_left.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace std::chrono_literals;
using kind = peer_event::kind;
using support::patience;

namespace {

struct secured_network {
  support::beacon_port port;
  context owner;
  curve_keys ada = generate_curve_keys();
  curve_keys bob = generate_curve_keys();
  curve_keys eve = generate_curve_keys();

  [[nodiscard]] peers_options options(std::string name, const curve_security& keys = {}) const {
    return {.name = std::move(name),
            .port = port.number(),
            .interfaces = {"lo"},
            .interval = 100ms,
            .curve = keys};
  }
};

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

// Of what nobody tells.
template<class Condition>
bool becomes(const peers& of, Condition condition) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < until) {
    if (condition(of.statistics())) {
      return true;
    }
    static_cast<void>(of.wait_for_peers(1000, 10ms));
  }
  return false;
}

}  // namespace

TEST_CASE("secured peers find each other, know each other's keys, and talk") {
  secured_network lan;
  peers ada{lan.owner, lan.options("ada", lan.ada)};
  peers bob{lan.owner, lan.options("bob", lan.bob)};
  ada.join("lobby");
  REQUIRE(bob.wait_for_peers(1, patience, "lobby"));
  CHECK(await(bob, kind::enter).key == lan.ada.public_key);
  CHECK(await(ada, kind::enter).key == lan.bob.public_key);
  CHECK(bob.find(ada.id())->key == lan.ada.public_key);
  REQUIRE(bob.whisper(ada.id(), "psst"));
  CHECK(await(ada, kind::whisper).content.front().view() == "psst");
  CHECK(bob.shout("lobby", "all") == 1);
  CHECK(await(ada, kind::shout).content.front().view() == "all");
  bob.close();
  CHECK(await(ada, kind::exit).reason == peer_exit::left);
}

TEST_CASE("letters and names work in a secured network as in another") {
  secured_network lan;
  context elsewhere;
  peers ada{lan.owner, lan.options("ada", lan.ada)};
  auto options = lan.options("bob", lan.bob);
  options.identity = "bob@example.org";
  peers bob{elsewhere, options};
  ada.send_letter("bob@example.org", "see you at noon");
  CHECK(await(bob, kind::letter).content.front().view() == "see you at noon");
  CHECK(await(ada, kind::delivered).identity == "bob@example.org");

  server adder{lan.owner, {.curve = lan.ada}};
  adder.handle("add", [](int one, int other) { return one + other; });
  adder.bind("service:adder");
  client calls{elsewhere, {.curve = {lan.ada.public_key, lan.bob}}};
  calls.connect("service:adder");
  CHECK(calls.call<int>("add", 2, 3) == 5);
}

TEST_CASE("peers with keys and without them are two networks, and count each other") {
  secured_network lan;
  peers ada{lan.owner, lan.options("ada", lan.ada)};
  peers bob{lan.owner, lan.options("bob", lan.bob)};
  peers plain{lan.owner, lan.options("plain")};
  peers other{lan.owner, lan.options("other")};
  REQUIRE(ada.wait_for_peers(1, patience));
  REQUIRE(plain.wait_for_peers(1, patience));
  for (const peers* each : {&ada, &bob, &plain, &other}) {
    CHECK(becomes(*each, [](const auto& seen) { return seen.other_version > 0; }));
  }
  REQUIRE(ada.here().size() == 1);
  CHECK(ada.here().front().id == bob.id());
  REQUIRE(plain.here().size() == 1);
  CHECK(plain.here().front().id == other.id());
}

TEST_CASE("with an allow list, peers take only those on it, by whatever side they come") {
  secured_network lan;
  context of_eve;
  const allow_list friends{lan.owner, std::vector{lan.ada.public_key, lan.bob.public_key}};
  peers ada{lan.owner, lan.options("ada", lan.ada)};
  peers eve{of_eve, lan.options("eve", lan.eve)};
  CHECK(becomes(ada, [](const auto& seen) { return seen.not_allowed > 0; }));  // her beacon
  const auto is_refused = [&] { return friends.refused() > 0; };               // her connection
  CHECK(becomes(ada, [&](const auto&) { return is_refused(); }));
  peers bob{lan.owner, lan.options("bob", lan.bob)};
  REQUIRE(ada.wait_for_peers(1, patience));
  CHECK(ada.here().front().id == bob.id());
  CHECK(eve.here().empty());
  CHECK(friends.allowed() > 0);
}

TEST_CASE("of contexts that had secured peers and a list nothing is left") {
  const support::nothing_left afterwards;
  for (int count = 0; count < 3; ++count) {
    secured_network lan;
    context elsewhere;
    const allow_list friends{lan.owner, std::vector{lan.ada.public_key, lan.bob.public_key}};
    peers ada{lan.owner, lan.options("ada", lan.ada)};
    peers bob{elsewhere, lan.options("bob", lan.bob)};
    REQUIRE(ada.wait_for_peers(1, patience));
    REQUIRE(bob.wait_for_peers(1, patience));
  }
}

TEST_CASE("who is taken off the list is gone with its connection, and does not come back") {
  secured_network lan;
  context of_bob;
  const support::temporary_directory home;
  const auto list = home / "allowed";
  std::ofstream{list} << lan.ada.public_key.z85() << '\n' << lan.bob.public_key.z85() << '\n';
  const allow_list friends{lan.owner, list};
  peers ada{lan.owner, lan.options("ada", lan.ada)};
  {
    peers bob{of_bob, lan.options("bob", lan.bob)};
    REQUIRE(ada.wait_for_peers(1, patience));
    REQUIRE(bob.wait_for_peers(1, patience));
    std::ofstream{list} << lan.ada.public_key.z85() << '\n';
    REQUIRE(bob.whisper(ada.id(), "still here"));  // as long as it lasts
    CHECK(await(ada, kind::whisper).content.front().view() == "still here");
    CHECK(ada.find(bob.id()).has_value());
  }
  static_cast<void>(await(ada, kind::exit));
  const auto refused = friends.refused();
  const auto seen = ada.statistics().not_allowed;
  peers bob{of_bob, lan.options("bob", lan.bob)};
  CHECK(becomes(
      ada, [&](const auto& now) { return now.not_allowed > seen && friends.refused() > refused; }));
  CHECK(ada.here().empty());
}

TEST_CASE("secured peers meet by a seed, and tell each other's keys") {
  secured_network lan;
  const auto without_beacons = [&](std::string name, const curve_keys& keys) {
    auto options = lan.options(std::move(name), keys);
    options.port = 0;
    return options;
  };
  auto options = without_beacons("hub", lan.ada);
  options.gossip = "tcp://127.0.0.1:0";
  peers hub{lan.owner, options};
  options = without_beacons("bob", lan.bob);
  options.seeds = {{*hub.gossip(), lan.ada.public_key}};
  peers bob{lan.owner, options};
  options = without_beacons("eve", lan.eve);
  options.seeds = {{*hub.gossip(), lan.ada.public_key}};
  peers eve{lan.owner, options};
  REQUIRE(bob.wait_for_peers(2, patience));
  REQUIRE(eve.wait_for_peers(2, patience));
  CHECK(eve.find(bob.id())->key == lan.bob.public_key);

  SECTION("and a seed takes only who is on the list") {
    context guarded;
    const allow_list friends{guarded, std::vector{lan.bob.public_key}};
    options = without_beacons("guarded", lan.ada);
    options.gossip = "tcp://127.0.0.1:0";
    peers seed{guarded, options};
    context elsewhere;
    options = without_beacons("stranger", lan.eve);
    options.seeds = {{*seed.gossip(), lan.ada.public_key}};
    peers stranger{elsewhere, options};
    CHECK(becomes(seed, [&](const auto&) { return friends.refused() > 0; }));
    CHECK(stranger.here().empty());
  }
}

TEST_CASE("options of secured peers that make no sense are refused") {
  secured_network lan;
  CHECK_THROWS_AS((peers{lan.owner, lan.options("ada", {lan.bob.public_key, lan.ada})}),
                  config_error);
  auto options = lan.options("ada", lan.ada);
  options.seeds = {"tcp://127.0.0.1:5670"};
  CHECK_THROWS_AS((peers{lan.owner, options}), config_error);
  options = lan.options("ada");
  options.seeds = {{"tcp://127.0.0.1:5670", lan.bob.public_key}};
  CHECK_THROWS_AS((peers{lan.owner, options}), config_error);
}
