// SPDX-License-Identifier: MPL-2.0
#pragma once

#include <cstddef>
#include <string_view>

#include "task_wire.hpp"

// Whether that is the bodies of a run of so many tasks, and nothing else.
inline bool is_run(std::string_view bodies, std::size_t count) {
  std::string_view each;
  for (; count > 0 && parley::detail::next_body(bodies, each); --count) {
  }
  return count == 0 && bodies.empty();
}
