// SPDX-License-Identifier: MPL-2.0
#include "call_room.hpp"

#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/socket_rest.hpp>

#include "memory_pause.hpp"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

namespace parley::detail {
namespace {

using clock = call_book::clock;
using time_point = call_book::time_point;

// How long cancels may take to leave, after the client is gone.
constexpr std::chrono::milliseconds last_words{100};
// A connection that was lost so long ago is noticed before the next call goes out on it.
constexpr std::chrono::milliseconds deafness{5};
constexpr std::chrono::milliseconds leaders_patience{50};

// A condition variable cannot wait until the end of time: the conversion of its clock overflows.
void wait_until(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                time_point deadline) {
  if (deadline == time_point::max()) {
    changed.wait(lock);
  } else {
    changed.wait_until(lock, deadline);
  }
}

// Goes with a call's function, and with it when the call has ended.
struct cancel_hook {
  std::optional<std::stop_callback<std::function<void()>>> callback;
};

// What a thread is running functions for.
struct running {
  const void* room = nullptr;  // it does not begin anew inside one
  bool more_follow = false;    // calls that a function starts may wait for those of the next ones
  bool starts = false;         // the present one started some
  bool holds = false;          // some wait
  time_point since{};          // the first of them does
};
thread_local running now_running;

// Taken from a socket in one go, and from all of them before others get a turn at the mutex: there
// are servers that say more than can be taken in.
constexpr int most_at_once = 64;
constexpr std::chrono::milliseconds longest_look{1};
constexpr std::chrono::microseconds others_turn{50};

// How long a call may wait so for functions that take their time.
constexpr std::chrono::microseconds most_held{50};
// For so many ended calls memory is kept.
constexpr std::size_t most_spare = 1000;

}  // namespace

call_room::call_room(context& owner, const client_options& options)
    : context_{owner}, options_{options}, book_{*this, options} {}

call_room::~call_room() { close(); }

void call_room::close() noexcept {
  {
    std::unique_lock lock{mutex_};
    give_up();
    leader_left_.wait(lock, [this] { return !has_leader_; });
  }
  std::thread leaving;
  {
    // A function of a call, run by that thread, may be what closes: then the destructor joins.
    const std::lock_guard lock{mutex_};
    if (background_.get_id() != std::this_thread::get_id()) {
      leaving = std::move(background_);
    }
  }
  if (leaving.joinable()) {
    leaving.join();
  }
  std::unique_lock lock{mutex_};
  run_ended(lock);
  links_.clear();
}

// The context is shut down, or this is closed.
void call_room::give_up() noexcept {
  closing_ = true;
  book_.close();
  wake_leader();
  background_changed_.notify_one();
  for (waiting* const each : followers_) {
    each->changed.notify_one();
  }
}

// Links.

void call_room::check_open() const {
  if (closing_) {
    throw closed{"use a client"};
  }
}

std::unique_ptr<call_link> call_room::make(bool connects) {
  socket_options chosen;
  // What is under way has limits of the book's.
  chosen.send_limit = static_cast<int>(std::min<std::uint64_t>(book_.send_limit(), 1U << 30));
  chosen.linger = last_words;
  chosen.max_frame_bytes = options_.max_frame_bytes;
  chosen.curve = options_.curve;
  // Of all servers, also those that have not been called yet, or do not answer our own pings.
  chosen.heartbeat = options_.heartbeat;
  chosen.heartbeat_timeout = options_.heartbeat_timeout;
  return std::make_unique<call_link>(context_, chosen, connects);
}

void call_room::add(std::unique_ptr<call_link> made, std::size_t number) {
  need_background();
  links_.add(std::move(made), number);
  try {
    hear(number);  // the descriptor tells of what comes after that
  } catch (const std::bad_alloc&) {
    missed_ = true;
  } catch (...) {
    links_.remove(number);
    throw;
  }
  wake_leader();
}

void call_room::need_background() {
  if (!background_.joinable() && !closing_) {
    background_ = std::thread{[this] { run_background(); }};
  }
  background_changed_.notify_one();
}

// A number of the book's, given back unless it comes to be used.
class call_room::number_taken {
 public:
  number_taken(call_book& book, bool several_servers)
      : book_{book}, number_{book.add_link(several_servers)} {}
  number_taken(const number_taken&) = delete;
  number_taken& operator=(const number_taken&) = delete;
  ~number_taken() {
    if (!is_used_) {
      book_.remove_link(number_, clock::now());
    }
  }
  [[nodiscard]] std::size_t get() const noexcept { return number_; }
  void use() noexcept { is_used_ = true; }

