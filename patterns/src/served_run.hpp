// SPDX-License-Identifier: MPL-2.0
//
// Tasks that the threads of a worker help themselves to, without the tray's lock.
//
// The tray sets out one run at a time. Its tasks are nobody's until a thread takes one, whichever
// comes first, in one atomic step: so none waits behind a handler, however long that takes, while
// another thread has nothing to do. Who has done one says so in another atomic step. The tray hears
// of it when it calls the run in: when nothing is left, after a millisecond, and before anything is
// to happen to tasks that it does not know one by one. What nobody took waits in the tray again
// then, and what is taken and not done is known to the tray from then on, as every other task is.
//
// Invariant: a task that was taken is settled once: by who took it, then it is done; or by the
// tray, with its lock, then it is known, until who took it claims what the tray knows it by. A run
// that was called in is over when none of it is still to be claimed: then its bodies are let go,
// and its object is used again; its memory stays as long as the tray. Who comes late, and takes
// from an object that was set out anew meanwhile, has a task of the new run.
#pragma once

#include <parley/frame.hpp>

#include "held_task.hpp"
#include "task_set.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace parley::detail {

// Each task has a place; the last one of a run has the last place.
class served_run {
 public:
  using time_point = held_task::time_point;

  static constexpr std::uint32_t nothing = most_in_run;

  // Any thread.

  // The place of a task that is the caller's now; nothing: none is left.
  [[nodiscard]] std::uint32_t take() noexcept {
    if (next_.load(std::memory_order_relaxed) >= nothing) {
      return nothing;
    }
    // Acquire: with all of the run, whoever took from it before.
    const std::uint64_t place = next_.fetch_add(1, std::memory_order_acquire);
    return place < nothing ? static_cast<std::uint32_t>(place) : nothing;
  }

  // Who took it, until it is done or claimed.

  [[nodiscard]] std::string_view body(std::uint32_t place) const noexcept {
    const std::uint32_t begin = begins_[place];
    return {bytes_ + begin, begins_[place + 1] - begin - wire::body_head};
  }
  [[nodiscard]] task_id id(std::uint32_t place) const noexcept {
    return {source_, number_ + place};
  }
  // Whether `done` looks at the time.
  [[nodiscard]] bool is_timed(std::uint32_t place) const noexcept { return place == first_; }
  // False: the tray knows it, and is to be told.
  [[nodiscard]] bool done(std::uint32_t place, time_point now) noexcept {
    if (is_timed(place)) {
      took_ = now - since_;
    }
    const task_set mine = one_task(place);
    // Release: nothing of it is read any more; and took_.
    return (settled_.fetch_or(mine, std::memory_order_release) & mine) == 0;
  }
  // Whoever holds a place that is not done keeps the worker by it. Set before that.
  std::shared_ptr<worker_core> owner;

  // With the tray's lock.

  // False: it is not as long as its source said. Requires: is_over(), and the tasks that are left
  // are the last ones of the run.
  [[nodiscard]] bool set_out(const task_run& run, time_point now);
  [[nodiscard]] time_point since() const noexcept { return since_; }
  [[nodiscard]] task_ticket ticket(std::uint32_t place) const noexcept { return ticket_ + place; }

  // How many were taken since the last time.
  [[nodiscard]] std::uint32_t count_taken() noexcept {
    return count_to(next_.load(std::memory_order_relaxed));
  }
  // The same, and nobody takes any more. Then those that were taken are done, or known.
  [[nodiscard]] std::uint32_t call_in() noexcept;
  // Places of those who were when it was called in; and without the others.
  [[nodiscard]] task_set done() const noexcept { return done_; }
  [[nodiscard]] task_set known() const noexcept { return known_; }
  // How long the one that is timed took; nothing: it was not done.
  [[nodiscard]] std::optional<time_point::duration> took() const noexcept {
    return (done_ & one_task(first_)) != 0 ? std::optional{took_} : std::nullopt;
  }

  // For who took it, and has not done it.
  void know(std::uint32_t place) noexcept {
    settled_.fetch_or(one_task(place), std::memory_order_relaxed);
    known_ |= one_task(place);
  }
  void know_by(std::uint32_t place, held_task& held) noexcept { held_[place] = &held; }
  // False: there was no memory for what it would be known by, and it has ended. Requires: it is
  // known.
  [[nodiscard]] bool is_held(std::uint32_t place) const noexcept { return held_[place] != nullptr; }
  // Requires: it is held.
  [[nodiscard]] held_task& claim(std::uint32_t place) noexcept {
    claimed_ |= one_task(place);
    let_go_if_over();
    return *held_[place];
  }
  [[nodiscard]] bool is_over() const noexcept { return is_called_in_ && known_ == claimed_; }

  // As it is now: of those that were taken.
  struct census {
    std::uint32_t uncounted;
    std::uint32_t done;
    std::uint32_t in_hand;  // neither done nor known
  };
  [[nodiscard]] census count() const noexcept;

  served_run* next_free = nullptr;  // the hatch's

 private:
  static constexpr std::uint64_t closed = std::uint64_t{1} << 32;

  [[nodiscard]] std::uint32_t count_to(std::uint64_t next) noexcept {
    const auto end = static_cast<std::uint32_t>(std::min<std::uint64_t>(next, nothing));
    return end - std::exchange(counted_, end);
  }
  // Places that are counted as taken.
  [[nodiscard]] static task_set between(std::uint32_t begin, std::uint32_t end) noexcept {
    return first_tasks(end) & ~first_tasks(begin);
  }

  // Whoever had a task of it has a copy of its body.
  void let_go_if_over() noexcept {
    if (is_over()) {
      bodies_ = frame{};
    }
  }

  alignas(64) std::atomic<std::uint64_t> next_{closed};
  std::atomic<task_set> settled_{0};

  // Changed while nobody has a task of it.
  alignas(64) const char* bytes_ = nullptr;
  std::uint64_t source_ = 0;
  std::uint64_t number_ = 0;  // of the one in place 0, if there were one
  std::uint32_t first_ = 0;   // which is timed
  time_point since_{};
  task_ticket ticket_ = 0;  // as number_
  frame bodies_;
  std::array<std::uint32_t, most_in_run + 1> begins_{};  // of bodies, each behind its head

  time_point::duration took_{};  // by who took the one that is timed

  // With the tray's lock.
  std::uint32_t counted_ = 0;
  bool is_called_in_ = true;
  task_set done_ = 0;
  task_set known_ = 0;
  task_set claimed_ = 0;
  std::array<held_task*, most_in_run> held_{};  // of those that are known
};

// One that was taken. Null: none.
struct served_task {
  served_run* run = nullptr;
  std::uint32_t place = served_run::nothing;
};

}  // namespace parley::detail
