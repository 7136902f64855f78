// SPDX-License-Identifier: MPL-2.0
#include "file_porter.hpp"

#include <cstdlib>
#include <new>
#include <utility>

namespace parley::detail {
namespace {

// Pieces come and go by the thousand, and glibc gives memory back to the system as soon as some of
// it is free at the end of a heap, which costs half the speed; not once a larger block was given
// back, for then it expects more of them.
void keep_memory_for_pieces() {
  constexpr std::size_t block = std::size_t{16} << 20;
  void* volatile taken = std::malloc(block);
  std::free(taken);
}

}  // namespace

void file_porter::add(std::uint64_t number, file&& opened) {
  const std::lock_guard lock{mutex_};
  if (is_closed_) {
    return;
  }
  added_.emplace_back(number, std::move(opened));
  if (!thread_.joinable()) {
    thread_ = std::thread{[this] { work(); }};
  }
}

void file_porter::push(file_job&& job) {
  {
    const std::lock_guard lock{mutex_};
    if (is_closed_) {
      return;
    }
    if (job.what == file_job::kind::close) {
      std::erase_if(jobs_, [&](const file_job& each) { return each.number == job.number; });
    }
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
}

void file_porter::close() noexcept {
  std::thread ending;
  {
    const std::lock_guard lock{mutex_};
    is_closed_ = true;
    jobs_.clear();
    ending.swap(thread_);
  }
  changed_.notify_one();
  if (ending.joinable()) {
    ending.join();
  }
  files_.clear();
  added_.clear();
}

void file_porter::work() {
  keep_memory_for_pieces();
  for (;;) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return is_closed_ || !jobs_.empty(); });
    if (is_closed_) {
      return;
    }
    for (auto& [number, opened] : std::exchange(added_, {})) {
      files_.emplace(number, std::move(opened));
    }
    file_job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    if (job.what == file_job::kind::close) {
      files_.erase(job.number);
      continue;
    }
    file_result came{job.what, job.number, job.offset};
    if (is_done(job, came)) {
      told_(std::move(came));
    } else {
      push(std::move(job));  // behind what others want
    }
  }
}

bool file_porter::is_done(const file_job& job, file_result& came) {
  const auto found = files_.find(job.number);
  if (found == files_.end()) {
    return true;  // it ended meanwhile
  }
  try {
    return std::visit([&](auto& opened) { return opened.work(job, came); }, found->second);
  } catch (const std::bad_alloc&) {
    came.why = file_failure::busy;
    return true;
  }
}

}  // namespace parley::detail
