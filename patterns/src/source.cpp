// SPDX-License-Identifier: MPL-2.0
#include <parley/source.hpp>

#include <parley/pipe/doorbell.hpp>  // deadline_after

#include "named_ends.hpp"
#include "source_core.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace parley {
namespace {

using clock = std::chrono::steady_clock;
using detail::deadline_after;

// What map waits for. Tasks that end after it gave up still have it.
struct mapping {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<frame> results;
  std::size_t ended = 0;
  std::optional<task_outcome> failure;
};

void note(mapping& of, std::size_t index, task_outcome&& came) {
  const std::lock_guard lock{of.mutex};
  ++of.ended;
  if (came.how == task_end::done) {
    of.results[index] = std::move(came.result);
  } else if (!of.failure) {
    of.failure = std::move(came);
  }
  of.changed.notify_one();
}

}  // namespace

struct source::state {
  state(context& owner, const source_options& options) : core{owner, options}, names{owner} {}

  detail::source_core core;
  detail::named_ends names;
};

source::source(context& owner, const source_options& options) : state_{new state{owner, options}} {}

source::source(context& owner, const endpoint& bound, const source_options& options)
    : source{owner, options} {
  bind(bound);
}

source::source(source&&) noexcept = default;
source& source::operator=(source&&) noexcept = default;
source::~source() = default;

endpoint source::bind(const endpoint& where) {
  state& self = *state_.operator->();
  return self.names.bind(where, [&](const endpoint& real) {
    return self.core.with_links([&](auto& links) { return links.bind(real); });
  });
}

void source::connect(const endpoint& where) {
  detail::source_core* const core = &state_->core;
  state_->names.connect(
      where,
      [core](const endpoint& found) {
        core->with_links([&](auto& links) { links.connect(found); });
      },
      [core](const endpoint& gone) {
        core->with_links([&](auto& links) { links.disconnect(gone); });
      });
}

endpoint source::bind_plain(const endpoint& where) {
  return state_->core.with_links([&](auto& links) { return links.bind_plain(where); });
}

void source::connect_plain(const endpoint& where) {
  state_->core.with_links([&](auto& links) { links.connect_plain(where); });
}

void source::on_connection(std::function<void(const connection_event&)> told) {
  state_->core.on_connection(std::move(told));
}

std::optional<task_id> source::push_bytes(std::string_view body, const frame* whole,
                                          const task_options* how, duration limit) {
  detail::source_core& core = state_->core;
  if (how == nullptr && body.size() <= core.longest_short) [[likely]] {
    if (const std::uint64_t number = core.try_pack_short(body); number != 0) [[likely]] {
      return task_id{core.id(), number};
    }
  }
  return core.push(body, whole, how, limit);
}

std::optional<task_id> source::push_frame(frame body, const task_options& how, duration limit,
                                          std::function<void(task_outcome&&)> when_ended) {
  return state_->core.push(std::move(body), how, limit, std::move(when_ended));
}

std::vector<frame> source::map_frames(std::vector<frame> bodies, const map_options& how) {
  const auto deadline = deadline_after(how.timeout);
  const auto all = std::make_shared<mapping>();
  all->results.resize(bodies.size());
  std::size_t told = 0;
  const auto tell = [&](std::unique_lock<std::mutex>& lock) {
    for (std::size_t ended = all->ended; told < ended; ended = all->ended) {
      told = ended;
      if (how.progress) {
        lock.unlock();
        how.progress(ended, bodies.size());
        lock.lock();
      }
    }
  };
  for (std::size_t index = 0; index < bodies.size(); ++index) {
    const auto pushed =
        push_frame(bodies[index], how.each, deadline - clock::now(),
                   [all, index](task_outcome&& came) { note(*all, index, std::move(came)); });
    if (!pushed) {
      throw timed_out{"push the tasks of a map"};
    }
    std::unique_lock lock{all->mutex};
    tell(lock);
  }
  std::unique_lock lock{all->mutex};
  while (all->ended < bodies.size() && !all->failure) {
    if (all->changed.wait_until(lock, deadline) == std::cv_status::timeout &&
        clock::now() >= deadline) {
      throw timed_out{"wait for the results of a map"};
    }
    tell(lock);
  }
  if (all->failure) {
    throw remote_error{std::string{to_string(all->failure->how)}, all->failure->why};
  }
  return std::move(all->results);
}

bool source::wait_until_done(duration limit) const {
  return state_->core.wait_until_done(deadline_after(limit));
}

std::uint64_t source::id() const noexcept { return state_->core.id(); }

source_statistics source::statistics() const { return state_->core.statistics(); }

std::vector<worker_status> source::workers() const {
  return state_->core.ask([](const auto& desk) { return desk.workers(); });
}

std::size_t source::worker_count() const noexcept { return state_->core.worker_count(); }

bool source::wait_for_workers(std::size_t count, duration limit) const {
  return state_->core.wait_for_workers(count, deadline_after(limit));
}

std::vector<dead_letter> source::dead_letters(std::size_t at_most) const {
  return state_->core.ask([&](const auto& desk) { return desk.dead_letters(at_most); });
}

bool source::retry(std::uint64_t number) { return state_->core.retry(number); }

bool source::drop(std::uint64_t number) { return state_->core.drop(number); }

void source::close() noexcept {
  if (state_.is_here()) {
    state_->names.clear();
    state_->core.close();
  }
}

}  // namespace parley
