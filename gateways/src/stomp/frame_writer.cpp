// SPDX-License-Identifier: MPL-2.0
#include "stomp/frame_writer.hpp"

#include <charconv>

namespace parley::stomp {

void append_escaped(std::string& out, std::string_view text, version form) {
  constexpr std::string_view special{"\n\r:\\\0", 5};
  while (!text.empty()) {
    const std::size_t plain = text.find_first_of(special);
    out += text.substr(0, plain);
    if (plain == std::string_view::npos) return;
    const char each = text[plain];
    text.remove_prefix(plain + 1);
    if (each == '\0') {
      out += ' ';  // readers take it for the end of the frame
    } else if (form == version::v1_0) {
      // A colon splits nothing in a value, and our names hold none.
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
