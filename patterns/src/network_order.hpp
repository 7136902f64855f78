// SPDX-License-Identifier: MPL-2.0
//
// Numbers in the order of the network: the octet that counts most comes first.
#pragma once

#include <bit>
#include <cstring>

namespace parley::detail {

// There and back.
template<class Number>
[[nodiscard]] inline Number in_network_order(Number value) noexcept {
  if constexpr (std::endian::native == std::endian::big || sizeof value == 1) {
    return value;
  } else if constexpr (sizeof value == 8) {
    return __builtin_bswap64(value);
  } else if constexpr (sizeof value == 4) {
    return __builtin_bswap32(value);
  } else {
    static_assert(sizeof value == 2);
    return __builtin_bswap16(value);
  }
}

// Returns where the next one goes.
template<class Number>
inline char* put_number(char* at, Number value) noexcept {
  value = in_network_order(value);
  std::memcpy(at, &value, sizeof value);
  return at + sizeof value;
}

template<class Number>
[[nodiscard]] inline Number number_at(const char* at) noexcept {
  Number value;
  std::memcpy(&value, at, sizeof value);
  return in_network_order(value);
}

}  // namespace parley::detail
