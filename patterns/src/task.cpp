// SPDX-License-Identifier: MPL-2.0
#include <parley/task.hpp>

#include "held_task.hpp"
#include "worker_core.hpp"

#include <chrono>
#include <utility>

namespace parley {

using detail::worker_core;
using ending = detail::task_entry::ending;

std::string_view to_string(task_end how) noexcept {
  switch (how) {
    case task_end::done:
      return "done";
    case task_end::failed:
      return "failed";
    case task_end::expired:
      return "expired";
    case task_end::dropped:
      return "dropped";
    case task_end::unfinished:
      return "unfinished";
  }
  return "unknown";
}

task::task(detail::held_task& held) noexcept
    : body{std::move(held.body)}, id_{held.id}, held_{&held} {}

task::task(detail::served_run& run, std::uint32_t place) try
    : body{run.body(place)}, id_{run.id(place)}, run_{&run}, place_{place} {
} catch (...) {
  // One whose body cannot be copied is let go, as any other: it would be nobody's.
  worker_core::let_go(run, place);
}

task& task::operator=(task&& other) noexcept {
  if (this != &other) {
    let_go();
    body = std::move(other.body);
    id_ = std::exchange(other.id_, {});
    held_ = std::exchange(other.held_, nullptr);
    run_ = std::exchange(other.run_, nullptr);
    place_ = other.place_;
  }
  return *this;
}

bool task::is_owed() const noexcept {
  return run_ != nullptr || (held_ != nullptr && !held_->is_answered);
}

detail::held_task* task::claim() const noexcept {
  if (run_ != nullptr) {
    held_ = worker_core::claim(*run_, place_);
    run_ = held_ == nullptr ? run_ : nullptr;
  }
  return is_owed() ? held_ : nullptr;
}

void task::let_go() noexcept {
  if (run_ != nullptr) {
    worker_core::let_go(*std::exchange(run_, nullptr), place_);
  }
  if (held_ != nullptr) {
    worker_core::let_go(*std::exchange(held_, nullptr));
  }
}

std::uint32_t task::attempt() const noexcept {
  return held_ != nullptr ? held_->attempt : id_ == task_id{} ? 0 : 1;
}

std::string_view task::key() const noexcept {
  return held_ != nullptr ? std::string_view{held_->key} : std::string_view{};
}

std::stop_token task::stop_token() const {
  detail::held_task* const held = claim();
  return held != nullptr ? worker_core::stop_token(*held) : std::stop_token{};
}

bool task::renew() noexcept {
  detail::held_task* const held = claim();
  return held != nullptr && worker_core::renew(*held);
}

void task::done() noexcept {
  using clock = std::chrono::steady_clock;
  if (run_ != nullptr &&
      run_->done(place_, run_->is_timed(place_) ? clock::now() : clock::time_point{})) {
    run_ = nullptr;
  } else {
    finish(frame{});
  }
}

void task::finish(frame result) noexcept {
  if (is_owed()) {
    worker_core::done(*this, std::move(result));
  }
}

void task::fail(std::string_view why) noexcept {
  if (is_owed()) {
    worker_core::end(*this, ending::failed, why);
  }
}

void task::reject(std::string_view why) noexcept {
  if (is_owed()) {
    worker_core::end(*this, ending::rejected, why);
  }
}

void task::give_back() noexcept {
  if (is_owed()) {
    worker_core::end(*this, ending::given_back, {});
  }
}

}  // namespace parley
