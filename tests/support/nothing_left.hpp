// SPDX-License-Identifier: MPL-2.0
//
// What this process holds of the system; to be checked when all that a test made has gone.
#pragma once

#include <chrono>
#include <filesystem>
#include <iterator>
#include <thread>

#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/sanitizers.hpp"

namespace parley::support {

class nothing_left {
 public:
  ~nothing_left() {
    // A thread that was joined may be listed a moment longer.
    const auto end = std::chrono::steady_clock::now() + patience;
    while (entries("/proc/self/task") != threads_ && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
    CHECK(entries("/proc/self/task") == threads_);
    CHECK(entries("/proc/self/fd") == descriptors_);
  }

 private:
  static std::ptrdiff_t entries(const char* of) {
    const std::filesystem::directory_iterator all{of};
    return std::distance(begin(all), end(all));
  }

  // The thread sanitizer has a thread of its own, from the first that the program starts.
  static constexpr std::ptrdiff_t threads_ = thread_sanitizer ? 2 : 1;
  std::ptrdiff_t descriptors_ = entries("/proc/self/fd");
};

}  // namespace parley::support