 private:
  call_book& book_;
  std::size_t number_;
  bool is_used_ = false;
};

// A client without links hears of its context's end in no other way.
template<class Action>
auto call_room::unless_shut_down(Action action) {
  try {
    return action();
  } catch (const closed&) {
    give_up();
    throw;
  }
}

endpoint call_room::bind(const endpoint& where) {
  const std::lock_guard lock{mutex_};
  check_open();
  if (links_.find(where)) {
    return where;
  }
  return unless_shut_down([&] {
    number_taken number{book_, true};
    auto made = make(false);
    endpoint bound = made->bind(where);
    add(std::move(made), number.get());
    number.use();
    return bound;
  });
}

void call_room::connect(const endpoint& where) {
  const std::lock_guard lock{mutex_};
  check_open();
  if (!links_.find(where)) {
    unless_shut_down([&] {
      number_taken number{book_, false};
      auto made = make(true);
      made->connect(where);
      add(std::move(made), number.get());
      number.use();
    });
  }
}

void call_room::disconnect(const endpoint& where) {
  std::unique_lock lock{mutex_};
  const auto number = links_.find(where);
  if (!number) {
    return;
  }
  book_.remove_link(*number, clock::now());
  links_.remove(*number);
  after_use(lock);
}

void call_room::on_connection(std::function<void(const connection_event&)> told) {
  std::unique_lock lock{mutex_};
  told_.wait(lock, [this] { return !tells_; });
  on_connection_ = std::move(told);
}

bool call_room::send(std::size_t number, message&& outgoing) {
  return links_.send(number, std::move(outgoing));
}

// Takes in what the monitor says.
void call_room::hear(std::size_t number) {
  if (call_link* const at = links_.at(number)) {
    at->hear(events_);
    if (!on_connection_) {
      events_.clear();
    }
    links_.touch(number);
  }
}

void call_room::hear_all() {
  for (std::size_t number = 0; number < links_.size(); ++number) {
    hear(number);
  }
  heard_ = clock::now();
}

// False: descriptors are used up. What calls the link had may find another server, or wait.
bool call_room::renew(std::size_t number) {
  if (!links_.renew(number)) {
    return false;
  }
  hear(number);
  return true;
}

std::optional<message> call_room::receive(std::size_t number) {
  try {
    return links_.at(number)->native().try_receive();
  } catch (const std::bad_alloc&) {
    book_.missed(number);
    throw;
  }
}

// Takes in what there is.
void call_room::look(std::size_t number) {
  links_.looked_at(number);
  call_link* const found = links_.at(number);
  if (found == nullptr || (!found->is_open() && !renew(number))) {
    return;
  }
  call_link& at = *found;
  const socket_readiness now_ready = at.native().ready();
  const time_point now = clock::now();
  book_.hold();  // calls that find a server again, or another one
  if (now_ready.receive) {
    links_.touch(number);  // more may come meanwhile
    int count = 0;
    while (auto incoming = receive(number)) {
      book_.receive(number, std::move(*incoming), now);
      if (++count == most_at_once || (leader_ != nullptr && leader_->end)) {
        book_.flush();
        return;  // the rest is for the next look, or the next leader
      }
    }
  }
  if (at.take_loss()) {
    const bool holds_unsent = book_.link(number).unacknowledged() > 0;
    book_.disconnected(number, now);
    if (holds_unsent) {
      links_.close(number);
      if (!renew(number)) {
        book_.flush();
        return;
      }
    }
  }
  book_.set_ready(number, at.is_there(now_ready.send), now);
  book_.flush();
}

// May leave some, when it takes long.
void call_room::look_at_touched() {
  time_point until = time_point::max();
  for (int round = 0; links_.touched() != 0; ++round) {
    if (round == 2) {  // mostly the second one finds nothing
      until = std::min(clock::now() + longest_look, next_tick());
    } else if (round > 2 && clock::now() >= until) {
      return;
    }
    for (std::uint64_t left = links_.touched(); left != 0; left &= left - 1) {
      if (closing_ || (leader_ != nullptr && leader_->end)) {
        return;
      }
      look(static_cast<std::size_t>(std::countr_zero(left)));
    }
  }
}

void call_room::look_at_all() {
  links_.forget_renewal();
  hear_all();
  links_.touch_all();
  look_at_touched();
}

// False: there was no memory for all of it.
template<class Action>
bool call_room::try_to(Action action) noexcept {
  try {
    action();
  } catch (const error&) {
    give_up();
  } catch (const std::bad_alloc&) {
    missed_ = true;
    if (!has_leader_) {
      background_changed_.notify_one();  // to look again
    }
    return false;
  }
  return true;
}

// At what was missed, or else at what was touched.
void call_room::look_again() {
  if (!missed_) [[likely]] {
    look_at_touched();
    return;
  }
  missed_ = false;
  look_at_all();
  book_.flush();
}

std::vector<server_status> call_room::servers() {
  std::unique_lock lock{mutex_};
  try_to([this] { look_at_all(); });
  after_use(lock);
  std::vector<server_status> all;
  for (std::size_t number = 0; number < links_.size(); ++number) {
    if (const call_link* const at = links_.at(number)) {
      const server_link& known = book_.link(number);
      all.push_back({at->where(), known.live(), static_cast<std::size_t>(known.in_flight)});
    }
  }
  return all;
}

client_statistics call_room::statistics() const {
  const std::lock_guard lock{mutex_};
  return book_.statistics();
}

// Seats.

void call_room::waiting::take_end(call_outcome&& how) {
  end = std::move(how);
  wake();
}

void call_room::waiting::take_item(message&& item) {
  items.push_back(std::move(item));
  wake();
}

void call_room::waiting::wake() {
  if (room_.leader_ == this) {
    room_.wake_leader();
  } else {
    changed.notify_one();
  }
}

void call_room::wake_leader() noexcept {
  if (std::exchange(leader_sleeps_, false)) {
    links_.wake();
  }
}

// Calls.

call_outcome call_room::call(call_book::order&& what, const std::stop_token& stop, time_point now) {
  waiting self{*this};
  what.waiting = &self;
  std::unique_lock lock{mutex_};
  const std::uint64_t id = start_unless_stopped(std::move(what), stop, now);
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
  try {
    after_use(lock);
    if (stop.stop_possible() && !self.end) {
      // Outside the mutex: it may be called at once.
      lock.unlock();
      on_stop.emplace(stop, [this, id] { cancel(id); });
      lock.lock();
    }
    static_cast<void>(wait(
        lock, self, [&] { return self.end.has_value(); }, time_point::max()));
  } catch (...) {  // no memory to wait with, or another's function threw
    if (lock.owns_lock()) {
      lock.unlock();
    }
    on_stop.reset();
    lock.lock();
    book_.forget(id);
    flush_book();
    leave_to_others();
    throw;
  }
  lock.unlock();
  on_stop.reset();
  return std::move(*self.end);
}

std::uint64_t call_room::start_unless_stopped(call_book::order&& what, const std::stop_token& stop,
                                              time_point now) {
  if (stop.stop_requested()) {
    book_.refuse(std::move(what), {call_end::cancelled});
    return 0;
  }
  if (!leader_sleeps_ && now - heard_ > deafness) {
    try_to([this] { look_at_all(); });
  }
  try {
    return book_.start(std::move(what), now);
  } catch (...) {  // no memory for it, when some of it may have been sent
    flush_book();
    leave_to_others();
    throw;
  }
}

// For stop callbacks. The functions of calls are left to others: one of them may let the client go,
// and the thread that asks to stop is none that the client waits for then.
void call_room::cancel(std::uint64_t id) noexcept {
  const std::lock_guard lock{mutex_};
  book_.cancel(id);
  if (now_running.room != this || !now_running.more_follow) {
    flush_book();
  }
  leave_to_others();
}

void call_room::start(call_book::order&& what, const std::stop_token& stop, time_point now) {
  std::shared_ptr<cancel_hook> hook;
  if (stop.stop_possible()) {
    hook = std::make_shared<cancel_hook>();
    what.when_done = [hook, done = std::move(what.when_done)](call_outcome&& how) {
      done(std::move(how));
    };
  }
  std::unique_lock lock{mutex_};
  if (!background_.joinable()) {
    need_background();  // which may fail, before anything is started
  }
  bool is_first_held = false;
  if (now_running.room == this && now_running.more_follow) {
    book_.hold();
    now_running.starts = true;
    is_first_held = !std::exchange(now_running.holds, true);
    if (is_first_held) {
      now_running.since = now;
    }
  }
  const std::uint64_t id = start_unless_stopped(std::move(what), stop, now);
  if (now_running.room == this && now - now_running.since > most_held) {
    flush();
  }
  if (now_running.room == this && now_running.more_follow) {
    look_while_leader_sleeps();  // the rest is for when that function has returned
    if (is_first_held && !has_leader_) {
      hand_on();  // which may take longer than the call has time
    }
  } else {
    if (!has_leader_) {
      background_changed_.notify_one();  // also for when the leader has left
    }
    after_use(lock);
  }
  if (hook) {
    lock.unlock();
    hook->callback.emplace(stop, [this, id] { cancel(id); });
  }
}

bool call_room::wait_for_servers(std::size_t count, time_point deadline) {
  waiting self{*this};
  std::unique_lock lock{mutex_};
  const bool there = wait(
      lock, self, [&] { return book_.live_servers() >= count; }, deadline);
  if (!there && closing_) {
    throw closed{"wait for servers"};
  }
  return there;
}

// Streams.

call_room::stream::~stream() {
  std::unique_lock lock{room_.mutex_};
  if (id_ != 0 && !seat_.end) {
    room_.book_.cancel(id_);
    room_.after_use(lock);
  }
}

void call_room::stream::start(call_book::order&& what, std::stop_token stop) {
  stop_ = std::move(stop);
  what.waiting = &seat_;
  what.credit = window;
  std::unique_lock lock{room_.mutex_};
  id_ = room_.start_unless_stopped(std::move(what), stop_, clock::now());
  room_.after_use(lock);
}

std::optional<message> call_room::stream::next(time_point deadline) {
  const std::stop_callback on_stop{stop_, [this] { room_.cancel(id_); }};
  std::unique_lock lock{room_.mutex_};
  if (seat_.items.empty() && !seat_.end && taken_ >= window / 2 && !ask_for_more(lock)) {
    throw std::bad_alloc{};  // nothing would come any more
  }
  const bool came = room_.wait(
      lock, seat_, [this] { return seat_.end || !seat_.items.empty(); }, deadline);
  if (!came) {
    const bool has_server = room_.book_.has_server(id_);
    room_.book_.cancel(id_);
    room_.after_use(lock);
    if (!has_server) {
      throw no_server{"wait for the first result"};
    }
    throw timed_out{"wait for the next result"};
  }
  if (seat_.items.empty()) {
    const response end{seat_.end->value()};  // or what went wrong
    if (end.result().is_nil() || std::exchange(has_ended_, true)) {
      return std::nullopt;
    }
    return message{encode(end.result())};  // a method with but one result
  }
  message item = std::move(seat_.items.front());
  seat_.items.pop_front();
  if (++taken_ >= window / 2) {
    // Without memory with the next one: this one is to be had all the same.
    static_cast<void>(ask_for_more(lock));
  }
  return item;
}

// False: there was no memory for that.
bool call_room::stream::ask_for_more(std::unique_lock<std::mutex>& lock) {
  const bool is_asked = room_.try_to([this] { room_.book_.give_credit(id_, taken_); });
  taken_ = is_asked ? 0 : taken_;
  room_.after_use(lock);
  return is_asked;
}

// Waiting.

// Requires: the mutex is held. Ends every use of the book.
void call_room::after_use(std::unique_lock<std::mutex>& lock) {
  if (now_running.room != this || !now_running.more_follow) {
    flush_book();
  }
  look_while_leader_sleeps();
  run_ended(lock);
}

// What is left goes out with the next look.
void call_room::flush_book() noexcept {
  try_to([this] { book_.flush(); });
}

void call_room::look_while_leader_sleeps() noexcept {
  if (leader_sleeps_) {
    try_to([this] { look_at_touched(); });
    if (links_.touched() != 0 || missed_ || next_tick() < leader_until_) {
      wake_leader();
    }
  }
}

void call_room::leave_to_others() noexcept {
  look_while_leader_sleeps();
  if (has_to_run()) {
    wake_leader();
    background_changed_.notify_one();  // it is there since such a call was first started
  }
}

void call_room::tell_events(std::unique_lock<std::mutex>& lock) {
  if (events_.empty() || tells_) {
    return;
  }
  tells_ = true;
  while (!events_.empty() && on_connection_) {
    const std::vector<connection_event> told = std::exchange(events_, {});
    lock.unlock();
    for (const connection_event& each : told) {
      on_connection_(each);
    }
    lock.lock();
  }
  tells_ = false;
  told_.notify_all();
}

// A thread that runs functions already goes on with these when the one it is in has returned: one
// that waits for a call must not wait for them.
bool call_room::has_to_run() const noexcept {
  return book_.has_ended() && now_running.room != this;
}

void call_room::run_ended(std::unique_lock<std::mutex>& lock) {
  tell_events(lock);
  if (!has_to_run()) {
    return;
  }
  const running before = std::exchange(now_running, {this});
  std::vector<call_book::ended> over = std::exchange(spare_, {});
  while (book_.has_ended()) {
    over = book_.take_ended(std::move(over));
    if (over.empty()) {
      std::optional<call_book::ended> kept = book_.take_kept();
      lock.unlock();
      now_running.more_follow = false;
      kept->when_done(std::move(kept->how));
      kept.reset();
      lock.lock();
      flush();
      continue;
    }
    lock.unlock();
    for (call_book::ended& each : over) {
      now_running.more_follow = &each != &over.back();
      now_running.starts = false;
      each.when_done(std::move(each.how));
      // One that started a call looked at the clock then.
      if (now_running.holds && !now_running.starts &&
          clock::now() - now_running.since > most_held) {
        lock.lock();
        flush();
        lock.unlock();
      }
    }
    over.clear();  // the functions may hold what locks the mutex as it goes
    lock.lock();
    flush();
  }
  if (over.capacity() <= most_spare) {
    spare_ = std::move(over);
  }
  now_running = before;
}

// Of what the functions held.
void call_room::flush() noexcept {
  if (std::exchange(now_running.holds, false)) {
    flush_book();
    look_while_leader_sleeps();
    if (!has_leader_) {
      hand_on();  // somebody has to wait for the replies
    }
  }
}

// True: ready. False: the deadline has passed, or all ends.
template<class Ready>
bool call_room::wait(std::unique_lock<std::mutex>& lock, waiting& who, Ready ready,
                     time_point deadline) {
  if (now_running.room == this) {
    flush();       // it may wait for what it held
    flush_book();  // or for what is held for the functions of another thread
  }
  bool is_ready = ready();
  while (!is_ready && !closing_ && clock::now() < deadline) {
    if (has_leader_) {
      followers_.push_back(&who);
      wait_until(who.changed, lock, deadline);
      std::erase(followers_, &who);
    } else {
      leader_ = &who;
      lead(lock, ready, deadline);
    }
    is_ready = ready();
  }
  if (!has_leader_) {
    hand_on();  // it may have been called to lead
  }
  return is_ready;
}

// Looks after all calls until ready, or until somebody else is to be asked whether to go on.
template<class Ready>
void call_room::lead(std::unique_lock<std::mutex>& lock, Ready ready, time_point deadline) {
  has_leader_ = true;
  bool has_waited = false;
  bool had_memory = try_to([&] {
    look_again();
    if (ready() || has_to_run() || closing_) {
      return;
    }
    has_waited = true;
    if (links_.touched() != 0) {
      lock.unlock();
      std::this_thread::sleep_for(others_turn);
      lock.lock();
    } else if (!links_.has_pipes() || !spin(lock, ready)) {
      look_at_touched();  // others had the mutex while this span
      if (links_.touched() == 0 && !missed_ && !ready() && !has_to_run() && !closing_) {
        sleep(lock, std::min(deadline, next_tick()));
      }
    }
  });
  if (has_waited || !had_memory) {
    had_memory = look_after_time() && had_memory;
  }
  if (!had_memory && !ready()) {
    await_memory(lock);
  }
  has_leader_ = false;
  leader_ = nullptr;
  if (closing_) {
    leader_left_.notify_all();
  }
  if (book_.has_ended() || !events_.empty()) {
    hand_on();
    run_ended(lock);
  }
}

// False: there was no memory for all of it.
bool call_room::look_after_time() noexcept {
  const time_point now = clock::now();
  if (now < next_tick()) {
    return true;
  }
  const bool has_looked = try_to([this] { look_at_all(); });  // what came in time counts
  const bool has_ticked = try_to([&] { book_.tick(now); });
  return try_to([this] { book_.flush(); }) && has_looked && has_ticked;
}

// Over pipes the reply of a server that is awake comes before one could fall asleep.
template<class Ready>
bool call_room::spin(std::unique_lock<std::mutex>& lock, Ready ready) {
  const time_point start = clock::now();
  const time_point end = start + spinning_.spin_for();
  for (time_point now = start; now < end; now = clock::now()) {
    lock.unlock();
    for (int count = 0; count < 8; ++count) {
      cpu_relax();
    }
    lock.lock();
    links_.for_each_pipe([&](std::size_t number) {
      for (int count = 0; count < most_at_once; ++count) {
        auto incoming = receive(number);
        if (!incoming) {
          break;
        }
        book_.receive(number, std::move(*incoming), now);
        links_.touch(number);
      }
    });
    if (ready() || closing_ || has_to_run()) {
      spinning_.waited(now - start);
      return true;
    }
  }
  return false;
}

void call_room::sleep(std::unique_lock<std::mutex>& lock, time_point until) {
  const time_point start = clock::now();
  int limit = -1;
  if (until != time_point::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - start);
    limit = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 86'400'000));
  }
  links_.for_each_pipe([&](std::size_t number) {
    if (socket_rest::begin(links_.at(number)->native()).receive) {
      limit = 0;
    }
  });
  leader_sleeps_ = true;
  leader_until_ = until;
  lock.unlock();
  call_links::some_news news;
  const std::size_t count = links_.wait(limit, news);
  lock.lock();
  heard_ = clock::now();
  leader_sleeps_ = false;
  links_.for_each_pipe([&](std::size_t number) {
    socket_rest::end(links_.at(number)->native());
    links_.touch(number);
  });
  spinning_.waited(heard_ - start);
  for (std::size_t index = 0; index < count; ++index) {
    if (news[index].is_event) {
      hear(news[index].number);
    }
    look(news[index].number);
  }
}

void call_room::hand_on() {
  if (!followers_.empty()) {
    followers_.front()->changed.notify_one();
  } else if (book_.unattended() > 0 || book_.has_ended() || missed_) {
    background_changed_.notify_one();
  }
}

void call_room::run_background() {
  std::unique_lock lock{mutex_};
  while (!closing_) {
    run_ended(lock);
    if (closing_) {
      break;
    }
    const time_point now = clock::now();
    if (has_leader_) {
      // Which looks after the time; come back when it should have.
      wait_until(background_changed_, lock,
                 std::min(std::max(next_tick(), now + leaders_patience),
                          now + std::max(look_interval(), leaders_patience)));
    } else if (book_.unattended() > 0) {
      lead(
          lock, [] { return false; }, time_point::max());
      hand_on();
    } else if (missed_ || now >= next_tick()) {
      if (!try_to([this] { look_again(); }) || !look_after_time()) {
        await_memory(lock);
      }
    } else {
      // Looks now and then, too: nobody else may, for long.
      wait_until(background_changed_, lock, std::min(next_tick(), now + look_interval()));
      if (!has_leader_ && !closing_) {
        try_to([this] { look_at_all(); });
      }
    }
  }
  run_ended(lock);
}

}  // namespace parley::detail
