// SPDX-License-Identifier: MPL-2.0
//
// What the doctor found, for people and for scripts.
#pragma once

#include "output.hpp"

#include <parley/network_diagnosis.hpp>

#include <string>
#include <vector>

struct doctor_report {
  parley::network_facts facts;
  std::vector<parley::peer_status> peers;
  std::vector<parley::finding> findings;
  std::vector<std::string> unread;  // what could not be looked at, and why

  [[nodiscard]] bool is_well() const;
};

[[nodiscard]] std::vector<std::string> lines_of(const doctor_report& report);
[[nodiscard]] json_object json_of(const doctor_report& report);
