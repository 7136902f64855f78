// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/peer_id.hpp>

#include <sys/random.h>

#include <charconv>

namespace parley {

peer_id peer_id::random() {
  std::array<std::uint8_t, size> bytes{};
  // So few octets come whole, as soon as the system has any.
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw error{errc::out_of_resources, "make a peer's id"};
  }
  return peer_id{bytes};
}

std::optional<peer_id> peer_id::from_bytes(std::string_view bytes) noexcept {
  if (bytes.size() != size) {
    return std::nullopt;
  }
  peer_id made;
  std::memcpy(made.bytes_.data(), bytes.data(), size);
  return made;
}

std::optional<peer_id> peer_id::parse(std::string_view text) noexcept {
  if (text.size() != 2 * size) {
    return std::nullopt;
  }
  peer_id made;
  for (std::size_t index = 0; index < size; ++index) {
    const char* const digits = text.data() + 2 * index;
    if (const auto [end, code] = std::from_chars(digits, digits + 2, made.bytes_[index], 16);
        code != std::errc{} || end != digits + 2) {
      return std::nullopt;
    }
  }
  return made;
}

std::string peer_id::str() const {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string text;
  for (const std::uint8_t octet : bytes_) {
    text += digits[octet >> 4];
    text += digits[octet & 15];
  }
  return text;
}

}  // namespace parley
