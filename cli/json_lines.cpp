// SPDX-License-Identifier: MPL-2.0
#include "json_lines.hpp"

#include "json_value.hpp"

#include <parley/error.hpp>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

namespace {

// "a", "b" or "c"
std::string list(const std::vector<std::string>& keys) {
  std::string text;
  for (std::size_t index = 0; index < keys.size(); ++index) {
    text += index == 0 ? "" : index + 1 == keys.size() ? " or " : ", ";
    text.append("\"").append(keys[index]).append("\"");
  }
  return text;
}

}  // namespace

json_line::json_line(const std::string& path, std::size_t number, std::string text)
    : place_{path + ':' + std::to_string(number)}, text_{std::move(text)} {
  try {
    fields_ = parse_json(text_);
  } catch (const json_mistake& mistake) {
    fail_at(mistake.column, mistake.what());
  }
  if (!fields_.is_object()) {
    fail_at(1, "expected a JSON object");
  }
}

std::string json_line::text(const std::string& key) const {
  const auto found = fields_.find(key);
  if (found == fields_.end()) {
    fail_at(1, "\"" + key + "\" is missing");
  }
  if (!found->is_string()) {
    fail(key, "\"" + key + "\" has to be a text");
  }
  return found->get<std::string>();
}

std::string json_line::one_of(const std::vector<std::string>& keys) const {
  std::string chosen;
  for (const std::string& key : keys) {
    if (has(key)) {
      if (!chosen.empty()) {
        fail(key, list({chosen}) + " and " + list({key}) + " exclude each other");
      }
      chosen = key;
    }
  }
  if (chosen.empty()) {
    fail_at(1, list(keys) + " is missing");
  }
  return chosen;
}

void json_line::refuse_others(const std::vector<std::string>& keys) const {
  for (const auto& [key, value] : fields_.items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      fail(key, "unknown key \"" + key + "\"");
    }
  }
}

void json_line::fail(std::string_view key, const std::string& reason) const {
  const std::size_t found = text_.find('"' + std::string{key} + '"');
  fail_at(found == std::string::npos ? 1 : found + 1, reason);
}

void json_line::fail_at(std::size_t column, const std::string& reason) const {
  throw parley::config_error{place_ + ':' + std::to_string(column) + ": " + reason};
}

std::vector<json_line> read_json_lines(const std::string& path) {
  std::ifstream file{path};
  std::vector<json_line> lines;
  std::string text;
  for (std::size_t number = 1; std::getline(file, text); ++number) {
    const std::size_t first = text.find_first_not_of(" \t\r");
    if (first != std::string::npos && text[first] != '#') {
      lines.emplace_back(path, number, text);
    }
  }
  if (!file.eof()) {
    throw std::system_error{errno, std::generic_category(), "cannot read " + path};
  }
  return lines;
}
