// SPDX-License-Identifier: MPL-2.0
//
// The thread that reads and writes files, for all transfers of a node in turn: a disk that is slow
// holds up files, and nothing else. It begins with the first file.
//
// Threads: any. Who reports are told by may lock what the caller of push has locked.
#pragma once

#include "file_job.hpp"
#include "received_file.hpp"
#include "sent_file.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <variant>

namespace parley::detail {

class file_porter {
 public:
  using file = std::variant<sent_file, received_file>;
  using report = std::function<void(file_result&&)>;

  // Called by its own thread.
  explicit file_porter(report told) : told_{std::move(told)} {}
  ~file_porter() { close(); }
  file_porter(const file_porter&) = delete;
  file_porter& operator=(const file_porter&) = delete;

  void add(std::uint64_t number, file&& opened);
  // Behind the others; close: in place of all that is still to be done with that file.
  void push(file_job&& job);
  // Ends the job at hand, and forgets the others. Requires: nothing is locked that reports lock.
  void close() noexcept;

 private:
  void work();
  [[nodiscard]] bool is_done(const file_job& job, file_result& came);

  const report told_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<file_job> jobs_;
  std::deque<std::pair<std::uint64_t, file>> added_;
  bool is_closed_ = false;
  std::thread thread_;

  std::map<std::uint64_t, file> files_;  // its own
};

}  // namespace parley::detail
