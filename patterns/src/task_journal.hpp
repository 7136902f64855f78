// SPDX-License-Identifier: MPL-2.0
//
// The file of a source: its tasks that are not done, and its dead letters. An SQLite database, to
// be looked into with the sqlite3 shell, also while it is in use; who wants to change it there does
// so while no source has it. docs/pipeline.md shows its tables.
//
// Threads: one at a time. One owner at a time, of all processes.
//
// What is damaged is found: a task's body has a checksum, and the file as a whole knows which tasks
// are in it. So what SQLite puts together from a log that was cut off is either what was there
// after some write, or refused.
//
// A full disk: tasks are refused, but what is done is still taken out. That needs room first, for
// the log, and for the table that takes in what is in the log; a reserve keeps as much.
#pragma once

#include <parley/database.hpp>
#include <parley/source.hpp>
#include <parley/task.hpp>

#include "disk_reserve.hpp"
#include "owner_lock.hpp"
#include "task_desk.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace parley::detail {

// What became of a task that is in the journal.
struct journal_change {
  // The journal's part of what a desk tells.
  [[nodiscard]] static journal_change of(const task_news& news);

  task_news::kind what = task_news::kind::ended;
  std::uint64_t number = 0;
  std::uint32_t attempts = 0;
  std::string failure{};  // buried: the last one
};

class task_journal {
 public:
  using on_task = std::function<void(task_draft&&)>;
  using on_dead = std::function<void(dead_letter&&)>;

  // Throws error: file_in_use, cannot_read, cannot_write, damaged_file, disk_full.
  task_journal(const std::filesystem::path& file, durability survives);

  // Random, and the same for as long as the file lives.
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  // Greater than that of any task that was ever written.
  [[nodiscard]] std::uint64_t next_number() const noexcept { return next_; }

  // All that there is, in the order of numbers. Throws error: damaged_file, perhaps at the end:
  // then nothing of it may be used.
  void load(const on_task& task, const on_dead& dead);
  // The one of that number, if it is there. Throws error: damaged_file.
  void find(std::uint64_t number, const on_task& task, const on_dead& dead);

  // All of it or nothing, on disk when it returns: first the changes, then the tasks. A task whose
  // number is there already, a dead letter that is tried again, takes its place. Throws error:
  // disk_full, cannot_write, damaged_file; the next try may succeed. A task for which
  // it threw cannot_write may still be there after a restart: the disk knows, or not even that.
  void write(std::span<const task_draft> drafts, std::span<const journal_change> changes);

  struct salvaged {
    std::optional<std::uint64_t> id;     // of the source, if that could be read
    std::optional<std::size_t> written;  // tasks and dead letters that should be there
    std::size_t read = 0;                // those that are
  };
  // Reads what can be read of a damaged file, in no order, and changes nothing. What is passed on
  // is as it was written. Throws error: cannot_read; damaged_file when nothing can be read.
  static salvaged salvage(const std::filesystem::path& file, const on_task& task,
                          const on_dead& dead);

 private:
  // The row of the table meta.
  struct contents {
    std::uint64_t id = 0;
    std::uint64_t next = 1;
    std::int64_t tasks = 0;
    // Of the tasks' numbers; nothing: somebody else changed the table.
    std::optional<std::uint64_t> checksum;
  };
  [[nodiscard]] contents read_contents();
  void write_now(std::span<const task_draft> drafts, std::span<const journal_change> changes);
  void keep_reserve(std::span<const task_draft> drafts);
  [[nodiscard]] std::size_t growth_to_come();
  void checkpoint() noexcept;
  void write_in_parts(std::span<const journal_change> changes);
  void insert(const task_draft& draft, contents& now, std::int64_t pushed);
  void remove(std::uint64_t number, contents& now);
  void apply(const journal_change& change, contents& now);

  owner_lock lock_;
  disk_reserve reserve_;
  database file_;
  std::uint64_t id_ = 0;
  std::uint64_t next_ = 1;
  // What the table may have to grow by when it takes in the log, or more.
  std::size_t growth_ = 0;
  std::optional<statement> count_pages_, count_free_pages_;
  std::optional<statement> read_contents_, write_contents_, insert_, remove_, try_, bury_;
};

}  // namespace parley::detail
