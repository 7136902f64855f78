// SPDX-License-Identifier: MPL-2.0
//
// What is to be done with a file, and what came of it. Values.
#pragma once

#include <parley/frame.hpp>
#include <parley/peer_file.hpp>

#include "file_mark.hpp"

#include <cstdint>

namespace parley::detail {

// Those of one transfer are done in order.
struct file_job {
  enum class kind : std::uint8_t {
    check,   // the digest of the first `offset` bytes
    begin,   // a part goes on at offset; at 0 it is emptied
    read,    // so many bytes (size) at offset
    write,   // content, at its end
    finish,  // has it this digest? then its name
    close,   // no more of it
  };
  kind what;
  std::uint64_t number;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  frame content{};
  file_digest digest{};
};

struct file_result {
  file_job::kind what;
  std::uint64_t number;
  std::uint64_t offset =
      0;                 // check, begin: as asked; read: where it began; write: of the part's end
  frame content{};       // read
  file_digest digest{};  // check; read: of the whole file, if it ends there
  file_failure why = file_failure::none;
};

}  // namespace parley::detail
