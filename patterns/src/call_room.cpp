// SPDX-License-Identifier: MPL-2.0
#include "call_room.hpp"

#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/socket_rest.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <utility>

namespace parley::detail {
namespace {

using clock = call_book::clock;
using time_point = call_book::time_point;

constexpr std::uint32_t wake_event = 0xffff'ffff;
constexpr std::chrono::milliseconds leaders_patience{50};

std::uint64_t bit(std::size_t which) noexcept { return std::uint64_t{1} << which; }

int checked(int fd) {
  if (fd < 0) {
    throw error{errc::out_of_resources, "make a client"};
  }
  return fd;
}

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
  bool holds = false;          // some do
};
thread_local running now_running;

// How long a call may wait so for functions that take their time.
constexpr std::chrono::microseconds most_held{50};

}  // namespace

call_room::call_room(context& owner, const client_options& options)
    : context_{owner},
      options_{options},
      epoll_fd_{checked(::epoll_create1(EPOLL_CLOEXEC))},
      wake_fd_{checked(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))},
      book_{*this, options} {
  epoll_event readable{};
  readable.events = EPOLLIN;
  readable.data.u32 = wake_event;
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &readable) != 0) {
    throw error{errc::out_of_resources, "make a client"};
  }
}

call_room::~call_room() {
  close();
  ::close(wake_fd_);
  ::close(epoll_fd_);
}

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
  numbered_.clear();
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

call_room::link& call_room::prepare(const endpoint& where) {
  if (closing_) {
    throw closed{"use a client"};
  }
  for (const auto& each : links_) {
    if (each->where == where) {
      return *each;
    }
  }
  socket_options chosen;
  // What is under way has limits of the book's.
  chosen.send_limit = static_cast<int>(std::min<std::uint64_t>(book_.send_limit(), 1U << 30));
  chosen.linger = std::chrono::milliseconds{0};  // a request nobody waits for need not be sent
  chosen.only_connected = true;
  chosen.max_frame_bytes = options_.max_frame_bytes;
  chosen.curve = options_.curve;
  return *links_.emplace_back(std::make_unique<link>(context_, chosen, where));
}

void call_room::add(link& made, std::size_t number) {
  numbered_.resize(std::max(numbered_.size(), number + 1));
  numbered_[number] = &made;
  made.number = number;
  touched_ |= bit(*made.number);
  if (made.where.kind() == transport::pipe) {
    pipes_ |= bit(*made.number);
  }
  watch_fds(made);
  need_background();
  wake_leader();
}

void call_room::need_background() {
  if (!background_.joinable() && !closing_) {
    background_ = std::thread{[this] { run_background(); }};
  }
  background_changed_.notify_one();
}

void call_room::watch_fds(link& of) {
  for (const int fd : socket_rest::fds(of.native)) {
    epoll_event readable{};
    readable.events = EPOLLIN;
    readable.data.u32 = static_cast<std::uint32_t>(*of.number);
    if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &readable) != 0 && errno != EEXIST) {
      throw error{errc::out_of_resources, "wait for a server"};
    }
  }
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
  std::size_t use() {
    is_used_ = true;
    return number_;
  }

 private:
  call_book& book_;
  std::size_t number_;
  bool is_used_ = false;
};

endpoint call_room::bind(const endpoint& where) {
  const std::lock_guard lock{mutex_};
  link& made = prepare(where);
  if (made.number) {
    return made.native.bind(where);
  }
  number_taken number{book_, true};
  made.where = made.native.bind(where);
  add(made, number.use());
  return made.where;
}

void call_room::connect(const endpoint& where) {
  const std::lock_guard lock{mutex_};
  link& made = prepare(where);
  if (!made.number) {
    number_taken number{book_, false};
    made.native.connect(where);
    add(made, number.use());
  }
}

void call_room::disconnect(const endpoint& where) {
  std::unique_lock lock{mutex_};
  const auto found = std::find_if(links_.begin(), links_.end(),
                                  [&](const auto& each) { return each->where == where; });
  if (found == links_.end()) {
    return;
  }
  if (const auto number = (*found)->number) {
    book_.remove_link(*number, clock::now());
    numbered_[*number] = nullptr;
    touched_ &= ~bit(*number);
    pipes_ &= ~bit(*number);
    for (const int fd : socket_rest::fds((*found)->native)) {
      ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
    }
  }
  links_.erase(found);
  after_use(lock);
}

monitor call_room::watch(const endpoint& where) {
  const std::lock_guard lock{mutex_};
  link& watched = prepare(where);
  struct anew {
    call_room& room;
    link& of;
    ~anew() {
      if (of.number) {
        room.watch_fds(of);  // it may have become a socket of libzmq's just now
      }
    }
  } const guard{*this, watched};
  return monitor{context_, watched.native};
}

