// SPDX-License-Identifier: MPL-2.0
//
// What a person typed: something to say, or a command.
#pragma once

#include <span>
#include <string>
#include <string_view>

struct chat_line {
  enum class kind {
    nothing,
    say,
    join,
    leave,
    rooms,
    who,
    tell,
    away,
    back,
    history,
    send,     // to, text: which file
    accept,   // to: which offer
    decline,  // the same
    files,
    help,
    quit,
    unknown,     // to: the word
    incomplete,  // to: the command, text: its arguments, of which it lacks one
  };
  kind what = kind::nothing;
  std::string to{};    // a room, a name, a number, or what to look for
  std::string text{};  // what is said
};

struct chat_command {
  std::string_view word;
  chat_line::kind what;
  std::string_view arguments;
  std::string_view summary;
};

// All of them, as /help shows them.
[[nodiscard]] std::span<const chat_command> chat_commands();

// Spaces at both ends mean nothing.
[[nodiscard]] chat_line parse_chat_line(std::string_view typed);
