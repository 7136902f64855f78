// SPDX-License-Identifier: MPL-2.0
#include "gate.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <thread>

namespace parley::detail {

static_assert(sizeof(std::atomic<int>) == sizeof(int) && std::atomic<int>::is_always_lock_free);

void gate::open() noexcept {
  is_open_.store(1, std::memory_order_release);  // publishes what was done before
  ::syscall(SYS_futex, &is_open_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void gate::wait() const noexcept {
  // Acquire: what the opener did before.
  for (int turn = 0; is_open_.load(std::memory_order_acquire) == 0; ++turn) {
    if (turn < most_turns) {
      std::this_thread::yield();
    } else {
      ::syscall(SYS_futex, &is_open_, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
    }
  }
}

}  // namespace parley::detail
