// SPDX-License-Identifier: MPL-2.0
#include <parley/pipeline.hpp>

#include <parley/error.hpp>
#include <parley/monitor.hpp>

#include "shared_socket.hpp"

#include <cstdio>
#include <stdexcept>
#include <utility>

namespace parley {
namespace {

using detail::deadline_after;
using time_point = detail::shared_socket::time_point;

socket_options source_socket(const source_options& options) {
  socket_options chosen;
  chosen.send_limit = options.limit;
  chosen.linger = options.linger;
  // A task dealt to a worker that never appears would be stuck behind it.
  chosen.only_connected = true;
  chosen.max_frame_bytes = default_max_frame_bytes;
  chosen.curve = options.curve;
  return chosen;
}

socket_options worker_socket(const worker_options& options) {
  socket_options chosen;
  chosen.receive_limit = options.limit;
  chosen.linger = std::chrono::milliseconds{0};  // a worker sends nothing
  chosen.max_frame_bytes = options.max_frame_bytes;
  chosen.curve = options.curve;
  return chosen;
}

void report(const task&, const std::exception& failure) {
  std::fprintf(stderr, "parley: a task failed: %s\n", failure.what());
}

}  // namespace

struct source::state {
  state(context& owner, const source_options& options)
      : link{owner, socket_kind::push, source_socket(options)} {}

  detail::shared_socket link;
};

source::source(context& owner, const source_options& options) : state_{new state{owner, options}} {}

source::source(context& owner, const endpoint& bound, const source_options& options)
    : source{owner, options} {
  bind(bound);
}

source::source(source&&) noexcept = default;
source& source::operator=(source&&) noexcept = default;
source::~source() = default;

endpoint source::bind(const endpoint& where) { return state_->link.bind(where); }

void source::connect(const endpoint& where) { state_->link.connect(where); }

bool source::push_frame(frame task, duration limit) {
  return state_->link.send_until(std::move(task), deadline_after(limit));
}

monitor source::watch() { return state_->link.watch(); }

void source::close() noexcept {
  if (state_.is_here()) {
    state_->link.close();
  }
}

struct worker::state {
  state(context& owner, const worker_options& options)
      : link{owner, socket_kind::pull, worker_socket(options)},
        on_failure{options.on_failure ? options.on_failure : report} {}

  std::optional<task> receive_until(time_point deadline) {
    auto incoming = link.receive_until(deadline);
    if (!incoming) {
      return std::nullopt;
    }
    return task{std::move((*incoming)[0])};
  }

  detail::shared_socket link;
  std::function<void(const task&, const std::exception&)> on_failure;
};

worker::worker(context& owner, const worker_options& options) : state_{new state{owner, options}} {}

worker::worker(context& owner, const endpoint& connected, const worker_options& options)
    : worker{owner, options} {
  connect(connected);
}

worker::worker(worker&&) noexcept = default;
worker& worker::operator=(worker&&) noexcept = default;
worker::~worker() = default;

endpoint worker::bind(const endpoint& where) { return state_->link.bind(where); }

void worker::connect(const endpoint& where) { state_->link.connect(where); }

task worker::receive() {
  for (;;) {
    if (auto received = state_->receive_until(time_point::max())) {
      return std::move(*received);
    }
  }
}

std::optional<task> worker::receive_for(duration limit) {
  return state_->receive_until(deadline_after(limit));
}

std::optional<task> worker::try_receive() { return receive_for(duration::zero()); }

void worker::run_tasks(const std::function<void(const task&)>& handler) {
  for (;;) {
    std::optional<task> next;
    try {
      next = receive();
    } catch (const closed&) {
      return;
    }
    try {
      handler(*next);
    } catch (const std::exception& failure) {
      state_->on_failure(*next, failure);
    } catch (...) {
      state_->on_failure(*next, std::runtime_error{"it threw something that is no std::exception"});
    }
  }
}

monitor worker::watch() { return state_->link.watch(); }

void worker::close() noexcept {
  if (state_.is_here()) {
    state_->link.close();
  }
}

}  // namespace parley
