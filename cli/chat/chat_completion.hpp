// SPDX-License-Identifier: MPL-2.0
//
// What the Tab key makes of a line that is half typed: commands, people, rooms. Values.
#pragma once

#include "chat/chat_desk.hpp"

#include <string>
#include <string_view>
#include <vector>

struct chat_completion {
  std::string begun{};               // the word's beginning, as it was typed
  std::vector<std::string> words{};  // all that begin so, capitals or not
  std::string behind{};              // what follows when there is only one

  // What all of them begin with: at least as long as begun if there are any.
  [[nodiscard]] std::string common() const;
};

[[nodiscard]] chat_completion complete_chat(std::string_view before_cursor, const chat_desk& desk);
