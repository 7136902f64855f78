// SPDX-License-Identifier: MPL-2.0
//
// Who says too much, and is not heard until he was quiet for a while. Not thread-safe.
#pragma once

#include "chat/rate_limit.hpp"

#include <parley/peer_id.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

class mutes {
 public:
  using time_point = rate_limit::time_point;
  using duration = rate_limit::duration;
  static constexpr time_point never = time_point::max();

  // So much within the window is too much, and so is anything before the window was quiet.
  mutes(std::size_t count, duration window) : count_{count}, window_{window} {}

  enum class verdict { heard, muted_now, muted };
  [[nodiscard]] verdict hear(const parley::peer_id& who, time_point now);

  struct ended {
    parley::peer_id who;
    std::uint64_t count;  // what was not heard
  };
  // Those who were quiet for long enough.
  [[nodiscard]] std::vector<ended> end(time_point now);
  // When that may be again.
  [[nodiscard]] time_point next_end() const;

  // He is gone. Returns what was not heard of him.
  std::uint64_t forget(const parley::peer_id& who);
  [[nodiscard]] duration window() const noexcept { return window_; }

 private:
  struct talker {
    rate_limit limit;
    std::uint64_t unheard = 0;  // 0: not muted
    time_point until{};
  };

  std::size_t count_;
  duration window_;
  std::unordered_map<parley::peer_id, talker> talkers_;
};
