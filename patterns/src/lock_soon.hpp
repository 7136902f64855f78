// SPDX-License-Identifier: MPL-2.0
//
// Locks a mutex that others hold for less than a microsecond, but often: looks again for a while
// before it sleeps, for to be woken takes longer than they hold it.
#pragma once

#include <parley/pipe/wait_strategy.hpp>

#include <mutex>

namespace parley::detail {

[[nodiscard]] inline std::unique_lock<std::mutex> lock_soon(std::mutex& mutex) {
  constexpr int looks = 100;
  for (int count = 0; count < looks; ++count) {
    if (mutex.try_lock()) {
      return std::unique_lock{mutex, std::adopt_lock};
    }
    cpu_relax();
  }
  return std::unique_lock{mutex};
}

}  // namespace parley::detail
