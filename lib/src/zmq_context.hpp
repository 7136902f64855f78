// SPDX-License-Identifier: MPL-2.0
//
// libzmq's context, and how long its end waits.
//
// libzmq's own end waits until each socket's linger time is over, and a socket that is closed
// cannot be told to linger less. So when a close_for with a long limit was cut short, the end goes
// on in the background. Any thread may call anything.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include <zmq.hpp>

namespace parley::detail {

class doorkeeper;

class zmq_context {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  // Throws zmq::error_t.
  zmq_context(int io_threads, int max_sockets) : native_{io_threads, max_sockets} {}
  // Waits for what is being sent, each socket for its linger time at most.
  ~zmq_context();
  zmq_context(const zmq_context&) = delete;
  zmq_context& operator=(const zmq_context&) = delete;

  [[nodiscard]] zmq::context_t& native() noexcept { return native_; }

  void shutdown() noexcept {
    is_shut_down_.store(true, std::memory_order_relaxed);  // libzmq's locks publish it
    native_.shutdown();
  }
  // True before anything is seen of a shutdown.
  [[nodiscard]] bool is_shut_down() const noexcept {
    return is_shut_down_.load(std::memory_order_relaxed);
  }

  // Who answers which clients may connect.
  struct door {
    std::mutex mutex;
    std::condition_variable changed;
    std::weak_ptr<doorkeeper> keeper;
    bool is_kept = false;  // until the last one's end is over
  };
  [[nodiscard]] door& front_door() noexcept { return door_; }

  // A socket is left behind whose linger time is longer than the end may wait for it: the end waits
  // until then at most, or until the latest if it is said more than once.
  void wait_no_longer_than(time_point when) noexcept;

 private:
  zmq::context_t native_;
  std::atomic<bool> is_shut_down_{false};
  std::atomic<time_point> limit_{time_point::min()};  // min: none
  door door_;
};

}  // namespace parley::detail
