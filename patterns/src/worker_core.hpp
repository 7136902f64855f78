// SPDX-License-Identifier: MPL-2.0
//
// The rim of a worker: its links, and the thread that serves them.
//
// Threads of the program take tasks from the tray and leave answers there, without its lock where
// it serves them; they wake the thread only if it sleeps and something should leave. A task that
// the program has keeps the core alive, but not its sockets. With a journal, answers `done` wait
// for another thread to write them there, those that came meanwhile together.
#pragma once

#include <parley/context.hpp>
#include <parley/endpoint.hpp>
#include <parley/home_process.hpp>
#include <parley/monitor.hpp>
#include <parley/task.hpp>
#include <parley/worker.hpp>

#include "done_journal.hpp"
#include "flow_nap.hpp"
#include "link_set.hpp"
#include "task_tray.hpp"
#include "waker.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string_view>
#include <thread>
#include <vector>

namespace parley::detail {

class worker_core : public std::enable_shared_from_this<worker_core> {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  worker_core(context& owner, const worker_options& options);
  // Requires: finish was called.
  ~worker_core() = default;
  worker_core(const worker_core&) = delete;
  worker_core& operator=(const worker_core&) = delete;

  // Runs action(link_set&), which may throw.
  template<class Action>
  auto with_links(Action&& action) {
    const std::lock_guard lock{links_mutex_};
    check_links();
    const waking after{*this};
    return action(*links_);
  }
  void on_connection(std::function<void(const connection_event&)> told);
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] worker_statistics statistics() const;

  // Nothing: the deadline passed. Throw closed.
  [[nodiscard]] task receive() { return take_until(time_point::max()); }
  [[nodiscard]] std::optional<task> receive_until(time_point deadline);
  void run(const std::function<void(task&)>& handler);
  // What handler returns is the result, when the transaction is committed. Throws config_error
  // without a journal.
  void run_together(const std::function<frame(task&, done_transaction&)>& handler);

  // What tasks ask for; nothing happens in a forked process.
  // Null: there is no memory, or it is a forked process.
  [[nodiscard]] static held_task* claim(served_run& run, std::uint32_t place) noexcept;
  // Requires: it is owed.
  static void done(task& which, frame&& result) noexcept;
  static void end(task& which, task_entry::ending how, std::string_view why) noexcept;
  [[nodiscard]] static bool renew(held_task& which) noexcept;
  [[nodiscard]] static std::stop_token stop_token(held_task& which);
  static void let_go(held_task& which) noexcept;
  static void let_go(served_run& run, std::uint32_t place) noexcept;

  void close() noexcept;
  // Closes, and waits until all is over.
  void finish() noexcept;

 private:
  struct waking {
    worker_core& self;
    ~waking() { self.waker_.wake(); }
  };

  void check_links() const;
  [[nodiscard]] bool is_to_be_done(task& taken);
  void remember() noexcept;
  struct answer_to_write {
    held_task* of = nullptr;
    frame result{};
  };
  [[nodiscard]] bool leave_to_write(held_task& which, frame& result) noexcept;
  void write_done(const std::vector<answer_to_write>& done) noexcept;
  void report_unwritten(const std::exception& failure) noexcept;
  // Empty: the deadline passed. Throws closed.
  [[nodiscard]] task take_until(time_point deadline) {
    if (const served_task next = tray_.take_served(); next.run != nullptr) {
      return task{*next.run, next.place};
    }
    return wait_until(deadline);
  }
  [[nodiscard]] task wait_until(time_point deadline);
  void wait(std::unique_lock<std::mutex>& lock, time_point deadline);
  void report(task& failed, const std::exception& failure);
  template<class Action>
  void answer(Action&& action) noexcept;
  // One that is served: action(task_tray&, held_task&, time_point) ends it. It needs no memory.
  template<class Action>
  static void answer_served(served_run& run, std::uint32_t place, Action&& action) noexcept;
  static void done(held_task& which, frame&& result) noexcept;
  static void end(held_task& which, task_entry::ending how, std::string_view why) noexcept;
  // Whether the thread should wake up, which does not sleep then.
  [[nodiscard]] bool must_wake() noexcept;

  void work() noexcept;
  void serve();
  [[nodiscard]] bool receive(time_point now);
  void take_in(link_set::news&& came, time_point now);
  [[nodiscard]] bool send(time_point now);
  void settle();
  void sleep(time_point until);

  const worker_options options_;
  const std::uint64_t id_;
  const home_process home_;
  waker waker_;

  // In the order in which they are locked.
  std::mutex telling_;
  std::function<void(const connection_event&)> on_connection_;

  std::mutex links_mutex_;
  std::optional<link_set> links_;

  mutable std::mutex mutex_;
  std::condition_variable came_;
  task_tray tray_;
  std::size_t receivers_ = 0;  // that wait
  bool sleeps_ = false;
  time_point sleeps_until_{};
  bool is_plain_paused_ = false;
  bool is_closing_ = false;
  std::vector<answer_to_write> to_write_;
  std::condition_variable writes_;
  bool has_ended_ = false;

  std::optional<done_journal> journal_;

  // The thread's.
  std::vector<link_set::news> news_;
  std::vector<std::stop_source> stops_;
  std::vector<int> fds_;
  flow_nap nap_;
  std::mutex joining_;
  std::thread thread_;
  std::thread journal_thread_;
};

}  // namespace parley::detail
