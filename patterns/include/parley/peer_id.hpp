// SPDX-License-Identifier: MPL-2.0
//
// Which peer: the UUID that a ZRE node gives itself, 16 octets. A value.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace parley {

class peer_id {
 public:
  static constexpr std::size_t size = 16;

  peer_id() = default;  // nobody's
  explicit peer_id(const std::array<std::uint8_t, size>& bytes) noexcept : bytes_{bytes} {}
  // From the system's random numbers.
  [[nodiscard]] static peer_id random();
  // Nothing: these are not 16 octets, or not 32 hexadecimal digits.
  [[nodiscard]] static std::optional<peer_id> from_bytes(std::string_view bytes) noexcept;
  [[nodiscard]] static std::optional<peer_id> parse(std::string_view text) noexcept;

  [[nodiscard]] const std::array<std::uint8_t, size>& bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::string_view view() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), size};
  }
  // 32 hexadecimal digits, capitals, as zyre and pyre print them.
  [[nodiscard]] std::string str() const;

  friend bool operator==(const peer_id&, const peer_id&) = default;
  friend std::strong_ordering operator<=>(const peer_id& one, const peer_id& other) {
    return one.bytes_ <=> other.bytes_;
  }

 private:
  std::array<std::uint8_t, size> bytes_{};
};

}  // namespace parley

template<>
struct std::hash<parley::peer_id> {
  // Peers choose their ids; whoever has many of them kept has to bound how many.
  std::size_t operator()(const parley::peer_id& id) const noexcept {
    return std::hash<std::string_view>{}(id.view());
  }
};
