// SPDX-License-Identifier: MPL-2.0
//
// A file that is received: its part, locked against others, and how it gets its name. One thread at
// a time.
#pragma once

#include <parley/peer_file.hpp>

#include "file_handle.hpp"
#include "file_job.hpp"

#include <cstdint>
#include <filesystem>

namespace parley::detail {

class received_file {
 public:
  // Goes there, with so many bytes. Throws error: cannot_write, file_in_use, disk_full.
  received_file(const std::filesystem::path& to, std::uint64_t size, existing_file existing);
  received_file(received_file&&) noexcept = default;
  received_file& operator=(received_file&&) = delete;
  // Its part stays, unless there is nothing in it.
  ~received_file();

  // Of its part, when it was opened.
  [[nodiscard]] std::uint64_t part_size() const noexcept { return part_size_; }

  // Of check, begin, write and finish. False: there is more to do of this job; do it again.
  [[nodiscard]] bool work(const file_job& what, file_result& came);

 private:
  [[nodiscard]] file_failure begin(std::uint64_t offset);
  [[nodiscard]] file_failure write(const frame& content);
  [[nodiscard]] file_failure finish(const file_digest& expected);
  [[nodiscard]] file_failure give_name();

  std::filesystem::path to_;
  std::filesystem::path part_;
  existing_file existing_;
  std::uint64_t part_size_ = 0;
  std::uint64_t settled_ = 0;  // is on its way to the disk
  file_handle file_;
  file_hash hash_;
};

}  // namespace parley::detail
