// SPDX-License-Identifier: MPL-2.0
//
// The journal of a source that does not run: what is in it, and what is to become of its dead
// letters. While it is open, it is as if a source had the file.
//
// Threads: one at a time.
#pragma once

#include <parley/frame.hpp>
#include <parley/task.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace parley {

namespace detail {
class task_journal;
}

// A task as it is in a journal.
struct archived_task {
  task_id id;
  bool is_dead = false;  // a dead letter; otherwise it waits
  frame body;
  task_options options;
  std::uint32_t attempts = 0;
  std::string why;  // dead: the last failure
};

class task_archive {
 public:
  using on_task = std::function<void(archived_task&&)>;

  // Throws error: cannot_read, also when there is no such file; file_in_use, damaged_file.
  explicit task_archive(const std::filesystem::path& file);
  task_archive(task_archive&&) noexcept;
  task_archive& operator=(task_archive&&) noexcept;
  ~task_archive();

  // All that there is, in the order of push. Throws error: damaged_file, perhaps at the end.
  void read(const on_task& each);
  [[nodiscard]] std::optional<archived_task> find(std::uint64_t number);

  // A dead letter waits again, or is gone, when this returns. False: there is none of that number.
  // Throws error: disk_full, cannot_write.
  bool retry(std::uint64_t number);
  bool drop(std::uint64_t number);

  struct salvaged {
    std::optional<std::size_t> written;  // tasks that should be there, if that could be read
    std::size_t read = 0;                // those that are
  };
  // What can be read of a damaged file, in no order; changes nothing. Nobody may have it open.
  // Throws error: cannot_read; damaged_file when nothing can be read.
  static salvaged salvage(const std::filesystem::path& file, const on_task& each);

 private:
  std::unique_ptr<detail::task_journal> file_;
};

}  // namespace parley
