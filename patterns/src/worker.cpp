// SPDX-License-Identifier: MPL-2.0
#include <parley/worker.hpp>

#include <parley/pipe/doorbell.hpp>  // deadline_after

#include "named_ends.hpp"
#include "worker_core.hpp"

#include <memory>
#include <utility>

namespace parley {

using detail::deadline_after;

struct worker::state {
  state(context& owner, const worker_options& options)
      : core{std::make_shared<detail::worker_core>(owner, options)}, names{owner} {}
  ~state() {
    names.clear();
    core->finish();
  }
  state(const state&) = delete;
  state& operator=(const state&) = delete;

  const std::shared_ptr<detail::worker_core> core;
  detail::named_ends names;
};

worker::worker(context& owner, const worker_options& options) : state_{new state{owner, options}} {}

worker::worker(context& owner, const endpoint& connected, const worker_options& options)
    : worker{owner, options} {
  connect(connected);
}

worker::worker(worker&&) noexcept = default;
worker& worker::operator=(worker&&) noexcept = default;
worker::~worker() = default;

endpoint worker::bind(const endpoint& where) {
  state& self = *state_.operator->();
  return self.names.bind(where, [&](const endpoint& real) {
    return self.core->with_links([&](auto& links) { return links.bind(real); });
  });
}

void worker::connect(const endpoint& where) {
  detail::worker_core* const core = state_->core.get();
  state_->names.connect(
      where,
      [core](const endpoint& found) {
        core->with_links([&](auto& links) { links.connect(found); });
      },
      [core](const endpoint& gone) {
        core->with_links([&](auto& links) { links.disconnect(gone); });
      });
}

endpoint worker::bind_plain(const endpoint& where) {
  return state_->core->with_links([&](auto& links) { return links.bind_plain(where); });
}

void worker::connect_plain(const endpoint& where) {
  state_->core->with_links([&](auto& links) { links.connect_plain(where); });
}

void worker::on_connection(std::function<void(const connection_event&)> told) {
  state_->core->on_connection(std::move(told));
}

task worker::receive() { return state_->core->receive(); }

std::optional<task> worker::receive_for(duration limit) {
  return state_->core->receive_until(deadline_after(limit));
}

std::optional<task> worker::try_receive() { return receive_for(duration::zero()); }

void worker::run_tasks(const std::function<void(task&)>& handler) { state_->core->run(handler); }

void worker::run_together(const std::function<frame(task&, done_transaction&)>& handler) {
  state_->core->run_together(handler);
}

std::uint64_t worker::id() const noexcept { return state_.get()->core->id(); }

worker_statistics worker::statistics() const { return state_->core->statistics(); }

void worker::close() noexcept {
  if (state_.is_here()) {
    state_->names.clear();
    state_->core->close();
  }
}

}  // namespace parley
