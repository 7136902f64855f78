// SPDX-License-Identifier: MPL-2.0
//
// What a pipeline's thread does while many tasks flow and there is nothing to do for a moment: it
// naps, and looks again. To sleep until it is woken would cost those who wake it, every few hundred
// tasks, as much as all that they do for them. After a nap that gathered little it sleeps.
#pragma once

#include <chrono>
#include <cstddef>
#include <thread>
#include <utility>

namespace parley::detail {

class flow_nap {
 public:
  // So many tasks came.
  void count(std::size_t tasks) noexcept { tasks_ += tasks; }
  // False: sleep instead.
  [[nodiscard]] bool take() {
    if (std::exchange(tasks_, 0) < many) {
      return false;
    }
    std::this_thread::sleep_for(length);
    return true;
  }

 private:
  static constexpr std::size_t many = 256;
  static constexpr std::chrono::microseconds length{50};

  std::size_t tasks_ = 0;  // since the last time
};

}  // namespace parley::detail
