// SPDX-License-Identifier: MPL-2.0
//
// The pack that usual tasks go into now, by whoever pushes them, without a lock.
//
// What still goes in is one word. Who pushes takes his part of it in one atomic step, has a place
// in the pack and octets there by that, writes the body, and then its end. Who closes takes all
// that is left, in one step too, and waits for those who still write: no longer than it takes to
// copy a body.
//
// Threads: try_add by any, at any time; the others by one at a time.
//
// Invariant: all but room_ changes only while nobody has a place that is not written.
#pragma once

#include <parley/pipe/wait_strategy.hpp>

#include "task_pack.hpp"

#include <atomic>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <thread>
#include <type_traits>

namespace parley::detail {

class open_pack {
 public:
  // The number of the task that is in it now; 0: it does not go in, or nothing is open.
  // Requires: no more than most_packed octets.
  [[nodiscard]] std::uint64_t try_add(std::string_view body) noexcept {
    return try_add(body, copy_any);
  }
  // The same in less time, for one of no more than longest_short octets: nothing is called.
  static constexpr std::size_t longest_short = 64;
  [[nodiscard]] std::uint64_t try_add_short(std::string_view body) noexcept {
    return try_add(body, copy_short);
  }

  // So much goes into it, with its first task, which has that number and goes in first. Nothing
  // else may change the pack until it is closed. Requires: nothing is open, and the pack is empty;
  // 1 to most_in_run tasks, and octets for the first one.
  void open(task_pack& pack, std::size_t tasks, std::size_t octets, std::uint64_t number,
            std::string_view first) {
    assert(pack_ == nullptr && pack.count == 0 && tasks >= 1 && tasks <= most_in_run &&
           octets >= wire::body_head + first.size());
    bytes_ = pack.bytes.extend(octets);
    pack_ = &pack;
    ends_ = pack.begins.data() + 1;
    number_ = number;
    most_ = static_cast<std::uint32_t>(tasks);
    octets_ = static_cast<std::uint32_t>(octets);
    write(0, 0, first, copy_any);
    // Release: all that, to who pushes.
    room_.store((most_ - 1) * one_task_more + octets_ - ends_[0], std::memory_order_release);
  }
  [[nodiscard]] bool is_open() const noexcept { return pack_ != nullptr; }
  // Tasks that are in it, or about to be.
  [[nodiscard]] std::uint32_t count() const noexcept {
    return is_open() ? most_ - tasks_in(room_.load(std::memory_order_relaxed)) : 0;
  }
  // The number of a task that is added now. Requires: it is open.
  [[nodiscard]] std::uint64_t next() const noexcept { return number_ + count(); }
  // Requires: it is open.
  task_pack& close() noexcept {
    task_pack& closed = *pack_;
    // Relaxed: the ends say what is written.
    const std::uint64_t left = room_.exchange(0, std::memory_order_relaxed);
    closed.count = most_ - tasks_in(left);
    closed.bytes.cut(octets_ - static_cast<std::uint32_t>(left));
    const std::uint32_t* const last = ends_ + closed.count;
    for (std::uint32_t* end = ends_; end != last; ++end) {
      // Acquire: the body.
      if (std::atomic_ref{*end}.load(std::memory_order_acquire) == 0) [[unlikely]] {
        await_end(*end);
      }
    }
    pack_ = nullptr;
    return closed;
  }

 private:
  // In the upper half the tasks that still go in, in the lower one the octets.
  static constexpr std::uint64_t one_task_more = std::uint64_t{1} << 32;

  [[nodiscard]] static std::uint32_t tasks_in(std::uint64_t room) noexcept {
    return static_cast<std::uint32_t>(room >> 32);
  }
  template<class Copy>
  [[nodiscard]] std::uint64_t try_add(std::string_view body, Copy&& copy) noexcept {
    const std::uint64_t octets = wire::body_head + body.size();
    std::uint64_t room = room_.load(std::memory_order_relaxed);
    do {
      if (room < one_task_more || (room & (one_task_more - 1)) < octets) {
        return 0;
      }
      // Acquire: the pack, from who opened it; and nothing is written there before.
    } while (!room_.compare_exchange_weak(room, room - one_task_more - octets,
                                          std::memory_order_acquire, std::memory_order_relaxed));
    const std::uint32_t place = most_ - tasks_in(room);
    const std::uint64_t number = number_ + place;
    write(place, octets_ - static_cast<std::uint32_t>(room), body, copy);
    return number;
  }
  template<class Copy>
  void write(std::uint32_t place, std::uint32_t begin, std::string_view body,
             Copy&& copy) noexcept {
    const auto size = static_cast<std::uint32_t>(body.size());
    copy(put_number(bytes_ + begin, size), body.data(), body.size());
    // Release: publishes the body, and that nothing here is read any more.
    std::atomic_ref{ends_[place]}.store(begin + static_cast<std::uint32_t>(wire::body_head) + size,
                                        std::memory_order_release);
  }
  static void copy_any(char* to, const char* from, std::size_t size) noexcept {
    if (size > 0) {
      std::memcpy(to, from, size);
    }
  }
  // In two moves of a fixed length, which overlap.
  static void copy_short(char* to, const char* from, std::size_t size) noexcept {
    const auto copy_ends = [&](auto length) {
      std::memcpy(to, from, length);
      std::memcpy(to + size - length, from + size - length, length);
    };
    if (size > 32) {
      copy_ends(std::integral_constant<std::size_t, 32>{});
    } else if (size >= 16) {
      copy_ends(std::integral_constant<std::size_t, 16>{});
    } else if (size >= 8) {
      copy_ends(std::integral_constant<std::size_t, 8>{});
    } else if (size >= 4) {
      copy_ends(std::integral_constant<std::size_t, 4>{});
    } else if (size > 0) {
      to[0] = from[0];
      to[size / 2] = from[size / 2];
      to[size - 1] = from[size - 1];
    }
  }
  static void await_end(std::uint32_t& end) noexcept {
    constexpr int looks = 100;
    constexpr int yields = 10;
    const std::atomic_ref known{end};
    // Acquire: as in close.
    for (int count = 0; known.load(std::memory_order_acquire) == 0; ++count) {
      if (count < looks) {
        cpu_relax();
      } else if (count < looks + yields) {
        std::this_thread::yield();
      } else {
        // Who writes may have a lower priority than we have.
        std::this_thread::sleep_for(std::chrono::microseconds{50});
      }
    }
  }

  alignas(64) std::atomic<std::uint64_t> room_{0};

  alignas(64) char* bytes_ = nullptr;
  std::uint32_t* ends_ = nullptr;  // of the pack's tasks; 0: not written yet
  std::uint64_t number_ = 0;
  std::uint32_t most_ = 0;    // tasks
  std::uint32_t octets_ = 0;  // as it was opened
  task_pack* pack_ = nullptr;
};

}  // namespace parley::detail
