// SPDX-License-Identifier: MPL-2.0
#include <parley/text.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace parley::detail {

bool is_utf8(std::string_view bytes) noexcept {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto first = static_cast<unsigned char>(bytes[at++]);
    if (first < 0x80) {
      continue;
    }
    if (first < 0xC2 || first > 0xF4) {
      return false;
    }
    const std::size_t more = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    // Only the byte right behind the first one has narrower bounds.
    unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    for (std::size_t index = 0; index < more; ++index) {
      if (at == bytes.size()) {
        return false;
      }
      const auto next = static_cast<unsigned char>(bytes[at++]);
      if (next < low || next > high) {
        return false;
      }
      low = 0x80;
      high = 0xBF;
    }
  }
  return true;
}

std::string to_base64(std::string_view bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    for (std::size_t index = 0; index < 3; ++index) {
      const bool there = at + index < bytes.size();
      group = group << 8 | (there ? static_cast<unsigned char>(bytes[at + index]) : 0U);
    }
    const std::size_t used = std::min<std::size_t>(bytes.size() - at, 3) + 1;
    for (std::size_t index = 0; index < 4; ++index) {
      text += index < used ? digits[group >> (18 - 6 * index) & 63U] : '=';
    }
  }
  return text;
}

}  // namespace parley::detail
