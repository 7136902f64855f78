// SPDX-License-Identifier: MPL-2.0
#include <parley/poller.hpp>

#include <parley/error.hpp>

#include "socket_state.hpp"

#include <poll.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <ctime>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace parley {
namespace {

using clock = std::chrono::steady_clock;

void rearm(doorbell& bell) {
  if (!bell.is_waiting()) {  // it may be shared, and armed already
    bell.disarm();
    static_cast<void>(bell.arm([] { return false; }));
  }
}

}  // namespace

struct poller::state {
  struct entry {
    key id;
    interest what;
    std::shared_ptr<handler> on_ready;  // shared: it may remove itself while it runs
    int fd = -1;                        // one of these three
    socket::state* source = nullptr;
    doorbell* bell = nullptr;
    std::function<bool()> bell_is_ready{};
    bool has_twin = false;  // the same socket is here in the other direction too
    bool is_ready = false;
  };
  struct timer {
    clock::time_point due;
    clock::duration interval;  // 0: once
    std::shared_ptr<handler> on_due;
  };

  key add(entry&& next);
  key add(timer&& next);
  [[nodiscard]] std::vector<entry>::iterator find(key which) noexcept;
  void mark_twins(const socket::state* source) noexcept;
  void remove(key which);

  std::size_t wait_until(clock::time_point deadline, const std::stop_token& stop);
  [[nodiscard]] bool look_at_sources();
  void sleep(clock::time_point until, const std::stop_token& stop);
  [[nodiscard]] bool can_sleep(const std::stop_token& stop);
  void disarm_bells() noexcept;
  void list_descriptors();
  void poll(clock::time_point until);
  [[nodiscard]] std::shared_ptr<handler> take_handler(key which);
  std::size_t call_ready(clock::time_point now);

  std::vector<entry> entries;  // by key
  std::map<key, timer> timers;
  std::set<std::pair<clock::time_point, key>> due;  // of timers
  key next_key = 1;
  doorbell stop_bell;

  // Of one wait; kept, since they would be allocated again and again.
  std::vector<key> ready;
  std::vector<pollfd> polled;  // the descriptors in entries, in their order, then those of sources
  std::vector<int> fds;
};

// What is waited for.

poller::key poller::state::add(entry&& next) {
  entries.push_back(std::move(next));
  mark_twins(entries.back().source);
  return next_key++;
}

poller::key poller::state::add(timer&& next) {
  due.emplace(next.due, next_key);
  timers.emplace(next_key, std::move(next));
  return next_key++;
}

std::vector<poller::state::entry>::iterator poller::state::find(key which) noexcept {
  const auto found = std::lower_bound(entries.begin(), entries.end(), which,
                                      [](const entry& each, key id) { return each.id < id; });
  return found != entries.end() && found->id == which ? found : entries.end();
}

void poller::state::mark_twins(const socket::state* source) noexcept {
  if (source == nullptr) {
    return;
  }
  const auto is_here = [&](interest what) {
    return std::any_of(entries.begin(), entries.end(), [&](const entry& each) {
      return each.source == source && each.what == what;
    });
  };
  const bool both = is_here(interest::input) && is_here(interest::output);
  for (entry& each : entries) {
    if (each.source == source) {
      each.has_twin = both;
    }
  }
}

void poller::state::remove(key which) {
  if (const auto found = find(which); found != entries.end()) {
    const auto gone = std::move(*found);  // what its handler holds may call us when it goes
    entries.erase(found);
    mark_twins(gone.source);
  } else if (auto timed = timers.extract(which)) {
    due.erase({timed.mapped().due, which});
  }
}

// Waiting.

std::size_t poller::state::wait_until(clock::time_point deadline, const std::stop_token& stop) {
  const std::stop_callback on_stop{stop, [this]() noexcept { stop_bell.ring(); }};
  while (!stop.stop_requested()) {
    const auto now = clock::now();
    const bool is_late = now >= deadline;
    const auto first_due = due.empty() ? detail::never : due.begin()->first;
    if (look_at_sources() || is_late || first_due <= now) {
      list_descriptors();
      poll(now);
    } else {
      sleep(std::min(deadline, first_due), stop);
      static_cast<void>(look_at_sources());
    }
    const std::size_t called = call_ready(clock::now());
    if (called > 0 || is_late) {
      return called;
    }
  }
  return 0;
}

// Sockets and pipes. A socket that is not ready tells its next news to its descriptors.
bool poller::state::look_at_sources() {
  bool any = false;
  for (entry& each : entries) {
    if (each.source != nullptr) {
      each.is_ready = each.what == interest::input ? each.source->enter()->can_receive()
                                                   : each.source->enter()->can_send();
    } else if (each.bell != nullptr) {
      each.is_ready = each.bell_is_ready();
    }
    any = any || (each.is_ready && each.fd == -1);
  }
  return any;
}

void poller::state::sleep(clock::time_point until, const std::stop_token& stop) {
  struct disarm_at_end {
    state& self;
    ~disarm_at_end() { self.disarm_bells(); }
  } const at_end{*this};
  list_descriptors();
  poll(can_sleep(stop) ? until : clock::now());
}

void poller::state::list_descriptors() {
  polled.clear();
  for (const entry& each : entries) {
    if (each.fd != -1) {
      polled.push_back({each.fd, each.what == interest::input ? short{POLLIN} : short{POLLOUT}, 0});
    }
  }
}

