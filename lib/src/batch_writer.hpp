// SPDX-License-Identifier: MPL-2.0
//
// Packs messages into a batch, and gives them back, first the oldest, when the batch is not to be.
//
// No I/O, one thread. Bounded: the batch never exceeds the bytes that it was made for.
// Format: docs/wire.md.
#pragma once

#include <parley/frame.hpp>
#include <parley/message.hpp>

#include "batch_format.hpp"

#include <cstddef>
#include <memory>

namespace parley::detail {

class batch_writer {
 public:
  // Requires: limit > batch_head.
  batch_writer(std::size_t limit, const batch_label& label);

  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }  // messages

  // Whether add takes it when nothing else is there; too large a message spoils the batching.
  [[nodiscard]] bool is_small(const message& next) const noexcept {
    return packed_size(next) <= (limit_ - batch_head) / 4;
  }
  // False: no room; nothing is changed. Requires: next is not empty.
  [[nodiscard]] bool add(const message& next) noexcept;

  // Requires of all below: !empty().
  [[nodiscard]] frame batch() const;
  // The oldest, and how to drop it.
  [[nodiscard]] message front() const;
  void drop_front(const message& front) noexcept;

  void clear() noexcept;

 private:
  [[nodiscard]] static std::size_t packed_size(const message& next) noexcept;

  const std::size_t limit_;
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t begin_ = 0;  // the head, right before the oldest message
  std::size_t end_ = batch_head;
  std::size_t count_ = 0;
};

}  // namespace parley::detail
