// SPDX-License-Identifier: MPL-2.0
#include <parley/network_diagnosis.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace std::chrono_literals;
using kind = finding::kind;

namespace {

peer_id id_of(std::uint8_t octet) {
  std::array<std::uint8_t, peer_id::size> bytes{};
  bytes.fill(octet);
  return peer_id{bytes};
}

const peer_id own = id_of(1);
const peer_id ada = id_of(0xAD);

neighbour::sighting seen(beacon_carrier by, std::string host, std::uint16_t port,
                         std::uint64_t count = 5) {
  return {"eth0", by, std::move(host), port, count};
}

// A host on which all is well, and Ada beside it.
network_facts well() {
  network_facts facts;
  facts.own = own;
  facts.host = {{.name = "lo",
                 .is_up = true,
                 .has_carrier = true,
                 .is_loopback = true,
                 .mtu = 65536,
                 .addresses = {"127.0.0.1/8"}},
                {.name = "eth0",
                 .is_up = true,
                 .has_carrier = true,
                 .mtu = 1500,
                 .addresses = {"10.1.0.1/24"}}};
  facts.beacons = {
      {.name = "eth0", .address = "10.1.0.1", .sent_to = "10.1.0.255", .sent = 10},
      {.name = "eth0", .address = "10.1.0.1", .sent_to = "239.0.0.0", .sent = 10},
      {.name = "lo", .address = "127.0.0.1", .sent_to = "127.255.255.255", .sent = 10}};
  facts.neighbours = {{.id = own,
                       .version = 1,
                       .sightings = {seen(beacon_carrier::broadcast, "10.1.0.1", 4000),
                                     seen(beacon_carrier::ipv4_multicast, "10.1.0.1", 4000),
                                     {"lo", beacon_carrier::broadcast, "127.0.0.1", 4000, 10}}},
                      {.id = ada,
                       .version = 1,
                       .sightings = {seen(beacon_carrier::broadcast, "10.1.0.2", 5000)},
                       .attempts = {{"tcp://10.1.0.2:5000", probe_answer::answered}}}};
  facts.here = {ada};
  return facts;
}

neighbour& self_of(network_facts& facts) { return facts.neighbours[0]; }
neighbour& ada_of(network_facts& facts) { return facts.neighbours[1]; }

// The finding of that kind; there has to be one.
finding found(const network_facts& facts, kind what) {
  const auto all = diagnose(facts);
  const auto one = std::ranges::find(all, what, &finding::what);
  INFO(to_string(what));
  REQUIRE(one != all.end());
  return *one;
}
bool has(const network_facts& facts, kind what) {
  const auto all = diagnose(facts);
  return std::ranges::find(all, what, &finding::what) != all.end();
}
bool is_in(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

second_opinion adas() {
  return {.who = ada,
          .name = "ada",
          .host = "10.1.0.2",
          .heard = {seen(beacon_carrier::broadcast, "10.1.0.1", 0)},
          .round_trip = 300us,
          .takes_large = true};
}

}  // namespace

TEST_CASE("where all is well nothing is found") {
  auto facts = well();
  CHECK(diagnose(facts).empty());
  facts.opinions = {adas()};
  CHECK(diagnose(facts).empty());
}

TEST_CASE("who is alone on a network that works is told how to go on") {
  auto facts = well();
  facts.neighbours.resize(1);
  facts.here.clear();
  const auto alone = found(facts, kind::nobody);
  CHECK_FALSE(alone.is_trouble);
  CHECK_FALSE(is_in(alone.advice, "Wi-Fi"));
  facts.host[1].is_wireless = true;
  CHECK(is_in(found(facts, kind::nobody).advice, "Wi-Fi isolates its clients"));
}

TEST_CASE("a port that is taken names who has it") {
  auto facts = well();
  facts.why_port_is_taken = "Address already in use";
  facts.port_is_taken_by = "dnsd (process 7)";
  facts.beacons.clear();
  self_of(facts).sightings.clear();
  const auto taken = found(facts, kind::port_taken);
  CHECK(taken.is_trouble);
  CHECK(is_in(taken.sentence, "dnsd (process 7)"));
  CHECK_FALSE(has(facts, kind::no_broadcast));  // that is not the interfaces' fault
}

TEST_CASE("an interface that is down is trouble if it was asked for") {
  auto facts = well();
  facts.host.push_back({.name = "wlan0"});
  CHECK_FALSE(found(facts, kind::interface_down).is_trouble);
  facts.interfaces = {"wlan0"};
  const auto down = found(facts, kind::interface_down);
  CHECK(down.is_trouble);
  CHECK(down.advice == "if it is to be used: ip link set dev wlan0 up");
}

TEST_CASE("an interface is named by an address of it, too") {
  auto facts = well();
  facts.interfaces = {"10.1.0.1"};
  CHECK(diagnose(facts).empty());
  facts.interfaces = {"10.1.0.9"};
  CHECK(is_in(found(facts, kind::no_such_interface).advice, "lo, eth0"));
}

TEST_CASE("an interface needs a carrier and an address") {
  auto facts = well();
  facts.host[1].has_carrier = false;
  CHECK(has(facts, kind::no_carrier));
  facts = well();
  facts.host[1].addresses.clear();
  CHECK(has(facts, kind::no_address));
}

TEST_CASE("without any other interface loopback is not enough") {
  auto facts = well();
  facts.host.pop_back();
  CHECK(found(facts, kind::only_loopback).is_trouble);
  facts.interfaces = {"lo"};  // unless that was all that was asked for
  CHECK_FALSE(has(facts, kind::only_loopback));
  facts = well();
  facts.host.clear();
  CHECK(found(facts, kind::no_interface).is_trouble);
}

TEST_CASE("a tunnel without broadcast is trouble where nothing else leads out") {
  auto facts = well();
  facts.host.push_back({.name = "tun0",
                        .is_up = true,
                        .has_carrier = true,
                        .mtu = 1420,
                        .addresses = {"10.9.0.1/32"}});
  facts.beacons.push_back({.name = "tun0", .address = "10.9.0.1", .sent_to = ""});
  CHECK_FALSE(found(facts, kind::no_broadcast).is_trouble);
  facts.host.erase(facts.host.begin() + 1);
  const auto tunnel = found(facts, kind::no_broadcast);
  CHECK(tunnel.is_trouble);
  CHECK(is_in(tunnel.sentence, "interface tun0 carries no broadcast"));
  CHECK(is_in(tunnel.advice, "--seed"));
}

TEST_CASE("beacons that do not come back are dropped on their way in") {
  auto facts = well();
  std::erase_if(self_of(facts).sightings,
                [](const auto& each) { return each.interface == "eth0"; });
  const auto dropped = found(facts, kind::dropped_in);
  CHECK(dropped.is_trouble);
  CHECK(dropped.advice == "nft insert rule inet filter input udp dport 5670 accept");
  CHECK_FALSE(is_in(dropped.sentence, "rule:"));
}

TEST_CASE("one carrier that does not come back is good to know") {
  auto facts = well();
  self_of(facts).sightings.erase(self_of(facts).sightings.begin());
  const auto dropped = found(facts, kind::dropped_in);
  CHECK_FALSE(dropped.is_trouble);
  CHECK(is_in(dropped.sentence, "(broadcast)"));
}

TEST_CASE("a beacon that has just left need not be back") {
  auto facts = well();
  self_of(facts).sightings.clear();
  for (auto& each : facts.beacons) {
    each.sent = 1;
  }
  CHECK_FALSE(has(facts, kind::dropped_in));
}

TEST_CASE("the rule whose count rose is named, and how to let beacons through before it") {
  auto facts = well();
  std::erase_if(self_of(facts).sightings,
                [](const auto& each) { return each.interface == "eth0"; });
  facts.firewall = {
      {"input", "udp dport 9 drop", "nft insert rule ip a b", 0},
      {"output", "udp dport 5670 drop", "nft insert rule ip a out", 9},
      {"input", "policy drop of chain in in table inet t", "nft insert rule inet t in"}};
  CHECK(is_in(found(facts, kind::dropped_in).sentence, "(rule: policy drop of chain in"));
  facts.firewall.push_back({"input", "udp dport 5670 drop", "nft insert rule inet t other"});
  CHECK(is_in(found(facts, kind::dropped_in).sentence, "(rule: udp dport 5670 drop)"));
  facts.firewall.push_back({"input", "ip daddr 10.1.0.255 drop", "nft insert rule inet t in", 3});
  const auto dropped = found(facts, kind::dropped_in);
  CHECK(is_in(dropped.sentence, "(rule: ip daddr 10.1.0.255 drop)"));
  CHECK(dropped.advice == "nft insert rule inet t in udp dport 5670 accept");
}

TEST_CASE("advice speaks the language of the firewall") {
  auto facts = well();
  std::erase_if(self_of(facts).sightings,
                [](const auto& each) { return each.interface == "eth0"; });
  facts.firewall = {
      {"input", "-A INPUT -p udp --dport 5670 -j DROP", "iptables -I INPUT", 3, true}};
  CHECK(found(facts, kind::dropped_in).advice == "iptables -I INPUT -p udp --dport 5670 -j ACCEPT");
}

TEST_CASE("beacons that the system does not permit are dropped on their way out") {
  auto facts = well();
  for (auto& each : facts.beacons) {
    if (each.name == "eth0") {
      each.refused = std::exchange(each.sent, 0);
      each.why_refused = std::make_error_code(std::errc::operation_not_permitted);
    }
  }
  CHECK(found(facts, kind::dropped_out).is_trouble);
  CHECK_FALSE(has(facts, kind::dropped_in));  // what was not sent cannot come back
  facts.beacons[1].sent = 10;
  CHECK_FALSE(found(facts, kind::dropped_out).is_trouble);
}

TEST_CASE("what else cannot be sent is told in the system's words") {
  auto facts = well();
  facts.beacons[0].refused = std::exchange(facts.beacons[0].sent, 0);
  facts.beacons[0].why_refused = std::make_error_code(std::errc::network_unreachable);
  CHECK(is_in(found(facts, kind::not_sent).sentence, "broadcast over eth0 cannot be sent"));
}

TEST_CASE("an IPv6 address that is still looked at is no trouble") {
  auto facts = well();
  facts.beacons.push_back({.name = "eth0",
                           .address = "fe80::1",
                           .sent_to = "ff02::1",
                           .sent = 1,
                           .refused = 2,
                           .why_refused = std::make_error_code(std::errc::address_not_available)});
  CHECK(diagnose(facts).empty());
}

TEST_CASE("datagrams that were not read in time are told") {
  auto facts = well();
  facts.not_read_in_time = 7;
  CHECK(is_in(found(facts, kind::not_read_in_time).sentence, "7 datagrams"));
}

TEST_CASE("beacons of other versions name where they come from") {
  auto facts = well();
  facts.neighbours.push_back({.id = id_of(3),
                              .version = 3,
                              .sightings = {seen(beacon_carrier::broadcast, "10.1.0.3", 6000)}});
  CHECK(is_in(found(facts, kind::secured_network).sentence, "10.1.0.3"));
  facts.neighbours.back().version = 2;
  CHECK(is_in(found(facts, kind::other_version).sentence, "version 2"));
  facts.neighbours.back().version.reset();
  CHECK(is_in(found(facts, kind::nonsense).sentence, "10.1.0.3"));
}

TEST_CASE("in a secured network peers have keys, and who has none is another network") {
  auto facts = well();
  facts.is_secured = true;
  for (neighbour& each : facts.neighbours) {
    each.version = 3;
  }
  CHECK(diagnose(facts).empty());
  ada_of(facts).attempts.front().last = probe_answer::silent;
  facts.here.clear();
  CHECK(has(facts, kind::no_answer));
  ada_of(facts).version = 1;
  CHECK(is_in(found(facts, kind::secured_network).sentence, "without keys"));
  facts.statistics.other_version = ada_of(facts).sightings.front().count;
  CHECK_FALSE(has(facts, kind::other_version));
}

TEST_CASE("who is not on the list is told of, and trouble where nobody else is") {
  auto facts = well();
  facts.is_secured = true;
  facts.statistics.not_allowed = 3;
  CHECK_FALSE(found(facts, kind::not_allowed).is_trouble);
  facts.here.clear();
  CHECK(found(facts, kind::not_allowed).is_trouble);
}

TEST_CASE("messages of another version are told apart from such beacons") {
  auto facts = well();
  facts.statistics.other_version = 5;
  CHECK(is_in(found(facts, kind::other_version).advice, "jyre"));
  facts.neighbours.push_back({.id = id_of(3),
                              .version = 3,
                              .sightings = {seen(beacon_carrier::broadcast, "10.1.0.3", 6000)}});
  CHECK_FALSE(has(facts, kind::other_version));
}

TEST_CASE("two mailboxes with one id are two programs") {
  auto facts = well();
  ada_of(facts).sightings.push_back(seen(beacon_carrier::broadcast, "10.1.0.3", 5001));
  const auto same = found(facts, kind::same_id);
  CHECK(same.is_trouble);
  CHECK(is_in(same.sentence, "10.1.0.2, 10.1.0.3"));
}

TEST_CASE("one that has several addresses, started anew, or left, is one program") {
  auto facts = well();
  ada_of(facts).sightings.push_back(seen(beacon_carrier::broadcast, "10.2.0.2", 5000));
  ada_of(facts).sightings.push_back(seen(beacon_carrier::broadcast, "10.1.0.2", 5001, 1));
  ada_of(facts).sightings.push_back(seen(beacon_carrier::broadcast, "10.1.0.2", 0));
  CHECK_FALSE(has(facts, kind::same_id));
}

TEST_CASE("our own id in the hands of another is told") {
  auto facts = well();
  self_of(facts).sightings.push_back(seen(beacon_carrier::broadcast, "10.1.0.3", 5001));
  CHECK(found(facts, kind::own_id).is_trouble);
}

TEST_CASE("a neighbour that is heard and answers nowhere has a firewall") {
  auto facts = well();
  facts.here.clear();
  ada_of(facts).attempts[0].last = probe_answer::silent;
  const auto silent = found(facts, kind::no_answer);
  CHECK(silent.advice ==
        "on that host: nft insert rule inet filter input ip saddr 10.1.0.0/24 tcp dport "
        "32768-60999 accept");
  ada_of(facts).attempts.push_back({"tcp://[fe80::2%eth0]:5000", probe_answer::answered});
  CHECK_FALSE(has(facts, kind::no_answer));
}

TEST_CASE("a rule of ours that drops what we send to a neighbour is named") {
  auto facts = well();
  facts.here.clear();
  ada_of(facts).attempts[0].last = probe_answer::silent;
  facts.firewall = {{"output", "meta l4proto tcp drop", "nft insert rule inet t out", 4}};
  const auto silent = found(facts, kind::no_answer);
  CHECK(is_in(silent.sentence, "this host's firewall"));
  CHECK(silent.advice == "nft insert rule inet t out tcp dport 32768-60999 accept");
}

TEST_CASE("one that reaches us and that we do not reach is told as such") {
  auto facts = well();
  ada_of(facts).attempts[0].last = probe_answer::silent;
  CHECK(has(facts, kind::one_way));
  // Not a second time for what it was asked.
  facts.opinions = {adas()};
  facts.opinions[0].round_trip.reset();
  CHECK(std::ranges::count(diagnose(facts), kind::one_way, &finding::what) == 1);
}

TEST_CASE("one that refuses is not where it says") {
  auto facts = well();
  facts.here.clear();
  ada_of(facts).attempts[0].last = probe_answer::refused;
  CHECK(is_in(found(facts, kind::refused).sentence, "tcp://10.1.0.2:5000"));
}

TEST_CASE("one that takes our connection and does not greet us cannot reach us") {
  auto facts = well();
  facts.here.clear();
  CHECK(is_in(found(facts, kind::does_not_greet).advice, "tcp dport 32768-60999 accept"));
  ada_of(facts).sightings[0].count = 1;  // it came a moment ago
  CHECK_FALSE(has(facts, kind::does_not_greet));
}

TEST_CASE("one that left is not missed") {
  auto facts = well();
  facts.here.clear();
  ada_of(facts).attempts[0].last = probe_answer::refused;
  ada_of(facts).sightings.push_back(seen(beacon_carrier::broadcast, "10.1.0.2", 0, 3));
  CHECK_FALSE(has(facts, kind::refused));
}

TEST_CASE("one that hears neither us nor itself has a firewall") {
  auto facts = well();
  facts.opinions = {adas()};
  facts.opinions[0].heard.clear();
  facts.opinions[0].hears_itself = false;
  const auto deaf = found(facts, kind::not_heard_there);
  CHECK(deaf.is_trouble);
  CHECK(deaf.advice == "on that host: nft insert rule inet filter input udp dport 5670 accept");
}

TEST_CASE("a network that carries beacons in no direction isolates its clients") {
  auto facts = well();
  facts.opinions = {adas()};
  facts.opinions[0].heard.clear();
  CHECK(is_in(found(facts, kind::not_heard_there).sentence, "get lost on their way"));
  ada_of(facts).sightings.clear();
  const auto isolated = found(facts, kind::not_heard_there);
  CHECK_FALSE(isolated.is_trouble);  // they met by a seed
  CHECK(is_in(isolated.sentence, "in either direction"));
  facts.host[1].is_wireless = true;
  CHECK(is_in(found(facts, kind::not_heard_there).sentence, "this Wi-Fi isolates its clients"));
  CHECK(is_in(found(facts, kind::not_heard_there).advice, "--seed"));
}

TEST_CASE("behind a router nobody is to hear beacons") {
  auto facts = well();
  facts.opinions = {adas()};
  facts.opinions[0].heard.clear();
  facts.opinions[0].host = "10.2.0.2";
  CHECK_FALSE(found(facts, kind::other_subnet).is_trouble);
  CHECK_FALSE(has(facts, kind::not_heard_there));
  facts.host[1].other_ends = {"10.2.0.2"};  // a line that leads right there is no router
  CHECK_FALSE(has(facts, kind::other_subnet));
}

TEST_CASE("one who never answers what we say is not reached") {
  auto facts = well();
  facts.opinions = {adas()};
  facts.opinions[0].round_trip.reset();
  CHECK(found(facts, kind::one_way).is_trouble);
}

TEST_CASE("large messages that do not come through are a matter of packets") {
  auto facts = well();
  facts.opinions = {adas()};
  facts.opinions[0].takes_large = false;
  const auto lost = found(facts, kind::large_lost);
  CHECK(is_in(lost.sentence, "MTU 1500"));
  CHECK(is_in(lost.advice, "ip link set dev eth0 mtu"));
  facts.opinions[0].host = "fe80::2%eth0";
  CHECK(is_in(found(facts, kind::large_lost).sentence, "MTU 1500"));
  facts.opinions[0].takes_large.reset();
  CHECK_FALSE(has(facts, kind::large_lost));
}

TEST_CASE("seeds that refuse and seeds that keep silent are told apart") {
  auto facts = well();
  facts.seeds = {{"tcp://10.0.0.1:1", probe_answer::refused},
                 {"tcp://10.0.0.2:1", probe_answer::silent},
                 {"tcp://10.0.0.3:1", probe_answer::answered}};
  CHECK(is_in(found(facts, kind::seed_refused).sentence, "10.0.0.1"));
  CHECK(is_in(found(facts, kind::seed_silent).sentence, "10.0.0.2"));
  CHECK(diagnose(facts).size() == 2);
}

TEST_CASE("trouble comes first") {
  auto facts = well();
  facts.not_read_in_time = 7;
  facts.seeds = {{"tcp://10.0.0.1:1", probe_answer::refused}};
  const auto all = diagnose(facts);
  REQUIRE(all.size() == 2);
  CHECK(all.front().is_trouble);
}

TEST_CASE("each kind of finding has a word") {
  CHECK(to_string(kind::port_taken) == "port-taken");
  CHECK(to_string(kind::not_allowed) == "not-allowed");
  CHECK(to_string(kind::same_id) == "same-id");
  CHECK(to_string(kind::nobody) == "nobody");
}
