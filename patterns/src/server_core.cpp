// SPDX-License-Identifier: MPL-2.0
#include "server_core.hpp"

#include <parley/error.hpp>

#include "call_ids.hpp"
#include "memory_pause.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace parley::detail {
namespace {

using clock = std::chrono::steady_clock;

// How long nobody may listen while handlers run.
constexpr std::chrono::milliseconds deafness{5};
// How long replies may be held up by a handler.
constexpr std::chrono::milliseconds longest_held{50};
// Taken from the socket at a time.
constexpr std::size_t most_at_once = 256;

socket_options server_socket(const server_options& options) {
  if (options.workers < 1) {
    throw config_error{"server_options.workers must be at least 1"};
  }
  if (options.queue < 1) {
    throw config_error{"server_options.queue must be at least 1"};
  }
  socket_options chosen;
  chosen.send_limit = options.limit;
  chosen.linger = options.linger;
  chosen.max_frame_bytes = options.max_frame_bytes;
  chosen.curve = options.curve;
  return chosen;
}

}  // namespace

server_core::server_core(context& owner, const server_options& options)
    : link_{owner, socket_kind::router, server_socket(options)},
      workers_{options.workers},
      desk_{options, call_ids{}.next(), call_ids{}.next()} {}

void server_core::start(executor execute) {
  execute_ = std::move(execute);
  try {
    for (unsigned count = 0; count < workers_ + 1; ++count) {
      threads_.emplace_back([this] { work(); });
    }
  } catch (...) {
    close();
    throw;
  }
}

void server_core::close() noexcept {
  {
    const std::lock_guard lock{mutex_};
    closing_ = true;
    desk_.close();
  }
  changed_.notify_all();
  stop_all();
  link_.interrupt();
  {
    const std::lock_guard lock{joining_};
    for (std::thread& each : threads_) {
      if (each.joinable() && each.get_id() != std::this_thread::get_id()) {
        each.join();
      }
    }
  }
  link_.close();
}

// Requires: the desk is closed, and the mutex is not held.
void server_core::stop_all() noexcept {
  for (;;) {
    std::unique_lock lock{mutex_};
    auto next = desk_.next_to_stop();
    lock.unlock();
    if (!next) {
      return;
    }
    next->request_stop();
  }
}

void server_core::work() {
  std::unique_lock lock{mutex_};
  for (time_point now = clock::now(); !closing_;) {
    if (running_ < workers_) {
      call next;
      try {
        next = desk_.next(now);
      } catch (const std::bad_alloc&) {
        await_memory(lock);
        now = clock::now();
        continue;
      }
      if (next) {
        now = run(lock, next);
        continue;
      }
      if (send_held(lock)) {
        now = clock::now();
        continue;
      }
      if (!receives_) {
        receive(lock, time_point::max());
        now = clock::now();
        continue;
      }
    }
    ++idle_;
    if (running_ < workers_ || receives_) {
      deputy_dozes_ = true;
      changed_.wait(lock);
    } else {
      const time_point until = std::min(deadline_after(deafness), desk_.next_look());
      const std::uint64_t listened = listened_;
      deputy_looks_ = until;
      if (changed_.wait_until(lock, until) == std::cv_status::timeout && listened == listened_) {
        while (!closing_ && running_ == workers_ && !receives_) {
          receive(lock, time_point::max());
        }
      }
    }
    --idle_;
    now = clock::now();
  }
  static_cast<void>(send_held(lock));
}

// Returns what time it is then.
server_core::time_point server_core::run(std::unique_lock<std::mutex>& lock, const call& next) {
  ++running_;
  call_others();
  next->owner = weak_from_this();
  next->runs = true;
  lock.unlock();
  message reply;
  const bool is_answered = execute_(next, reply);
  time_point now = clock::now();
  std::vector<message> out;
  lock.lock();
  const auto send_out = [&] {
    if (!out.empty()) {
      send(lock, out);
      out.clear();
      now = clock::now();
      lock.lock();
    }
  };
  while (is_answered && !try_answer(*next, reply, now, out)) {
    if (closing_ || next->deadline <= now || next->is_unwanted()) {
      desk_.abandon(*next, now);
      break;
    }
    send_out();  // those of others
    await_memory(lock);
    now = clock::now();
  }
  send_out();
  next->runs = false;
  --running_;
  return now;
}