// Arms what will wake us, then looks once more. False: there is news already.
bool poller::state::can_sleep(const std::stop_token& stop) {
  for (const entry& each : entries) {
    if (each.bell != nullptr) {
      rearm(*each.bell);
      polled.push_back({each.bell->fd(), POLLIN, 0});
    } else if (each.source != nullptr) {
      fds.clear();
      each.source->enter()->add_fds(each.what == interest::input, fds);
      for (const int fd : fds) {
        polled.push_back({fd, POLLIN, 0});
      }
    }
  }
  if (stop.stop_possible()) {
    rearm(stop_bell);
    polled.push_back({stop_bell.fd(), POLLIN, 0});
    if (stop.stop_requested()) {
      return false;
    }
  }
  return std::none_of(entries.begin(), entries.end(), [](const entry& each) {
    if (each.bell != nullptr) {
      return each.bell_is_ready();
    }
    if (each.has_twin) {  // the look for the one may have taken away the news for the other
      const socket_readiness now = each.source->enter()->ready();
      return now.receive || now.send;
    }
    return false;
  });
}

void poller::state::disarm_bells() noexcept {
  for (const entry& each : entries) {
    if (each.bell != nullptr) {
      each.bell->disarm();
    }
  }
  stop_bell.disarm();
}

void poller::state::poll(clock::time_point until) {
  using namespace std::chrono;
  if (polled.empty() && until <= clock::now()) {
    return;
  }
  timespec limit{};
  if (const auto left = ceil<nanoseconds>(until - clock::now()); left.count() > 0) {
    const auto whole = duration_cast<seconds>(left);
    limit = {whole.count(), (left - whole).count()};
  }
  const int fired =
      ::ppoll(polled.data(), polled.size(), until == detail::never ? nullptr : &limit, nullptr);
  if (fired < 0 && errno != EINTR) {
    throw error{errc::out_of_resources, "poll " + std::to_string(polled.size()) + " descriptors"};
  }
  auto next = polled.begin();
  for (entry& each : entries) {
    if (each.fd != -1) {
      each.is_ready = fired > 0 && next->revents != 0;
      assert(!(each.is_ready && (next->revents & POLLNVAL) != 0) &&
             "a descriptor in a poller is closed");
      ++next;
    }
  }
}

// Calling.

// For a timer that is due, also sets its next time or removes it. Null: it is there no more.
std::shared_ptr<poller::handler> poller::state::take_handler(key which) {
  if (const auto found = find(which); found != entries.end()) {
    return found->on_ready;
  }
  const auto timed = timers.find(which);
  if (timed == timers.end()) {
    return nullptr;
  }
  timer& each = timed->second;
  auto on_due = each.on_due;
  if (each.interval == clock::duration::zero()) {
    due.erase({each.due, which});
    timers.erase(timed);
    return on_due;
  }
  auto at = due.extract({each.due, which});
  each.due += each.interval * ((clock::now() - each.due) / each.interval + 1);
  at.value().first = each.due;
  due.insert(std::move(at));
  return on_due;
}

// Sources in the order in which they were added, then timers as they are due.
std::size_t poller::state::call_ready(clock::time_point now) {
  std::vector<key> calls = std::exchange(ready, {});  // a handler may wait as well
  calls.clear();
  for (const entry& each : entries) {
    if (each.is_ready) {
      calls.push_back(each.id);
    }
  }
  for (auto next = due.begin(); next != due.end() && next->first <= now; ++next) {
    calls.push_back(next->second);
  }
  std::size_t called = 0;
  for (const key each : calls) {
    if (const auto to_call = take_handler(each)) {
      (*to_call)();
      ++called;
    }
  }
  ready = std::move(calls);
  return called;
}

// The public words.

poller::poller() : state_{std::make_unique<state>()} {}
poller::~poller() = default;

poller::key poller::add(socket& source, interest what, handler on_ready) {
  source.state_->enter()->be_watched();
  return state_->add(state::entry{.id = state_->next_key,
                                  .what = what,
                                  .on_ready = std::make_shared<handler>(std::move(on_ready)),
                                  .source = source.state_.get()});
}

poller::key poller::add(int fd, interest what, handler on_ready) {
  assert(fd >= 0);
  return state_->add(state::entry{.id = state_->next_key,
                                  .what = what,
                                  .on_ready = std::make_shared<handler>(std::move(on_ready)),
                                  .fd = fd});
}

poller::key poller::add(doorbell& bell, std::function<bool()> is_ready, handler on_ready) {
  return state_->add(state::entry{.id = state_->next_key,
                                  .what = interest::input,
                                  .on_ready = std::make_shared<handler>(std::move(on_ready)),
                                  .bell = &bell,
                                  .bell_is_ready = std::move(is_ready)});
}

poller::key poller::after(duration delay, handler on_due) {
  return state_->add(state::timer{
      detail::deadline_after(delay), {}, std::make_shared<handler>(std::move(on_due))});
}

poller::key poller::every(duration interval, handler on_due) {
  assert(interval > duration::zero());
  return state_->add(state::timer{detail::deadline_after(interval), interval,
                                  std::make_shared<handler>(std::move(on_due))});
}

void poller::remove(key which) { state_->remove(which); }

std::size_t poller::size() const noexcept { return state_->entries.size() + state_->timers.size(); }

std::size_t poller::wait(const std::stop_token& stop) {
  return state_->wait_until(detail::never, stop);
}

std::size_t poller::wait_for(duration limit, const std::stop_token& stop) {
  return state_->wait_until(detail::deadline_after(limit), stop);
}

void poller::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    static_cast<void>(wait(stop));
  }
}

}  // namespace parley
