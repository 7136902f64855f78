// SPDX-License-Identifier: MPL-2.0
//
// What makes a whisper a letter, or a word between peers: the frame behind its content, understood
// by peers of Parley only and said to no others. docs/wire.md has the grammar. No I/O; the reader
// takes any bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace parley::detail {

struct letter_mark {
  enum class kind : std::uint8_t {
    letter = 1,    // content is before it
    read = 2,      // a letter without content: the receiver's letter `about` was read
    received = 3,  // no letter: those up to `number` have been taken
    again = 4,     // the same, and those behind it found no room: they may come again now
    muted = 5,     // no letter: not heard until quiet for `number` milliseconds
  };
  kind what = kind::letter;
  std::uint64_t session = 0;  // whose numbers they are: of letters the sender's
  std::uint64_t number = 0;   // 1, 2, ... of this session, for this receiver
  std::uint64_t about = 0;    // read

  friend bool operator==(const letter_mark&, const letter_mark&) = default;
};

// Nothing: it is no mark, or of another version.
[[nodiscard]] std::optional<letter_mark> read_letter_mark(std::string_view frame) noexcept;
[[nodiscard]] std::string write_letter_mark(const letter_mark& written);

}  // namespace parley::detail
