// SPDX-License-Identifier: MPL-2.0
#include "chat/line_input.hpp"

#include "chat/chat_desk.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

void line_input::read() {
  std::array<char, 4096> chunk;
  const ssize_t size = ::read(STDIN_FILENO, chunk.data(), chunk.size());
  if (size < 0 && errno != EINTR && errno != EAGAIN) {
    throw std::system_error{errno, std::generic_category(), "cannot read stdin"};
  }
  if (size == 0) {
    is_at_end_ = true;
    if (!part_.empty()) {
      end_line();  // a last line may lack its end
    }
  }
  for (ssize_t at = 0; at < size; ++at) {
    const char each = chunk[static_cast<std::size_t>(at)];
    if (each == '\n') {
      end_line();
    } else if (part_.size() <= chat_desk::longest_text) {  // one more: it is refused, not cut
      part_ += each;
    }
  }
}

void line_input::end_line() { lines_.push_back(std::exchange(part_, {})); }

std::optional<std::string> line_input::next() {
  if (lines_.empty()) {
    return std::nullopt;
  }
  std::string line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}
