// SPDX-License-Identifier: MPL-2.0
#include "journal_writer.hpp"

#include <parley/error.hpp>

#include "gate.hpp"
#include "shared_failure.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

namespace parley::detail {

struct journal_writer::batch {
  std::vector<task_draft> drafts;
  shared_failure failure;
  gate is_over;
};

journal_writer::journal_writer(task_journal& journal, on_written written)
    : journal_{journal},
      written_{std::move(written)},
      gathering_{std::make_shared<batch>()},
      next_{journal.next_number()},
      thread_{[this] { work(); }} {}

journal_writer::~journal_writer() { close(); }

std::uint64_t journal_writer::write(std::vector<task_draft>&& drafts) {
  assert(!drafts.empty());
  return write_with([&] {
    const std::uint64_t first = leave(std::move(drafts.front()));
    std::for_each(std::next(drafts.begin()), drafts.end(),
                  [&](task_draft& each) { leave(std::move(each)); });
    return first;
  });
}

std::uint64_t journal_writer::write(task_draft&& draft) {
  return write_with([&] { return leave(std::move(draft)); });
}

template<class Leave>
std::uint64_t journal_writer::write_with(const Leave& leave) {
  std::shared_ptr<batch> mine;
  std::uint64_t number = 0;
  bool is_enough = false;
  {
    const std::lock_guard lock{mutex_};
    if (is_closing_) {
      throw closed{"write to a journal"};
    }
    mine = gathering_;
    const std::size_t before = mine->drafts.size();
    number = leave();
    is_enough = before < wanted_ && mine->drafts.size() >= wanted_;
  }
  if (is_enough) {
    enough_.notify_one();
  }
  mine->is_over.wait();
  if (mine->failure) {
    mine->failure.rethrow();
  }
  return number;
}

// Under the mutex, so that the journal gets tasks in the order of their numbers.
std::uint64_t journal_writer::leave(task_draft&& draft) {
  if (draft.number == 0) {
    draft.number = next_++;
  }
  gathering_->drafts.push_back(std::move(draft));
  return gathering_->drafts.back().number;
}

void journal_writer::note(std::vector<journal_change>&& changes) {
  bool is_first = false;
  {
    const std::lock_guard lock{mutex_};
    is_first = changes_.empty() && !changes.empty();
    if (is_first) {
      changes_due_ = std::max(changes_due_, clock::now() + patience);
    }
    std::move(changes.begin(), changes.end(), std::back_inserter(changes_));
  }
  if (is_first) {
    enough_.notify_one();
  }
}

void journal_writer::close() noexcept {
  {
    const std::lock_guard lock{mutex_};
    is_closing_ = true;
  }
  enough_.notify_one();
  const std::lock_guard lock{joining_};
  if (thread_.joinable()) {
    thread_.join();
  }
}

void journal_writer::work() noexcept {
  std::unique_lock lock{mutex_};
  for (;;) {
    await_work(lock);
    await_crowd(lock);
    const bool is_last = is_closing_;
    const std::shared_ptr<batch> now = std::exchange(gathering_, std::make_shared<batch>());
    std::move(changes_.begin(), changes_.end(), std::back_inserter(taken_));
    changes_.clear();
    lock.unlock();
    const auto begin = clock::now();
    const std::size_t count = now->drafts.size();
    commit(*now);
    lock.lock();
    last_time_ = clock::now() - begin;
    crowd_ = count + gathering_->drafts.size();
    if (is_last) {
      return;
    }
    if (!taken_.empty()) {
      changes_due_ = clock::now() + patience_after_failure;
    }
  }
}

// Until there is something to write.
void journal_writer::await_work(std::unique_lock<std::mutex>& lock) {
  wanted_ = 1;
  while (!is_closing_ && gathering_->drafts.empty()) {
    if (changes_.empty() && taken_.empty()) {
      enough_.wait(lock);
    } else if (enough_.wait_until(lock, changes_due_) == std::cv_status::timeout) {
      return;
    }
  }
}

// Those whose tasks were just written are likely to push again at once.
void journal_writer::await_crowd(std::unique_lock<std::mutex>& lock) {
  if (gathering_->drafts.empty()) {
    return;
  }
  wanted_ = crowd_;
  enough_.wait_for(lock, last_time_ / 8,
                   [&] { return is_closing_ || gathering_->drafts.size() >= wanted_; });
}

void journal_writer::commit(batch& now) noexcept {
  try {
    journal_.write(now.drafts, taken_);
    taken_.clear();
  } catch (...) {
    now.failure.catch_current();
    if (now.drafts.empty() || !try_changes()) {
      failures_.fetch_add(taken_.empty() ? 0 : 1, std::memory_order_relaxed);
    }
  }
  if (!now.failure && !now.drafts.empty()) {
    written_(std::move(now.drafts));
  }
  now.is_over.open();
}

// They may have room where the tasks had none, and make more.
bool journal_writer::try_changes() noexcept {
  try {
    journal_.write({}, taken_);
    taken_.clear();
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace parley::detail