bool call_room::send(std::size_t number, message&& outgoing) {
  link* const to = numbered_[number];
  touched_ |= bit(number);
  try {
    return to != nullptr && to->native.try_send(std::move(outgoing));
  } catch (const error&) {
    return false;  // the context is shut down: the next look tells
  }
}

// Takes in what there is.
void call_room::look(std::size_t number) {
  link* const at = numbered_[number];
  touched_ &= ~bit(number);
  if (at == nullptr) {
    return;
  }
  const socket_readiness now_ready = at->native.ready();
  const time_point now = clock::now();
  book_.hold();  // calls that find a server again, or another one
  if (now_ready.receive) {
    touched_ |= bit(number);  // more may come meanwhile
    while (auto incoming = at->native.try_receive()) {
      book_.receive(number, std::move(*incoming), now);
      if (leader_ != nullptr && leader_->end) {
        book_.flush();
        return;  // the rest is for the next leader
      }
    }
  }
  book_.set_ready(number, now_ready.send, now);
  book_.flush();
}

void call_room::look_at_touched() {
  while (touched_ != 0 && !closing_ && (leader_ == nullptr || !leader_->end)) {
    look(static_cast<std::size_t>(std::countr_zero(touched_)));
  }
}

void call_room::look_at_all() {
  for (std::size_t number = 0; number < numbered_.size(); ++number) {
    touched_ |= numbered_[number] != nullptr ? bit(number) : 0;
  }
  look_at_touched();
}

void call_room::try_to_look() noexcept {
  try {
    look_at_all();
  } catch (const error&) {
    give_up();
  }
}

