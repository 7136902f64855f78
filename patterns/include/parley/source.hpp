// SPDX-License-Identifier: MPL-2.0
//
// The sending end of a pipeline; see pipeline.hpp.
//
// Threads: any, at once. A source has a thread of its own, with a journal two; functions that it is
// given are called by it, and must not block for long; what is left unfinished at the end is told
// by who closes. Destructor: waits up to source_options::linger until all is done.
#pragma once

#include <parley/codec.hpp>
#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/endpoint.hpp>
#include <parley/error.hpp>
#include <parley/home_process.hpp>
#include <parley/task.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace parley {

struct connection_event;

enum class full_policy : std::uint8_t {
  wait,         // push waits for room
  drop_oldest,  // the oldest task that waits makes room for the new one
};

// What a task in the journal has outlived once push has returned.
enum class durability : std::uint8_t {
  power_cut,  // written and flushed to the disk
  kill,       // written: the operating system has it
};

struct source_options {
  // Tasks that are accepted and not done, and bytes of their bodies.
  std::size_t limit = 10'000;
  std::size_t limit_bytes = std::size_t{256} << 20;
  full_policy when_full = full_policy::wait;

  // A task is tried so often. After the first failure it waits for retry_delay, then for twice
  // that, and so on, up to retry_delay_max.
  std::uint32_t attempts = 5;
  std::chrono::milliseconds retry_delay{100};
  std::chrono::milliseconds retry_delay_max{30'000};
  // Of those that failed too often; one more drops the oldest.
  std::size_t dead_letters = 10'000;

  // SQLite's file, made if there is none. Without it tasks die with the source.
  std::filesystem::path journal{};
  durability survives = durability::power_cut;

  // A worker that was not heard for heartbeat_timeout is given up.
  std::chrono::milliseconds heartbeat{500};
  std::chrono::milliseconds heartbeat_timeout{5000};
  std::chrono::milliseconds linger{1000};

  // Called when the number of accepted tasks that are not done rises to one of the marks, and when
  // it falls below it again.
  std::vector<std::size_t> marks{};
  std::function<void(std::size_t mark, bool is_above)> on_mark{};

  // Encryption and authentication over tcp and ipc; see docs/security.md.
  curve_security curve{};
};

// At every moment accepted = done + failed + expired + dropped + waiting + delayed + working.
struct source_statistics {
  std::uint64_t accepted = 0;  // also those that were in the journal
  std::uint64_t done = 0;
  std::uint64_t failed = 0;  // became dead letters; those tried again are accepted anew
  std::uint64_t expired = 0;
  std::uint64_t dropped = 0;
  std::uint64_t refused = 0;         // by try_push and push_for: never accepted
  std::uint64_t attempts = 0;        // tasks sent to workers
  std::uint64_t failures = 0;        // of attempts: the handler's, or the worker died
  std::uint64_t given_back = 0;      // attempts that nobody is known to have begun
  std::uint64_t late = 0;            // answers to attempts that were given up before
  std::uint64_t nonsense = 0;        // from peers, not understood
  std::uint64_t journal_errors = 0;  // what was done could not be written: it may be done again
  std::size_t waiting = 0;           // for a worker
  std::size_t delayed = 0;           // until their time
  std::size_t working = 0;           // at workers
  std::size_t dead_letters = 0;
};

// One that is connected.
struct worker_status {
  std::uint64_t id = 0;     // made up by the worker: worker::id()
  std::string name;         // worker_options::name
  std::size_t working = 0;  // tasks that it has
  std::size_t credit = 0;   // tasks that it would have at most
  std::uint64_t done = 0;
};

struct map_options {
  task_options each{};
  std::chrono::milliseconds timeout{60'000};  // of all together
  // After each that ended.
  std::function<void(std::size_t ended, std::size_t all)> progress{};
};

class source {
 public:
  using duration = std::chrono::steady_clock::duration;

  // Throws config_error; with a journal errc::cannot_read, damaged_file, file_in_use.
  explicit source(context& owner, const source_options& options = {});
  source(context& owner, const endpoint& bound, const source_options& options = {});
  source(source&&) noexcept;
  source& operator=(source&&) noexcept;
  ~source();

