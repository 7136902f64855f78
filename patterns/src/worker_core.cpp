// SPDX-License-Identifier: MPL-2.0
#include "worker_core.hpp"

#include <parley/error.hpp>
#include <parley/pipe/doorbell.hpp>  // deadline_after

#include "call_ids.hpp"
#include "lock_soon.hpp"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace parley::detail {
namespace {

using clock = std::chrono::steady_clock;

// Taken from a socket before others get their turn.
constexpr std::size_t most_received = 64;

constexpr std::string_view let_go_why = "it was let go without an answer";

const worker_options& checked(const worker_options& options) {
  const auto check = [](bool is_good, const char* what) {
    if (!is_good) {
      throw config_error{std::string{"worker_options."} + what};
    }
  };
  check(options.name.size() <= longest_task_text, "name has at most 65,535 octets");
  check(options.credit >= 1 && options.credit_bytes >= 1,
        "credit and credit_bytes must be at least 1");
  check(options.credit < std::numeric_limits<std::uint32_t>::max(), "credit must be below 2^32");
  check(options.lease.count() >= 0 && options.linger.count() >= 0, "times cannot be negative");
  check(options.heartbeat_timeout >= std::chrono::milliseconds{10},
        "heartbeat_timeout must be at least 10 ms");
  check(options.once_limit >= 1, "once_limit must be at least 1");
  return options;
}

socket_options worker_socket(const worker_options& options) {
  socket_options chosen;
  chosen.linger = options.linger;
  // Small tasks come many in a frame.
  chosen.max_frame_bytes = std::max(options.max_frame_bytes, std::size_t{64} << 10);
  chosen.curve = options.curve;
  return chosen;
}

// Some milliseconds old at most, and read quickly.
clock::time_point rough_now() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return clock::time_point{std::chrono::seconds{now.tv_sec} +
                           std::chrono::nanoseconds{now.tv_nsec}};
}

void print(const task&, const std::exception& failure) {
  std::fprintf(stderr, "parley: a task failed: %s\n", failure.what());
}

}  // namespace

worker_core::worker_core(context& owner, const worker_options& options)
    : options_{checked(options)}, id_{call_ids{}.next() | 1}, tray_{options_, id_} {
  links_.emplace(owner, worker_socket(options_), socket_kind::pull, options_.heartbeat_timeout);
  if (!options_.once.empty()) {
    journal_.emplace(options_.once, options_.once_limit);
  }
  try {
    thread_ = std::thread{[this] { work(); }};
    if (journal_) {
      journal_thread_ = std::thread{[this] { remember(); }};
    }
  } catch (...) {
    finish();
    throw;
  }
}

void worker_core::check_links() const {
  if (!links_) {
    throw closed{"use a worker"};
  }
}

void worker_core::on_connection(std::function<void(const connection_event&)> told) {
  const std::lock_guard telling{telling_};
  on_connection_ = std::move(told);
  const std::lock_guard lock{links_mutex_};
  if (on_connection_ && links_) {
    links_->watch();
    waker_.wake();
  }
}

worker_statistics worker_core::statistics() const {
  const std::lock_guard lock{mutex_};
  return tray_.statistics();
}

// Taking.

std::optional<task> worker_core::receive_until(time_point deadline) {
  task next = take_until(deadline);
  return next.is_owed() ? std::optional{std::move(next)} : std::nullopt;
}

task worker_core::wait_until(time_point deadline) {
  std::shared_ptr<worker_core> self;  // whatever becomes of the worker while we wait
  std::unique_lock lock = lock_soon(mutex_);
  for (;;) {
    if (is_closing_) {
      throw closed{"receive a task"};
    }
    const bool is_exact = tray_.wants_exact_time();
    const time_point now = is_exact ? clock::now() : rough_now();
    if (is_exact && !journal_) {
      if (const served_task next = tray_.serve(shared_from_this(), now); next.run != nullptr) {
        const bool wakes = must_wake();
        lock.unlock();  // a task that cannot be made locks it
        if (wakes) {
          waker_.wake();
        }
        return task{*next.run, next.place};
      }
    }
    held_task* const next = tray_.take(now, is_exact);
    if (must_wake()) {
      lock.unlock();
      waker_.wake();
      lock.lock();
      if (next == nullptr) {
        continue;  // something may have come meanwhile
      }
    }
    if (next != nullptr) {
      if (!next->owner) [[unlikely]] {
        next->owner = shared_from_this();
      }
      if (is_plain_paused_ && !tray_.is_full_of_plain()) [[unlikely]] {
        is_plain_paused_ = false;
        waker_.wake();
      }
      if (journal_ && next->id.source != 0) {
        if (!self) {
          self = shared_from_this();  // the task may be the last that has it
        }
        lock.unlock();
        task taken{*next};
        if (is_to_be_done(taken)) {
          return taken;
        }
        lock.lock();
        continue;
      }
      return task{*next};
    }
    if (deadline != time_point::max() && now >= deadline) {
      return {};
    }
    if (!self) {
      self = shared_from_this();
    }
    wait(lock, deadline);
  }
}

