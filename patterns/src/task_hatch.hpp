// SPDX-License-Identifier: MPL-2.0
//
// Where the tray sets runs out, one at a time; see served_run. take: any thread; the others with
// the tray's lock.
#pragma once

#include "served_run.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace parley::detail {

class task_hatch {
 public:
  [[nodiscard]] served_task take() noexcept {
    // Acquire: an object that is new.
    if (served_run* const run = last_.load(std::memory_order_acquire)) {
      if (const std::uint32_t place = run->take(); place != served_run::nothing) {
        return {run, place};
      }
    }
    return {};
  }

  // What is set out; null: nothing.
  [[nodiscard]] task_run* run() const noexcept { return run_; }
  // Where. Requires: something is, or was.
  [[nodiscard]] served_run& served() const noexcept {
    return *last_.load(std::memory_order_relaxed);
  }
  // Requires: nothing is. False: it cannot be.
  [[nodiscard]] bool set_out(task_run& run, const std::shared_ptr<worker_core>& owner,
                             served_run::time_point now) {
    if (free_ == nullptr) {
      put_away(*runs_.emplace_back(std::make_unique<served_run>()));
    }
    served_run& where = *free_;
    if (!where.owner) {
      where.owner = owner;
    }
    if (!where.set_out(run, now)) {
      return false;
    }
    free_ = where.next_free;
    run_ = &run;
    last_.store(&where, std::memory_order_release);
    return true;
  }
  // How many were taken that were not counted. Requires: something is set out. Nothing is any more.
  [[nodiscard]] std::uint32_t call_in() noexcept {
    run_ = nullptr;
    const std::uint32_t count = served().call_in();
    put_away(served());
    return count;
  }
  [[nodiscard]] served_run::census count() const noexcept {
    return run_ != nullptr ? served().count() : served_run::census{};
  }

  // Nothing will be set out any more. Whoever has a task keeps its worker until it is claimed.
  void close() noexcept {
    is_closed_ = true;
    for (const auto& each : runs_) {
      if (each->is_over()) {
        each->owner.reset();
      }
    }
  }
  [[nodiscard]] held_task& claim(const served_task& which) noexcept {
    held_task& claimed = which.run->claim(which.place);
    put_away(*which.run);
    return claimed;
  }

 private:
  // If it is over, as it has just become then; it is warm.
  void put_away(served_run& run) noexcept {
    if (!run.is_over()) {
      return;
    }
    if (is_closed_) {
      run.owner.reset();
    } else {
      run.next_free = std::exchange(free_, &run);
    }
  }

  task_run* run_ = nullptr;
  std::atomic<served_run*> last_{nullptr};
  std::vector<std::unique_ptr<served_run>> runs_;
  served_run* free_ = nullptr;  // the last one that became so
  bool is_closed_ = false;
};

}  // namespace parley::detail
