// SPDX-License-Identifier: MPL-2.0
//
// Takes a batch apart. The messages share its bytes: what is too large for a frame's own memory
// points into the batch, which lives as long as they do.
//
// No I/O, one thread. The bytes are a peer's: all of them are checked before the first message
// comes out, so a malformed batch gives none. Format: docs/wire.md.
#pragma once

#include <parley/frame.hpp>
#include <parley/message.hpp>

#include "batch_format.hpp"

#include <cstddef>

namespace parley::detail {

class batch_reader {
 public:
  batch_reader() = default;
  batch_reader(const batch_reader&) = delete;
  batch_reader& operator=(const batch_reader&) = delete;

  // False: malformed; then there is nothing to read. Requires: looks_like_batch, !has_more().
  [[nodiscard]] bool open(frame&& batch);
  [[nodiscard]] bool has_more() const noexcept { return at_ != end_; }
  // Requires: has_more(), into is empty.
  void next(message& into);

 private:
  frame batch_;
  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;
};

// Whether the bytes after a batch's head are one or more whole messages.
[[nodiscard]] bool is_well_packed(const std::byte* at, const std::byte* end) noexcept;

// Appends the message at at, and returns where the next begins. Large frames share owner's bytes.
// Requires: is_well_packed from at on; the bytes are owner's.
const std::byte* unpack(const std::byte* at, const frame& owner, message& into);

}  // namespace parley::detail
