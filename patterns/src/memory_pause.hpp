// SPDX-License-Identifier: MPL-2.0
//
// What a thread does that others need, and that has no memory to go on: asks again after a moment.
#pragma once

#include <chrono>
#include <mutex>
#include <thread>

namespace parley::detail {

// Until memory is asked for again where there was none.
inline constexpr std::chrono::milliseconds memory_pause{1};

inline void await_memory() { std::this_thread::sleep_for(memory_pause); }
// Lets others have the mutex meanwhile.
inline void await_memory(std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  await_memory();
  lock.lock();
}

}  // namespace parley::detail
