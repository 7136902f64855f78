// SPDX-License-Identifier: MPL-2.0
#include <parley/sink.hpp>

#include <parley/error.hpp>
#include <parley/pipe/doorbell.hpp>  // deadline_after
#include <parley/source.hpp>

#include "result_wire.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

namespace parley {

void worker::pass_on(source& results, task& from, frame result) {
  const frame packed = detail::pack_result_of_task(from.id(), result);
  const auto waiting = std::make_shared<task>(std::move(from));
  results.push_then(packed, [waiting](task_outcome&& came) {
    if (came.how == task_end::done) {
      waiting->done();
    } else if (came.how == task_end::unfinished) {
      waiting->give_back();
    } else {
      waiting->fail(came.why.empty() ? "its result could not be delivered" : came.why);
    }
  });
}

struct sink::state {
  state(context& owner, const sink_options& options)
      : link{owner, options.link}, remembered{std::max<std::size_t>(options.remembered, 1)} {}

  // What this thread was handed last is collected.
  void collect() {
    task last;
    {
      const std::lock_guard lock{mutex};
      if (const auto mine = handed.find(std::this_thread::get_id()); mine != handed.end()) {
        last = std::move(mine->second);
        handed.erase(mine);
      } else {
        return;
      }
    }
    last.done();
  }

  // Nothing: it is none, or was handed out before.
  std::optional<task_result> take(task&& came) {
    auto result = detail::unpack_result_of_task(came.body);
    const std::lock_guard lock{mutex};
    if (!result) {
      ++counts.nonsense;
      came.reject("it is no result of a task");
      return std::nullopt;
    }
    if (!known.insert(result->id).second) {
      ++counts.repeated;
      came.done();
      return std::nullopt;
    }
    order.push_back(result->id);
    if (order.size() > remembered) {
      known.erase(order.front());
      order.pop_front();
    }
    ++counts.received;
    handed[std::this_thread::get_id()] = std::move(came);
    return result;
  }

  worker link;
  const std::size_t remembered;
  mutable std::mutex mutex;
  std::map<std::thread::id, task> handed;  // and not collected
  std::set<task_id> known;
  std::deque<task_id> order;
  sink_statistics counts;
};

sink::sink(context& owner, const sink_options& options) : state_{new state{owner, options}} {}

sink::sink(context& owner, const endpoint& bound, const sink_options& options)
    : sink{owner, options} {
  bind(bound);
}

sink::sink(sink&&) noexcept = default;
sink& sink::operator=(sink&&) noexcept = default;

sink::~sink() {
  if (state_.is_here()) {
    close();
  }
}

endpoint sink::bind(const endpoint& where) { return state_->link.bind(where); }

void sink::connect(const endpoint& where) { state_->link.connect(where); }

task_result sink::receive() {
  for (;;) {
    if (auto result = receive_for(duration::max())) {
      return std::move(*result);
    }
  }
}

std::optional<task_result> sink::receive_for(duration limit) {
  state_->collect();
  const auto deadline = detail::deadline_after(limit);
  for (;;) {
    auto came = state_->link.receive_for(
        deadline == detail::never ? duration::max() : deadline - std::chrono::steady_clock::now());
    if (!came) {
      return std::nullopt;
    }
    if (auto result = state_->take(std::move(*came))) {
      return result;
    }
  }
}

sink_statistics sink::statistics() const {
  const std::lock_guard lock{state_->mutex};
  return state_->counts;
}

void sink::close() noexcept {
  if (!state_.is_here()) {
    return;
  }
  {
    const std::lock_guard lock{state_->mutex};
    for (auto& [thread, each] : state_->handed) {
      each.done();
    }
    state_->handed.clear();
  }
  state_->link.close();
}

}  // namespace parley
