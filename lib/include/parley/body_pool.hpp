// SPDX-License-Identifier: MPL-2.0
//
// Memory for large bodies, and what else comes and goes as often, recycled: a block goes back to
// the thread that took it, whoever gives it back. Taking and giving cost some nanoseconds; malloc
// and free of different threads cost ten times that, and would bound a pipe's speed.
//
// Threads: any. A block outlives the thread that took it.
// Bounded: a thread keeps at most most_kept bytes for itself, and as much waits for it to come
// back; what is beyond goes to the allocator at once. All of it goes there when the thread ends.
// Blocks of more than largest bytes are the allocator's from the start.
#pragma once

#include <cstddef>

namespace parley::detail {

class body_pool {
 public:
  static constexpr std::size_t largest = 96 * 1024;
  static constexpr std::size_t most_kept = 4 * 1024 * 1024;

  // At least so many bytes, aligned for anything. Throws bad_alloc.
  [[nodiscard]] static void* take(std::size_t bytes);
  static void give(void* taken) noexcept;

  // What is kept for the calling thread's next bodies, in bytes: by itself, or waiting to come
  // back. Each of the two is bounded.
  [[nodiscard]] static std::size_t kept() noexcept;
};

// From there, for containers and shared objects.
template<class T>
struct pooled {
  using value_type = T;

  pooled() noexcept = default;
  template<class Other>
  pooled(const pooled<Other>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) {
    return static_cast<T*>(body_pool::take(count * sizeof(T)));
  }
  void deallocate(T* taken, std::size_t) noexcept { body_pool::give(taken); }

  friend bool operator==(pooled, pooled) noexcept { return true; }
};

}  // namespace parley::detail
