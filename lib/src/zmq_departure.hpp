// SPDX-License-Identifier: MPL-2.0
//
// Closes a libzmq socket, and knows when libzmq has let go of all that it held.
//
// libzmq closes a socket in the background and does not tell when it is done. But the last thing
// that goes with a socket is its monitor: what is watched here is a monitor that reports nothing,
// at whose other end libzmq therefore can never be held up.
// One thread at a time. Throws nothing.
#pragma once

#include "zmq_context.hpp"

#include <chrono>

#include <zmq.hpp>

namespace parley::detail {

class zmq_departure {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  // Closes leaving; what it holds at the deadline (24 days from now at most) is thrown away.
  zmq_departure(zmq_context& owner, zmq::socket_t& leaving, time_point deadline) noexcept;

  // Until the deadline at most. False: it held something then, or cannot be asked. If the context
  // is shut down meanwhile, its end waits for the linger time that the socket had, no longer.
  [[nodiscard]] bool wait() noexcept;

 private:
  zmq_context& owner_;
  const time_point deadline_;
  std::chrono::milliseconds linger_{0};  // before it was set to the deadline
  zmq::socket_t watch_;  // none: there was no socket to be had for it, or it was shut down
};

}  // namespace parley::detail
