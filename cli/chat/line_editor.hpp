// SPDX-License-Identifier: MPL-2.0
//
// A terminal with one line at its bottom that a person edits, while others are printed above it.
// One thread, and one at a time in a program.
#pragma once

#include "chat/chat_completion.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

class line_editor {
 public:
  struct hooks {
    // Returns when a key can be read; may print meanwhile. False: it is over.
    std::function<bool()> wait_for_key;
    // The same, when a line may be finished.
    std::function<bool()> wait_for_turn;
    std::function<std::string()> prompt;
    std::function<chat_completion(std::string_view before_cursor)> complete;
  };

  // The terminal is that of stdin and stdout.
  explicit line_editor(hooks use);
  // The terminal is as it was before.
  ~line_editor();
  line_editor(const line_editor&) = delete;
  line_editor& operator=(const line_editor&) = delete;

  // What was typed; it is gone from the screen. Nothing: it is over.
  [[nodiscard]] std::optional<std::string> next();
  void print(const std::vector<std::string>& lines);
  // A line of its own above what is typed, until it is empty; what is too long is cut. Visible.
  void show_status(const std::string& status);
  // The terminal has another size, or another program has had it.
  void refresh();

 private:
  struct state;
  std::unique_ptr<state> state_;
};
