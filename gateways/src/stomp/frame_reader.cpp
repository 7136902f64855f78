// SPDX-License-Identifier: MPL-2.0
#include "stomp/frame_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "stomp/quote.hpp"

namespace parley::stomp {
namespace {

constexpr std::size_t longest_command = 11;        // UNSUBSCRIBE
constexpr std::size_t kept_capacity = 256 * 1024;  // more than that is given back when idle

char* find(char* from, std::size_t size, char what) {
  return static_cast<char*>(std::memchr(from, what, size));
}

std::optional<std::size_t> parse_size(std::string_view text) {
  std::size_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view without_leading_spaces(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(' '), text.size()));
}

}  // namespace

std::span<char> frame_reader::prepare(std::size_t size) {
  if (state_ == state::counted_body) {
    size = std::max(size, line_ + body_size_ + 1 - end_);
  }
  if (capacity_ - end_ < size) {
    const std::size_t held = end_ - begin_;
    if (capacity_ < held + size) {
      // Doubling keeps the copying linear where a body's size is not known beforehand.
      const std::size_t grown = std::max(held + size, 2 * held);
      auto fresh = std::make_unique_for_overwrite<char[]>(grown);
      if (held != 0) std::memcpy(fresh.get(), buffer_.get() + begin_, held);
      buffer_ = std::move(fresh);
      capacity_ = grown;
    } else {
      std::memmove(buffer_.get(), buffer_.get() + begin_, held);
    }
    line_ -= begin_;
    seen_ -= begin_;
    begin_ = 0;
    end_ = held;
  }
  return {buffer_.get() + end_, capacity_ - end_};
}

frame_reader::outcome frame_reader::next() {
  switch (state_) {
    case state::broken:
      return outcome::wrong;
    case state::between: {
      const char* const bytes = buffer_.get();
      while (begin_ != end_ && (bytes[begin_] == '\n' || bytes[begin_] == '\r'))
        ++begin_;
      line_ = seen_ = begin_;
      if (begin_ == end_) {
        begin_ = line_ = seen_ = end_ = 0;
        if (capacity_ > kept_capacity) {
          buffer_.reset();
          capacity_ = 0;
        }
        return outcome::more;
      }
      state_ = state::verb;
      return read_verb();
    }
    case state::verb:
      return read_verb();
    case state::headers:
      return read_headers();
    case state::counted_body:
      return end_ - line_ > body_size_ ? finish(body_size_) : outcome::more;
    case state::open_body: {
      char* const from = buffer_.get() + seen_;
      if (char* const nul = find(from, end_ - seen_, '\0')) {
        const auto size = static_cast<std::size_t>(nul - (buffer_.get() + line_));
        if (size <= limits_.body) return finish(size);
      }
      seen_ = end_;
      if (end_ - line_ > limits_.body) {
        return wrong("the body is larger than this server takes: at most " +
                     std::to_string(limits_.body) + " bytes");
      }
      return outcome::more;
    }
  }
  return outcome::wrong;
}

frame_reader::outcome frame_reader::wrong(std::string sentence) {
  problem_ = std::move(sentence);
  state_ = state::broken;
  return outcome::wrong;
}

// Nothing but a known command is waited for: whoever talks HTTP or TLS here is told at once.
frame_reader::outcome frame_reader::read_verb() {
  char* const line = buffer_.get() + line_;
  const std::size_t window = std::min(end_ - line_, longest_command + 2);
  const char* const eol = find(line, window, '\n');
  if (eol == nullptr && window < longest_command + 2) return outcome::more;
  std::size_t size = eol == nullptr ? window : static_cast<std::size_t>(eol - line);
  const std::size_t line_size = size + 1;
  if (eol != nullptr && carriage_return_ && size != 0 && line[size - 1] == '\r') --size;
  const auto verb = parse_command({line, size});
  if (eol == nullptr || !verb) {
    return wrong("unknown command " + quote({line, size}) +
                 "; expected a STOMP frame such as CONNECT, SEND or SUBSCRIBE");
  }
  frame_.verb = *verb;
  places_.clear();
  line_ += line_size;
  seen_ = line_;
  state_ = state::headers;
  return read_headers();
}

frame_reader::outcome frame_reader::read_headers() {
  for (;;) {
    char* const line = buffer_.get() + line_;
    char* const eol = find(buffer_.get() + seen_, end_ - seen_, '\n');
    std::size_t size = eol == nullptr ? end_ - line_ : static_cast<std::size_t>(eol - line);
    // Of both faults the one that comes first counts, however the bytes were split.
    const std::size_t most = limits_.header_line + (carriage_return_ ? 1 : 0);
    const std::size_t searched = std::min(seen_ - line_, size);
    if (find(line + searched, std::min(size, most) - std::min(searched, most), '\0') != nullptr) {
      return wrong("the " + std::string{to_string(frame_.verb)} +
                   " frame ended before its headers did; expected a blank line before the body");
    }
    if (size > most) {
      return wrong("a header line of " + std::string{to_string(frame_.verb)} +
                   " is longer than this server takes: at most " +
                   std::to_string(limits_.header_line) + " bytes");
    }
    if (eol == nullptr) {
      seen_ = end_;
      return outcome::more;
    }
    line_ += size + 1;
    seen_ = line_;
    if (carriage_return_ && size != 0 && line[size - 1] == '\r') --size;
    if (size == 0) return begin_body();
    if (places_.size() == limits_.headers) {
      return wrong(std::string{to_string(frame_.verb)} +
                   " has more headers than this server takes: at most " +
                   std::to_string(limits_.headers));
    }
    if (!read_header(line, size)) return outcome::wrong;
  }
}

