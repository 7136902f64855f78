// SPDX-License-Identifier: MPL-2.0
//
// Requests and what is replied to them, from a file; docs/cli.md describes it. The first rule that
// fits answers.
#pragma once

#include "json_lines.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

class reply_rules {
 public:
  // Throws config_error, which names line and column, and std::system_error.
  explicit reply_rules(const std::string& path);

  // Nothing: no rule fits.
  [[nodiscard]] std::optional<std::string> reply_to(std::string_view request) const;

 private:
  using rule = std::function<std::optional<std::string>(std::string_view request)>;

  static rule make(const json_line& line);
  static rule make_regex(const json_line& line);

  std::vector<rule> rules_;
};
