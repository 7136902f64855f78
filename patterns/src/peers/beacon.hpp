// SPDX-License-Identifier: MPL-2.0
//
// The datagram by which a ZRE node makes itself known. No I/O; the reader takes any bytes.
// Source: RFC 36, 22 octets; with a public key 54 octets and another version, as zyre sends it.
#pragma once

#include <parley/curve.hpp>
#include <parley/peer_id.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace parley::detail {

struct beacon {
  static constexpr std::size_t plain_size = 22;
  static constexpr std::size_t secure_size = plain_size + curve_key::size;

  peer_id id{};
  std::uint16_t port = 0;  // of its mailbox; 0: it leaves
  std::optional<curve_key> key{};

  friend bool operator==(const beacon&, const beacon&) = default;
};

// Nothing: that is no beacon.
[[nodiscard]] std::optional<beacon> read_beacon(std::string_view datagram) noexcept;
[[nodiscard]] std::string write_beacon(const beacon& written);

}  // namespace parley::detail