bool frame_reader::read_header(char* line, std::size_t size) {
  char* const colon = find(line, size, ':');
  if (colon == nullptr || colon == line) {
    wrong("the header line " + quote({line, size}) + " of " + std::string{to_string(frame_.verb)} +
          " is not of the form name:value");
    return false;
  }
  const auto at = static_cast<std::size_t>(line - (buffer_.get() + begin_));
  const auto name_size = static_cast<std::size_t>(colon - line);
  place found{at, name_size, at + name_size + 1, size - name_size - 1};
  char* const value = colon + 1;
  if (escapes_ && find(line, size, '\\') != nullptr) {
    found.name_size = unescape(line, name_size);
    if (state_ == state::broken) return false;
    found.value_size = unescape(value, found.value_size);
    if (state_ == state::broken) return false;
  } else if (trims_) {
    // Some 1.0 clients put a space behind the colon; from 1.1 on a space is part of the value.
    const std::size_t kept = without_leading_spaces({value, found.value_size}).size();
    found.value += found.value_size - kept;
    found.value_size = kept;
  }
  places_.push_back(found);
  return true;
}

std::size_t frame_reader::unescape(char* text, std::size_t size) {
  char* to = text;
  for (const char* from = text; from != text + size; ++from) {
    if (*from != '\\') {
      *to++ = *from;
      continue;
    }
    const char kind = ++from == text + size ? ' ' : *from;
    if (kind == 'n') {
      *to++ = '\n';
    } else if (kind == 'c') {
      *to++ = ':';
    } else if (kind == '\\') {
      *to++ = '\\';
    } else if (kind == 'r' && escaped_carriage_return_) {
      *to++ = '\r';
    } else {
      wrong("undefined escape " + quote(from == text + size ? "\\" : std::string{'\\', kind}) +
            " in a header of " + std::string{to_string(frame_.verb)} + "; expected " +
            (escaped_carriage_return_ ? R"(\r, \n, \c or \\)" : R"(\n, \c or \\)"));
      return 0;
    }
  }
  return static_cast<std::size_t>(to - text);
}

frame_reader::outcome frame_reader::begin_body() {
  frame_.headers.clear();
  for (const place& each : places_) {
    const char* const from = buffer_.get() + begin_;
    frame_.headers.push_back(
        {{from + each.name, each.name_size}, {from + each.value, each.value_size}});
  }
  const auto length = frame_.find("content-length");
  if (length) {
    const auto size = parse_size(without_leading_spaces(*length));
    if (!size) {
      return wrong("content-length is " + quote(*length) + "; expected a number of bytes");
    }
    if (*size > limits_.body) {
      return wrong("content-length is " + quote(*length) +
                   ", but this server takes bodies of at most " + std::to_string(limits_.body) +
                   " bytes");
    }
    body_size_ = *size;
    state_ = state::counted_body;
  } else if (may_have_body(frame_.verb)) {
    state_ = state::open_body;
  } else {
    body_size_ = 0;
    state_ = state::counted_body;
  }
  if (state_ == state::counted_body && body_size_ != 0 && !may_have_body(frame_.verb)) {
    return wrong(std::string{to_string(frame_.verb)} +
                 " has a body; only SEND, MESSAGE and ERROR may have one");
  }
  return next();
}

frame_reader::outcome frame_reader::finish(std::size_t body_size) {
  const char* const body = buffer_.get() + line_;
  if (body[body_size] != '\0') {
    const std::string verb{to_string(frame_.verb)};
    if (may_have_body(frame_.verb)) {
      return wrong("content-length of " + verb + " is " + std::to_string(body_size) +
                   ", but no NUL follows that many bytes of body");
    }
    return wrong(verb + " has a body; only SEND, MESSAGE and ERROR may have one");
  }
  // The buffer may have moved since the headers were read.
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const char* const from = buffer_.get() + begin_;
    frame_.headers[i] = {{from + places_[i].name, places_[i].name_size},
                         {from + places_[i].value, places_[i].value_size}};
  }
  frame_.body = {body, body_size};
  begin_ = line_ + body_size + 1;
  line_ = seen_ = begin_;
  state_ = state::between;
  return outcome::frame;
}

}  // namespace parley::stomp
