// SPDX-License-Identifier: MPL-2.0
//
// A server's socket and threads around a call_desk.
//
// There is one thread more than handlers may run at once. Whoever has nothing to do receives, and
// executes what it received itself: no hop between threads for a call. While handlers run and
// nobody receives, nobody hears cancels and pings; so one of the others looks every now and then
// whether somebody has, else takes over receiving, and sends the replies that handlers hold up. Who
// receives also asks those to stop whose deadline has passed. To wake it for each handler would
// cost a call more than all else at the server.
//
// A worker that has no memory for a reply waits for some, as long as somebody waits for the reply.
#pragma once

#include <parley/context.hpp>
#include <parley/server.hpp>

#include "call_desk.hpp"
#include "departures.hpp"
#include "shared_socket.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace parley::detail {

class server_core : public std::enable_shared_from_this<server_core> {
 public:
  using call = call_desk::call;
  using time_point = call_desk::time_point;

  server_core(context& owner, const server_options& options);

  // Fills in the call's reply, which stays empty for a notification. False: somebody answers later.
  using executor = std::function<bool(const call&, message& reply)>;
  void start(executor execute);
  // Asks handlers to stop and waits for them.
  void close() noexcept;

  // Ends a call.
  void answer(open_call& which, const message& payload);
  // Waits for credit. False: nobody wants it.
  [[nodiscard]] bool send_item(const call& which, frame&& item);
  [[nodiscard]] std::stop_token stop_token(const call& which);
  [[nodiscard]] server_statistics statistics() const;
  [[nodiscard]] shared_socket& link() noexcept { return link_; }

 private:
  void work();
  void stop_all() noexcept;
  time_point run(std::unique_lock<std::mutex>& lock, const call& next);
  [[nodiscard]] bool try_answer(open_call& which, const message& payload, time_point now,
                                std::vector<message>& out) noexcept;
  void call_others() noexcept;
  void look_in_time();
  void receive(std::unique_lock<std::mutex>& lock, time_point deadline);
  void let_earlier_leave(std::unique_lock<std::mutex>& lock) noexcept;
  void send(std::unique_lock<std::mutex>& lock, std::vector<message>& out) noexcept;
  [[nodiscard]] bool send_held(std::unique_lock<std::mutex>& lock);

  shared_socket link_;
  departures departures_;  // of messages, between mutex_ and the link's lock
  const unsigned workers_;
  executor execute_;
  std::mutex joining_;
  std::vector<std::thread> threads_;

  mutable std::mutex mutex_;
  // All below guarded by mutex_.
  call_desk desk_;
  bool closing_ = false;
  bool receives_ = false;        // somebody does
  std::uint64_t listened_ = 0;   // how often somebody did
  bool deputy_dozes_ = false;    // sleeps until it is told that handlers run
  time_point deputy_looks_{};    // else it waits until then
  time_point receiver_looks_{};  // and who receives until then
  unsigned running_ = 0;
  unsigned idle_ = 0;  // wait for work, or for their turn to receive
  // Who receives uses it without the mutex. Empty, else, and kept for its memory.
  std::vector<message> incoming_;
  std::condition_variable changed_;
  bool earlier_left_ = false;  // those who receives waits for
  std::condition_variable left_;
};

}  // namespace parley::detail
