// SPDX-License-Identifier: MPL-2.0
#include "call_header.hpp"

#include "network_order.hpp"

#include <array>
#include <cstddef>
#include <cstring>

namespace parley::detail {
namespace {

constexpr std::string_view magic{"\xffPRC\x01", 5};  // the last octet is the version
static_assert(header_size <= frame::inline_capacity, "a call should cost no allocation");

template<class Number>
const char* take(const char* at, Number& value) noexcept {
  value = number_at<Number>(at);
  return at + sizeof value;
}

bool is_known(std::uint8_t kind) noexcept {
  return (kind >= 0x01 && kind <= 0x05) || (kind >= 0x11 && kind <= 0x15);
}

}  // namespace

void write_header(char* at, const call_header& header) noexcept {
  std::memcpy(at, magic.data(), magic.size());
  at += magic.size();
  *at++ = static_cast<char>(header.what);
  *at++ = static_cast<char>(header.flags);
  at = put_number(at, header.id);
  at = put_number(at, header.time);
  at = put_number(at, header.amount);
  at = put_number(at, header.link);
  put_number(at, header.load);
}

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

std::optional<call_header> parse_header(std::string_view text) noexcept {
  if (text.size() < header_size || std::memcmp(text.data(), magic.data(), magic.size()) != 0) {
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
