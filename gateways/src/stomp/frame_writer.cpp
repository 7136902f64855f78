// SPDX-License-Identifier: MPL-2.0
#include "stomp/frame_writer.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace parley::stomp {
namespace {

// Octets that some version must not write as they are.
constexpr auto special = [] {
  std::array<bool, 256> table{};
  for (const char each : {'\n', '\r', ':', '\\', '\0'}) {
    table[static_cast<unsigned char>(each)] = true;
  }
  return table;
}();

}  // namespace

void append_escaped(std::string& out, std::string_view text, version form) {
  for (;;) {
    const auto* const found = std::find_if(text.begin(), text.end(), [](char each) {
      return special[static_cast<unsigned char>(each)];
    });
    out.append(text.begin(), found);
    if (found == text.end()) return;
    const char each = *found;
    text.remove_prefix(static_cast<std::size_t>(found - text.begin()) + 1);
    if (each == '\0') {
      out += ' ';  // readers take it for the end of the frame
    } else if (form == version::v1_0) {
      // A colon splits nothing in a value, and append_header writes no name that holds one.
      out += each == '\n' || each == '\r' ? ' ' : each;
    } else if (each == '\n') {
      out += "\\n";
    } else if (each == ':') {
      out += "\\c";
    } else if (each == '\\') {
      out += "\\\\";
    } else if (form == version::v1_2) {
      out += "\\r";
    } else {
      out += ' ';
    }
  }
}

void append_number(std::string& out, std::uint64_t number) {
  char digits[20];
  const auto [end, failure] = std::to_chars(digits, digits + sizeof digits, number);
  static_cast<void>(failure);  // twenty digits hold any 64-bit number
  out.append(digits, end);
}

}  // namespace parley::stomp