// False: it was done before, or nobody knows; and that is answered.
bool worker_core::is_to_be_done(task& taken) {
  try {
    if (!journal_->contains(taken.id())) {
      return true;
    }
    taken.held_->is_answered = true;
    answer([&](task_tray& tray) { tray.repeat(*taken.held_, clock::now()); });
  } catch (const error& failure) {
    report(taken, failure);
  }
  return false;
}

void worker_core::wait(std::unique_lock<std::mutex>& lock, time_point deadline) {
  tray_.idle(++receivers_, clock::now());
  if (deadline == time_point::max()) {
    came_.wait(lock);
  } else {
    came_.wait_until(lock, deadline);
  }
  tray_.idle(--receivers_, clock::now());
}

void worker_core::run(const std::function<void(task&)>& handler) {
  const auto self = shared_from_this();  // whatever becomes of the worker meanwhile
  for (;;) {
    task next = [this]() -> task {
      try {
        return take_until(time_point::max());
      } catch (const closed&) {
        return {};
      }
    }();
    if (!next.is_owed()) {
      return;
    }
    try {
      handler(next);
      if (next.is_owed()) {
        next.done();
      }
    } catch (const std::exception& failure) {
      report(next, failure);
    } catch (...) {
      report(next, std::runtime_error{"it threw something that is no std::exception"});
    }
  }
}

void worker_core::run_together(const std::function<frame(task&, done_transaction&)>& handler) {
  if (!journal_) {
    throw config_error{"worker_options.once must name the file of a done_transaction"};
  }
  run([&](task& next) {
    held_task& which = *next.held_;
    done_transaction together{*journal_, which.id};
    frame result;
    try {
      result = handler(next, together);
      together.commit();
    } catch (...) {
      if (!together.was_done_before()) {
        throw;
      }
    }
    which.is_answered = true;
    answer([&](task_tray& tray) {
      if (together.was_done_before()) {
        tray.repeat(which, clock::now());
      } else {
        static_cast<void>(tray.done(which, std::move(result), clock::now()));
      }
    });
  });
}

void worker_core::report(task& failed, const std::exception& failure) {
  failed.fail(failure.what());
  options_.on_failure ? options_.on_failure(failed, failure) : print(failed, failure);
}

// Answering.

template<class Action>
void worker_core::answer(Action&& action) noexcept {
  if (!home_.is_here()) {
    return;
  }
  std::unique_lock lock{mutex_};
  try {
    action(tray_);
  } catch (const std::bad_alloc&) {
    // Nobody hears of it; the source gives the task up with the worker.
  }
  if (must_wake()) {
    lock.unlock();
    waker_.wake();
  }
}

bool worker_core::must_wake() noexcept {
  return sleeps_ && (tray_.should_send() || tray_.next_tick() < sleeps_until_) &&
         std::exchange(sleeps_, false);
}

held_task* worker_core::claim(served_run& run, std::uint32_t place) noexcept {
  held_task* claimed = nullptr;
  run.owner->answer([&](task_tray& tray) { claimed = &tray.claim({&run, place}, clock::now()); });
  return claimed;
}

template<class Action>
void worker_core::answer_served(served_run& run, std::uint32_t place, Action&& action) noexcept {
  const std::shared_ptr<worker_core> self = run.owner;  // the task keeps it no more, then
  held_task passing;
  held_task* held = &passing;
  self->answer([&](task_tray& tray) {
    const time_point now = clock::now();
    held = &tray.claim({&run, place}, now, &passing);
    action(tray, *held, now);
  });
  if (held != &passing) {
    self->tray_.release(*held);
  }
}

void worker_core::done(task& which, frame&& result) noexcept {
  if (which.run_ == nullptr) {
    done(*which.held_, std::move(result));
    return;
  }
  served_run& run = *std::exchange(which.run_, nullptr);
  answer_served(run, which.place_, [&](task_tray& tray, held_task& held, time_point now) {
    static_cast<void>(tray.done(held, std::move(result), now));
  });
}

void worker_core::end(task& which, task_entry::ending how, std::string_view why) noexcept {
  if (which.run_ == nullptr) {
    end(*which.held_, how, why);
    return;
  }
  served_run& run = *std::exchange(which.run_, nullptr);
  answer_served(run, which.place_, [&](task_tray& tray, held_task& held, time_point now) {
    static_cast<void>(tray.end(held, how, why, now));
  });
}

