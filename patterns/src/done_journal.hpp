// SPDX-License-Identifier: MPL-2.0
//
// The file where workers remember which tasks were done: worker_options::once. An SQLite database,
// shared by workers of any number of processes of one machine.
//
// Threads: any, at once. Those that add at the same time are written together, by one of them;
// those that write something else besides do so one by one.
// Bounded: it remembers the last `limit` tasks.
#pragma once

#include <parley/database.hpp>
#include <parley/task.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace parley::detail {

class done_journal {
 public:
  // Throws error: cannot_read, cannot_write, damaged_file, disk_full.
  // Requires: limit > 0.
  done_journal(const std::filesystem::path& file, std::size_t limit);

  [[nodiscard]] bool contains(const task_id& id);
  // Returns when they are on disk. Throws error when they are not: disk_full, cannot_write, ...
  void add(std::span<const task_id> ids);

  // What handlers do together with their notes: of this object's, one has its turn.
  [[nodiscard]] std::unique_lock<std::mutex> await_turn() {
    return std::unique_lock{taking_turns_};
  }
  // Requires: it is the caller's turn.
  [[nodiscard]] database& shared_file();
  // Requires: a transaction in the shared file. False: it is there already.
  [[nodiscard]] bool note(const task_id& id);

 private:
  struct batch;
  void write(const std::vector<task_id>& ids);

  // Who writes notes, with a connection of its own.
  struct pen {
    pen(const std::filesystem::path& file, std::chrono::milliseconds busy_timeout);

    database file;
    statement insert;
    statement forget;
  };

  const std::filesystem::path path_;
  const std::size_t limit_;

  std::mutex reading_;
  database readers_;
  statement find_;

  // Who adds leaves its tasks in the batch that gathers. One of those who wait for it, the leader,
  // writes it, when the one before has been written.
  std::mutex mutex_;
  std::condition_variable written_;
  std::shared_ptr<batch> gathering_;
  bool is_writing_ = false;

  pen leaders_;

  std::mutex taking_turns_;
  std::optional<pen> shared_;  // made for the first who needs it
};

}  // namespace parley::detail
