// SPDX-License-Identifier: MPL-2.0
//
// A socket that any number of threads use at once: what makes the patterns thread-safe.
//
// There is no I/O thread and no hop to one. A mutex guards the socket; whoever wants to send or
// receive does so itself. A thread that has to wait does it outside the mutex, on the socket's file
// descriptor. One thread a direction waits there (the leader), the others stand in line behind it.
//
// Over pipe:// a leader looks again and again for a while before it sleeps: the reply of a peer
// that is awake comes in less time than it takes to fall asleep.
//
// libzmq's descriptor tells of a change only once, to whoever looks at the socket next. So after
// each use, a thread that finds the socket ready for a leader who still sleeps wakes it, and where
// nobody leads calls the next in line.
#pragma once

#include <parley/monitor.hpp>
#include <parley/pipe/doorbell.hpp>  // deadline_after
#include <parley/pipe/wait_strategy.hpp>
#include <parley/socket.hpp>

#include <poll.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace parley::detail {

class shared_socket {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  shared_socket(context& owner, socket_kind kind, const socket_options& options);
  ~shared_socket();
  shared_socket(const shared_socket&) = delete;
  shared_socket& operator=(const shared_socket&) = delete;

  endpoint bind(const endpoint& where);
  void connect(const endpoint& where);
  void disconnect(const endpoint& where);

  // Runs action(socket&) alone, which neither binds nor connects. Throws closed.
  template<class Action>
  auto with(Action&& action) {
    const std::lock_guard lock{mutex_};
    check_open();
    const pass_on others{*this};
    return std::forward<Action>(action)(socket_.value());
  }

  // False: no peer could take it before the deadline; outgoing is unchanged. Throws closed.
  [[nodiscard]] bool send_until(message&& outgoing, time_point deadline);
  // Nothing: the deadline passed, or interrupt was called. Throws closed.
  [[nodiscard]] std::optional<message> receive_until(time_point deadline);
  // Everything there is, `most` messages at most, added to `into`. If there is nothing, waits for
  // one message, and adds just that. False: the deadline passed, or interrupt was called. Throws
  // closed.
  [[nodiscard]] bool receive_all_until(std::vector<message>& into, std::size_t most,
                                       time_point deadline);
  // Waits until there may be something to receive. False: the deadline passed. Throws closed.
  [[nodiscard]] bool wait_until_readable(time_point deadline);
  // Makes one receive_until that waits, or else the next one that would, return nothing.
  void interrupt() noexcept;

  // To be read by one thread, of the caller's choice. Requires: it goes before close.
  [[nodiscard]] monitor watch();

  // Ends all waits with closed, and the socket; messages not yet sent get their linger time.
  void close() noexcept;

 private:
  // One direction's waiting room.
  struct side {
    side();
    ~side();
    void signal() const noexcept;
    void drain() const noexcept;

    int wake_fd;
    spin_budget spinning{wait_strategy{}};
    std::vector<pollfd> waited;  // the leader's own, to be filled anew for each wait
    bool has_leader = false;
    std::size_t in_line = 0;
    std::condition_variable next;
  };

  // Runs at the end of each use, with the mutex held.
  struct pass_on {
    shared_socket& self;
    ~pass_on() { self.wake_others(); }
  };

  void check_open() const;
  void use(const endpoint& where) noexcept;
  void forget_fds() noexcept;
  void wake_others() noexcept;
  bool spin(std::unique_lock<std::mutex>& lock, side& direction, time_point deadline);
  void sleep(std::unique_lock<std::mutex>& lock, side& direction, time_point deadline);
  bool wait(std::unique_lock<std::mutex>& lock, side& direction, time_point deadline);

  context context_;
  std::mutex mutex_;
  std::optional<socket> socket_;
  std::vector<int> fds_;  // to sleep on; empty: to be asked for
  bool has_endpoint_ = false;
  bool has_pipe_ = true;  // an endpoint over pipe://, or none at all
  bool closed_ = false;
  bool interrupted_ = false;
  side input_;
  side output_;
  std::condition_variable all_left_;
};

}  // namespace parley::detail
