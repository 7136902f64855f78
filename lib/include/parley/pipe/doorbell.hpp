// SPDX-License-Identifier: MPL-2.0
//
// Where one thread sleeps until another has news, and the file descriptor that wakes it.
//
// One thread owns a doorbell and waits at it: wait, arm, disarm, fd. Any thread may ring it.
// Several pipes may share one bell, when the same thread waits for all of them.
// Ringing is free while the owner is awake: one load of a line that nobody writes.
//
// Polling it beside other descriptors:
//   1. arm(ready). False: there is news already, do not sleep.
//   2. True: poll fd() for reading. It turns readable when somebody rings.
//   3. disarm(), whatever poll said. fd() is not readable any more. Never read fd() yourself.
//
// Why no wake is lost. The ringer makes its news visible, then looks at armed_; the owner sets
// armed_, then looks for news. If each could miss what the other did before (the store would sit in
// the core's store buffer while the load runs ahead), the owner would sleep on. A full fence on
// both sides forbids it. The ringer's is on the hot path, so the owner pays for both: membarrier(2)
// makes every running thread of this process execute a full fence between the owner's store and its
// look.
//  - The ringer's load of armed_ came after that fence: it sees armed_ and wakes the owner.
//  - It came before: so did the news, in program order, and the owner's look finds it.
// Where the kernel has no membarrier, ringers read armed_ by a read-modify-write instead: in the
// order of changes to armed_ it comes after the owner's exchange and sees it, or before, and then
// the owner's exchange acquires what it released, the news.
//
// Invariants
//  1. armed_ is true only between arm and disarm.
//  2. Who turns armed_ from true to false, and nobody else, writes the descriptor (a ringer) or
//     leaves it alone (disarm): it is readable only if the owner has been rung and not yet
//     disarmed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <thread>

#include <parley/pipe/cache_line.hpp>
#include <parley/pipe/wait_strategy.hpp>

namespace parley {

namespace detail {

// Between two looks of who spins. Each look takes the index's cache line away from the side that
// stores it; looking all the time throttles the very thread one waits for, by a quarter to a half.
inline constexpr std::chrono::nanoseconds look_interval{128};

using steady_point = std::chrono::steady_clock::time_point;
inline constexpr steady_point never = steady_point::max();

// A time too long for the clock is never.
template<class Rep, class Period>
[[nodiscard]] steady_point deadline_after(std::chrono::duration<Rep, Period> time,
                                          steady_point now) {
  if (time <= time.zero()) return now;
  if (std::chrono::duration<double>{time} >= std::chrono::duration<double>{never - now})
    return never;
  return now + std::chrono::ceil<std::chrono::steady_clock::duration>(time);
}
// From now on. Who waits for ever needs no clock, whose reading may take as long as a short task.
template<class Rep, class Period>
[[nodiscard]] steady_point deadline_after(std::chrono::duration<Rep, Period> time) {
  if (time == time.max()) return never;
  return deadline_after(time, std::chrono::steady_clock::now());
}

}  // namespace detail

class doorbell {
 public:
  explicit doorbell(wait_strategy strategy = {});
  ~doorbell();
  doorbell(const doorbell&) = delete;
  doorbell& operator=(const doorbell&) = delete;

  // Owner.

  // Waits until ready(), the deadline or the stop; says which by returning what ready() says.
  // ready must be cheap: it is called many times. Throws error (out_of_resources) if it must sleep
  // and there is no descriptor left to sleep on.
  template<class Ready>
  bool wait(Ready ready, detail::steady_point deadline, const std::stop_token& stop);

  // True: armed, nothing was ready, the next ring makes fd() readable. False: something is ready.
  template<class Ready>
  [[nodiscard]] bool arm(Ready ready);
  void disarm() noexcept;
  // Armed, and nobody has rung since: whoever has news from now on will.
  [[nodiscard]] bool is_waiting() const noexcept {
    return announced_ && armed_.load(std::memory_order_relaxed) != 0;  // arm did the fencing
  }

  // To be polled for reading. Made at the first wait that sleeps, arm or fd, and kept.
  // Throws error (out_of_resources).
  [[nodiscard]] int fd();

  // Any thread.

  // Call this after the news is stored.
  void ring() noexcept {
    if (is_armed()) [[unlikely]]
      wake();
  }
  // The times that ringing cost a system call.
  [[nodiscard]] std::uint64_t wakes() const noexcept {
    return wakes_.load(std::memory_order_relaxed);  // a figure, it publishes nothing
  }

 private:
  [[nodiscard]] bool is_armed() noexcept {
    if (owner_fences_) [[likely]] {
      // Keeps the compiler from moving the load above the news; the core is fenced by the owner.
      std::atomic_signal_fence(std::memory_order_seq_cst);
      return armed_.load(std::memory_order_relaxed) != 0;  // wake acquires what arm released
    }
    return armed_.fetch_add(0, std::memory_order_acq_rel) != 0;  // releases the news to announce
  }

  template<class Ready>
  bool spin(Ready& ready, detail::steady_point start, detail::steady_point deadline,
            const std::stop_token& stop);
  void announce();                                     // sets armed_, fences both sides
  void sleep(detail::steady_point deadline) noexcept;  // until rung; may return early
  void wake() noexcept;                                // if armed: disarms and writes fd_

  // Changes only when the owner goes to sleep or is woken: every ringer keeps a copy in its cache.
  alignas(detail::cache_line) std::atomic<std::uint32_t> armed_{0};
  const bool owner_fences_;
  const wait_mode mode_;
  int fd_ = -1;  // written by the owner before it announces, read by who takes armed_ away
  std::atomic<std::uint64_t> wakes_{0};

  // The owner's own.
  alignas(detail::cache_line) detail::spin_budget budget_;
  bool announced_ = false;
};

template<class Ready>
bool doorbell::wait(Ready ready, detail::steady_point deadline, const std::stop_token& stop) {
  const auto start = std::chrono::steady_clock::now();
  if (spin(ready, start, deadline, stop)) {
    budget_.waited(std::chrono::steady_clock::now() - start);
    return true;
  }
  if (mode_ == wait_mode::spin) return false;
  // Rings like anyone else: request_stop comes before its exchange of armed_, announce's exchange
  // after it or before it; so this thread sees the stop or is woken.
  const std::stop_callback on_stop{stop, [this]() noexcept { wake(); }};
  while (arm(ready)) {
    const bool give_up = stop.stop_requested() || std::chrono::steady_clock::now() >= deadline;
    if (!give_up) sleep(deadline);
    disarm();
    if (give_up) return ready();
  }
  budget_.waited(std::chrono::steady_clock::now() - start);
  return true;
}

template<class Ready>
bool doorbell::spin(Ready& ready, detail::steady_point start, detail::steady_point deadline,
                    const std::stop_token& stop) {
  const auto spin_end = start + budget_.spin_for();
  auto next_look = start + detail::look_interval;
  for (auto now = start;; now = std::chrono::steady_clock::now()) {
    if (now >= spin_end) {
      if (mode_ != wait_mode::spin) return false;
      std::this_thread::yield();
    }
    if (now < next_look) {
      detail::cpu_relax();
      continue;
    }
    next_look = now + detail::look_interval;
    if (ready()) return true;
    if (now >= deadline || stop.stop_requested()) return false;
  }
}

template<class Ready>
bool doorbell::arm(Ready ready) {
  announce();
  if (!ready()) return true;
  disarm();
  return false;
}

}  // namespace parley
