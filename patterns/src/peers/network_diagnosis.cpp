// SPDX-License-Identifier: MPL-2.0
#include <parley/network_diagnosis.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <map>
#include <set>
#include <utility>

namespace parley {
namespace {

using kind = finding::kind;

// One may be under way when we look.
constexpr std::uint64_t enough_sent = 2;
// Of beacons with one id from another mailbox: fewer may be of one that was started anew.
constexpr std::uint64_t enough_heard = 2;
// By then a neighbour has answered, and greeted us.
constexpr std::uint64_t enough_to_greet = 3;
constexpr std::uint8_t plain_version = 1;
constexpr std::uint8_t secured_version = 3;

// 10.1.0.0/24, of 10.1.0.1/24; empty: that is no IPv4 address.
std::string network_of(const std::string& address) {
  const auto slash = address.find('/');
  unsigned length = 32;
  in_addr one{};
  if (slash == std::string::npos ||
      ::inet_pton(AF_INET, address.substr(0, slash).c_str(), &one) != 1) {
    return {};
  }
  std::from_chars(address.data() + slash + 1, address.data() + address.size(), length);
  const std::uint32_t mask = length == 0 ? 0 : ~std::uint32_t{0} << (32 - std::min(length, 32U));
  one.s_addr = htonl(ntohl(one.s_addr) & mask);
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &one, text.data(), text.size());
  return text.data() + address.substr(slash);
}

// own: with the length of its prefix.
bool is_in(const std::string& address, const std::string& own) {
  const std::string network = network_of(own);
  return !network.empty() && network_of(address + own.substr(own.find('/'))) == network;
}

bool is_ipv6(const std::string& address) { return address.find(':') != std::string::npos; }

class diagnosis {
 public:
  explicit diagnosis(const network_facts& facts) : facts_{facts} {}

  std::vector<finding> made() {
    look_at_port();
    for (const host_interface& each : facts_.host) {
      if (is_wanted(each)) {
        look_at(each);
      }
    }
    look_at_all_interfaces();
    look_at_system();
    for (const neighbour& each : facts_.neighbours) {
      look_at(each);
    }
    look_at_messages();
    look_at_ids();
    for (const second_opinion& each : facts_.opinions) {
      look_at(each);
    }
    look_at_seeds();
    look_for_anybody();
    std::ranges::stable_sort(found_, std::ranges::greater{}, &finding::is_trouble);
    return std::move(found_);
  }

 private:
  void add(kind what, bool is_trouble, const std::string& where, std::string sentence,
           std::string advice = {}) {
    found_.push_back({what, is_trouble, where, std::move(sentence), std::move(advice)});
  }

  [[nodiscard]] bool has_beacons() const {
    return facts_.port != 0 && facts_.why_port_is_taken.empty();
  }
  [[nodiscard]] std::string udp_port() const { return "UDP " + std::to_string(facts_.port); }

  [[nodiscard]] bool is_wanted(const host_interface& one) const {
    return facts_.interfaces.empty() || is_among(one, facts_.interfaces);
  }

  struct route {
    const host_interface* over = nullptr;  // null: none of ours, or that cannot be told
    std::string network{};
  };
  [[nodiscard]] route route_to(const std::string& address) const {
    for (const host_interface& each : facts_.host) {
      if (address.ends_with('%' + each.name)) {
        return {&each, {}};
      }
      for (const std::string& own : each.addresses) {
        if (is_in(address, own)) {
          return {&each, network_of(own)};
        }
      }
      if (std::ranges::find(each.other_ends, address) != each.other_ends.end()) {
        return {&each, address};
      }
    }
    return {};
  }

  // Firewall.

  // The rule that seems to throw it away; null: none is known.
  [[nodiscard]] const firewall_rule* rule_against(std::string_view hook,
                                                  const std::string& word) const {
    const auto fits = [&](const firewall_rule& each, bool counted) {
      return (each.hook == hook || each.hook.empty()) &&
             (counted ? each.dropped.value_or(0) > 0 : !each.dropped);
    };
    for (const bool counted : {true, false}) {
      for (const bool named : {true, false}) {
        for (const firewall_rule& each : facts_.firewall) {
          if (fits(each, counted) && named == (each.rule.find(word) != std::string::npos) &&
              (counted || named || each.rule.starts_with("policy"))) {
            return &each;
          }
        }
      }
    }
    return nullptr;
  }

