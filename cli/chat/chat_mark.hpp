// SPDX-License-Identifier: MPL-2.0
//
// What chats tell each other beside text, byte by byte; docs/wire.md, "Chat", has the grammar.
#pragma once

#include <parley/message.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Who has this header understands marks.
inline constexpr std::string_view chat_header = "X-PARLEY-CHAT";
inline constexpr std::string_view chat_version = "1";

struct chat_mark {
  enum class kind : std::uint8_t {
    ask = 1,      // behind a text: tell me when it was read
    read = 2,     // it was; all others stand alone
    away = 3,     // note; empty: back
    written = 4,  // behind the text of a letter: when, in seconds since 1970 (id)
  };
  kind what;
  std::uint64_t id = 0;
  std::string note{};
};

// An empty text: the mark alone.
[[nodiscard]] parley::message write_chat(std::string_view text, const chat_mark& mark);
// The mark behind the text, if there is one that we know.
[[nodiscard]] std::optional<chat_mark> read_mark(const parley::message& said);
