// SPDX-License-Identifier: MPL-2.0
//
// The receiving end of a pipeline; see pipeline.hpp.
//
// Threads: any, at once; each gets tasks of its own. A worker has a thread of its own for its
// connections; functions that it is given are called by that one, or by the one that runs the task,
// and must not block for long. Destructor: gives back what nobody has begun, ends waits, asks
// handlers to stop, and gives them up to worker_options::linger for it.
#pragma once

#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/done_transaction.hpp>
#include <parley/endpoint.hpp>
#include <parley/home_process.hpp>
#include <parley/socket_options.hpp>
#include <parley/task.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace parley {

struct connection_event;
class source;

struct worker_options {
  // For tasks that are meant for it alone: task_options::to.
  std::string name{};
  // Tasks that it has at most, from each source, and bytes of their bodies. It takes fewer ahead,
  // as many as it does in some 20 ms, so that what waits here is not missing elsewhere.
  std::size_t credit = 10'000;
  std::size_t credit_bytes = std::size_t{64} << 20;
  // A task that takes longer, and is not renewed, counts as failed; 0: however long.
  std::chrono::milliseconds lease{60'000};
  // SQLite's file where tasks that were done are remembered, so that one that comes again is not
  // done again; made if there is none. Workers of one machine may share it. See docs/pipeline.md
  // for what it promises, and done_transaction for handlers whose effects go into the same file.
  std::filesystem::path once{};
  std::size_t once_limit = 1'000'000;  // remembered tasks; the oldest are forgotten first
  // A task whose handler threw, with what it threw; an empty one: what was done could not be
  // written for once. Default: one line on stderr.
  std::function<void(const task&, const std::exception&)> on_failure{};

  std::chrono::milliseconds heartbeat_timeout{5000};  // a source that says nothing is given up
  std::chrono::milliseconds linger{1000};             // for answers not yet given when it goes
  // A larger task fails, wherever it is dealt. A source that sends such a frame all the same is cut
  // off, and not connected to again.
  std::size_t max_frame_bytes = any_frame_bytes;
  // Encryption and authentication over tcp and ipc; see docs/security.md.
  curve_security curve{};
};

// At every moment received = done + failed + rejected + given_back + repeated + waiting + working.
struct worker_statistics {
  std::uint64_t received = 0;
  std::uint64_t done = 0;
  std::uint64_t failed = 0;  // also those whose lease ended, or that were let go
  std::uint64_t rejected = 0;
  std::uint64_t given_back = 0;  // also those that expired, and of sources that went
  std::uint64_t repeated = 0;    // done before, as worker_options::once knows
  std::uint64_t late = 0;        // answers that came too late
  std::uint64_t nonsense = 0;    // from sources, not understood
  std::size_t waiting = 0;       // for a thread
  std::size_t working = 0;
  std::size_t sources = 0;  // connected
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
  // For plain PUSH sockets: their tasks cannot be given back, and answers go nowhere.
  endpoint bind_plain(const endpoint& where);
  void connect_plain(const endpoint& where);

  // Throws closed.
  [[nodiscard]] task receive();
  [[nodiscard]] std::optional<task> receive_for(duration limit);
  [[nodiscard]] std::optional<task> try_receive();

  // Calls handler for each task, on this thread, until close. The handler takes a task, a frame,
  // or any type that the body is decoded to. When it returns the task is done, and what it returns
  // is the result; what it throws is a failure, and goes to worker_options::on_failure besides. A
  // handler that takes a task& may answer it itself, or move it away to be answered later.
  //
  // A handler may take a done_transaction& besides, if there is a worker_options::once: the task is
  // done when that is committed. Such a handler cannot answer by itself.
  template<class Handler>
  void run(Handler handler) {
    run_as(static_cast<decltype(std::function{handler})*>(nullptr), handler);
  }

  // The same, and sends what handler returns to the sink that results lead to: a task is done when
  // the sink has its result.
  template<class Handler>
  void run_into(source& results, Handler handler) {
    using shape = decltype(std::function{handler});
    run_tasks([&](task& next) {
      pass_on(results, next, to_body(result_of(static_cast<shape*>(nullptr), handler, next)));
    });
  }

  [[nodiscard]] std::uint64_t id() const noexcept;
  [[nodiscard]] worker_statistics statistics() const;

  // Tells what happens to its connections over tcp and ipc, from now on. Called by the thread of
  // its own.
  void on_connection(std::function<void(const connection_event&)> told);

  // Ends all waits with parley::closed. Tasks that were begun may still be answered, while it
  // lingers; the destructor waits for that.
  void close() noexcept;

 private:
  template<class Result, class Argument, class Handler>
  void run_as(std::function<Result(Argument)>* shape, Handler& handler) {
    run_tasks([&](task& next) { invoke(shape, handler, next); });
  }
  template<class Result, class Argument, class Handler>
  void run_as(std::function<Result(Argument, done_transaction&)>*, Handler& handler) {
    static_assert(!std::is_same_v<Argument, task&>, "it must return to answer: take a const task&");
    run_together([&](task& next, done_transaction& together) {
      const auto rest = [&](const auto& argument) -> Result { return handler(argument, together); };
      const auto shape = static_cast<std::function<Result(Argument)>*>(nullptr);
      if constexpr (std::is_void_v<Result>) {
        result_of(shape, rest, next);
        return frame{};
      } else {
        return to_body(result_of(shape, rest, next));
      }
    });
  }
  template<class Result, class Argument, class Handler>
  static Result result_of(std::function<Result(Argument)>*, Handler& handler, task& next) {
    using argument = std::remove_cvref_t<Argument>;
    if constexpr (std::is_same_v<argument, task>) {
      return handler(next);
    } else if constexpr (std::is_same_v<argument, frame>) {
      return handler(next.body);
    } else {
      return handler(next.as<argument>());
    }
  }
  template<class Result, class Argument, class Handler>
  static void invoke(std::function<Result(Argument)>* shape, Handler& handler, task& next) {
    if constexpr (std::is_void_v<Result>) {
      result_of(shape, handler, next);
    } else {
      next.done(result_of(shape, handler, next));
    }
  }
  static void pass_on(source& results, task& from, frame result);

  void run_tasks(const std::function<void(task&)>& handler);
  void run_together(const std::function<frame(task&, done_transaction&)>& handler);

  struct state;
  detail::home_ptr<state> state_;
};

}  // namespace parley
