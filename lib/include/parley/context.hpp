// SPDX-License-Identifier: MPL-2.0
//
// What the sockets of a program share: libzmq's I/O threads, the names of inproc and pipe
// endpoints.
//
// A handle: copies mean the same context, sockets and patterns hold one of their own, so a context
// may go out of scope before them. Any thread may use it. libzmq's context ends with the last
// handle; it then waits for messages still being sent, each socket for its own linger time at most.
// Fork: in a child, nothing can be made of a context of its parent (errc::forked), and its end does
// nothing. The child may make one of its own.
#pragma once

#include <parley/home_process.hpp>

#include <memory>

namespace zmq {
class context_t;
}

namespace parley {

namespace detail {
class batch_keeper;
class name_board;
class pipe_registry;
class zmq_context;
}  // namespace detail

struct context_options {
  int io_threads = 1;  // about one for each gigabit a second; no effect after construction
  // Refuses further sockets of libzmq's beyond; each costs 10 ns and 12 bytes when the first socket
  // is made. No effect after construction.
  int max_sockets = 4096;
};

class context {
 public:
  explicit context(const context_options& options = {});

  // Ends every wait on sockets and patterns of this context, now and later, with parley::closed.
  void shutdown() noexcept;

  // Where it may be used.
  [[nodiscard]] const detail::home_process& home() const noexcept { return home_; }

  // libzmq's own context, for code that uses cppzmq beside Parley.
  [[nodiscard]] zmq::context_t& native() const noexcept;
  // And its end; for Parley's own sockets.
  [[nodiscard]] detail::zmq_context& libzmq() const noexcept;
  // The names of pipe:// endpoints; for Parley's own sockets.
  [[nodiscard]] const std::shared_ptr<detail::pipe_registry>& pipes() const noexcept;
  // Sends their batches in time; for Parley's own sockets.
  [[nodiscard]] detail::batch_keeper& batches() const noexcept;
  // Who offers what under which name; for Parley's own patterns.
  [[nodiscard]] const std::shared_ptr<detail::name_board>& names() const noexcept;

 private:
  struct parts;

  detail::home_process home_;
  std::shared_ptr<parts> parts_;
};

}  // namespace parley