std::vector<server_status> call_room::servers() {
  std::unique_lock lock{mutex_};
  try_to_look();
  after_use(lock);
  std::vector<server_status> all;
  for (const auto& each : links_) {
    if (each->number) {
      const server_link& known = book_.link(*each->number);
      all.push_back({each->where, known.live(), static_cast<std::size_t>(known.in_flight)});
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
    const std::uint64_t one = 1;
    static_cast<void>(!::write(wake_fd_, &one, sizeof one));
  }
}

// Calls.

call_outcome call_room::call(call_book::order&& what, const std::stop_token& stop) {
  waiting self{*this};
  what.waiting = &self;
  std::unique_lock lock{mutex_};
  const std::uint64_t id = start_unless_stopped(std::move(what), stop);
  after_use(lock);
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
  if (stop.stop_possible() && !self.end) {
    // Outside the mutex: it may be called at once.
    lock.unlock();
    on_stop.emplace(stop, [this, id] { cancel(id); });
    lock.lock();
  }
  static_cast<void>(wait(
      lock, self, [&] { return self.end.has_value(); }, time_point::max()));
  lock.unlock();
  on_stop.reset();
  return std::move(*self.end);
}

std::uint64_t call_room::start_unless_stopped(call_book::order&& what,
                                              const std::stop_token& stop) {
  if (stop.stop_requested()) {
    book_.refuse(std::move(what), {call_end::cancelled});
    return 0;
  }
  return book_.start(std::move(what), clock::now());
}

// For stop callbacks. The functions of calls are left to others: one of them may let the client go,
// and the thread that asks to stop is none that the client waits for then.
void call_room::cancel(std::uint64_t id) {
  const std::lock_guard lock{mutex_};
  book_.cancel(id);
  if (now_running.room != this || !now_running.more_follow) {
    book_.flush();
  }
  look_while_leader_sleeps();
  if (book_.has_ended() && now_running.room != this) {
    wake_leader();
    need_background();
  }
}

void call_room::start(call_book::order&& what, const std::stop_token& stop) {
  std::shared_ptr<cancel_hook> hook;
  if (stop.stop_possible()) {
    hook = std::make_shared<cancel_hook>();
    what.when_done = [hook, done = std::move(what.when_done)](call_outcome&& how) {
      done(std::move(how));
    };
  }
  std::unique_lock lock{mutex_};
  if (now_running.room == this && now_running.more_follow) {
    book_.hold();
    now_running.holds = true;
  }
  const std::uint64_t id = start_unless_stopped(std::move(what), stop);
  if (!has_leader_ || !background_.joinable()) {
    need_background();  // also for when the leader has left
  }
  after_use(lock);
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
  id_ = room_.start_unless_stopped(std::move(what), stop_);
  room_.after_use(lock);
}

std::optional<message> call_room::stream::next(time_point deadline) {
  const std::stop_callback on_stop{stop_, [this] { room_.cancel(id_); }};
  std::unique_lock lock{room_.mutex_};
  const bool came = room_.wait(
      lock, seat_, [this] { return seat_.end || !seat_.items.empty(); }, deadline);
  if (!came) {
    room_.book_.cancel(id_);
    room_.after_use(lock);
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
  if (++taken_ == window / 2) {
    room_.book_.give_credit(id_, std::exchange(taken_, 0));
    room_.after_use(lock);
  }
  return item;
}

// Waiting.

// Requires: the mutex is held. Ends every use of the book.
void call_room::after_use(std::unique_lock<std::mutex>& lock) {
  if (now_running.room != this || !now_running.more_follow) {
    book_.flush();
  }
  look_while_leader_sleeps();
  run_ended(lock);
}

void call_room::look_while_leader_sleeps() {
  if (leader_sleeps_) {
    try {
      look_at_touched();
    } catch (const error&) {
      give_up();
    }
    if (book_.next_tick() < leader_until_) {
      wake_leader();
    }
  }
}

void call_room::run_ended(std::unique_lock<std::mutex>& lock) {
  if (!book_.has_ended() || now_running.room == this) {
    return;  // if this thread runs functions already, it goes on with these then
  }
  const running before = std::exchange(now_running, {this});
  while (book_.has_ended()) {
    std::vector<call_book::ended> over = book_.take_ended();
    lock.unlock();
    time_point flushed = clock::now();
    for (call_book::ended& each : over) {
      now_running.more_follow = &each != &over.back();
      each.when_done(std::move(each.how));
      if (now_running.holds && clock::now() - flushed > most_held) {
        lock.lock();
        flush();
        lock.unlock();
        flushed = clock::now();
      }
    }
    over.clear();  // the functions may hold what locks the mutex as it goes
    lock.lock();
    flush();
  }
  now_running = before;
}

// Of what the functions held.
void call_room::flush() {
  if (std::exchange(now_running.holds, false)) {
    book_.flush();
    if (leader_sleeps_) {
      try {
        look_at_touched();
      } catch (const error&) {
        give_up();
      }
    }
  }
}

// True: ready. False: the deadline has passed, or all ends.
template<class Ready>
bool call_room::wait(std::unique_lock<std::mutex>& lock, waiting& who, Ready ready,
                     time_point deadline) {
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
  try {
    look_at_touched();
    if (!ready() && !book_.has_ended() && !closing_) {
      if (pipes_ == 0 || !spin(lock, ready)) {
        look_at_touched();  // others had the mutex while this span
        if (!ready() && !book_.has_ended() && !closing_) {
          sleep(lock, std::min(deadline, book_.next_tick()));
        }
      }
      const time_point now = clock::now();
      if (now >= book_.next_tick()) {
        look_at_all();  // what came before the time was up counts
        book_.tick(now);
        book_.flush();
      }
    }
  } catch (const error&) {
    give_up();
  }
  has_leader_ = false;
  leader_ = nullptr;
  if (closing_) {
    leader_left_.notify_all();
  }
  if (book_.has_ended()) {
    hand_on();
    run_ended(lock);
  }
}

template<class Use>
void call_room::for_each_pipe(Use use) {
  for (std::uint64_t left = pipes_; left != 0; left &= left - 1) {
    use(static_cast<std::size_t>(std::countr_zero(left)));
  }
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
    for_each_pipe([&](std::size_t number) {
      while (auto incoming = numbered_[number]->native.try_receive()) {
        book_.receive(number, std::move(*incoming), now);
        touched_ |= bit(number);
      }
    });
    if (ready() || closing_ || book_.has_ended()) {
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
  for_each_pipe([&](std::size_t number) {
    if (socket_rest::begin(numbered_[number]->native).receive) {
      limit = 0;
    }
  });
  leader_sleeps_ = true;
  leader_until_ = until;
  lock.unlock();
  std::array<epoll_event, 8> events;
  const int count = ::epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), limit);
  lock.lock();
  leader_sleeps_ = false;
  for_each_pipe([&](std::size_t number) {
    socket_rest::end(numbered_[number]->native);
    touched_ |= bit(number);
  });
  spinning_.waited(clock::now() - start);
  for (int index = 0; index < count; ++index) {
    const std::uint32_t what = events[static_cast<std::size_t>(index)].data.u32;
    if (what == wake_event) {
      std::uint64_t ignored = 0;
      static_cast<void>(!::read(wake_fd_, &ignored, sizeof ignored));
    } else if (what < numbered_.size()) {
      look(what);
    }
  }
}

void call_room::hand_on() {
  if (!followers_.empty()) {
    followers_.front()->changed.notify_one();
  } else if (book_.unattended() > 0) {
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
      wait_until(background_changed_, lock, std::max(book_.next_tick(), now + leaders_patience));
    } else if (book_.unattended() > 0) {
      lead(
          lock, [] { return false; }, time_point::max());
      hand_on();
    } else if (now >= book_.next_tick()) {
      try_to_look();
      book_.tick(clock::now());
      book_.flush();
    } else {
      // Looks now and then, too: nobody else may, for long.
      wait_until(background_changed_, lock,
                 options_.heartbeat.count() > 0
                     ? std::min(book_.next_tick(), now + options_.heartbeat)
                     : book_.next_tick());
      if (!has_leader_ && !closing_) {
        try_to_look();
      }
    }
  }
  run_ended(lock);
}

}  // namespace parley::detail
