// SPDX-License-Identifier: MPL-2.0
//
// Endpoints of inproc:// for what Parley's own parts tell each other by way of libzmq.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace parley::detail {

// Never the same twice in a program. Any thread.
[[nodiscard]] inline std::string fresh_inproc_name(std::string_view purpose) {
  static std::atomic<std::uint64_t> count{0};
  return std::string{"inproc://parley."}.append(purpose) + "." + std::to_string(++count);
}

}  // namespace parley::detail
