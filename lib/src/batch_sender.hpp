// SPDX-License-Identifier: MPL-2.0
//
// Sends the messages of one libzmq socket, packed while its peers unpack them.
//
// A message goes at once, as it is, when nothing was sent for a moment, so that who sends seldom
// does not wait. Otherwise it joins the batch, which leaves when it is full, when its time is up,
// or when its sender is about to wait for something. A batch of one message leaves as that message.
// When the peers turn out not to unpack, what is in the batch leaves message by message.
//
// Threads: the socket's own, and the context's batch_keeper. Whoever uses the socket holds the
// lock; the keeper never waits for it, and uses the socket only to send.
#pragma once

#include <parley/message.hpp>

#include "batch_writer.hpp"
#include "peer_check.hpp"
#include "shared_options.hpp"
#include "socket_counters.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include <zmq.hpp>

namespace parley::detail {

class batch_keeper;

class batch_sender {
 public:
  using clock = std::chrono::steady_clock;

  // The socket announces the label, and has no endpoints yet. Throws zmq::error_t.
  batch_sender(zmq::context_t& context, zmq::socket_t& native, batch_keeper& keeper,
               const batch_label& label, const shared_options& options, counter& batches_sent);
  ~batch_sender();
  batch_sender(const batch_sender&) = delete;
  batch_sender& operator=(const batch_sender&) = delete;

  // While the socket is used.
  [[nodiscard]] std::unique_lock<std::mutex> hold() { return std::unique_lock{mutex_}; }

  // The socket's thread. The lock is not held. Zero is success, otherwise libzmq's errno; EAGAIN
  // says that there is no room.
  [[nodiscard]] int send(const message& outgoing);
  [[nodiscard]] int flush();

  // Becomes readable when the keeper has used the socket, which may have taken away the news that
  // the socket's own descriptor told. From the first call on.
  [[nodiscard]] int wake_fd();
  // Requires: the lock is held.
  void take_wake() noexcept;

  // Before the socket connects there.
  void will_connect(const endpoint& where);
  // For good: from now on the peers cannot be known.
  void give_up_batching();

  // The keeper's. Sends what has waited for long enough; returns when to come again.
  [[nodiscard]] std::chrono::nanoseconds tick() noexcept;
  [[nodiscard]] peer_check& peers() noexcept { return peers_; }  // hold the keeper

  // The counter is about to go.
  void stop_counting();
  // Messages in the batch. It loses them when it goes.
  [[nodiscard]] std::size_t unsent();
  // What is in the batch will never leave: the context was shut down.
  [[nodiscard]] bool is_broken();

 private:
  // With the lock.
  [[nodiscard]] int flush_held();
  [[nodiscard]] int pass(const message& outgoing);
  [[nodiscard]] bool has_just_sent() const noexcept;
  void ring() noexcept;

  void* const native_;
  batch_keeper& keeper_;
  counter* batches_sent_;
  const std::chrono::nanoseconds half_delay_;

  std::mutex mutex_;
  batch_writer batch_;
  clock::time_point last_sent_{};
  std::uint64_t opened_ = 0;       // batches
  std::uint64_t seen_opened_ = 0;  // by the keeper, when it came last
  int quiet_ticks_ = 0;
  bool is_kept_ = false;  // the keeper comes again by itself
  bool is_broken_ = false;
  int wake_fd_ = -1;
  bool is_rung_ = false;

  peer_check peers_;
};

}  // namespace parley::detail
