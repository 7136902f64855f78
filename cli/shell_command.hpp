// SPDX-License-Identifier: MPL-2.0
//
// A command line of the user's that answers requests: the shell runs it once for each, with the
// request on its stdin; what it writes to stdout is the answer. Its stderr goes on to ours.
//
// Threads: any number may run it at once. Bounded: in time, and to 64 MiB of answer; a command that
// goes beyond is killed, with all that it started (its process group); so is one whose program was
// killed.
#pragma once

#include "args.hpp"

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct command_answer {
  std::string text;  // without its last line end, as the shell's own $(command)
  // Why there is none: what it wrote to stderr (the last of it), or how it ended. None: it ended
  // with 0.
  std::optional<std::string> failure;
};

class shell_command {
 public:
  shell_command(std::string line, timeout_arg limit) : line_{std::move(line)}, limit_{limit} {}

  // stop_fd: readable when the program has to end; then throws parley::closed. unwanted: nobody
  // waits for the answer any more; then throws parley::cancelled. environment: NAME=VALUE, beside
  // our own.
  [[nodiscard]] command_answer run(std::string_view request, int stop_fd,
                                   const std::stop_token& unwanted = {},
                                   const std::vector<std::string>& environment = {}) const;

 private:
  std::string line_;
  timeout_arg limit_;
};
