// SPDX-License-Identifier: MPL-2.0
//
// A file that is sent: read from its beginning, and noticed when it changes. One thread at a time.
#pragma once

#include <parley/peer_file.hpp>

#include "file_handle.hpp"
#include "file_job.hpp"

#include <sys/stat.h>

#include <filesystem>

namespace parley::detail {

class sent_file {
 public:
  // Throws error: cannot_read. It is opened for good when it is asked for.
  explicit sent_file(const std::filesystem::path& path);

  [[nodiscard]] const peer_file& about() const noexcept { return about_; }

  // Of check and read. False: there is more to do of this job; do it again.
  [[nodiscard]] bool work(const file_job& what, file_result& came);

 private:
  [[nodiscard]] file_failure open();
  [[nodiscard]] bool is_as_it_was() const;
  void read(const file_job& what, file_result& came);

  peer_file about_;
  struct stat was_ {};
  file_handle file_;
  file_hash hash_;
};

}  // namespace parley::detail
