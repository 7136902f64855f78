// SPDX-License-Identifier: MPL-2.0
#include "batch_reader.hpp"

#include <cassert>
#include <utility>

namespace parley::detail {
bool is_well_packed(const std::byte* at, const std::byte* end) noexcept {
  bool more = true;
  while (at != end) {
    const bool is_long = (std::to_integer<unsigned>(*at) & long_size) == long_size;
    if (is_long && static_cast<std::size_t>(end - at) < long_frame_head) {
      return false;
    }
    const packed_frame next = read_packed(at);
    if (next.size > static_cast<std::size_t>(end - next.body) ||
        (is_long && next.size < long_size)) {
      return false;
    }
    more = next.has_more;
    at = next.body + next.size;
  }
  return !more;
}

const std::byte* unpack(const std::byte* at, const frame& owner, message& into) {
  for (;;) {
    const packed_frame next = read_packed(at);
    if (next.size <= frame::inline_capacity) [[likely]] {
      into.emplace_back(static_cast<const void*>(next.body), next.size);
    } else {
      into.push_back(frame::adopt(owner.add_share(), next.body, next.size));
    }
    at = next.body + next.size;
    if (!next.has_more) {
      return at;
    }
  }
}

bool batch_reader::open(frame&& batch) {
  assert(!has_more() && looks_like_batch(batch.data(), batch.size()));
  batch_ = std::move(batch);
  const std::byte* const begin = batch_.data();
  if (batch_.size() > largest_batch || !is_well_packed(begin + batch_head, begin + batch_.size())) {
    batch_ = frame{};
    return false;
  }
  at_ = begin + batch_head;
  end_ = begin + batch_.size();
  return true;
}

void batch_reader::next(message& into) {
  assert(has_more() && into.empty());
  at_ = unpack(at_, batch_, into);
  if (at_ == end_) {
    batch_ = frame{};
    at_ = end_ = nullptr;
  }
}

}  // namespace parley::detail
