// SPDX-License-Identifier: MPL-2.0
#include "done_journal.hpp"

#include <parley/error.hpp>

#include "shared_failure.hpp"

#include <cassert>
#include <memory>
#include <utility>

namespace parley::detail {
namespace {

// `added` grows with each task, by one: sorted by it, the oldest are first.
constexpr database::kind done_file{0x50446f6e,  // "PDon"
                                   1, R"(
CREATE TABLE done (
  added  INTEGER PRIMARY KEY,
  source INTEGER NOT NULL,  -- 64 bits, signed here
  number INTEGER NOT NULL,
  UNIQUE (source, number)
);
)",
                                   "remove it, and its -wal, to begin anew"};

// Others may have the file: for as long as one flush takes, or one handler.
constexpr std::chrono::seconds notes_busy_timeout{5};
constexpr std::chrono::seconds shared_busy_timeout{30};

const std::filesystem::path& make(const std::filesystem::path& file) {
  database{file, database::access::write}.become(done_file);
  return file;
}

}  // namespace

struct done_journal::batch {
  std::vector<task_id> ids;
  bool is_written = false;
  shared_failure failure;
};

done_journal::pen::pen(const std::filesystem::path& path, std::chrono::milliseconds busy_timeout)
    : file{path, database::access::write, busy_timeout},
      insert{file.prepare("INSERT OR IGNORE INTO done (source, number) VALUES (?, ?)")},
      forget{file.prepare("DELETE FROM done WHERE added <= (SELECT max(added) FROM done) - ?")} {
  file.execute("PRAGMA synchronous = FULL");
}

done_journal::done_journal(const std::filesystem::path& file, std::size_t limit)
    : path_{file},
      limit_{limit},
      readers_{make(file), database::access::write},
      find_{readers_.prepare("SELECT 1 FROM done WHERE source = ? AND number = ?")},
      gathering_{std::make_shared<batch>()},
      leaders_{file, notes_busy_timeout} {
  assert(limit > 0);
}

bool done_journal::contains(const task_id& id) {
  const std::lock_guard lock{reading_};
  return find_.query(id.source, id.number).next();
}

void done_journal::add(std::span<const task_id> ids) {
  std::unique_lock lock{mutex_};
  const std::shared_ptr<batch> mine = gathering_;
  mine->ids.insert(mine->ids.end(), ids.begin(), ids.end());
  written_.wait(lock, [&] { return mine->is_written || !is_writing_; });
  if (!mine->is_written) {
    is_writing_ = true;
    gathering_ = std::make_shared<batch>();
    lock.unlock();
    try {
      write(mine->ids);
    } catch (...) {
      mine->failure.catch_current();
    }
    lock.lock();
    mine->is_written = true;
    is_writing_ = false;
    written_.notify_all();
  }
  if (mine->failure) {
    mine->failure.rethrow();
  }
}

void done_journal::write(const std::vector<task_id>& ids) {
  transaction all{leaders_.file};
  for (const task_id& each : ids) {
    leaders_.insert.run(each.source, each.number);
  }
  leaders_.forget.run(limit_);
  all.commit();
}

database& done_journal::shared_file() {
  if (!shared_) {
    shared_.emplace(path_, shared_busy_timeout);
  }
  return shared_->file;
}

bool done_journal::note(const task_id& id) {
  shared_->insert.run(id.source, id.number);
  if (shared_->file.changes() == 0) {
    return false;
  }
  shared_->forget.run(limit_);
  return true;
}

}  // namespace parley::detail
