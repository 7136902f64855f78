// SPDX-License-Identifier: MPL-2.0
//
// What a socket puts before a message: the way back to who asked, or a router's name of its peer.
#pragma once

#include <parley/message.hpp>

#include <utility>

namespace parley::detail {

// Leaves rest empty.
[[nodiscard]] inline message with_prefix(const message& prefix, message& rest) {
  message whole;
  whole.reserve(prefix.size() + rest.size());
  for (const frame& each : prefix) {
    whole.push_back(each);
  }
  for (frame& each : rest) {
    whole.push_back(std::move(each));
  }
  rest.clear();
  return whole;
}

}  // namespace parley::detail
