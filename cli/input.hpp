// SPDX-License-Identifier: MPL-2.0
//
// Where a sending command takes its messages from: bodies on the command line, or the lines, or
// the whole, of stdin or a file.
#pragma once

#include "args.hpp"

#include <parley/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

class input_arg {
 public:
  // Adds BODY (one, or several), --file, --whole and --count.
  void add_to(CLI::App& command, bool several);

  std::vector<std::string> bodies;  // "-" alone: stdin
  std::string file;
  bool whole = false;
  count_arg count;
  bool is_repeated = false;  // bodies, also without a count
};

class input {
 public:
  // stop_fd: readable when the program has to end. Throws CLI::ValidationError.
  input(const input_arg& arg, int stop_fd);
  ~input();
  input(const input&) = delete;
  input& operator=(const input&) = delete;

  // Nothing: that was all. Throws parley::closed when stop_fd says so, std::system_error when the
  // file cannot be read.
  [[nodiscard]] std::optional<parley::frame> next();
  [[nodiscard]] bool is_endless() const noexcept {
    return fd_ < 0 && arg_.is_repeated && !arg_.count;
  }

 private:
  [[nodiscard]] std::optional<parley::frame> next_body();
  [[nodiscard]] std::optional<parley::frame> next_line();
  [[nodiscard]] std::optional<parley::frame> rest();
  [[nodiscard]] bool read_more();

  const input_arg& arg_;
  std::uint64_t given_ = 0;
  int fd_ = -1;  // -1: bodies from the command line
  int stop_fd_;
  bool at_end_ = false;
  std::string buffer_;
  std::size_t start_ = 0;    // of what is in buffer_ and not yet given
  std::size_t scanned_ = 0;  // no line ends between start_ and here
};
