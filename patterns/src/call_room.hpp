// SPDX-License-Identifier: MPL-2.0
//
// Where a client's threads wait for their replies: the sockets, the clock and the threads around a
// call_book.
//
// There is no thread between a caller and its socket. A mutex guards all; who calls sends itself.
// Of the threads that wait for replies one, the leader, sleeps on the sockets, outside the mutex,
// and receives for all; when its own reply is there it hands the lead on. Calls without a waiting
// thread are received for by a thread of the room's own, which also sends the heartbeats.
//
// A socket's descriptor tells of news only to who looks at the socket next. So who used a socket
// while a leader sleeps looks at it, and gives out what is there. Functions given to start run
// without the mutex.
//
// Who has no memory to take in what came, as a leader for all, leads on: looks at all links again
// after a moment. Calls end in time meanwhile: that takes none. Only who has none for a call of his
// own hears of it, and that call is let go.
#pragma once

#include <parley/client.hpp>
#include <parley/context.hpp>
#include <parley/pipe/wait_strategy.hpp>
#include <parley/socket.hpp>

#include "call_book.hpp"
#include "call_links.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

namespace parley::detail {

class call_room final : call_book::outbox {
 public:
  using time_point = call_book::time_point;

  call_room(context& owner, const client_options& options);
  ~call_room();

  endpoint bind(const endpoint& where);
  void connect(const endpoint& where);
  void disconnect(const endpoint& where);
  void on_connection(std::function<void(const connection_event&)> told);
  [[nodiscard]] bool wait_for_servers(std::size_t count, time_point deadline);
  [[nodiscard]] std::vector<server_status> servers();
  [[nodiscard]] client_statistics statistics() const;

  // Waits for the end of the call.
  [[nodiscard]] call_outcome call(call_book::order&& what, const std::stop_token& stop,
                                  time_point now);
  // Requires: what has a function.
  void start(call_book::order&& what, const std::stop_token& stop, time_point now);

  // Ends all calls and waits, closed.
  void close() noexcept;

 private:
  // A thread that waits, inside call and the like.
  class waiting : public call_book::seat {
   public:
    explicit waiting(call_room& at) : room_{at} {}
    void take_end(call_outcome&& how) override;
    void take_item(message&& item) override;

    std::optional<call_outcome> end;
    std::deque<message> items;
    std::condition_variable changed;

   private:
    void wake();
    call_room& room_;
  };

 public:
  // The results of one call, one by one, for one thread.
  class stream {
   public:
    explicit stream(call_room& at) : room_{at}, seat_{at} {}
    ~stream();
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;

    void start(call_book::order&& what, std::stop_token stop);
    // Nothing: that was the last. Throws what a call does.
    [[nodiscard]] std::optional<message> next(time_point deadline);

   private:
    [[nodiscard]] bool ask_for_more(std::unique_lock<std::mutex>& lock);

    // Results that may be under way. The reader asks for more when half of them have come.
    static constexpr std::uint32_t window = 64;

    call_room& room_;
    waiting seat_;
    std::stop_token stop_;
    std::uint64_t id_ = 0;
    std::uint32_t taken_ = 0;  // since credit was given last
    bool has_ended_ = false;
  };

 private:
  [[nodiscard]] bool send(std::size_t link, message&& outgoing) override;

  void check_open() const;
  template<class Action>
  auto unless_shut_down(Action action);
  [[nodiscard]] std::unique_ptr<call_link> make(bool connects);
  class number_taken;
  void add(std::unique_ptr<call_link> made, std::size_t number);
  void need_background();
  void hear(std::size_t number);
  void hear_all();
  [[nodiscard]] bool renew(std::size_t number);
  void look(std::size_t number);
  void look_at_touched();
  void look_at_all();
  template<class Action>
  bool try_to(Action action) noexcept;
  void look_again();
  void give_up() noexcept;
  [[nodiscard]] std::optional<message> receive(std::size_t number);

  [[nodiscard]] std::uint64_t start_unless_stopped(call_book::order&& what,
                                                   const std::stop_token& stop, time_point now);
  void cancel(std::uint64_t id) noexcept;
  void after_use(std::unique_lock<std::mutex>& lock);
  void flush_book() noexcept;
  void look_while_leader_sleeps() noexcept;
  // The same, for who looks at nothing after it: functions of calls that have ended are others' to
  // run.
  void leave_to_others() noexcept;
  void tell_events(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool has_to_run() const noexcept;
  void run_ended(std::unique_lock<std::mutex>& lock);
  void flush() noexcept;
  template<class Ready>
  bool wait(std::unique_lock<std::mutex>& lock, waiting& who, Ready ready, time_point deadline);
  template<class Ready>
  void lead(std::unique_lock<std::mutex>& lock, Ready ready, time_point deadline);
  template<class Ready>
  bool spin(std::unique_lock<std::mutex>& lock, Ready ready);
  [[nodiscard]] bool look_after_time() noexcept;
  void sleep(std::unique_lock<std::mutex>& lock, time_point until);
  void hand_on();
  void wake_leader() noexcept;
  // When somebody has to look even if nothing comes.
  [[nodiscard]] time_point next_tick() const noexcept {
    return std::min(book_.next_tick(), links_.renewal());
  }
  // How often the background thread looks at links that nobody uses.
  [[nodiscard]] std::chrono::milliseconds look_interval() const noexcept {
    constexpr std::chrono::milliseconds usual{500};
    return options_.heartbeat.count() > 0 ? std::min(options_.heartbeat, usual) : usual;
  }
  void run_background();

  context context_;
  const client_options options_;

  mutable std::mutex mutex_;
  // All below guarded by mutex_.
  call_book book_;
  std::vector<call_book::ended> spare_;  // empty, for its memory
  call_links links_;                     // by the book's numbers
  time_point heard_{};                   // when all monitors were last listened to
  bool missed_ = false;                  // something was left for want of memory
  std::function<void(const connection_event&)> on_connection_;
  std::vector<connection_event> events_;  // to be told
  bool tells_ = false;                    // on_connection_ is in use
  std::condition_variable told_;
  spin_budget spinning_{wait_strategy{}};
  bool has_leader_ = false;
  waiting* leader_ = nullptr;  // none: the background thread leads, or nobody
  bool leader_sleeps_ = false;
  time_point leader_until_{};  // it sleeps no longer than that
  std::deque<waiting*> followers_;
  std::condition_variable leader_left_;
  bool closing_ = false;
  std::condition_variable background_changed_;
  std::thread background_;
};

}  // namespace parley::detail
