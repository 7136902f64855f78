// SPDX-License-Identifier: MPL-2.0
//
// How much of a file may be under way to its receiver: enough to keep the link busy, and no more
// than it carries in about 100 ms, so that what else is said does not wait behind it for long. The
// time that pieces take tells: the shortest seen is the link's own, what is beyond it is waiting.
// A way may become longer: when none was as short for 10 s, one piece is said alone, and its time
// is taken for the link's own. BBR has the same, as PROBE_RTT. No I/O.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace parley::detail {

class file_window {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr std::uint64_t least = std::uint64_t{32} << 10;
  static constexpr std::uint64_t most = std::uint64_t{8} << 20;

  // Said to the link: all before that offset.
  void said(std::uint64_t offset, time_point now) {
    under_way_.push_back({offset, now, under_way_.empty()});
  }
  // On the receiver's disk.
  void had(std::uint64_t offset, time_point now);

  // 0: no more than one piece.
  [[nodiscard]] std::uint64_t size() const noexcept { return is_measuring_ ? 0 : size_; }
  // Small where the window is, so that a piece alone does not take long.
  [[nodiscard]] std::uint64_t piece() const noexcept;

 private:
  struct mark {
    std::uint64_t offset;
    time_point said_at;
    bool is_alone;  // nothing else was under way
  };
  void note(const mark& said, time_point now);

  std::deque<mark> under_way_;
  std::uint64_t size_ = std::uint64_t{256} << 10;
  std::uint64_t held_until_ = 0;  // what was said before it is not news of the present size
  std::uint64_t last_ = 0;
  std::chrono::steady_clock::duration shortest_ = std::chrono::steady_clock::duration::max();
  time_point shortest_at_{};   // last seen
  bool is_measuring_ = false;  // it is too long ago
  bool is_probing_ = true;     // doubles each time around, until it was too much
};

}  // namespace parley::detail
