// SPDX-License-Identifier: MPL-2.0
#include "source_core.hpp"

#include <parley/error.hpp>
#include <parley/pipe/doorbell.hpp>  // deadline_after

#include "call_ids.hpp"
#include "lock_soon.hpp"
#include "memory_pause.hpp"

#include <algorithm>
#include <limits>
#include <new>
#include <string>
#include <utility>

namespace parley::detail {
namespace {

using clock = std::chrono::steady_clock;

// Taken from a socket before others get their turn.
constexpr std::size_t most_received = 256;

const source_options& checked(const source_options& options) {
  const auto check = [](bool is_good, const char* what) {
    if (!is_good) {
      throw config_error{std::string{"source_options."} + what};
    }
  };
  check(options.limit >= 1 && options.limit_bytes >= 1, "limit and limit_bytes must be at least 1");
  check(options.limit < std::numeric_limits<std::uint32_t>::max(), "limit must be below 2^32");
  check(options.attempts >= 1, "attempts must be at least 1");
  check(options.retry_delay.count() >= 0 && options.retry_delay_max >= options.retry_delay,
        "retry_delay must be between 0 and retry_delay_max");
  check(options.heartbeat >= std::chrono::milliseconds{10}, "heartbeat must be at least 10 ms");
  check(options.heartbeat_timeout > options.heartbeat,
        "heartbeat_timeout must be longer than heartbeat");
  check(options.linger.count() >= 0, "linger cannot be negative");
  return options;
}

const task_options& checked(const task_options& options) {
  const auto check = [](bool is_good, const char* what) {
    if (!is_good) {
      throw config_error{std::string{"task_options."} + what};
    }
  };
  check(options.priority >= 0 && options.priority <= 9, "priority must be from 0 to 9");
  check(options.delay.count() >= 0 && options.deadline.count() >= 0, "times cannot be negative");
  constexpr std::size_t longest = std::numeric_limits<std::uint16_t>::max();
  check(options.key.size() <= longest && options.to.size() <= longest,
        "key and to have at most 65,535 octets");
  return options;
}

socket_options source_socket(const source_options& options) {
  socket_options chosen;
  chosen.linger = options.linger;
  chosen.max_frame_bytes = default_max_frame_bytes;
  chosen.curve = options.curve;
  return chosen;
}

std::unique_ptr<task_journal> open_journal(const source_options& options) {
  return options.journal.empty()
             ? nullptr
             : std::make_unique<task_journal>(options.journal, options.survives);
}

}  // namespace

source_core::source_core(context& owner, const source_options& options)
    : options_{checked(options)},
      journal_{open_journal(options_)},
      id_{journal_ ? journal_->id() : call_ids{}.next() | 1},
      links_{owner, source_socket(options_), socket_kind::push, options_.heartbeat},
      desk_{options_, id_, static_cast<std::uint32_t>(call_ids{}.next())},
      above_(options_.marks.size()) {
  if (journal_) {
    load();
    writer_.emplace(*journal_, [this](std::vector<task_draft>&& written) noexcept {
      take_written(std::move(written));
    });
  }
  thread_ = std::thread{[this] { work(); }};
}

void source_core::load() {
  const time_point now = clock::now();
  journal_->load([&](task_draft&& kept) { desk_.add(std::move(kept), now); },
                 [&](dead_letter&& letter) { desk_.add_dead(std::move(letter)); });
  held_ = desk_.held();
  held_bytes_ = desk_.held_bytes();
}

source_core::~source_core() { close(); }

void source_core::check_open() const {
  if (is_closed_) {
    throw closed{"use a source"};
  }
}

void source_core::on_connection(std::function<void(const connection_event&)> told) {
  const std::lock_guard telling{telling_};
  on_connection_ = std::move(told);
  const std::lock_guard lock{mutex_};
  if (on_connection_ && !is_closed_) {
    links_.watch();
    waker_.wake();
  }
}

// Pushing.

// With the lock on the drafts, all until `push`.

bool source_core::has_room(std::size_t bytes) {
  close_pack();
  const std::size_t held = held_ + draft_count_ + in_writing_;
  const std::size_t held_bytes = held_bytes_ + draft_bytes_ + in_writing_bytes_;
  return (held < options_.limit && held_bytes + bytes <= options_.limit_bytes) || held == 0 ||
         is_closing_ || options_.when_full == full_policy::drop_oldest;
}

// Where the oldest gives way, it does so when the desk takes what was pushed. If so much gathers
// that the source's thread does not keep up, who pushes does its part.
void source_core::keep_up(std::unique_lock<std::mutex>& lock) {
  if (options_.when_full != full_policy::drop_oldest ||
      (draft_count_ < options_.limit && draft_bytes_ < options_.limit_bytes)) [[likely]] {
    return;
  }
  lock.unlock();
  static_cast<void>(take_drafts(clock::now()));
  waker_.wake();  // there is something to send, and another time to look
  lock = lock_soon(drafts_mutex_);
}

// Until there is some. False: none came. Throws closed.
template<class HasRoom>
bool source_core::wait_for_room(std::unique_lock<std::mutex>& lock, time_point deadline,
                                HasRoom&& has_some) {
  if (!has_some()) [[unlikely]] {
    ++without_room_;
    const bool came = room_.wait_until(lock, deadline, has_some);
    --without_room_;
    if (!came) {
      ++refused_;
      return false;
    }
  }
  if (is_closing_) {
    throw closed{"push a task"};
  }
  return true;
}

// Usual tasks with numbers in a row go together. is_limited: others follow only as far as there is
// room for them. Requires: none is open.
void source_core::begin_pack(std::uint64_t number, std::string_view body, bool is_limited) {
  const std::size_t least = wire::body_head + body.size();
  std::size_t tasks = most_in_run;
  std::size_t octets = std::clamp(usual_bytes_, least, task_pack::most_bytes);
  if (is_limited && options_.when_full == full_policy::wait) {
    const std::size_t held = held_ + draft_count_;
    const std::size_t held_bytes = held_bytes_ + draft_bytes_;
    tasks = std::min(tasks, options_.limit - std::min(held, options_.limit - 1));
    octets = std::clamp(options_.limit_bytes - std::min(held_bytes, options_.limit_bytes), least,
                        octets);
  }
  task_pack_ref made{new task_pack{octets}};
  task_draft& draft = drafts_.emplace_back();
  draft.number = number;
  draft.pack = std::move(made);
  open_.open(*draft.pack.operator->(), tasks, octets, number, body);
}

// What is in it is counted then.
void source_core::close_pack() noexcept {
  if (!open_.is_open()) {
    return;
  }
  const task_pack& closed = open_.close();
  const std::size_t octets = closed.bytes.size();
  // Where it was not full, a larger one might have been.
  usual_bytes_ = closed.count == most_in_run ? octets : 2 * octets;
  draft_count_ += closed.count;
  draft_bytes_ += octets - wire::body_head * closed.count;
  next_ = drafts_.back().number + closed.count;
}

void source_core::leave(task_draft&& draft) {
  const std::size_t bytes = draft.body.size();
  if (draft.options == nullptr && !draft.when_ended && draft.attempts == 0 &&
      bytes <= most_packed) {
    // With a journal: nobody else adds to the pack.
    if (open_.is_open() && draft.number == open_.next()) {
      if (open_.try_add(draft.body.view()) != 0) {
        return;
      }
    }
    close_pack();
    begin_pack(draft.number, draft.body.view(), false);
    return;
  }
  close_pack();
  drafts_.push_back(std::move(draft));
  ++draft_count_;
  draft_bytes_ += bytes;
}

// The thread, if it sleeps. Unlocks.
inline void source_core::wake(std::unique_lock<std::mutex>& lock) noexcept {
  if (sleeps_) [[unlikely]] {
    sleeps_ = false;
    lock.unlock();
    waker_.wake();
  }
}

std::optional<task_id> source_core::push(std::string_view body, const frame* whole,
                                         const task_options* how, duration limit) {
  if (how == nullptr && packs(body.size())) {
    const std::uint64_t number = open_.try_add(body);
    return number != 0 ? task_id{id_, number} : push(body, deadline_after(limit));
  }
  return push(whole != nullptr ? frame{*whole} : frame{body},
              how != nullptr ? *how : task_options{}, limit, {});
}

std::optional<task_id> source_core::push(frame&& body, const task_options& how, duration limit,
                                         std::function<void(task_outcome&&)>&& when_ended) {
  static const task_options usual;
  task_draft draft;
  draft.body = std::move(body);
  if (how != usual) {
    draft.options = std::make_unique<task_options>(how);
  }
  draft.when_ended = std::move(when_ended);
  return push(std::move(draft), deadline_after(limit));
}

std::optional<task_id> source_core::push(std::string_view body, time_point deadline) {
  std::unique_lock lock = lock_soon(drafts_mutex_);
  keep_up(lock);
  std::uint64_t number = 0;
  const bool has_some = wait_for_room(lock, deadline, [&] {
    number = open_.try_add(body);  // somebody else may have opened one
    return number != 0 || has_room(body.size());
  });
  if (!has_some) {
    return std::nullopt;
  }
  if (number == 0) {
    number = next_;
    begin_pack(number, body, true);
    wake(lock);
  }
  return task_id{id_, number};
}

std::optional<task_id> source_core::push(task_draft&& draft, time_point deadline) {
  const std::size_t bytes = draft.body.size();
  if (draft.options == nullptr && !draft.when_ended && packs(bytes)) {
    const std::uint64_t number = open_.try_add(draft.body.view());
    return number != 0 ? task_id{id_, number} : push(draft.body.view(), deadline);
  }
  if (draft.options) {
    checked(*draft.options);
  }
  if (draft.options || journal_) {
    draft.pushed = clock::now();
  }
  std::unique_lock lock = lock_soon(drafts_mutex_);
  keep_up(lock);
  if (!wait_for_room(lock, deadline, [&] { return has_room(bytes); })) {
    return std::nullopt;
  }
  if (writer_) {
    ++in_writing_;
    in_writing_bytes_ += bytes;
    lock.unlock();
    return task_id{id_, write(std::move(draft))};
  }
  draft.number = next_++;
  const task_id id{id_, draft.number};
  leave(std::move(draft));
  wake(lock);
  return id;
}

std::uint64_t source_core::write(task_draft&& draft) {
  const std::size_t bytes = draft.body.size();
  try {
    return writer_->write(std::move(draft));
  } catch (...) {
    const std::lock_guard lock{drafts_mutex_};
    --in_writing_;
    in_writing_bytes_ -= bytes;
    room_.notify_all();
    throw;
  }
}

// False: there is no memory for it now.
bool source_core::try_to_leave(task_draft& draft) noexcept {
  try {
    leave(std::move(draft));
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// By the journal's thread.
void source_core::take_written(std::vector<task_draft>&& drafts) noexcept {
  std::unique_lock lock{drafts_mutex_};
  for (task_draft& each : drafts) {
    const std::size_t bytes = each.body.size();
    while (!try_to_leave(each)) {
      if (is_closing_) {
        lock.unlock();
        tell_unfinished(each);  // the journal has it
        lock.lock();
        break;
      }
      await_memory(lock);
    }
    in_writing_bytes_ -= bytes;
    --in_writing_;
  }
  wake(lock);
}

bool source_core::retry(std::uint64_t number) {
  task_draft draft;
  std::optional<dead_letter> taken;
  {
    const std::lock_guard lock{mutex_};
    check_open();
    const dead_letter* const letter = desk_.find_dead(number);
    if (letter == nullptr) {
      return false;
    }
    draft.number = number;
    draft.body = letter->body;
    draft.options = std::make_unique<task_options>(letter->options);
    draft.options->delay = draft.options->deadline = std::chrono::milliseconds{0};
    draft.pushed = clock::now();
    if (!writer_) {
      desk_.add(std::move(draft), clock::now());  // without memory the letter stays
      desk_.take_dead(number);
      waker_.wake();
      return true;
    }
    taken = desk_.take_dead(number);
  }
  {
    const std::lock_guard lock{drafts_mutex_};
    ++in_writing_;
    in_writing_bytes_ += draft.body.size();
  }
  try {
    write(std::move(draft));
  } catch (...) {
    const std::lock_guard lock{mutex_};
    desk_.add_dead(std::move(*taken));
    throw;
  }
  return true;
}

bool source_core::drop(std::uint64_t number) {
  const std::lock_guard lock{mutex_};
  check_open();
  if (!desk_.take_dead(number)) {
    return false;
  }
  if (writer_) {
    writer_->note({{.what = task_news::kind::ended, .number = number}});
  }
  return true;
}

// Looking in.

source_statistics source_core::statistics() const {
  const std::lock_guard lock{mutex_};
  source_statistics known = desk_.statistics();
  const std::lock_guard drafts_lock{drafts_mutex_};
  const std::size_t drafts = draft_count_ + open_.count() + left_over().tasks;
  known.accepted += drafts;
  known.waiting += drafts;
  known.refused = refused_;
  known.journal_errors = writer_ ? writer_->failures() : 0;
  return known;
}

bool source_core::wait_until_done(time_point deadline) const {
  std::unique_lock lock{mutex_};
  ++waiting_;
  const bool is_done = changed_.wait_until(lock, deadline, [this] {
    const std::lock_guard drafts_lock{drafts_mutex_};
    return is_closed_ || (drafts_.empty() && taken_.empty() && desk_.held() == 0);
  });
  --waiting_;
  check_open();
  return is_done;
}

bool source_core::wait_for_workers(std::size_t count, time_point deadline) const {
  std::unique_lock lock{mutex_};
  ++waiting_;
  const bool are_there =
      changed_.wait_until(lock, deadline, [&] { return is_closed_ || workers_ >= count; });
  --waiting_;
  check_open();
  return are_there;
}

void source_core::close() noexcept {
  const std::lock_guard joining{joining_};
  {
    const std::lock_guard lock{drafts_mutex_};
    is_closing_ = true;
    close_pack();
  }
  room_.notify_all();
  waker_.wake();
  if (thread_.joinable()) {
    thread_.join();
  }
  if (writer_) {
    writer_->close();
    tell_all_unfinished();  // what was written since the thread ended
  }
}

// The thread.

void source_core::work() noexcept {
  try {
    serve();
  } catch (const error&) {
    // The context was shut down.
  } catch (const std::bad_alloc&) {
    // Nothing can be sent any more.
  }
  {
    const std::unique_lock lock = lock_soon(drafts_mutex_);
    is_closing_ = true;
    close_pack();
  }
  room_.notify_all();
  {
    const std::lock_guard lock{mutex_};
    is_closed_ = true;
    desk_.close();
  }
  try {
    settle();
  } catch (const std::bad_alloc&) {
    // Connections are told of no more.
  }
  tell_all_unfinished();
  changed_.notify_all();
}

void source_core::tell_unfinished(task_draft& draft) const {
  if (const auto told = std::exchange(draft.when_ended, nullptr)) {
    task_outcome outcome;
    outcome.id = {id_, draft.number};
    outcome.how = task_end::unfinished;
    told(std::move(outcome));
  }
}

// Those who pushed what the desk has, and what it has never had. Needs no memory. Requires: the
// thread is over.
void source_core::tell_all_unfinished() {
  for (;;) {
    std::unique_lock lock{mutex_};
    auto next = desk_.next_unfinished();
    lock.unlock();
    if (!next) {
      break;
    }
    next->when_ended(std::move(next->outcome));
  }
  for (std::vector<task_draft>* const from : {&taken_, &drafts_}) {
    for (std::size_t index = 0;; ++index) {
      task_draft next;
      {
        const std::scoped_lock both{mutex_, drafts_mutex_};
        if (index >= from->size()) {
          break;
        }
        next.number = (*from)[index].number;
        next.when_ended = std::exchange((*from)[index].when_ended, nullptr);
      }
      tell_unfinished(next);
    }
  }
}

void source_core::serve() {
  std::optional<time_point> end;
  for (;;) {
    const time_point now = clock::now();
    bool has_done = receive(now);
    const std::size_t taken = take_drafts(now);
    nap_.count(taken);
    has_done = taken > 0 || has_done;
    has_done = send(now) || has_done;
    settle();
    if (!end) {
      const std::unique_lock lock = lock_soon(drafts_mutex_);
      if (is_closing_) {
        end = deadline_after(options_.linger);
      }
    }
    if (end) {
      const std::scoped_lock both{mutex_, drafts_mutex_};
      if (now >= *end || (drafts_.empty() && taken_.empty() && desk_.held() == 0)) {
        return;
      }
    }
    if (!has_done && !nap_.take()) {
      sleep(end.value_or(time_point::max()));
    }
  }
}

// True: something came.
bool source_core::receive(time_point now) {
  const std::lock_guard lock{mutex_};
  came_.clear();
  links_.receive(came_, most_received, now);
  for (link_set::news& each : came_) {
    switch (each.what) {
      case link_set::news::kind::opened:
        desk_.opened(each.which, now);
        break;
      case link_set::news::kind::opened_plain:
        desk_.opened_plain(each.which);
        break;
      case link_set::news::kind::came:
        desk_.receive(each.which, std::move(each.came), now);
        break;
      case link_set::news::kind::lost:
        desk_.lost(each.which, now);
        break;
    }
  }
  desk_.tick(now);
  return !came_.empty();
}

// Returns how many there were.
std::size_t source_core::take_drafts(time_point now) {
  // Held all the while: who looks in finds each task either here or there.
  const std::lock_guard desk_lock{mutex_};
  if (is_closed_) {
    return 0;  // who pushes asks, and is about to hear of it
  }
  std::size_t count = left_over().tasks;
  add_taken(now);
  {
    const std::unique_lock lock = lock_soon(drafts_mutex_);
    if (drafts_.empty()) {
      return count;
    }
    close_pack();
    drafts_.swap(taken_);
    count += draft_count_;
    held_ += std::exchange(draft_count_, 0);
    held_bytes_ += std::exchange(draft_bytes_, 0);
  }
  add_taken(now);
  return count;
}

// What there is no memory for comes first the next time.
void source_core::add_taken(time_point now) {
  auto next = taken_.begin();
  try {
    for (; next != taken_.end(); ++next) {
      desk_.add(std::move(*next), now);
    }
  } catch (...) {
    taken_.erase(taken_.begin(), next);
    throw;
  }
  taken_.clear();
}

source_core::amount source_core::left_over() const noexcept {
  amount left;
  for (const task_draft& each : taken_) {
    const bool is_pack = static_cast<bool>(each.pack);
    left.tasks += is_pack ? each.pack->count : 1;
    left.bytes +=
        is_pack ? each.pack->bytes.size() - wire::body_head * each.pack->count : each.body.size();
  }
  return left;
}

// True: something was sent.
bool source_core::send(time_point now) {
  const std::lock_guard lock{mutex_};
  bool has_sent = false;
  for (const link_set::link each : links_.open()) {
    while (links_.takes(each)) {
      auto outgoing = desk_.next_message(each, now);
      if (!outgoing) {
        break;
      }
      links_.send(each, std::move(*outgoing), now);
      has_sent = true;
    }
  }
  return has_sent;
}

// Says what became of tasks, and makes room.
void source_core::settle() {
  std::vector<task_news> over;
  std::vector<connection_event> events;
  std::size_t held = 0;
  {
    const std::lock_guard lock{mutex_};
    if (desk_.has_news()) {
      over = desk_.take_news();
    }
    events = links_.take_events();
    workers_ = desk_.worker_count() + (links_.plain_takes() ? 1 : 0);
    const std::unique_lock drafts_lock = lock_soon(drafts_mutex_);
    const amount left = left_over();
    held_ = desk_.held() + left.tasks;
    held_bytes_ = desk_.held_bytes() + left.bytes;
    held = held_ + draft_count_ + open_.count();
    if (without_room_ > 0) {
      room_.notify_all();
    }
    if (waiting_ > 0) {
      changed_.notify_all();
    }
  }
  if (writer_ && !over.empty()) {
    try {
      std::vector<journal_change> changes;
      changes.reserve(over.size());
      for (const task_news& each : over) {
        changes.push_back(journal_change::of(each));
      }
      writer_->note(std::move(changes));
    } catch (const std::bad_alloc&) {
      // After a restart they are done again. Who pushed them hears all the same.
    }
  }
  for (task_news& each : over) {
    if (each.when_ended && each.what != task_news::kind::tried) {
      each.when_ended(std::move(each.outcome));
    }
  }
  if (!events.empty()) {
    const std::lock_guard telling{telling_};
    for (const connection_event& each : events) {
      if (on_connection_) {
        on_connection_(each);
      }
    }
  }
  tell_marks(held);
}

void source_core::tell_marks(std::size_t held) {
  for (std::size_t index = 0; index < options_.marks.size(); ++index) {
    const bool is_above = held >= options_.marks[index];
    if (is_above != above_[index]) {
      above_[index] = is_above;
      if (options_.on_mark) {
        options_.on_mark(options_.marks[index], is_above);
      }
    }
  }
}

void source_core::sleep(time_point until) {
  fds_.clear();
  {
    const std::lock_guard lock{mutex_};
    const bool may_rest = links_.begin_rest(fds_, until, clock::now());
    until = std::min(until, desk_.next_tick());
    const std::unique_lock drafts_lock = lock_soon(drafts_mutex_);
    sleeps_ = may_rest && drafts_.empty() && taken_.empty();
    if (!sleeps_) {
      until = time_point::min();
    }
  }
  if (until != time_point::min()) {
    waker_.rest(fds_, until);
    const std::unique_lock lock = lock_soon(drafts_mutex_);
    sleeps_ = false;
  }
  const std::lock_guard lock{mutex_};
  links_.end_rest();
}

}  // namespace parley::detail