  [[nodiscard]] std::string rule_text(const firewall_rule* rule) const {
    return rule == nullptr ? std::string{} : " (rule: " + rule->rule + ')';
  }

  [[nodiscard]] static std::string let_through(const firewall_rule* rule, std::string_view hook,
                                               const std::string& protocol,
                                               const std::string& ports,
                                               const std::string& network = {}) {
    if (rule != nullptr && rule->is_iptables) {
      auto with_colon = ports;
      std::ranges::replace(with_colon, '-', ':');
      return rule->insert + (network.empty() ? "" : " -s " + network) + " -p " + protocol +
             " --dport " + with_colon + " -j ACCEPT";
    }
    const std::string begin =
        rule != nullptr ? rule->insert : "nft insert rule inet filter " + std::string{hook};
    return begin + (network.empty() ? "" : " ip saddr " + network) + ' ' + protocol + " dport " +
           ports + " accept";
  }

  void look_at_port() {
    if (!facts_.why_port_is_taken.empty()) {
      const std::string by =
          facts_.port_is_taken_by.empty() ? "another program" : facts_.port_is_taken_by;
      add(kind::port_taken, true, {},
          udp_port() + " cannot be had: " + facts_.why_port_is_taken + "; " + by +
              " has it, and does not share it",
          "end " + by +
              ", or let all peers of your network use another port (--port), or a seed "
              "(--seed)");
    }
  }

  // Interfaces.

  struct carrier_books {
    beacon_carrier by;
    std::uint64_t sent = 0;
    std::uint64_t refused = 0;
    std::error_code why{};
    std::uint64_t came_back = 0;
  };

  static beacon_carrier carrier_of(const interface_status& books) {
    if (is_ipv6(books.sent_to)) {
      return beacon_carrier::ipv6_multicast;
    }
    in_addr to{};
    ::inet_pton(AF_INET, books.sent_to.c_str(), &to);
    return IN_MULTICAST(ntohl(to.s_addr)) ? beacon_carrier::ipv4_multicast
                                          : beacon_carrier::broadcast;
  }

  [[nodiscard]] std::vector<carrier_books> carriers_of(const host_interface& over) const {
    std::map<beacon_carrier, carrier_books> all;
    for (const interface_status& each : facts_.beacons) {
      if (each.name == over.name && !each.sent_to.empty()) {
        carrier_books& books = all[carrier_of(each)];
        books.by = carrier_of(each);
        books.sent += each.sent;
        books.refused += each.refused;
        books.why = each.why_refused ? each.why_refused : books.why;
      }
    }
    for (const neighbour& each : facts_.neighbours) {
      for (const neighbour::sighting& seen : each.sightings) {
        if (each.id == facts_.own && seen.interface == over.name && all.contains(seen.by)) {
          all[seen.by].came_back += seen.count;
        }
      }
    }
    std::vector<carrier_books> made;
    made.reserve(all.size());
    for (const auto& [by, books] : all) {
      made.push_back(books);
    }
    return made;
  }

  static std::string names_of(const std::vector<carrier_books>& some) {
    std::string text;
    for (const carrier_books& each : some) {
      text += (text.empty() ? "" : " and ") + std::string{to_string(each.by)};
    }
    return text;
  }

