// SPDX-License-Identifier: MPL-2.0
//
// What two peers say to each other of a file: the last frame of a whisper, behind the content where
// there is any; understood by peers of Parley only and said to no others. docs/wire.md has the
// grammar. No I/O; the reader takes any bytes.
#pragma once

#include <parley/peer_file.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace parley::detail {

// XXH3, 128 bits, in the order in which its authors print it.
using file_digest = std::array<std::uint8_t, 16>;

struct file_mark {
  enum class kind : std::uint8_t {
    offer = 1,     // sender: size, name
    begin = 2,     // sender: the receiver's part goes on at offset, or begins anew at 0
    piece = 3,     // sender: content is what comes at offset
    end = 4,       // sender: it has so many bytes, and this digest
    ask = 5,       // sender: how far are you?
    withdraw = 6,  // sender: there will be no more of it
    accept =
        0x11,     // receiver: so many bytes are there (offset), with this digest; room for so many
    have = 0x12,  // receiver: all before offset is on the disk
    done = 0x13,  // receiver: it is whole
    refuse = 0x14,  // receiver: there is no use in saying more
  };
  kind what = kind::offer;
  std::uint64_t number = 0;               // the sender's
  std::uint64_t offset = 0;               // begin, piece, accept, have; of offer and end the size
  std::uint32_t room = 0;                 // accept: bytes that may be under way
  file_digest digest{};                   // accept, end
  file_failure why = file_failure::none;  // withdraw, refuse
  std::string name{};                     // offer: as it was sent

  [[nodiscard]] bool is_of_receiver() const noexcept { return what >= kind::accept; }
  friend bool operator==(const file_mark&, const file_mark&) = default;
};

// Nothing: it is no mark, or of another version.
[[nodiscard]] std::optional<file_mark> read_file_mark(std::string_view frame);
[[nodiscard]] std::string write_file_mark(const file_mark& written);

}  // namespace parley::detail
