// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/peers.hpp>
#include <parley/socket.hpp>

#include "peers/gossip_wire.hpp"

#include <optional>
#include <string>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using namespace std::string_literals;
using kind = gossip_message::kind;
using support::patience;

namespace {

const peer_id someone = *peer_id::parse("000102030405060708090A0B0C0D0E0F");

// Without beacons: peers meet by gossip alone.
peers_options alone(std::string name) { return {.name = std::move(name), .port = 0}; }

peers_options seed(std::string name) {
  auto options = alone(std::move(name));
  options.gossip = "tcp://127.0.0.1:0";
  return options;
}

peers_options guest(std::string name, const endpoint& of) {
  auto options = alone(std::move(name));
  options.seeds = {of};
  return options;
}

}  // namespace

TEST_CASE("gossip is octet by octet what czmq's zgossip says") {
  CHECK(write_gossip({.what = kind::hello}) == "\xAA\xA0\x01\x01"s);
  std::string published = "\xAA\xA0\x02\x01\x20"s;
  published += "000102030405060708090A0B0C0D0E0F";
  published += "\x00\x00\x00\x14"s;
  published += "tcp://10.0.0.7:49152";
  published += "\x00\x00\x00\x00"s;
  CHECK(write_gossip(message_of({someone, {"10.0.0.7", 49152}})) == published);
  const auto read = read_gossip(published);
  REQUIRE(read.has_value());
  const auto fact = fact_of(*read);
  REQUIRE(fact.has_value());
  CHECK(fact->who == someone);
  CHECK(fact->where == peer_place{"10.0.0.7", 49152});
  for (std::size_t size = 0; size < published.size(); ++size) {
    CHECK_FALSE(read_gossip(published.substr(0, size)));
  }
  CHECK_FALSE(read_gossip(published + "x"));
  CHECK_FALSE(read_gossip("\xAA\xA0\x06\x01"s));
  CHECK_FALSE(read_gossip("\xAA\xA0\x01\x02"s));
}

TEST_CASE("gossip about what is no peer at an address is no fact") {
  for (const char* value :
       {"", "tcp://10.0.0.7", "tcp://10.0.0.7:0", "ipc:///tmp/x",
        "tcp://10.0.0.7:1|yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI", "tcp://10.0.0.7:1|"}) {
    CHECK_FALSE(fact_of({.what = kind::publish, .key = someone.str(), .value = value}));
  }
  CHECK_FALSE(fact_of({.what = kind::publish, .key = "not an id", .value = "tcp://10.0.0.7:1"}));
}

TEST_CASE("gossip of a secured node has its key behind its address, as zyre writes it") {
  const gossip_message said{.what = kind::publish,
                            .key = someone.str(),
                            .value = "tcp://10.0.0.7:1|yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"};
  const auto fact = fact_of(said);
  REQUIRE(fact.has_value());
  CHECK(fact->where == peer_place{"10.0.0.7", 1});
  CHECK(fact->key == curve_key{"yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"});
  CHECK(message_of(*fact).value == said.value);
}

TEST_CASE("peers that know one seed meet all others that know it") {
  context owner;
  peers hub{owner, seed("hub")};
  peers ada{owner, guest("ada", *hub.gossip())};
  peers bob{owner, guest("bob", *hub.gossip())};
  REQUIRE(ada.wait_for_peers(2, patience));
  REQUIRE(bob.wait_for_peers(2, patience));
  REQUIRE(hub.wait_for_peers(2, patience));
  REQUIRE(ada.whisper(bob.id(), "hello"));
}

TEST_CASE("seeds that know each other pass on what they were told") {
  context owner;
  peers first{owner, seed("first")};
  auto options = guest("second", *first.gossip());
  options.gossip = "tcp://127.0.0.1:0";
  peers second{owner, options};
  peers ada{owner, guest("ada", *first.gossip())};
  peers bob{owner, guest("bob", *second.gossip())};
  REQUIRE(ada.wait_for_peers(3, patience));
  REQUIRE(bob.wait_for_peers(3, patience));
}

TEST_CASE("a seed tells a plain node of zgossip what it knows, and answers its pings") {
  context owner;
  peers hub{owner, seed("hub")};
  parley::socket plain{owner, socket_kind::dealer};
  plain.connect(*hub.gossip());
  plain.send(frame{write_gossip({.what = kind::hello})});
  const auto told = plain.receive_for(patience);
  REQUIRE(told.has_value());
  const auto fact = fact_of(*read_gossip(told->front().view()));
  REQUIRE(fact.has_value());
  CHECK(fact->who == hub.id());
  CHECK(fact->where.host == "127.0.0.1");
  plain.send(frame{write_gossip({.what = kind::ping})});
  CHECK(read_gossip(plain.receive_for(patience)->front().view())->what == kind::pong);
  plain.send("nonsense");
  CHECK(read_gossip(plain.receive_for(patience)->front().view())->what == kind::invalid);
}

TEST_CASE("a seed without an address is refused") {
  context owner;
  CHECK_THROWS_AS((peers{owner, guest("ada", "tcp://no-such-host.invalid:5670")}), error);
}
