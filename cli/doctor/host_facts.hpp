// SPDX-License-Identifier: MPL-2.0
//
// What the system says of this host's network, for the doctor.
#pragma once

#include <parley/network_diagnosis.hpp>

#include <cstdint>
#include <string>
#include <vector>

// All interfaces, those that are down too.
[[nodiscard]] std::vector<parley::host_interface> host_interfaces();

// Why nobody may share that port with us; empty: we may.
[[nodiscard]] std::string why_udp_port_is_taken(std::uint16_t port);
// Name and number of a process that has it; empty: it cannot be seen.
[[nodiscard]] std::string owner_of_udp_port(std::uint16_t port);

// "32768-60999"
[[nodiscard]] std::string ports_of_the_system();

// Datagrams for which programs had no room, so far.
[[nodiscard]] std::uint64_t datagrams_not_read_in_time();

// Whether somebody listens there.
[[nodiscard]] parley::probe_answer try_tcp(const parley::endpoint& where);

struct firewall_look {
  std::vector<parley::firewall_rule> rules{};
  std::string why_not{};  // it could not be read
};
[[nodiscard]] firewall_look look_at_firewall(int stop_fd);
