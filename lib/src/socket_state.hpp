// SPDX-License-Identifier: MPL-2.0
//
// What a socket is made of: a libzmq side and a pipe side, each made when the first endpoint needs
// it. With one of them, calls go straight to it; with both, to whichever's turn it is.
#pragma once

#include <parley/context.hpp>
#include <parley/socket.hpp>

#include "byte_budget.hpp"
#include "pipe_carrier.hpp"
#include "shared_options.hpp"
#include "socket_counters.hpp"
#include "subscription_set.hpp"
#include "zmq_carrier.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

namespace parley {

class socket::state {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  state(const context& owner, socket_kind kind, const socket_options& options);
  ~state();
  state(const state&) = delete;
  state& operator=(const state&) = delete;

  // The way in of every call: finds a child that uses its parent's socket, and two threads that use
  // it at once.
  class entered {
   public:
#ifdef NDEBUG
    explicit entered(state& which) : state_{which} { state_.check_home(); }
#else
    explicit entered(state& which) : state_{which} {
      state_.check_home();
      // Relaxed: it finds misuse, it does not order anything.
      if (state_.in_use_.exchange(true, std::memory_order_relaxed)) {
        state_.report_misuse();
      }
    }
    ~entered() { state_.in_use_.store(false, std::memory_order_relaxed); }
#endif
    entered(const entered&) = delete;
    entered& operator=(const entered&) = delete;
    state* operator->() const noexcept { return &state_; }

   private:
    state& state_;
  };
  [[nodiscard]] entered enter() { return entered{*this}; }

  close_result close_until(time_point deadline);

  endpoint bind(const endpoint& where);
  void connect(const endpoint& where);
  void unbind(const endpoint& where);
  void disconnect(const endpoint& where);
  void subscribe(std::string_view prefix);
  void unsubscribe(std::string_view prefix);

  // What most messages need and no more, inlined and before anything else: one peer over a pipe,
  // where there is room, or a message; or one frame of few bytes by libzmq, which waits for them if
  // it may (wait: ZMQ_DONTWAIT, or 0). False: not done, one of the words below must.
  [[nodiscard, gnu::always_inline]] bool send_at_once(message& outgoing, int wait) {
    if (sends_by_pipe_ != nullptr) [[likely]] {
      return sends_by_pipe_->send_at_once(outgoing);
    }
    return sends_by_zmq_ != nullptr && send_at_once_by_zmq(outgoing, wait);
  }
  // Requires: into is as a message() is.
  [[nodiscard, gnu::always_inline]] bool receive_at_once(message& into, int wait) {
    if (receives_by_pipe_ != nullptr) [[likely]] {
      return receives_by_pipe_->receive_at_once(into);
    }
    return receives_by_zmq_ != nullptr && receive_at_once_by_zmq(into, wait);
  }

  [[nodiscard]] bool try_send(message& outgoing);
  [[nodiscard]] bool send_until(message& outgoing, time_point deadline);
  void send(message& outgoing);  // throws error: unknown_peer
  // False: there is nothing, into is as it was. Requires: into is empty.
  [[nodiscard]] bool try_receive(message& into);
  [[nodiscard]] bool receive_until(message& into, time_point deadline);
  void receive(message& into);
  [[nodiscard]] bool can_receive();
  [[nodiscard]] bool can_send();
  // Both in one look; then fd() stays silent until a no of these may have become a yes.
  [[nodiscard]] socket_readiness ready();

  [[nodiscard]] int fd();
  // From now on a no of can_receive and can_send is followed by an event on these descriptors.
  void be_watched();
  void be_unwatched() noexcept;
  void add_fds(bool for_reading, std::vector<int>& fds);
  // For others to use beside us.
  [[nodiscard]] zmq::socket_t& shared();

  // Any thread.
  [[nodiscard]] socket_statistics statistics() const;

 private:
  detail::zmq_carrier& with_zmq();
  detail::pipe_carrier& with_pipes();
  void find_shortest_way() noexcept;  // after each change of the carriers
  // Not inlined: what they need of registers costs the way over pipes a fifth.
  [[nodiscard, gnu::noinline]] bool send_at_once_by_zmq(message& outgoing, int wait);
  [[nodiscard, gnu::noinline]] bool receive_at_once_by_zmq(message& into, int wait);
  [[nodiscard]] bool has_both() const noexcept { return zmq_ && pipes_; }
  [[noreturn]] void report_misuse() const noexcept;
  void check_home() const { context_.home().check("use a socket"); }
  void check_open() const;
  [[noreturn]] void refuse_address(std::string_view routing_id) const;
  void make_zmq();
  static void watch(int set, int fd);
  static void watch(int set, detail::pipe_carrier& pipes);
  void watch_zmq(int set);

  // Within the limit in bytes, or not limited.
  [[nodiscard]] bool budget_has_room();
  template<class Send>
  [[nodiscard]] bool metered(message& outgoing, Send send);
  [[nodiscard]] bool carriers_try_send(message& outgoing);
  [[nodiscard]] bool carriers_send_until(message& outgoing, time_point deadline);
  [[nodiscard]] bool carriers_can_send();

  [[nodiscard]] bool zmq_sent(bool sent, std::size_t bytes) noexcept;
  [[nodiscard]] bool zmq_received(bool received, const message& into) noexcept;
  [[nodiscard]] bool zmq_try_send(message& outgoing);
  [[nodiscard]] bool zmq_try_receive(message& into);

  // With both carriers.
  [[nodiscard]] bool both_try_send(message& outgoing);
  [[nodiscard]] bool both_send_until(message& outgoing, time_point deadline);
  [[nodiscard]] bool both_try_receive(message& into);
  [[nodiscard]] socket_readiness both_ready();
  [[nodiscard]] bool both_wait(bool for_reading, time_point deadline);
  [[nodiscard]] bool take_subscription(message& outgoing);

  const context context_;  // outlives the carriers
  const socket_kind kind_;
  const detail::shared_options options_;
  detail::socket_counters counters_;
  std::atomic<bool> in_use_{false};
  bool is_closed_ = false;
  bool is_shared_ = false;  // what goes through native() is not counted
  bool is_watched_ = false;
  int events_fd_ = -1;  // an epoll of both carriers' descriptors, once fd() was asked for

  // For the carrier that comes later; of kinds that subscribe.
  const std::unique_ptr<detail::subscription_set> subscriptions_;
  std::unique_ptr<detail::byte_budget> budget_;  // with a limit in bytes
  std::optional<detail::zmq_carrier> zmq_;
  mutable std::mutex making_pipes_;  // held while pipes_ changes and while another thread looks
  std::unique_ptr<detail::pipe_carrier> pipes_;
  // When closed, if somebody may still read what was sent; with the mutex held, likewise.
  std::unique_ptr<detail::pipe_carrier> left_pipes_;
  // The only carrier, or null where a limit in bytes, or its kind, must be looked at first.
  detail::pipe_carrier* sends_by_pipe_ = nullptr;
  detail::pipe_carrier* receives_by_pipe_ = nullptr;
  detail::zmq_carrier* sends_by_zmq_ = nullptr;
  detail::zmq_carrier* receives_by_zmq_ = nullptr;

  bool zmq_is_asked_ = false;  // req: the reply comes by libzmq; rep: it goes by libzmq
  std::size_t turn_ = 0;       // with both carriers: whose it is to be tried first
};

}  // namespace parley
