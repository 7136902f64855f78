// SPDX-License-Identifier: MPL-2.0
//
// Why peers do not find each other: takes what is known of a host and its networks, and says what
// is wrong there and what to do about it, in words for people. No I/O; `parley doctor` gathers the
// facts, and whoever has a peers object has most of them.
#pragma once

#include <parley/neighbour.hpp>
#include <parley/peer_id.hpp>
#include <parley/peers.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

// What the system says of an interface.
struct host_interface {
  std::string name;
  bool is_up = false;
  bool has_carrier = false;
  bool is_loopback = false;
  bool is_wireless = false;
  std::size_t mtu = 0;
  std::vector<std::string> addresses{};   // with the length of the prefix: 10.1.0.1/24
  std::vector<std::string> other_ends{};  // of lines between two
};

// Whether one of these names or addresses is its.
[[nodiscard]] bool is_among(const host_interface& one, const std::vector<std::string>& words);

// A rule of the host's firewall that throws packets away, or a chain that does so by default.
struct firewall_rule {
  std::string hook;                        // input or output; empty: not known
  std::string rule;                        // as the firewall's program prints it
  std::string insert;                      // how to begin the command that lets something through
  std::optional<std::uint64_t> dropped{};  // packets, meanwhile; none: it does not count
  bool is_iptables = false;
};

// What another one who examines the network says of us, and whether it answers us.
struct second_opinion {
  peer_id who{};
  std::string name{};
  std::string host{};
  bool hears_itself = true;                  // its own beacons come back to it
  std::vector<neighbour::sighting> heard{};  // our beacons, there
  std::optional<std::chrono::microseconds> round_trip{};
  std::optional<bool> takes_large{};  // messages that need many packets; none: not tried
};

struct seed_answer {
  std::string seed;
  probe_answer how = probe_answer::silent;
};

struct network_facts {
  peer_id own{};
  bool is_secured = false;                // we have keys
  std::uint16_t port = zre_port;          // of beacons; 0: there are none
  std::string why_port_is_taken{};        // then there are no beacons either
  std::string port_is_taken_by{};         // a program
  std::string tcp_ports{"32768-60999"};   // of which the system gives mailboxes theirs
  std::vector<std::string> interfaces{};  // that were asked for; none: all
  std::vector<host_interface> host{};
  std::vector<interface_status> beacons{};
  std::vector<neighbour> neighbours{};
  std::vector<peer_id> here{};
  peers_statistics statistics{};
  std::vector<second_opinion> opinions{};
  std::vector<seed_answer> seeds{};
  std::vector<firewall_rule> firewall{};
  std::uint64_t not_read_in_time = 0;  // datagrams, by any program of this host, meanwhile
};

struct finding {
  enum class kind : std::uint8_t {
    port_taken,
    no_such_interface,
    no_interface,
    only_loopback,
    interface_down,
    no_carrier,
    no_address,
    no_broadcast,
    dropped_out,  // beacons, by this host's firewall
    dropped_in,
    not_sent,
    not_read_in_time,
    secured_network,  // others have keys and we have none, or the reverse
    not_allowed,      // by our list, or theirs who use another's name
    other_version,
    nonsense,
    same_id,
    own_id,
    no_answer,  // of a neighbour that is heard
    refused,
    does_not_greet,
    one_way,  // it reaches us, and we do not reach it
    not_heard_there,
    other_subnet,
    large_lost,
    seed_refused,
    seed_silent,
    nobody,
  };
  kind what;
  bool is_trouble = true;  // something does not work; else it is good to know
  std::string where{};     // interface, or peer
  std::string sentence{};
  std::string advice{};  // what to do; empty: nothing
};

[[nodiscard]] std::string_view to_string(finding::kind what) noexcept;

// The worst first; none: all is well.
[[nodiscard]] std::vector<finding> diagnose(const network_facts& facts);

}  // namespace parley
