// SPDX-License-Identifier: MPL-2.0
#include <parley/task.hpp>

#include "held_task.hpp"
#include "worker_core.hpp"

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

task::task(detail::held_task& held) noexcept : body{std::move(held.body)}, held_{&held} {}

task& task::operator=(task&& other) noexcept {
  if (this != &other) {
    let_go();
    body = std::move(other.body);
    held_ = std::exchange(other.held_, nullptr);
  }
  return *this;
}

void task::let_go() noexcept {
  if (held_ != nullptr) {
    worker_core::let_go(*std::exchange(held_, nullptr));
  }
}

task_id task::id() const noexcept { return held_ != nullptr ? held_->id : task_id{}; }

std::uint32_t task::attempt() const noexcept { return held_ != nullptr ? held_->attempt : 0; }

std::string_view task::key() const noexcept {
  return held_ != nullptr ? std::string_view{held_->key} : std::string_view{};
}

std::stop_token task::stop_token() const {
  return held_ != nullptr ? worker_core::stop_token(*held_) : std::stop_token{};
}

bool task::renew() noexcept { return held_ != nullptr && worker_core::renew(*held_); }

void task::finish(frame result) noexcept {
  if (held_ != nullptr) {
    worker_core::done(*held_, std::move(result));
  }
}

void task::fail(std::string_view why) noexcept {
  if (held_ != nullptr) {
    worker_core::end(*held_, ending::failed, why);
  }
}

void task::reject(std::string_view why) noexcept {
  if (held_ != nullptr) {
    worker_core::end(*held_, ending::rejected, why);
  }
}

void task::give_back() noexcept {
  if (held_ != nullptr) {
    worker_core::end(*held_, ending::given_back, {});
  }
}

}  // namespace parley
