// SPDX-License-Identifier: MPL-2.0
//
// What a handler does in the file of worker_options::once, together with the note that its task is
// done: either both are there, or neither. See docs/pipeline.md.
//
// Committed and flushed to the disk when the handler returns, rolled back when it throws.
//
// Threads: the handler's. SQLite has one who writes at a time: a transaction begins with the first
// call of file(), and from there to their end handlers run one after the other, of all workers that
// share the file. What takes long goes before that call.
#pragma once

#include <parley/database.hpp>
#include <parley/task.hpp>

#include <mutex>
#include <optional>

namespace parley {

namespace detail {
class done_journal;
}  // namespace detail

class done_transaction {
 public:
  done_transaction(const done_transaction&) = delete;
  done_transaction& operator=(const done_transaction&) = delete;
  ~done_transaction();

  // With the transaction begun, which is not the handler's to end. Nothing of it is to be kept
  // beyond the handler. Tables are the program's, and lie beside the one named "done".
  // Throws error: disk_full, file_in_use when others wrote for half a minute, ... If the task was
  // done meanwhile, by another worker, it throws what the handler need not understand: the task
  // is answered as done, and what the handler does besides counts for nothing.
  [[nodiscard]] database& file();

 private:
  friend class detail::worker_core;
  done_transaction(detail::done_journal& notes, const task_id& which) noexcept
      : notes_{notes}, which_{which} {}
  [[nodiscard]] bool was_done_before() const noexcept { return was_done_before_; }
  void begin();
  void commit();

  detail::done_journal& notes_;
  const task_id which_;
  bool is_noted_ = false;
  bool was_done_before_ = false;
  database* file_ = nullptr;
  std::unique_lock<std::mutex> turn_;
  std::optional<detail::transaction> all_;
};

}  // namespace parley
