// SPDX-License-Identifier: MPL-2.0
#include "disk_reserve.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <system_error>
#include <utility>

namespace parley::detail {

disk_reserve::disk_reserve(std::filesystem::path file) : file_{std::move(file)} { release(); }

bool disk_reserve::hold(std::size_t bytes) noexcept {
  if (bytes <= size_) {
    return true;
  }
  const int fd = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return false;
  }
  const bool has_room = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes)) == 0;
  if (has_room) {
    size_ = bytes;
  } else {
    // Some file systems keep what they found before they ran out.
    static_cast<void>(!::ftruncate(fd, static_cast<off_t>(size_)));
  }
  ::close(fd);
  return has_room;
}

void disk_reserve::release() noexcept {
  std::error_code failure;
  std::filesystem::remove(file_, failure);
  size_ = 0;
}

}  // namespace parley::detail