void worker_core::done(held_task& which, frame&& result) noexcept {
  which.is_answered = true;
  worker_core& self = *which.owner;
  bool is_unwritten = false;
  self.answer([&](task_tray& tray) {
    if (self.journal_ && which.id.source != 0 && which.at != held_task::place::nowhere) {
      if (self.leave_to_write(which, result)) {
        return;
      }
      is_unwritten = true;
    }
    const time_point now = which.is_timed ? clock::now() : which.began;
    static_cast<void>(tray.done(which, std::move(result), now));
  });
  if (is_unwritten) {
    self.report_unwritten(std::bad_alloc{});
  }
}

void worker_core::end(held_task& which, task_entry::ending how, std::string_view why) noexcept {
  which.is_answered = true;
  which.owner->answer(
      [&](task_tray& tray) { static_cast<void>(tray.end(which, how, why, clock::now())); });
}

bool worker_core::renew(held_task& which) noexcept {
  bool is_renewed = false;
  which.owner->answer([&](task_tray& tray) { is_renewed = tray.renew(which, clock::now()); });
  return is_renewed;
}

std::stop_token worker_core::stop_token(held_task& which) {
  worker_core& self = *which.owner;
  if (!self.home_.is_here()) {
    return {};
  }
  const std::lock_guard lock{self.mutex_};
  return self.tray_.stop_token(which);
}

void worker_core::let_go(held_task& which) noexcept {
  if (!which.owner->home_.is_here()) {
    return;  // a copy of what is our parent's
  }
  if (!which.is_answered) {
    end(which, task_entry::ending::failed, let_go_why);
  }
  which.owner->tray_.release(which);
}

void worker_core::let_go(served_run& run, std::uint32_t place) noexcept {
  answer_served(run, place, [](task_tray& tray, held_task& held, time_point now) {
    static_cast<void>(tray.end(held, task_entry::ending::failed, let_go_why, now));
  });
}

// The journal's thread.

// With the lock. False: there is no memory for it.
bool worker_core::leave_to_write(held_task& which, frame& result) noexcept {
  const std::size_t before = to_write_.size();
  try {
    answer_to_write& left = to_write_.emplace_back();
    left.of = &tray_.take_over(which);
    left.result = std::move(result);
  } catch (const std::bad_alloc&) {
    to_write_.resize(before);
    return false;
  }
  writes_.notify_one();
  return true;
}

void worker_core::remember() noexcept {
  std::unique_lock lock{mutex_};
  for (;;) {
    writes_.wait(lock, [this] { return !to_write_.empty() || has_ended_; });
    if (to_write_.empty()) {
      return;
    }
    auto together = std::exchange(to_write_, {});
    lock.unlock();
    write_done(together);
    const time_point now = clock::now();
    for (answer_to_write& each : together) {
      answer([&](task_tray& tray) {
        static_cast<void>(tray.done(*each.of, std::move(each.result), now));
      });
      tray_.release(*each.of);
    }
    lock.lock();
  }
}

// Done it is, whether it can be written or not.
void worker_core::write_done(const std::vector<answer_to_write>& done) noexcept {
  try {
    std::vector<task_id> ids;
    ids.reserve(done.size());
    for (const answer_to_write& each : done) {
      ids.push_back(each.of->id);
    }
    journal_->add(ids);
  } catch (const std::exception& failure) {
    report_unwritten(failure);
  }
}

void worker_core::report_unwritten(const std::exception& failure) noexcept {
  const task none;
  options_.on_failure ? options_.on_failure(none, failure) : print(none, failure);
}

// Closing.

void worker_core::close() noexcept {
  {
    const std::lock_guard lock{mutex_};
    if (std::exchange(is_closing_, true)) {
      return;
    }
    tray_.close(clock::now());
  }
  came_.notify_all();
  waker_.wake();
}

void worker_core::finish() noexcept {
  close();
  const std::lock_guard joining{joining_};
  if (thread_.joinable()) {
    thread_.join();
  }
  if (journal_thread_.joinable()) {
    journal_thread_.join();
  }
  const std::lock_guard lock{mutex_};
  tray_.close_pool();
}

// The thread.

