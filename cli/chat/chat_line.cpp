// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_line.hpp"

#include <algorithm>
#include <array>

namespace {

using kind = chat_line::kind;

constexpr std::string_view spaces = " \t\r";

constexpr std::array commands{
    chat_command{"/join", kind::join, "ROOM", "enter a room, and talk there from now on"},
    chat_command{"/leave", kind::leave, "[ROOM]", "leave it, or the current one"},
    chat_command{"/rooms", kind::rooms, "", "the rooms there are"},
    chat_command{"/who", kind::who, "[ROOM]", "who is here"},
    chat_command{"/msg", kind::tell, "NAME TEXT", "to that one person alone"},
    chat_command{"/away", kind::away, "[TEXT]", "you are not there, and why"},
    chat_command{"/back", kind::back, "", "you are there again"},
    chat_command{"/history", kind::history, "[N|WORD]", "the last N lines; lines with that word"},
    chat_command{"/send", kind::send, "NAME FILE", "offers them a file"},
    chat_command{"/accept", kind::accept, "[NUMBER]", "takes a file that is offered to you"},
    chat_command{"/decline", kind::decline, "[NUMBER]", "does not; or ends one that is under way"},
    chat_command{"/files", kind::files, "", "the files that are offered and under way"},
    chat_command{"/help", kind::help, "", "this"},
    chat_command{"/quit", kind::quit, "", "so does Ctrl-D"},
};

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(spaces);
  return first == text.npos ? std::string_view{}
                            : text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

// The first word; what is left of the text is behind it.
std::string_view take_word(std::string_view& text) {
  const std::size_t end = std::min(text.find_first_of(spaces), text.size());
  const std::string_view word = text.substr(0, end);
  text = trimmed(text.substr(end));
  return word;
}

}  // namespace

std::span<const chat_command> chat_commands() { return commands; }

chat_line parse_chat_line(std::string_view typed) {
  std::string_view rest = trimmed(typed);
  if (rest.empty()) {
    return {};
  }
  if (rest.front() != '/' || rest.starts_with("//")) {
    return {kind::say, {}, std::string{rest.substr(rest.front() == '/' ? 1 : 0)}};
  }
  const std::string_view word = take_word(rest);
  const auto* const found = std::ranges::find(commands, word, &chat_command::word);
  if (found == commands.end()) {
    return {kind::unknown, std::string{word}};
  }
  chat_line line{found->what};
  switch (line.what) {
    case kind::tell:
    case kind::send:
      line.to = take_word(rest);
      [[fallthrough]];
    case kind::away:
      line.text = rest;
      break;
    default:
      line.to = rest;
  }
  const bool lacks_text = (line.what == kind::tell || line.what == kind::send) && line.text.empty();
  const bool lacks_room = line.what == kind::join && line.to.empty();
  if (lacks_text || lacks_room) {
    return {kind::incomplete, std::string{word}, std::string{found->arguments}};
  }
  return line;
}
