// SPDX-License-Identifier: MPL-2.0
//
// Some tasks of a run, a bit for each, the first of the run in the lowest.
#pragma once

#include "task_wire.hpp"

#include <bit>
#include <cstdint>

namespace parley::detail {

using task_set = std::uint64_t;
static_assert(most_in_run <= 64);

[[nodiscard]] constexpr task_set one_task(std::uint32_t index) noexcept {
  return task_set{1} << index;
}
[[nodiscard]] constexpr task_set first_tasks(std::uint32_t count) noexcept {
  return count < 64 ? one_task(count) - 1 : ~task_set{0};
}
[[nodiscard]] constexpr std::uint32_t size_of(task_set tasks) noexcept {
  return static_cast<std::uint32_t>(std::popcount(tasks));
}
// Requires: there are some.
[[nodiscard]] constexpr std::uint32_t first_of(task_set tasks) noexcept {
  return static_cast<std::uint32_t>(std::countr_zero(tasks));
}

// For each of them, from the first on: action(index).
template<class Action>
void for_each(task_set tasks, Action&& action) {
  for (; tasks != 0; tasks &= tasks - 1) {
    action(first_of(tasks));
  }
}
// For each piece of them without a gap: action(begin, end).
template<class Action>
void for_each_piece(task_set tasks, Action&& action) {
  while (tasks != 0) {
    const std::uint32_t begin = first_of(tasks);
    const std::uint32_t end = begin + static_cast<std::uint32_t>(std::countr_one(tasks >> begin));
    action(begin, end);
    tasks &= ~first_tasks(end);
  }
}

}  // namespace parley::detail
