// SPDX-License-Identifier: MPL-2.0
//
// Bytes of a peer, made fit for a sentence: in quotes, cut short, nothing unprintable.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace parley::stomp {

[[nodiscard]] inline std::string quote(std::string_view bytes) {
  constexpr std::size_t most = 80;
  std::string out{"'"};
  for (const char each : bytes.substr(0, most)) {
    const auto octet = static_cast<unsigned char>(each);
    if (octet >= 0x20 && octet != 0x7f) {
      out += each;
    } else {
      char hex[5];
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned>(octet));
      out += hex;
    }
  }
  out += bytes.size() > most ? "...'" : "'";
  return out;
}

}  // namespace parley::stomp