  endpoint bind(const endpoint& where);  // returns what was really bound
  void connect(const endpoint& where);
  // For plain PULL sockets: a task that was handed to ZeroMQ for one counts as done.
  endpoint bind_plain(const endpoint& where);
  void connect_plain(const endpoint& where);

  // Text and frames go out as they are, every other type as MessagePack. Returns when the task is
  // accepted: with a journal, when it is written. Waits for room while it is full; throws closed,
  // and errc::disk_full or errc::cannot_write when it could not be written.
  template<class T>
  task_id push(const T& task) {
    return *push_body(task, nullptr, duration::max());
  }
  template<class T>
  task_id push(const T& task, const task_options& how) {
    return *push_body(task, &how, duration::max());
  }
  // Nothing: there was no room within limit.
  template<class T>
  [[nodiscard]] std::optional<task_id> push_for(const T& task, duration limit,
                                                const task_options& how = {}) {
    return push_body(task, &how, limit);
  }
  template<class T>
  [[nodiscard]] std::optional<task_id> try_push(const T& task, const task_options& how = {}) {
    return push_body(task, &how, duration::zero());
  }
  // Calls when_ended, once, when the task is done or given up; not for one that a journal gives to
  // the next source.
  template<class T>
  task_id push_then(const T& task, std::function<void(task_outcome&&)> when_ended,
                    const task_options& how = {}) {
    return *push_frame(to_body(task), how, duration::max(), std::move(when_ended));
  }

  // Has all tasks done, and returns what the handlers returned, in the tasks' order. Throws
  // remote_error for one that failed too often or was dropped, and timed_out.
  template<class Result, class Tasks>
  [[nodiscard]] std::vector<Result> map(const Tasks& tasks, const map_options& how = {});

  // Waits until all tasks that were accepted are done or given up; false: not within limit.
  [[nodiscard]] bool wait_until_done(duration limit) const;

  // Tells this source, or its journal, from others.
  [[nodiscard]] std::uint64_t id() const noexcept;
  [[nodiscard]] source_statistics statistics() const;
  [[nodiscard]] std::vector<worker_status> workers() const;
  // Workers that are connected; of plain PULL sockets one, if there are any.
  [[nodiscard]] std::size_t worker_count() const noexcept;
  // Waits until so many are; false: not within limit.
  [[nodiscard]] bool wait_for_workers(std::size_t count, duration limit) const;

  // The oldest first.
  [[nodiscard]] std::vector<dead_letter> dead_letters(std::size_t at_most = SIZE_MAX) const;
  // False: there is none of that number. One that is tried again counts as a new task.
  bool retry(std::uint64_t number);
  bool drop(std::uint64_t number);

  // Tells what happens to its connections over tcp and ipc, from now on. Called by the thread of
  // its own.
  void on_connection(std::function<void(const connection_event&)> told);

  // Ends all waits with parley::closed. The destructor does it too.
  void close() noexcept;

 private:
  // A small body is packed from where it is; a large frame is shared. how: null, as usual.
  template<class T>
  std::optional<task_id> push_body(const T& task, const task_options* how, duration limit) {
    if constexpr (std::is_same_v<T, frame>) {
      return push_bytes(task.view(), &task, how, limit);
    } else if constexpr (std::is_convertible_v<const T&, frame> &&
                         std::is_convertible_v<const T&, std::string_view>) {
      return push_bytes(task, nullptr, how, limit);
    } else {
      return push_body(to_body(task), how, limit);
    }
  }
  std::optional<task_id> push_bytes(std::string_view body, const frame* whole,
                                    const task_options* how, duration limit);
  std::optional<task_id> push_frame(frame body, const task_options& how, duration limit,
                                    std::function<void(task_outcome&&)> when_ended);
  [[nodiscard]] std::vector<frame> map_frames(std::vector<frame> bodies, const map_options& how);

  struct state;
  detail::home_ptr<state> state_;
};

template<class Result, class Tasks>
std::vector<Result> source::map(const Tasks& tasks, const map_options& how) {
  std::vector<frame> bodies;
  for (const auto& each : tasks) {
    bodies.push_back(to_body(each));
  }
  std::vector<Result> results;
  for (const frame& each : map_frames(std::move(bodies), how)) {
    results.push_back(decode<Result>(each));
  }
  return results;
}

}  // namespace parley
