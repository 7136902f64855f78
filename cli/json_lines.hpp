// SPDX-License-Identifier: MPL-2.0
//
// A file of JSON objects, one a line, for rules. Empty lines and those that begin with # are
// skipped.
#pragma once

#include "output.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

class json_line {
 public:
  // Throws config_error.
  json_line(const std::string& path, std::size_t number, std::string text);

  [[nodiscard]] const json_object& fields() const noexcept { return fields_; }
  [[nodiscard]] bool has(const std::string& key) const { return fields_.contains(key); }
  // Throws config_error when there is none, or when it is no text.
  [[nodiscard]] std::string text(const std::string& key) const;

  // The one key of these that it has. Throws config_error.
  [[nodiscard]] std::string one_of(const std::vector<std::string>& keys) const;
  // Throws config_error, at a key that is none of these.
  void refuse_others(const std::vector<std::string>& keys) const;

  // Throws config_error{"PATH:LINE:COLUMN: reason"}, at key.
  [[noreturn]] void fail(std::string_view key, const std::string& reason) const;

 private:
  [[noreturn]] void fail_at(std::size_t column, const std::string& reason) const;

  std::string place_;  // "PATH:LINE"
  std::string text_;
  json_object fields_;
};

// Throws config_error, and std::system_error when the file cannot be read.
[[nodiscard]] std::vector<json_line> read_json_lines(const std::string& path);
