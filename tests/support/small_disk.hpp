// SPDX-License-Identifier: MPL-2.0
//
// A file system of so many bytes that nobody else sees. It is this process' own, and goes with it:
// make it in a child.
#pragma once

#include <sched.h>
#include <sys/mount.h>

#include <cstddef>
#include <filesystem>
#include <string>

namespace parley::support {

// False: only root may, and not everywhere.
inline bool mount_small_disk(const std::filesystem::path& directory, std::size_t bytes) {
  const std::string size = "size=" + std::to_string(bytes);
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", directory.c_str(), "tmpfs", 0, size.c_str()) == 0;
}

}  // namespace parley::support