void worker_core::work() noexcept {
  try {
    serve();
  } catch (const error&) {
    // The context was shut down.
  } catch (const std::bad_alloc&) {
    // Nothing can be received any more.
  }
  close();
  {
    const std::unique_lock lock = lock_soon(mutex_);
    try {
      tray_.leave(clock::now());
      tray_.tick(clock::now(), stops_);
    } catch (const std::bad_alloc&) {
      // Its sources take it all back when the links are gone.
    }
    has_ended_ = true;
  }
  writes_.notify_all();
  for (std::stop_source& each : stops_) {
    each.request_stop();
  }
  stops_.clear();
  const std::lock_guard lock{links_mutex_};
  links_.reset();
}

void worker_core::serve() {
  std::optional<time_point> end;
  for (;;) {
    const time_point now = clock::now();
    bool has_done = receive(now);
    has_done = send(now) || has_done;
    settle();
    {
      const std::unique_lock lock = lock_soon(mutex_);
      if (is_closing_ && !end) {
        end = deadline_after(options_.linger);
      }
      if (end && (now >= *end || (tray_.working() == 0 && !tray_.owes()))) {
        tray_.leave(now);
        break;
      }
    }
    if (!has_done && !nap_.take()) {
      sleep(end.value_or(time_point::max()));
    }
  }
  static_cast<void>(send(clock::now()));
}

// True: something came.
bool worker_core::receive(time_point now) {
  news_.clear();
  {
    const std::lock_guard links_lock{links_mutex_};
    bool is_full = false;
    {
      const std::unique_lock lock = lock_soon(mutex_);
      is_full = is_plain_paused_ = tray_.is_full_of_plain();
    }
    links_->pause_plain(is_full);
    links_->receive(news_, most_received, now);
  }
  for (link_set::news& each : news_) {
    take_in(std::move(each), now);
  }
  const std::unique_lock lock = lock_soon(mutex_);
  tray_.tick(now, stops_);
  return !news_.empty();
}

void worker_core::take_in(link_set::news&& came, time_point now) {
  std::unique_lock lock = lock_soon(mutex_);
  switch (came.what) {
    case link_set::news::kind::opened:
      tray_.opened(came.which, now);
      break;
    case link_set::news::kind::opened_plain:
      tray_.opened_plain(came.which);
      break;
    case link_set::news::kind::came: {
      const std::size_t before = tray_.waiting();
      tray_.receive(came.which, std::move(came.came), now);
      nap_.count(tray_.waiting() - std::min(before, tray_.waiting()));
      break;
    }
    case link_set::news::kind::lost:
      tray_.lost(came.which, now);
      break;
  }
  const std::size_t called = std::min(tray_.waiting(), receivers_);
  const bool are_all = called == receivers_;
  lock.unlock();  // they want it first of all
  if (called > 0 && are_all) {
    came_.notify_all();
    return;
  }
  for (std::size_t count = 0; count < called; ++count) {
    came_.notify_one();
  }
}

// True: something was sent.
bool worker_core::send(time_point now) {
  const std::lock_guard links_lock{links_mutex_};
  {
    const std::unique_lock lock = lock_soon(mutex_);
    tray_.begin_sending();
  }
  bool has_sent = false;
  for (const link_set::link each : links_->open()) {
    while (links_->takes(each)) {
      std::optional<message> outgoing;
      {
        const std::unique_lock lock = lock_soon(mutex_);
        outgoing = tray_.next_message(each, now);
      }
      if (!outgoing) {
        break;
      }
      links_->send(each, std::move(*outgoing), now);
      has_sent = true;
    }
  }
  return has_sent;
}

// Calls the program.
void worker_core::settle() {
  for (std::stop_source& each : stops_) {
    each.request_stop();
  }
  stops_.clear();
  std::vector<connection_event> events;
  {
    const std::lock_guard lock{links_mutex_};
    events = links_->take_events();
  }
  if (!events.empty()) {
    const std::lock_guard telling{telling_};
    for (const connection_event& each : events) {
      if (on_connection_) {
        on_connection_(each);
      }
    }
  }
}

void worker_core::sleep(time_point until) {
  fds_.clear();
  bool may_rest = false;
  const time_point now = clock::now();
  {
    const std::lock_guard lock{links_mutex_};
    may_rest = links_->begin_rest(fds_, until, now);
  }
  {
    const std::unique_lock lock = lock_soon(mutex_);
    until = std::min(until, tray_.next_tick());
    if (tray_.waiting() > 0) {
      until = std::min(until, now + task_tray::telling);  // they will be begun
    }
    sleeps_ = may_rest && !tray_.should_send();
    sleeps_until_ = until;
    may_rest = sleeps_;
  }
  if (may_rest) {
    waker_.rest(fds_, until);
    const std::unique_lock lock = lock_soon(mutex_);
    sleeps_ = false;
  }
  const std::lock_guard lock{links_mutex_};
  links_->end_rest();
}

}  // namespace parley::detail
