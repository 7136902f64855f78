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

done_journal::done_journal(const std::filesystem::path& file, std::size_t limit)
    : limit_{limit},
      readers_{make(file), database::access::write},
      find_{readers_.prepare("SELECT 1 FROM done WHERE source = ? AND number = ?")},
      gathering_{std::make_shared<batch>()},
      writers_{file, database::access::write},
      insert_{writers_.prepare("INSERT OR IGNORE INTO done (source, number) VALUES (?, ?)")},
      forget_{
          writers_.prepare("DELETE FROM done WHERE added <= (SELECT max(added) FROM done) - ?")} {
  assert(limit > 0);
  writers_.execute("PRAGMA synchronous = FULL");
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
  transaction all{writers_};
  for (const task_id& each : ids) {
    insert_.run(each.source, each.number);
  }
  forget_.run(limit_);
  all.commit();
}

}  // namespace parley::detail
