// SPDX-License-Identifier: MPL-2.0
#include "file_window.hpp"

#include <algorithm>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 100ms;  // of what else is said
constexpr auto memory = 10s;      // of the shortest time
constexpr std::uint64_t least_piece = std::uint64_t{16} << 10;
constexpr std::uint64_t most_piece = std::uint64_t{256} << 10;

}  // namespace

void file_window::note(const mark& said, time_point now) {
  const auto taken = now - said.said_at;
  if (taken <= shortest_ || (is_measuring_ && said.is_alone)) {
    shortest_ = taken;
    shortest_at_ = now;
    is_measuring_ = false;
  } else if (now - shortest_at_ >= memory) {
    is_measuring_ = true;
  }
}

void file_window::had(std::uint64_t offset, time_point now) {
  auto taken = std::chrono::steady_clock::duration::min();
  std::uint64_t said = offset;
  while (!under_way_.empty() && under_way_.front().offset <= offset) {
    taken = now - under_way_.front().said_at;  // of the last: those before it waited for the answer
    note(under_way_.front(), now);
    under_way_.pop_front();
  }
  if (!under_way_.empty()) {
    said = under_way_.back().offset;
  }
  const std::uint64_t news = offset - std::min(offset, last_);
  last_ = std::max(last_, offset);
  if (taken == std::chrono::steady_clock::duration::min() || offset <= held_until_ ||
      is_measuring_) {
    return;
  }
  if (taken - shortest_ > patience) {
    size_ = std::max(least, size_ - size_ / 3);
    is_probing_ = false;
    held_until_ = said;
    return;
  }
  // By a piece each time around, or by all that went around.
  const std::uint64_t more =
      is_probing_ ? news : std::max<std::uint64_t>(news * piece() / size_, 1);
  size_ = std::min(most, size_ + more);
}

std::uint64_t file_window::piece() const noexcept {
  return std::clamp(size_ / 4, least_piece, most_piece);
}

}  // namespace parley::detail
