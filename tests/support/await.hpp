// SPDX-License-Identifier: MPL-2.0
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "support/connected.hpp"

namespace parley::support {

// For what nobody tells when it happens. False: it did not within patience.
inline bool await(const std::function<bool()>& what) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!what()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{1});  // not to keep others from working
  }
  return true;
}

}  // namespace parley::support
