// SPDX-License-Identifier: MPL-2.0
#include "input.hpp"

#include <parley/error.hpp>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

void input_arg::add_to(CLI::App& command, bool several) {
  auto* body = add_words(command, "BODY", bodies,
                         std::string{several ? "one message each" : "the message"} +
                             "; - (or none, where stdin is no terminal): each line of stdin",
                         several ? CLI::detail::expected_max_vector_size : 1);
  command.add_option("--file", file, "each line of this file is a message")
      ->option_text("PATH")
      ->excludes(body);
  command.add_flag("--whole", whole, "the file, or stdin, is one message");
  add_count(command, count, "end after N messages; bodies given as arguments are repeated");
}

input::input(const input_arg& arg, int stop_fd) : arg_{arg}, stop_fd_{stop_fd} {
  if (!arg.file.empty()) {
    fd_ = ::open(arg.file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) {
      throw std::system_error{errno, std::generic_category(), "cannot read " + arg.file};
    }
  } else if (arg.bodies.empty() && ::isatty(STDIN_FILENO) != 0) {
    throw CLI::ValidationError{"BODY", "give one, or - to type messages, a line each"};
  } else if (arg.bodies.empty() || (arg.bodies.size() == 1 && arg.bodies.front() == "-")) {
    fd_ = STDIN_FILENO;
  } else if (arg.whole) {
    throw CLI::ValidationError{"--whole", "is for stdin and --file, not for a BODY"};
  }
}

input::~input() {
  if (fd_ > STDIN_FILENO) {
    ::close(fd_);
  }
}

std::optional<parley::frame> input::next() {
  if (arg_.count && given_ == *arg_.count) {
    return std::nullopt;
  }
  auto found = fd_ < 0 ? next_body() : arg_.whole ? rest() : next_line();
  ++given_;
  return found;
}

std::optional<parley::frame> input::next_body() {
  if (!arg_.count && !arg_.is_repeated && given_ == arg_.bodies.size()) {
    return std::nullopt;
  }
  return parley::frame{arg_.bodies[given_ % arg_.bodies.size()]};
}

std::optional<parley::frame> input::next_line() {
  for (;;) {
    const std::size_t end = buffer_.find('\n', scanned_);
    if (end != std::string::npos) {
      parley::frame line{std::string_view{buffer_}.substr(start_, end - start_)};
      start_ = scanned_ = end + 1;
      return line;
    }
    buffer_.erase(0, start_);
    start_ = 0;
    scanned_ = buffer_.size();
    if (!read_more()) {
      // A last line may lack its end.
      return buffer_.empty() ? std::nullopt
                             : std::optional{parley::frame{std::exchange(buffer_, {})}};
    }
  }
}

std::optional<parley::frame> input::rest() {
  if (at_end_) {
    return std::nullopt;
  }
  while (read_more()) {
  }
  return parley::frame{buffer_};
}

bool input::read_more() {
  std::array<pollfd, 2> waited{{{fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}}};
  while (!at_end_) {
    if (::poll(waited.data(), waited.size(), -1) < 0) {
      continue;
    }
    if (waited[1].revents != 0) {
      throw parley::closed{"read the input"};
    }
    std::array<char, 65536> chunk;
    const ssize_t size = ::read(fd_, chunk.data(), chunk.size());
    if (size > 0) {
      buffer_.append(chunk.data(), static_cast<std::size_t>(size));
      return true;
    }
    if (size == 0) {
      at_end_ = true;
    } else if (errno != EINTR && errno != EAGAIN) {
      throw std::system_error{errno, std::generic_category(),
                              "cannot read " + (arg_.file.empty() ? "stdin" : arg_.file)};
    }
  }
  return false;
}
