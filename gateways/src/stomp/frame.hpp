// SPDX-License-Identifier: MPL-2.0
//
// The words of STOMP: versions, commands, and a frame as its reader sees it.
//
// A frame owns no bytes: it points into the buffer of the frame_reader that made it and is valid
// until that reader is used again. What must live longer is copied into a stomp::message.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace parley::stomp {

enum class version : std::uint8_t { v1_0, v1_1, v1_2 };

[[nodiscard]] std::string_view to_string(version of) noexcept;

enum class command : std::uint8_t {
  connect,
  stomp,
  send,
  subscribe,
  unsubscribe,
  ack,
  nack,
  begin,
  commit,
  abort,
  disconnect,
  connected,
  message,
  receipt,
  error,
};

[[nodiscard]] std::string_view to_string(command of) noexcept;
[[nodiscard]] std::optional<command> parse_command(std::string_view text) noexcept;

// Only SEND, MESSAGE and ERROR carry a body.
[[nodiscard]] constexpr bool may_have_body(command of) noexcept {
  return of == command::send || of == command::message || of == command::error;
}

struct header {
  std::string_view name;
  std::string_view value;
};

struct frame {
  command verb = command::connect;
  std::vector<header> headers;  // in the order they came, repeated ones too
  std::string_view body;

  // The first of that name: repeated headers are history, the first entry is the current value.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept {
    for (const header& each : headers) {
      if (each.name == name) return each.value;
    }
    return std::nullopt;
  }
};

}  // namespace parley::stomp
