// SPDX-License-Identifier: MPL-2.0
#include "call_header.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace parley::detail {
namespace {

constexpr std::string_view magic{"\xffPRC\x01", 5};  // the last octet is the version
constexpr std::size_t header_size = magic.size() + 2 + 8 + 8 + 4 + 8 + 4;
static_assert(header_size <= frame::inline_capacity, "a call should cost no allocation");

template<class Number>
char* put(char* at, Number value) noexcept {
  for (int shift = 8 * (sizeof value - 1); shift >= 0; shift -= 8) {
    *at++ = static_cast<char>(value >> shift & 0xff);
  }
  return at;
}

template<class Number>
const char* take(const char* at, Number& value) noexcept {
  value = 0;
  for (std::size_t count = 0; count < sizeof value; ++count) {
    value = static_cast<Number>(value << 8 | static_cast<unsigned char>(*at++));
  }
  return at;
}

bool is_known(std::uint8_t kind) noexcept {
  return (kind >= 0x01 && kind <= 0x05) || (kind >= 0x11 && kind <= 0x15);
}

void write_header(char* at, const call_header& header) noexcept {
  std::memcpy(at, magic.data(), magic.size());
  at += magic.size();
  *at++ = static_cast<char>(header.what);
  *at++ = static_cast<char>(header.flags);
  at = put(at, header.id);
  at = put(at, header.time);
  at = put(at, header.amount);
  at = put(at, header.link);
  put(at, header.load);
}

}  // namespace

frame pack_header(const call_header& header) {
  std::array<char, header_size> bytes;
  write_header(bytes.data(), header);
  return frame{bytes.data(), bytes.size()};
}

frame pack_header(call_header header, const frame& payload) {
  std::array<char, header_size + call_header::most_carried> bytes;
  header.flags |= call_header::carries;
  write_header(bytes.data(), header);
  std::memcpy(bytes.data() + header_size, payload.data(), payload.size());
  return frame{bytes.data(), header_size + payload.size()};
}

frame carried_by(const frame& bytes) { return frame{bytes.view().substr(header_size)}; }

std::optional<call_header> parse_header(const frame& bytes) noexcept {
  const std::string_view text = bytes.view();
  if (text.size() < header_size || !text.starts_with(magic)) {
    return std::nullopt;
  }
  const char* at = text.data() + magic.size();
  const auto kind = static_cast<std::uint8_t>(*at++);
  if (!is_known(kind)) {
    return std::nullopt;
  }
  call_header header;
  header.what = static_cast<call_header::kind>(kind);
  header.flags = static_cast<std::uint8_t>(*at++);
  at = take(at, header.id);
  at = take(at, header.time);
  at = take(at, header.amount);
  at = take(at, header.link);
  take(at, header.load);
  return header;
}

}  // namespace parley::detail
