// SPDX-License-Identifier: MPL-2.0
//
// What the programs of a firewall print, read for the rules that throw packets away. No I/O.
#pragma once

#include <parley/network_diagnosis.hpp>

#include <string_view>
#include <vector>

// As `nft list ruleset` prints.
[[nodiscard]] std::vector<parley::firewall_rule> read_nft(std::string_view text);
// As `iptables-save -c` prints.
[[nodiscard]] std::vector<parley::firewall_rule> read_iptables(std::string_view text);

// What they threw away between two looks.
[[nodiscard]] std::vector<parley::firewall_rule> dropped_between(
    const std::vector<parley::firewall_rule>& before, std::vector<parley::firewall_rule> after);
