// SPDX-License-Identifier: MPL-2.0
#include <parley/request_reply.hpp>

#include <parley/error.hpp>
#include <parley/monitor.hpp>

#include "call_ids.hpp"
#include "envelope.hpp"
#include "rpc.hpp"
#include "shared_socket.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

namespace parley {
namespace {

using clock = std::chrono::steady_clock;
using detail::deadline_after;
using time_point = detail::shared_socket::time_point;

socket_options client_socket(const client_options& options) {
  socket_options chosen;
  chosen.send_limit = options.limit;
  chosen.receive_limit = options.limit;
  chosen.linger = std::chrono::milliseconds{0};  // a request nobody waits for need not be sent
  chosen.max_frame_bytes = options.max_frame_bytes;
  chosen.curve = options.curve;
  return chosen;
}

// The id on a call's envelope has 64 bits; MessagePack-RPC has room for 32.
std::uint32_t rpc_id(std::uint64_t id) { return static_cast<std::uint32_t>(id); }

// A condition variable cannot wait until the end of time: the conversion of its clock overflows.
void wait_until(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                time_point deadline) {
  if (deadline == time_point::max()) {
    changed.wait(lock);
  } else {
    changed.wait_until(lock, deadline);
  }
}

}  // namespace

// Replies are received by whoever waits for one: the first waiting thread leads, receives for all
// and hands the lead on when it has its own. Calls without a waiting thread are received for by the
// background thread, which starts with the first of them.
struct client::state {
  // A thread inside exchange().
  struct waiting {
    std::optional<message> reply;
    std::condition_variable changed;
  };

  // Runs with the mutex held.
  struct leaving {
    state& self;
    ~leaving() {
      if (!self.has_leader) {
        self.hand_on_lead();
      }
    }
  };

  struct pending {
    time_point deadline;
    waiting* caller;  // or null, then:
    std::function<void(const outcome&)> done;
  };

  state(context& owner, const client_options& chosen)
      : link{owner, socket_kind::dealer, client_socket(chosen)}, options{chosen} {}

  ~state() { close(); }

  void close() noexcept {
    {
      const std::lock_guard lock{mutex};
      closing = true;
      for (waiting* each : followers) {
        each->changed.notify_one();
      }
      background_changed.notify_one();
    }
    link.close();
    {
      const std::lock_guard one_at_a_time{joining};
      if (background.joinable() && background.get_id() != std::this_thread::get_id()) {
        background.join();
      }
    }
    std::unique_lock lock{mutex};
    finish(lock, time_point::max(), std::make_exception_ptr(closed{"call"}));
  }

  message exchange(std::uint64_t id, message request, time_point deadline) {
    waiting self;
    {
      const std::lock_guard lock{mutex};
      calls.emplace(id, pending{deadline, &self, {}});
    }
    try {
      if (!link.send_until(detail::address_call(id, std::move(request)), deadline)) {
        throw timed_out{"call (no server could take the request)"};
      }
      return wait_for_reply(self, deadline);
    } catch (...) {
      const std::lock_guard lock{mutex};
      calls.erase(id);
      throw;
    }
  }

  message wait_for_reply(waiting& self, time_point deadline) {
    std::unique_lock lock{mutex};
    // Whoever leaves may have been the one called to lead.
    const leaving guard{*this};
    while (!self.reply) {
      if (closing) {
        throw closed{"call"};
      }
      if (clock::now() >= deadline) {
        throw timed_out{"call (no reply)"};
      }
      if (has_leader) {
        followers.push_back(&self);
        wait_until(self.changed, lock, deadline);
        std::erase(followers, &self);
      } else {
        lead(lock, deadline);
      }
    }
    return std::move(*self.reply);
  }

  // Receives one reply, or waits for one until the deadline, on behalf of all callers.
  void lead(std::unique_lock<std::mutex>& lock, time_point deadline) {
    has_leader = true;
    lock.unlock();
    std::optional<message> reply;
    std::exception_ptr failure;
    try {
      reply = link.receive_until(deadline);
    } catch (...) {
      failure = std::current_exception();
    }
    std::function<void(const outcome&)> done;
    lock.lock();
    has_leader = false;
    if (reply) {
      done = settle(*reply);
    }
    hand_on_lead();
    if (failure) {
      std::rethrow_exception(failure);
    }
    if (done) {
      lock.unlock();
      done(outcome{std::move(*reply)});
      lock.lock();
    }
  }

  // Gives a reply to its caller, or returns what is to be called with it. A reply that nobody waits
  // for (it came too late, or is none) is dropped.
  std::function<void(const outcome&)> settle(message& reply) {
    const auto id = detail::call_of(reply);
    const auto found = id ? calls.find(*id) : calls.end();
    if (found == calls.end()) {
      return {};
    }
    pending call = std::move(found->second);
    calls.erase(found);
    reply.drop_front(2);
    if (call.caller != nullptr) {
      call.caller->reply = std::move(reply);
      call.caller->changed.notify_one();
      return {};
    }
    deadlines.erase({call.deadline, *id});
    return std::move(call.done);
  }

  void hand_on_lead() {
    if (!followers.empty()) {
      followers.front()->changed.notify_one();
    } else if (!deadlines.empty()) {
      background_changed.notify_one();
    }
  }