  void look_at(const host_interface& over) {
    const bool is_asked_for = !facts_.interfaces.empty();
    if (!over.is_up) {
      add(kind::interface_down, is_asked_for, over.name, over.name + " is down",
          "if it is to be used: ip link set dev " + over.name + " up");
      return;
    }
    if (!over.has_carrier) {
      add(kind::no_carrier, is_asked_for, over.name,
          over.name + " is up, and nothing is connected to it",
          over.is_wireless ? "join a Wi-Fi network" : "look after its cable, or its other end");
      return;
    }
    if (over.addresses.empty()) {
      add(kind::no_address, is_asked_for, over.name, over.name + " has no address",
          "give it one: dhclient " + over.name + ", or ip address add ADDRESS/LENGTH dev " +
              over.name);
      return;
    }
    if (!has_beacons()) {
      return;
    }
    const auto carriers = carriers_of(over);
    if (carriers.empty()) {
      add(kind::no_broadcast, is_asked_for, over.name,
          "interface " + over.name +
              " carries no broadcast and no multicast, so nobody can be "
              "found there",
          "use a seed: on a host that all can reach --gossip tcp://*:" +
              std::to_string(facts_.port) +
              ", everywhere else --seed tcp://THAT-HOST:" + std::to_string(facts_.port));
      return;
    }
    look_at_sending(over, carriers);
    look_at_echo(over, carriers);
    works_ = works_ || ((!over.is_loopback || is_asked_for) &&
                        std::ranges::any_of(carriers, [](const carrier_books& each) {
                          return each.sent > 0 && each.came_back > 0;
                        }));
  }

  void look_at_sending(const host_interface& over, const std::vector<carrier_books>& carriers) {
    std::vector<carrier_books> forbidden;
    std::vector<carrier_books> failed;
    for (const carrier_books& each : carriers) {
      // An IPv6 address is looked at for a second or two before it may be used.
      const bool is_too_new =
          each.by == beacon_carrier::ipv6_multicast && each.why == std::errc::address_not_available;
      if (each.refused > 0 && each.sent < enough_sent && !is_too_new) {
        (each.why == std::errc::operation_not_permitted ? forbidden : failed).push_back(each);
      }
    }
    if (!forbidden.empty()) {
      const auto* const rule = rule_against("output", std::to_string(facts_.port));
      add(kind::dropped_out, forbidden.size() == carriers.size(), over.name,
          udp_port() + " is dropped on its way out over " + over.name +
              " by this host's firewall (" + names_of(forbidden) + ")" + rule_text(rule),
          let_through(rule, "output", "udp", std::to_string(facts_.port)));
    }
    for (const carrier_books& each : failed) {
      add(kind::not_sent, failed.size() == carriers.size(), over.name,
          std::string{to_string(each.by)} + " over " + over.name +
              " cannot be sent: " + each.why.message());
    }
  }

  void look_at_echo(const host_interface& over, const std::vector<carrier_books>& carriers) {
    std::vector<carrier_books> sent;
    std::vector<carrier_books> missed;
    for (const carrier_books& each : carriers) {
      if (each.sent >= enough_sent && each.sent > each.refused) {
        sent.push_back(each);
        if (each.came_back == 0) {
          missed.push_back(each);
        }
      }
    }
    if (missed.empty()) {
      return;
    }
    const auto* const rule = rule_against("input", std::to_string(facts_.port));
    const bool is_all = missed.size() == sent.size();
    add(kind::dropped_in, is_all, over.name,
        udp_port() + " is dropped on its way in over " + over.name + " by this host's firewall" +
            (is_all ? "" : " (" + names_of(missed) + ")") + rule_text(rule) +
            ": not even our own beacons come back",
        let_through(rule, "input", "udp", std::to_string(facts_.port)));
  }

  void look_at_all_interfaces() {
    for (const std::string& word : facts_.interfaces) {
      if (std::ranges::none_of(facts_.host,
                               [&](const auto& each) { return is_among(each, {word}); })) {
        std::string names;
        for (const host_interface& each : facts_.host) {
          names += (names.empty() ? "" : ", ") + each.name;
        }
        add(kind::no_such_interface, true, word, "there is no interface or address " + word,
            names.empty() ? std::string{} : "there are: " + names);
      }
    }
    if (!facts_.interfaces.empty()) {
      return;
    }
    const auto is_usable = [](const host_interface& each) {
      return each.is_up && each.has_carrier && !each.addresses.empty();
    };
    if (std::ranges::none_of(facts_.host, is_usable)) {
      add(kind::no_interface, true, {}, "no network interface of this host is up",
          "connect it to a network; for programs of this host only: ip link set dev lo up");
    } else if (std::ranges::none_of(facts_.host, [&](const host_interface& each) {
                 return is_usable(each) && !each.is_loopback;
               })) {
      add(kind::only_loopback, true, {},
          "only the loopback interface is up: programs of this host find each other, others "
          "cannot be reached",
          "connect this host, or this container, to a network");
    } else if (!works_) {
      // Where nothing else is wrong with an interface, nobody can be found over any.
      for (finding& each : found_) {
        each.is_trouble = each.is_trouble || each.what == kind::no_broadcast;
      }
    }
  }

