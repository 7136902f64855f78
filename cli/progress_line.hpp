// SPDX-License-Identifier: MPL-2.0
//
// How far a long run has come: a line on stderr that is written over and over, where that is a
// terminal. It appears after a second, and goes with its owner.
#pragma once

#include <functional>
#include <string>
#include <thread>

class progress_line {
 public:
  // text is called by a thread of the line's own, until the destructor.
  explicit progress_line(std::function<std::string()> text);

 private:
  std::jthread thread_;
};