// False: there is no memory for it now.
bool server_core::try_answer(open_call& which, const message& payload, time_point now,
                             std::vector<message>& out) noexcept {
  try {
    desk_.answer(which, payload, now, out);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// False: there was nothing, or no memory for it.
bool server_core::send_held(std::unique_lock<std::mutex>& lock) {
  if (!desk_.holds_replies()) {
    return false;
  }
  std::vector<message> out;
  try {
    desk_.release_replies(out);
  } catch (const std::bad_alloc&) {
    // The rest the next time.
  }
  if (out.empty()) {
    return false;
  }
  send(lock, out);
  lock.lock();
  return true;
}

// Somebody is about to run a handler.
void server_core::call_others() noexcept {
  const bool to_work = running_ < workers_ && (!receives_ || desk_.waiting() > 0);
  const bool to_watch = !receives_ && (deputy_dozes_ || desk_.next_look() < deputy_looks_);
  if (idle_ > 0 && (to_work || to_watch)) {
    deputy_dozes_ = idle_ > 1;  // the others, if this one gets work
    changed_.notify_one();
  }
}

void server_core::receive(std::unique_lock<std::mutex>& lock, time_point deadline) {
  receives_ = true;
  ++listened_;
  if (running_ > 0 || desk_.holds_replies()) {
    // Handlers that take their time hold replies up, or there was no memory for them.
    static_cast<void>(send_held(lock));
    deadline = std::min(deadline, deadline_after(longest_held));
  }
  deadline = std::min(deadline, desk_.next_look());
  receiver_looks_ = deadline;
  lock.unlock();
  bool is_open = true;
  try {
    static_cast<void>(link_.receive_all_until(incoming_, most_at_once, deadline));
  } catch (const error&) {
    is_open = false;  // the context is shut down
  } catch (const std::bad_alloc&) {
    await_memory();
  }
  std::vector<message> out;
  std::vector<std::stop_source> stops;
  const time_point now = clock::now();
  lock.lock();
  if (!is_open) {
    closing_ = true;
    desk_.close();
  }
  for (message& each : incoming_) {
    try {
      desk_.receive(std::move(each), now, out, stops);
    } catch (const std::bad_alloc&) {
      // This request asked for too much; the others need not know.
    }
  }
  incoming_.clear();
  if (desk_.take_denial()) {
    let_earlier_leave(lock);
  }
  receives_ = false;
  bool had_memory = true;
  try {
    desk_.look(now, out, stops);
  } catch (const std::bad_alloc&) {
    had_memory = false;  // they are still due
  }
  if (closing_) {
    changed_.notify_all();
  }
  if (out.empty() && stops.empty() && is_open && had_memory) {
    return;
  }
  send(lock, out);
  for (std::stop_source& each : stops) {
    each.request_stop();
  }
  if (!is_open) {
    stop_all();
  }
  if (!had_memory) {
    await_memory();
  }
  lock.lock();
}

// Who receives is about to say of a call that it is unknown. Its reply may be with a thread that
// took it from the desk, and has yet to send it.
void server_core::let_earlier_leave(std::unique_lock<std::mutex>& lock) noexcept {
  const departures::earlier all = departures_.turn_over();
  lock.unlock();
  bool have_left = true;
  try {
    have_left = link_.with([&](socket&) { return departures_.have_ended(all); });
  } catch (const error&) {
    // Closed: nobody sends.
  }
  lock.lock();
  if (!have_left) {
    left_.wait(lock, [this] { return std::exchange(earlier_left_, false); });
  }
}

// What was taken from the desk since the lock was taken, which is let go. A client that is gone, or
// that does not read its replies, does not hold the others up.
void server_core::send(std::unique_lock<std::mutex>& lock, std::vector<message>& out) noexcept {
  const std::size_t turn = departures_.begin();
  lock.unlock();
  std::size_t undelivered = 0;
  bool is_awaited = false;
  try {
    link_.with([&](socket& native) {
      is_awaited = departures_.end(turn);  // nobody gets in between until all are sent
      for (message& each : out) {
        bool is_sent = false;
        try {
          is_sent = native.try_send(std::move(each));
        } catch (const std::bad_alloc&) {
          // It counts as what its client did not take.
        }
        if (!is_sent) {
          std::swap(out[undelivered++], each);
        }
      }
    });
  } catch (const error&) {
    undelivered = 0;  // closed
  }
  if (is_awaited) {
    const std::lock_guard guard{mutex_};
    earlier_left_ = true;
    left_.notify_one();
  }
  if (undelivered == 0) {
    return;
  }
  std::vector<std::stop_source> stops;
  {
    const std::lock_guard guard{mutex_};
    for (std::size_t index = 0; index < undelivered; ++index) {
      try {
        desk_.undelivered(std::move(out[index]), stops);
      } catch (const std::bad_alloc&) {
        // It will not be able to send its next result, either.
      }
    }
  }
  for (std::stop_source& each : stops) {
    each.request_stop();
  }
}

// Somebody looks in time at what was begun to be watched.
void server_core::look_in_time() {
  if (!receives_) {
    call_others();
  } else if (desk_.next_look() < receiver_looks_) {
    link_.interrupt();
  }
}

void server_core::answer(open_call& which, const message& payload) {
  std::vector<message> out;
  std::unique_lock lock{mutex_};
  const bool is_answered = try_answer(which, payload, clock::now(), out);
  if (!out.empty()) {
    send(lock, out);
  }
  if (!is_answered) {
    throw std::bad_alloc{};
  }
}

bool server_core::send_item(const call& which, frame&& item) {
  if (which->is_given_up) {
    return false;  // one result is missing already
  }
  which->is_given_up = true;  // unless it leaves
  std::unique_lock lock{mutex_};
  const time_point deadline = deadline_after(which->patience);
  const auto is_wanted = [&] { return !which->is_dropped && !which->is_answered && !closing_; };
  while (which->credit == 0 && is_wanted()) {
    if (clock::now() >= deadline) {
      return false;
    }
    desk_.watch(which, clock::now());
    look_in_time();
    if (!receives_) {
      receive(lock, deadline);  // the credit, perhaps
      call_others();
    } else {
      if (!which->changed) {
        which->changed = std::make_unique<std::condition_variable>();
      }
      static_cast<void>(which->changed->wait_until(lock, deadline));
    }
  }
  if (!is_wanted()) {
    return false;
  }
  message outgoing = call_desk::item(*which, std::move(item));
  --which->credit;
  lock.unlock();
  try {
    which->is_given_up =
        !link_.with([&](socket& native) { return native.try_send(std::move(outgoing)); });
    return !which->is_given_up;
  } catch (const error&) {
    return false;
  }
}

std::stop_token server_core::stop_token(const call& which) {
  const std::lock_guard lock{mutex_};
  if (!which->stop.stop_possible()) {
    desk_.make_stop(which, clock::now());
    look_in_time();
  }
  return which->stop.get_token();
}

server_statistics server_core::statistics() const {
  const std::lock_guard lock{mutex_};
  return desk_.statistics();
}

}  // namespace parley::detail