  void look_at_system() {
    if (facts_.not_read_in_time > 0) {
      add(kind::not_read_in_time, false, {},
          "the system threw away " + std::to_string(facts_.not_read_in_time) +
              " datagrams that programs of this host did not read in time",
          "sysctl -w net.core.rmem_default=4194304, and look for a program that is stuck");
    }
  }

  // Neighbours.

  static std::string hosts_of(const neighbour& of) {
    std::set<std::string> hosts;
    for (const neighbour::sighting& each : of.sightings) {
      hosts.insert(each.host);
    }
    std::string text;
    for (const std::string& each : hosts) {
      text += (text.empty() ? "" : ", ") + each;
    }
    return text;
  }

  [[nodiscard]] bool is_here(const peer_id& who) const {
    return std::ranges::find(facts_.here, who) != facts_.here.end();
  }

  // Of beacons like ours.
  [[nodiscard]] std::uint8_t own_version() const {
    return facts_.is_secured ? secured_version : plain_version;
  }

  void look_at(const neighbour& of) {
    if (of.id == facts_.own) {
      return;
    }
    if (!of.sightings.empty() && of.version != own_version()) {
      look_at_version(of);
    } else {
      look_at_answers(of);
    }
  }

  void look_at_version(const neighbour& of) {
    if (of.version == secured_version) {
      add(kind::secured_network, false, hosts_of(of),
          "a secured ZRE network is on this port, too, at " + hosts_of(of) +
              ": who has no key is not let in, and who has one does not see us",
          "use keys here, too, or another port for one of them: pyre ends when it hears such "
          "beacons");
    } else if (of.version == plain_version) {
      add(kind::secured_network, false, hosts_of(of),
          "programs without keys are on this port, too, at " + hosts_of(of) +
              ": they and we do not see each other",
          "give them keys, or another port");
    } else if (of.version) {
      add(kind::other_version, false, hosts_of(of),
          hosts_of(of) + " sends beacons of version " + std::to_string(*of.version) +
              ", which is not spoken here",
          "bring the program there up to date: ZRE has 1, or 3 with keys");
    } else {
      add(kind::nonsense, false, hosts_of(of),
          hosts_of(of) + " sends to this port what is no beacon",
          "let that program, or the peers, use another port");
    }
  }

  static bool has_left(const neighbour& of) {
    return std::ranges::any_of(of.sightings, [](const auto& each) { return each.port == 0; });
  }
  static bool was_heard_for_long(const neighbour& of) {
    return of.sightings.empty() || std::ranges::any_of(of.sightings, [](const auto& each) {
             return each.count >= enough_to_greet;
           });
  }

  void look_at_answers(const neighbour& of) {
    // Who said farewell, or came a moment ago, is not missed.
    if (of.attempts.empty() || has_left(of) || !was_heard_for_long(of)) {
      return;
    }
    const auto has = [&](probe_answer how) {
      return std::ranges::any_of(of.attempts, [&](const auto& each) { return each.last == how; });
    };
    const std::string who = of.id.str().substr(0, 6);
    const std::string& address = of.attempts.front().address;
    const std::string network = route_to(host_of(address)).network;
    if (has(probe_answer::answered)) {
      if (!is_here(of.id)) {
        const auto* const rule = rule_against("input", "tcp");
        add(kind::does_not_greet, true, who,
            who + " at " + address +
                " takes our connection and does not greet us: it cannot reach "
                "this host" +
                (facts_.is_secured ? ", or does not have our key on its list"
                                   : ", or speaks another version of ZRE") +
                rule_text(rule),
            "let its connections in here: " +
                let_through(rule, "input", "tcp", facts_.tcp_ports, network));
      }
    } else if (has(probe_answer::refused)) {
      if (!is_here(of.id)) {
        add(kind::refused, true, who,
            "nobody listens at " + address + ", where " + who + " says it is",
            "look whether that program runs, and which address it gives out");
      }
    } else {
      const bool knows_us = is_here(of.id);
      const auto* const rule = rule_against("output", "tcp");
      add(knows_us ? kind::one_way : kind::no_answer, true, who,
          who + (knows_us ? " reaches us" : " is heard") + ", and does not answer at " + address +
              (rule == nullptr ? ": a firewall drops TCP there, or here on its way out"
                               : ": this host's firewall drops TCP on its way out") +
              rule_text(rule),
          rule == nullptr
              ? "on that host: " + let_through(nullptr, "input", "tcp", facts_.tcp_ports, network)
              : let_through(rule, "output", "tcp", facts_.tcp_ports));
    }
  }

