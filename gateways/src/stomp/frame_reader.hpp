// SPDX-License-Identifier: MPL-2.0
//
// Bytes in, frames out; docs/stomp.md has the grammar.
//
// Write what the peer sent into prepare(), tell commit() how much it was, then call next() until it
// says `more`. Each byte is looked at once, however the bytes were split; header escapes are undone
// in place and bodies are never copied, so a frame is valid until the next call of prepare or next.
// After `wrong` the stream cannot be trusted any more: problem() is the sentence for the peer.
//
// EOLs between frames are heart-beats: they are skipped, and count as activity like all bytes do.
#pragma once

#include <parley/stomp_limits.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stomp/frame.hpp"

namespace parley::stomp {

class frame_reader {
 public:
  enum class outcome { frame, more, wrong };

  explicit frame_reader(const frame_limits& limits = {}) : limits_{limits} {}

  // Until this is called, lines may end in CRLF and nothing is unescaped, as for CONNECT.
  // It holds from the next frame on.
  void set_version(version negotiated) noexcept {
    escapes_ = negotiated != version::v1_0;
    carriage_return_ = negotiated == version::v1_2;
    escaped_carriage_return_ = negotiated == version::v1_2;
    trims_ = negotiated == version::v1_0;
  }

  // Room for at least `size` more bytes, or for all that is missing of a body whose length is
  // known.
  [[nodiscard]] std::span<char> prepare(std::size_t size);
  // Requires: count is at most the size of the last prepare().
  void commit(std::size_t count) noexcept { end_ += count; }

  [[nodiscard]] outcome next();
  [[nodiscard]] const frame& current() const noexcept { return frame_; }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  enum class state { between, verb, headers, counted_body, open_body, broken };

  struct place {  // of a header, from the frame's first byte on: the buffer may move
    std::size_t name, name_size, value, value_size;
  };

  outcome wrong(std::string sentence);
  outcome read_verb();
  outcome read_headers();
  bool read_header(char* line, std::size_t size);
  outcome begin_body();
  outcome finish(std::size_t body_size);
  std::size_t unescape(char* text, std::size_t size);

  frame_limits limits_;
  bool escapes_ = false;
  bool carriage_return_ = true;
  bool escaped_carriage_return_ = false;
  bool trims_ = false;

  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;  // where the frame being read began
  std::size_t line_ = 0;   // where the line, or the body, being read began
  std::size_t seen_ = 0;   // searched in vain for the end of that line or body up to here
  std::size_t end_ = 0;    // behind the last byte

  state state_ = state::between;
  std::vector<place> places_;
  std::size_t body_size_ = 0;
  frame frame_;
  std::string problem_;
};

}  // namespace parley::stomp
