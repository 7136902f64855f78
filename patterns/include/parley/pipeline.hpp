// SPDX-License-Identifier: MPL-2.0
//
// Pipeline: a source deals tasks out to workers, each task to one of them.
//
// Threads: source and worker may be used from any thread at once.
// Full: tasks wait at the source, source_options::limit for each connected worker. Beyond that, and
// while there is no worker, push waits, push_for waits at most that long, and try_push refuses.
// Lost: a task that a worker has received, or that is on its way to it, dies with that worker.
// Wire: one frame a task, as plain ZeroMQ PUSH and PULL sockets use them (RFC 30).
#pragma once

#include <parley/codec.hpp>
#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/endpoint.hpp>
#include <parley/home_process.hpp>
#include <parley/socket_options.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace parley {

class monitor;

struct source_options {
  int limit = 1000;                        // tasks kept for each connected worker
  std::chrono::milliseconds linger{1000};  // for tasks not yet sent when the source goes
  // Encryption and authentication over tcp and ipc; see docs/security.md.
  curve_security curve{};
};

class source {
 public:
  using duration = std::chrono::steady_clock::duration;

  explicit source(context& owner, const source_options& options = {});
  source(context& owner, const endpoint& bound, const source_options& options = {});
  source(source&&) noexcept;
  source& operator=(source&&) noexcept;
  ~source();

  endpoint bind(const endpoint& where);  // returns what was really bound
  void connect(const endpoint& where);

  // Text and frames go out as they are, every other type as MessagePack. Throws closed.
  template<class T>
  void push(const T& task) {
    static_cast<void>(push_frame(to_body(task), duration::max()));
  }
  template<class T>
  [[nodiscard]] bool push_for(const T& task, duration limit) {
    return push_frame(to_body(task), limit);
  }
  template<class T>
  [[nodiscard]] bool try_push(const T& task) {
    return push_frame(to_body(task), duration::zero());
  }

  // What happens to its connections over tcp and ipc, from now on; one at a time. Let it go first.
  [[nodiscard]] monitor watch();

  void close() noexcept;

 private:
  bool push_frame(frame task, duration limit);

  struct state;
  detail::home_ptr<state> state_;
};

// What a worker receives.
struct task {
  frame body;

  // Throws protocol_error when the body is no MessagePack of this type.
  template<class T>
  [[nodiscard]] T as() const {
    return decode<T>(body);
  }
};

struct worker_options {
  int limit = 1000;  // tasks received ahead of the program, from each source
  // A task whose handler threw, with what it threw. Default: one line on stderr.
  std::function<void(const task&, const std::exception&)> on_failure{};
  // A source that sends a larger frame is cut off, and not connected to again.
  std::size_t max_frame_bytes = any_frame_bytes;
  // Encryption and authentication over tcp and ipc; see docs/security.md.
  curve_security curve{};
};

class worker {
 public:
  using duration = std::chrono::steady_clock::duration;

  explicit worker(context& owner, const worker_options& options = {});
  worker(context& owner, const endpoint& connected, const worker_options& options = {});
  worker(worker&&) noexcept;
  worker& operator=(worker&&) noexcept;
  ~worker();

  endpoint bind(const endpoint& where);
  void connect(const endpoint& where);

  // Throws closed.
  [[nodiscard]] task receive();
  [[nodiscard]] std::optional<task> receive_for(duration limit);
  [[nodiscard]] std::optional<task> try_receive();

  // Calls handler for each task, on this thread, until close. The handler takes a task, a frame,
  // or any type that the body is decoded to. What it throws goes to worker_options::on_failure.
  template<class Handler>
  void run(Handler handler) {
    run_tasks([&handler](const task& next) { invoke(std::function{handler}, handler, next); });
  }

  // What happens to its connections over tcp and ipc, from now on; one at a time. Let it go first.
  [[nodiscard]] monitor watch();

  void close() noexcept;

 private:
  template<class Result, class Argument, class Handler>
  static void invoke(const std::function<Result(Argument)>&, Handler& handler, const task& next) {
    using argument = std::remove_cvref_t<Argument>;
    if constexpr (std::is_same_v<argument, task>) {
      handler(next);
    } else if constexpr (std::is_same_v<argument, frame>) {
      handler(next.body);
    } else {
      handler(next.as<argument>());
    }
  }

  void run_tasks(const std::function<void(const task&)>& handler);

  struct state;
  detail::home_ptr<state> state_;
};

}  // namespace parley