  static std::string host_of(const std::string& address) {
    constexpr std::string_view scheme = "tcp://";
    const auto colon = address.rfind(':');
    return address.substr(scheme.size(), colon - scheme.size());
  }

  // Of those that beacons do not account for.
  void look_at_messages() {
    std::uint64_t by_beacons = 0;
    for (const neighbour& each : facts_.neighbours) {
      for (const neighbour::sighting& seen : each.sightings) {
        by_beacons += each.version != own_version() ? seen.count : 0;
      }
    }
    if (facts_.statistics.not_allowed > 0) {
      add(kind::not_allowed, facts_.here.empty(), {},
          "who is not on our list, or uses the name of another, was heard " +
              std::to_string(facts_.statistics.not_allowed) + " times, and passed over",
          "if it is somebody you want here, put its public key on the list");
    }
    if (facts_.statistics.other_version > by_beacons) {
      add(kind::other_version, false, {},
          "messages came in a version of ZRE that is not spoken here",
          "bring the program that sent them up to date: jyre, for one, speaks version 1, and this "
          "is "
          "version 2");
    }
  }

  void look_at_ids() {
    for (const neighbour& each : facts_.neighbours) {
      if (each.id == peer_id{}) {
        continue;
      }
      std::map<std::uint16_t, std::uint64_t> mailboxes;
      for (const neighbour::sighting& seen : each.sightings) {
        if (seen.port != 0) {
          mailboxes[seen.port] += seen.count;
        }
      }
      std::erase_if(mailboxes, [](const auto& one) { return one.second < enough_heard; });
      if (mailboxes.size() < 2) {
        continue;
      }
      const bool is_own = each.id == facts_.own;
      add(is_own ? kind::own_id : kind::same_id, true, each.id.str().substr(0, 6),
          (is_own ? "another program uses our id: "
                  : "two programs have the same id " + each.id.str().substr(0, 6) + ": ") +
              "beacons with it come from " + hosts_of(each) + ", for " +
              std::to_string(mailboxes.size()) + " mailboxes",
          "give each an id of its own; start the ones anew whose machine, or process, was copied "
          "while they ran");
    }
  }

  // Two by two.

  [[nodiscard]] bool do_we_hear(const peer_id& who) const {
    return std::ranges::any_of(facts_.neighbours, [&](const neighbour& each) {
      return each.id == who && !each.sightings.empty();
    });
  }

  [[nodiscard]] bool do_we_hear_ourselves() const {
    return std::ranges::none_of(found_, [](const finding& each) {
      return each.what == kind::dropped_in && each.is_trouble;
    });
  }

