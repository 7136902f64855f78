// SPDX-License-Identifier: MPL-2.0
//
// Lines of stdin, for who also waits for other things. One thread.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>

class line_input {
 public:
  // Reads once; may wait unless stdin is readable. Throws std::system_error.
  void read();
  // A line that has been read, without its end.
  [[nodiscard]] std::optional<std::string> next();
  [[nodiscard]] bool has_line() const noexcept { return !lines_.empty(); }
  // There is no more to read.
  [[nodiscard]] bool is_at_end() const noexcept { return is_at_end_; }

 private:
  void end_line();

  std::deque<std::string> lines_;
  std::string part_;
  bool is_at_end_ = false;
};
