// SPDX-License-Identifier: MPL-2.0
//
// Where the tray sets runs out, one at a time; see served_run. take: any thread; the others with
// the tray's lock.
#pragma once

#include "served_run.hpp"

#include <algorithm>
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
    served_run& where = place_for_one();
    if (!where.owner) {
      where.owner = owner;
    }
    if (!where.set_out(run, now)) {
      return false;
    }
    run_ = &run;
    last_.store(&where, std::memory_order_release);
    return true;
  }
  // How many were taken that were not counted. Requires: something is set out. Nothing is any more.
  [[nodiscard]] std::uint32_t call_in() noexcept {
    run_ = nullptr;
    return served().call_in();
  }
  [[nodiscard]] served_run::census count() const noexcept {
    return run_ != nullptr ? served().count() : served_run::census{};
  }

  // Nothing will be set out any more. Whoever has a task keeps its worker until it is claimed.
  void close() noexcept {
    is_closed_ = true;
    for (const auto& each : runs_) {
      let_go(*each);
    }
  }
  [[nodiscard]] held_task& claim(const served_task& which) noexcept {
    held_task& claimed = which.run->claim(which.place);
    if (is_closed_) {
      let_go(*which.run);
    }
    return claimed;
  }

 private:
  static void let_go(served_run& run) noexcept {
    if (run.is_over()) {
      run.owner.reset();
    }
  }
  [[nodiscard]] served_run& place_for_one() {
    // The last one is warm. Of the others a few are looked at, and not always the same.
    if (!runs_.empty() && served().is_over()) {
      return served();
    }
    for (std::size_t tries = std::min<std::size_t>(runs_.size(), 4); tries > 0; --tries) {
      turn_ = (turn_ + 1) % runs_.size();
      if (runs_[turn_]->is_over()) {
        return *runs_[turn_];
      }
    }
    return *runs_.emplace_back(std::make_unique<served_run>());
  }

  task_run* run_ = nullptr;
  std::atomic<served_run*> last_{nullptr};
  std::vector<std::unique_ptr<served_run>> runs_;
  std::size_t turn_ = 0;
  bool is_closed_ = false;
};

}  // namespace parley::detail
