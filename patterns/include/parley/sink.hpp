// SPDX-License-Identifier: MPL-2.0
//
// Where the results of a pipeline's tasks come together: the third of source, workers and sink.
//
// A worker sends what its handler returned to the sink, by a source of its own, and tells the
// task's source that it is done when the sink has the result: worker::run_into. So no result is
// lost on the way; one that comes twice, as its task was done twice, is handed out once.
//
// Threads: any, at once.
#pragma once

#include <parley/codec.hpp>
#include <parley/context.hpp>
#include <parley/endpoint.hpp>
#include <parley/home_process.hpp>
#include <parley/worker.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace parley {

struct task_result {
  task_id id;  // of the task
  frame body;

  // Throws protocol_error when the body is no MessagePack of this type.
  template<class T>
  [[nodiscard]] T as() const {
    return decode<T>(body);
  }
};

struct sink_options {
  worker_options link{};
  // Of so many tasks a second result is known for one.
  std::size_t remembered = 1'000'000;
};

struct sink_statistics {
  std::uint64_t received = 0;  // handed out
  std::uint64_t repeated = 0;
  std::uint64_t nonsense = 0;  // tasks that were no results
};

class sink {
 public:
  using duration = std::chrono::steady_clock::duration;

  explicit sink(context& owner, const sink_options& options = {});
  sink(context& owner, const endpoint& bound, const sink_options& options = {});
  sink(sink&&) noexcept;
  sink& operator=(sink&&) noexcept;
  ~sink();

  endpoint bind(const endpoint& where);
  void connect(const endpoint& where);

  // A result counts as collected when its thread asks for the next one, or lets the sink go: until
  // then it would come again. Throws closed.
  [[nodiscard]] task_result receive();
  [[nodiscard]] std::optional<task_result> receive_for(duration limit);

  [[nodiscard]] sink_statistics statistics() const;
  void close() noexcept;

 private:
  struct state;
  detail::home_ptr<state> state_;
};

}  // namespace parley
