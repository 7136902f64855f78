// SPDX-License-Identifier: MPL-2.0
//
// What several threads take from one desk, each to hand it to the socket by itself, and may so
// overtake each other: taken in the desk's lock, handed over in the socket's, and neither in
// between. Who must overtake nobody turns over, and waits for those who took something before; who
// takes something later does not hold him up. One at a time may do so. To be waited for costs no
// more than to be counted, in locks that are held anyway.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace parley::detail {

class departures {
 public:
  struct earlier {
    std::size_t turn;
    std::uint64_t count;
  };

  // In the desk's lock.

  // Something was taken. Returns the turn, for when it is handed over.
  [[nodiscard]] std::size_t begin() noexcept {
    ++begun_[turn_];
    return turn_;
  }
  // Returns those who have begun, to be waited for. Requires: those of the last time have ended.
  [[nodiscard]] earlier turn_over() noexcept {
    const std::size_t before = turn_;
    turn_ = 1 - turn_;
    return {before, begun_[before]};
  }

  // In the socket's lock.

  // True: somebody waits, and this was the last one he waits for.
  [[nodiscard]] bool end(std::size_t turn) noexcept { return ++ended_[turn] == awaited_[turn]; }
  // True: they have ended. Else the last of them hears that somebody waits.
  [[nodiscard]] bool have_ended(const earlier& all) noexcept {
    awaited_[all.turn] = all.count;
    return ended_[all.turn] == all.count;
  }

 private:
  // All that there ever were, of either turn.

  // The desk's lock.
  std::size_t turn_ = 0;
  std::array<std::uint64_t, 2> begun_{};

  // The socket's lock.
  std::array<std::uint64_t, 2> ended_{};
  std::array<std::uint64_t, 2> awaited_{};  // never reached again once it was
};

}  // namespace parley::detail