  // done runs exactly once, whatever happens.
  void start(std::uint64_t id, message request, time_point deadline,
             std::function<void(const outcome&)> done) {
    {
      std::unique_lock lock{mutex};
      if (closing) {
        lock.unlock();
        return done(outcome{std::make_exception_ptr(closed{"call"})});
      }
      if (!background.joinable()) {
        background = std::thread{[this] { run_background(); }};
      }
      calls.emplace(id, pending{deadline, nullptr, std::move(done)});
      deadlines.emplace(deadline, id);
      if (deadlines.begin()->second == id) {
        // The background thread sleeps towards a later deadline, as a leader or in line.
        background_changed.notify_one();
        if (background_leads) {
          link.interrupt();
        }
      }
    }
    try {
      if (!link.send_until(detail::address_call(id, std::move(request)), deadline)) {
        throw timed_out{"call (no server could take the request)"};
      }
    } catch (...) {
      // Unless the background thread has ended the call meanwhile.
      std::unique_lock lock{mutex};
      const auto found = calls.find(id);
      if (found != calls.end()) {
        const auto unsent = std::move(found->second.done);
        calls.erase(found);
        deadlines.erase({deadline, id});
        lock.unlock();
        unsent(outcome{std::current_exception()});
      }
    }
  }

  void run_background() {
    std::unique_lock lock{mutex};
    try {
      while (!closing) {
        expire(lock);
        if (closing) {
          return;
        }
        if (deadlines.empty()) {
          background_changed.wait(lock);
        } else if (has_leader) {
          wait_until(background_changed, lock, deadlines.begin()->first);
        } else {
          background_leads = true;
          lead(lock, deadlines.begin()->first);
          background_leads = false;
        }
      }
    } catch (...) {
      // Closed, or the socket is beyond use: nobody would end later calls.
      if (!lock.owns_lock()) {
        lock.lock();
      }
      closing = true;
      finish(lock, time_point::max(), std::current_exception());
    }
  }

  void expire(std::unique_lock<std::mutex>& lock) {
    if (!deadlines.empty() && deadlines.begin()->first <= clock::now()) {
      finish(lock, clock::now(), std::make_exception_ptr(timed_out{"call (no reply)"}));
    }
  }

  // Ends the unattended calls whose deadline is not after `until`.
  void finish(std::unique_lock<std::mutex>& lock, time_point until,
              const std::exception_ptr& failure) {
    std::vector<std::function<void(const outcome&)>> over;
    while (!deadlines.empty() && deadlines.begin()->first <= until) {
      const auto found = calls.find(deadlines.begin()->second);
      over.push_back(std::move(found->second.done));
      calls.erase(found);
      deadlines.erase(deadlines.begin());
    }
    lock.unlock();
    for (const auto& done : over) {
      done(outcome{failure});
    }
    lock.lock();
  }

  detail::shared_socket link;
  const client_options options;
  detail::call_ids ids;
  std::mutex joining;

  std::mutex mutex;
  // All below guarded by mutex.
  std::unordered_map<std::uint64_t, pending> calls;
  std::vector<waiting*> followers;
  std::set<std::pair<time_point, std::uint64_t>> deadlines;  // of calls that no thread waits for
  bool has_leader = false;
  bool background_leads = false;
  bool closing = false;
  std::condition_variable background_changed;
  std::thread background;
};

client::client(context& owner, const client_options& options) : state_{new state{owner, options}} {}

client::client(context& owner, const std::vector<endpoint>& connected,
               const client_options& options)
    : client{owner, options} {
  for (const endpoint& each : connected) {
    connect(each);
  }
}

client::client(context& owner, const endpoint& connected, const client_options& options)
    : client{owner, std::vector{connected}, options} {}

client::~client() = default;
client::client(client&&) noexcept = default;
client& client::operator=(client&&) noexcept = default;

endpoint client::bind(const endpoint& where) {
  return state_->link.with([&](socket& native) { return native.bind(where); });
}

void client::connect(const endpoint& where) {
  state_->link.with([&](socket& native) { native.connect(where); });
}

message client::request_for(duration limit, message outgoing) {
  return exchange(next_id(), std::move(outgoing), limit);
}

void client::call_packed(std::string_view method, const frame& parameters, duration limit,
                         std::function<void(const outcome&)> done) {
  const std::uint64_t id = next_id();
  start(id, pack_request(id, method, parameters), limit, std::move(done));
}

void client::send_notification(std::string_view method, const frame& parameters) {
  // No id: nobody waits, and a server that answers all the same is not heard.
  message outgoing{frame{}, detail::pack_notification(method, parameters)};
  if (!state_->link.send_until(std::move(outgoing), deadline_after(timeout()))) {
    throw timed_out{"notify (no server could take the notification)"};
  }
}

monitor client::watch() { return state_->link.watch(); }

void client::close() noexcept {
  if (state_.is_here()) {
    state_->close();
  }
}

client::duration client::timeout() const noexcept { return state_.get()->options.timeout; }

std::uint64_t client::next_id() { return state_->ids.next(); }

frame client::pack_request(std::uint64_t id, std::string_view method, const frame& parameters) {
  return detail::pack_request(rpc_id(id), method, parameters);
}

msgpack::object_handle client::parse_response(const message& reply) {
  if (reply.empty()) {
    throw protocol_error{"a response without a payload"};
  }
  return detail::parse_response(reply.front());
}

message client::exchange(std::uint64_t id, message request, duration limit) {
  return state_->exchange(id, std::move(request), deadline_after(limit));
}

void client::start(std::uint64_t id, message request, duration limit,
                   std::function<void(const outcome&)> done) {
  state_->start(id, std::move(request), deadline_after(limit), std::move(done));
}

}  // namespace parley
