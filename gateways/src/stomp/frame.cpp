// SPDX-License-Identifier: MPL-2.0
#include "stomp/frame.hpp"

#include <array>
#include <cstddef>

namespace parley::stomp {
namespace {

// In the order of the enum.
constexpr std::array<std::string_view, 15> names{
    "CONNECT", "STOMP", "SEND",       "SUBSCRIBE", "UNSUBSCRIBE", "ACK",     "NACK", "BEGIN",
    "COMMIT",  "ABORT", "DISCONNECT", "CONNECTED", "MESSAGE",     "RECEIPT", "ERROR"};

}  // namespace

std::string_view to_string(version of) noexcept {
  switch (of) {
    case version::v1_0:
      return "1.0";
    case version::v1_1:
      return "1.1";
    case version::v1_2:
      return "1.2";
  }
  return "?";
}

std::string_view to_string(command of) noexcept { return names[static_cast<std::size_t>(of)]; }

std::optional<command> parse_command(std::string_view text) noexcept {
  if (text == "SEND") return command::send;  // nearly always
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return static_cast<command>(i);
  }
  return std::nullopt;
}

}  // namespace parley::stomp
