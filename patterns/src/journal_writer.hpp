// SPDX-License-Identifier: MPL-2.0
//
// Writes what many threads push to one task_journal, in a thread of its own. It takes all that has
// gathered while it was busy and writes it at once: a flush of the disk takes as long for one task
// as for a hundred. If several threads push again and again it gives them a moment to do so, an
// eighth of what a flush takes.
//
// What became of tasks goes with the next tasks, or alone after `patience`.
//
// Threads: any, at once. Bounded by who calls: each waits.
#pragma once

#include "task_desk.hpp"
#include "task_journal.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace parley::detail {

class journal_writer {
 public:
  using on_written = std::function<void(std::vector<task_draft>&&)>;

  static constexpr std::chrono::milliseconds patience{50};
  static constexpr std::chrono::milliseconds patience_after_failure{1000};

  // The journal is the writer's until it is closed. It calls written with tasks that are on disk,
  // in the order of their numbers, before write returns for any of them. Written must not throw.
  journal_writer(task_journal& journal, on_written written);
  journal_writer(const journal_writer&) = delete;
  journal_writer& operator=(const journal_writer&) = delete;
  ~journal_writer();

  // Gives them their numbers, one after the other, but for one that has a number already: a dead
  // letter that is tried again. Returns the first when all are on disk and written has them. Throws
  // closed; error: disk_full, cannot_write, damaged_file; then none of them is accepted.
  // Requires: not empty.
  std::uint64_t write(std::vector<task_draft>&& drafts);
  std::uint64_t write(task_draft&& draft);

  // Does not wait. What cannot be written is tried again until close.
  void note(std::vector<journal_change>&& changes);
  // Times that changes could not be written.
  [[nodiscard]] std::uint64_t failures() const noexcept {
    return failures_.load(std::memory_order_relaxed);  // a figure, for who looks in
  }

  // Writes what is left. Those who wait hear of it, as ever; later ones that it is closed.
  void close() noexcept;

 private:
  using clock = std::chrono::steady_clock;
  struct batch;

  template<class Leave>
  std::uint64_t write_with(const Leave& leave);
  std::uint64_t leave(task_draft&& draft);
  void work() noexcept;
  void await_work(std::unique_lock<std::mutex>& lock);
  void await_crowd(std::unique_lock<std::mutex>& lock);
  void commit(batch& now) noexcept;
  bool try_changes() noexcept;

  task_journal& journal_;
  const on_written written_;

  std::mutex mutex_;
  std::condition_variable enough_;
  std::shared_ptr<batch> gathering_;
  std::vector<journal_change> changes_;
  clock::time_point changes_due_{};
  std::size_t wanted_ = 1;  // so many drafts wake the thread
  std::uint64_t next_;
  bool is_closing_ = false;

  // The thread's.
  std::vector<journal_change> taken_;  // changes that are to be written, or could not be
  std::size_t crowd_ = 0;              // tasks that were written last, or came meanwhile
  clock::duration last_time_{};        // that writing them took
  std::atomic<std::uint64_t> failures_{0};

  std::mutex joining_;
  std::thread thread_;
};

}  // namespace parley::detail
