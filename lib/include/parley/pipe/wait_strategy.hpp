// SPDX-License-Identifier: MPL-2.0
//
// How one end of a pipe waits for the other: by looking again and again (spinning), which reacts
// in a fraction of a microsecond and costs a core, or by sleeping in the kernel, which costs
// nothing while it lasts and two system calls and some tens of microseconds when it ends.
#pragma once

#include <algorithm>
#include <chrono>

namespace parley {

enum class wait_mode {
  adaptive,  // spin as long as spinning paid off of late, then sleep
  spin,      // never sleep; after spin_limit let other threads run between two looks
  sleep,     // never spin
};

struct wait_strategy {
  wait_mode mode = wait_mode::adaptive;
  // The longest time to spin in one wait. Shorter than a sleep and a wake take together, and
  // adaptive ends cannot find back from sleeping to spinning; longer only burns the core.
  std::chrono::nanoseconds spin_limit = std::chrono::microseconds{50};
};

namespace detail {

// What an adaptive end remembers: how long spinning is worth trying next time. Waits that end
// within the limit double it, spun or slept through; each longer one halves it, down to nothing.
class spin_budget {
 public:
  explicit spin_budget(wait_strategy strategy) noexcept
      : limit_{strategy.spin_limit},
        budget_{strategy.mode == wait_mode::sleep ? std::chrono::nanoseconds{0} : limit_},
        adaptive_{strategy.mode == wait_mode::adaptive} {}

  [[nodiscard]] std::chrono::nanoseconds spin_for() const noexcept { return budget_; }

  void waited(std::chrono::nanoseconds how_long) noexcept {
    if (!adaptive_) return;
    if (how_long <= limit_) {
      budget_ = std::min(limit_, 2 * budget_ + limit_ / 16);
    } else {
      budget_ = budget_ / 2 < limit_ / 16 ? std::chrono::nanoseconds{0} : budget_ / 2;
    }
  }

 private:
  std::chrono::nanoseconds limit_;
  std::chrono::nanoseconds budget_;
  bool adaptive_;
};

// Tells the core that this is a spin loop.
inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  asm volatile("yield");
#endif
}

}  // namespace detail
}  // namespace parley
