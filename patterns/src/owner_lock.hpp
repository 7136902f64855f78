// SPDX-License-Identifier: MPL-2.0
//
// Makes sure that a file has one owner at a time: a second file beside it, `<file>.lock`, which
// holds the owner's process id. It is locked while the owner lives, however that ends, and stays
// when it is gone: removing it would let two in.
//
// A child of fork() that runs on without exec keeps the lock.
#pragma once

#include <filesystem>

namespace parley::detail {

class owner_lock {
 public:
  // Throws error: file_in_use, with the owner's process id; cannot_write; disk_full.
  explicit owner_lock(const std::filesystem::path& file);
  owner_lock(const owner_lock&) = delete;
  owner_lock& operator=(const owner_lock&) = delete;
  ~owner_lock();

 private:
  int fd_;
};

}  // namespace parley::detail
