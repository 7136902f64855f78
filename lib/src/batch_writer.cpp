// SPDX-License-Identifier: MPL-2.0
#include "batch_writer.hpp"

#include "batch_reader.hpp"

#include <cassert>
#include <cstdint>
#include <cstring>

namespace parley::detail {

batch_writer::batch_writer(std::size_t limit, const batch_label& label)
    : limit_{limit}, bytes_{new std::byte[limit]} {
  assert(limit > batch_head);
  std::memcpy(bytes_.get(), batch_magic.data(), batch_magic.size());
  std::memcpy(bytes_.get() + batch_magic.size(), label.data(), label.size());
}

std::size_t batch_writer::packed_size(const message& next) noexcept {
  std::size_t sum = 0;
  for (const frame& each : next) {
    sum += each.size() + (each.size() < long_size ? short_frame_head : long_frame_head);
  }
  return sum;
}

bool batch_writer::add(const message& next) noexcept {
  if (packed_size(next) > limit_ - end_) {
    return false;
  }
  std::byte* at = bytes_.get() + end_;
  const frame* const last = next.end() - 1;
  for (const frame& each : next) {
    const unsigned flag = &each == last ? 0 : more_follow;
    const std::size_t size = each.size();
    if (size < long_size) [[likely]] {
      *at++ = static_cast<std::byte>(flag | size);
    } else {
      *at++ = static_cast<std::byte>(flag | long_size);
      for (unsigned shift = 32; shift != 0;) {
        shift -= 8;
        *at++ = static_cast<std::byte>(size >> shift);
      }
    }
    std::memcpy(at, each.data(), size);
    at += size;
  }
  end_ = static_cast<std::size_t>(at - bytes_.get());
  ++count_;
  return true;
}

frame batch_writer::batch() const { return frame{bytes_.get() + begin_, end_ - begin_}; }

message batch_writer::front() const {
  // Copies what is large, since the bytes here change. It happens when a batch may not be sent.
  message oldest;
  const std::byte* at = bytes_.get() + begin_ + batch_head;
  for (bool more = true; more;) {
    const packed_frame next = read_packed(at);
    oldest.emplace_back(static_cast<const void*>(next.body), next.size);
    at = next.body + next.size;
    more = next.has_more;
  }
  return oldest;
}

void batch_writer::drop_front(const message& front) noexcept {
  if (--count_ == 0) {
    clear();
    return;
  }
  const std::size_t begin = begin_ + packed_size(front);
  // The head moves along; it may overlap where it was.
  std::memmove(bytes_.get() + begin, bytes_.get() + begin_, batch_head);
  begin_ = begin;
}

void batch_writer::clear() noexcept {
  std::memmove(bytes_.get(), bytes_.get() + begin_, batch_head);
  begin_ = 0;
  end_ = batch_head;
  count_ = 0;
}

}  // namespace parley::detail