  void look_at(const second_opinion& of) {
    const auto& [over, network] = route_to(of.host);
    const bool is_elsewhere = over == nullptr && !is_ipv6(of.host);
    const std::string there = of.name + " at " + of.host;
    if (has_beacons() && of.heard.empty()) {
      if (is_elsewhere) {
        add(kind::other_subnet, false, of.name,
            there + " is in another network: beacons do not pass routers",
            "use a seed for peers there, as you do now (--seed)");
      } else if (!of.hears_itself) {
        add(kind::not_heard_there, true, of.name,
            there + " does not hear our beacons, nor its own: its firewall drops them",
            "on that host: " + let_through(nullptr, "input", "udp", std::to_string(facts_.port)));
      } else if (do_we_hear_ourselves() || do_we_hear(of.who)) {
        const bool is_wireless = over != nullptr && over->is_wireless;
        add(kind::not_heard_there, false, of.name,
            there + " hears its own beacons and none of ours: " +
                (do_we_hear(of.who) ? "they get lost on their way there"
                                    : "the network between us carries none, in either direction") +
                (is_wireless ? "; this Wi-Fi isolates its clients"
                             : "; a Wi-Fi may isolate its clients, a switch drop broadcasts"),
            "use --seed and --gossip on this network, or switch client isolation off in the access "
            "point");
      }
    }
    if (!of.round_trip) {
      if (std::ranges::none_of(found_, [&](const finding& each) {
            return each.what == kind::one_way && each.where == of.who.str().substr(0, 6);
          })) {
        add(kind::one_way, true, of.name, there + " reaches us, and does not answer what we say",
            "on that host: " + let_through(nullptr, "input", "tcp", facts_.tcp_ports, network));
      }
    } else if (of.takes_large == false) {
      const std::string name = over == nullptr ? "IT" : over->name;
      add(kind::large_lost, true, of.name,
          "small messages come through to " + there +
              ", large ones do not: packets of full size (" +
              (over == nullptr ? "the MTU of its interface" : "MTU " + std::to_string(over->mtu)) +
              ") are lost on the way",
          "try a smaller one: ip link set dev " + name + " mtu 1280");
    }
  }

  void look_at_seeds() {
    for (const seed_answer& each : facts_.seeds) {
      if (each.how == probe_answer::refused) {
        add(kind::seed_refused, true, each.seed, "nobody listens at the seed " + each.seed,
            "start a peer there with --gossip tcp://*:PORT, or look whether the port is right");
      } else if (each.how == probe_answer::silent) {
        add(kind::seed_silent, true, each.seed, "the seed " + each.seed + " does not answer",
            "look whether this host has a route to it (ip route get ADDRESS), and whether a "
            "firewall there drops its TCP port");
      }
    }
  }

  void look_for_anybody() {
    const bool is_heard = std::ranges::any_of(
        facts_.neighbours, [&](const neighbour& each) { return each.id != facts_.own; });
    if (!is_heard && facts_.here.empty() && works_) {
      const bool is_wireless = std::ranges::any_of(facts_.host, [&](const host_interface& each) {
        return is_wanted(each) && each.is_wireless && each.has_carrier;
      });
      add(kind::nobody, false, {}, "no other peer was heard",
          "run parley doctor on another host at the same time; if neither hears the other, then " +
              std::string{is_wireless ? "this Wi-Fi isolates its clients, most likely: use --seed"
                                      : "the network between carries no broadcasts: use --seed"});
    }
  }

  const network_facts& facts_;
  std::vector<finding> found_;
  bool works_ = false;  // beacons, on some interface that leads out of the host
};

}  // namespace

std::string_view to_string(finding::kind what) noexcept {
  constexpr std::array names{
      "port-taken",     "no-such-interface", "no-interface",    "only-loopback", "interface-down",
      "no-carrier",     "no-address",        "no-broadcast",    "dropped-out",   "dropped-in",
      "not-sent",       "not-read-in-time",  "secured-network", "not-allowed",   "other-version",
      "nonsense",       "same-id",           "own-id",          "no-answer",     "refused",
      "does-not-greet", "one-way",           "not-heard-there", "other-subnet",  "large-lost",
      "seed-refused",   "seed-silent",       "nobody"};
  return names[static_cast<std::size_t>(what)];
}

bool is_among(const host_interface& one, const std::vector<std::string>& words) {
  return std::ranges::any_of(words, [&](const std::string& word) {
    return word == one.name || std::ranges::any_of(one.addresses, [&](const std::string& each) {
             return each.substr(0, each.find('/')) == word;
           });
  });
}

std::vector<finding> diagnose(const network_facts& facts) { return diagnosis{facts}.made(); }

}  // namespace parley
