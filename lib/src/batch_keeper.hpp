// SPDX-License-Identifier: MPL-2.0
//
// A context's thread for sockets that batch: it sends batches whose time is up while their senders
// do something else, and finds out which peers unpack them.
//
// The thread starts with the first such socket. Threads: any may call anything. When it ends, it
// waits for the sockets left to it, each for its time at most.
#pragma once

#include "batch_sender.hpp"

#include <poll.h>

#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <zmq.hpp>

namespace parley::detail {

class batch_keeper {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  batch_keeper() = default;
  ~batch_keeper();
  batch_keeper(const batch_keeper&) = delete;
  batch_keeper& operator=(const batch_keeper&) = delete;

  // Throws error (out_of_resources).
  void add(batch_sender& kept);
  // After it, the thread does not touch the sender, nor its socket.
  void remove(batch_sender& kept) noexcept;
  // Sends what the sender still holds, for until at most, then closes its socket. Throws, and has
  // taken nothing.
  void take_over(std::unique_ptr<batch_sender>&& left, zmq::socket_t&& native, time_point until);

  // Held while the thread works, and when others use a sender's peers.
  [[nodiscard]] std::unique_lock<std::mutex> hold() { return std::unique_lock{mutex_}; }

  // There is work.
  void wake() noexcept;

 private:
  struct departing {
    std::unique_ptr<batch_sender> sender;
    zmq::socket_t native;
    time_point until;
  };

  void keep(batch_sender& kept);
  void run();
  [[nodiscard]] std::chrono::nanoseconds look(std::vector<pollfd>& fds);
  void let_go();

  std::mutex mutex_;
  std::vector<batch_sender*> kept_;
  std::list<departing> departing_;
  bool is_over_ = false;
  int wake_fd_ = -1;
  std::thread thread_;
};

}  // namespace parley::detail
