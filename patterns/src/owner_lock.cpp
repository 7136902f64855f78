// SPDX-License-Identifier: MPL-2.0
#include "owner_lock.hpp"

#include <parley/error.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

namespace parley::detail {
namespace {

std::string owner_of(int fd) {
  std::array<char, 16> written{};
  const auto size = ::pread(fd, written.data(), written.size(), 0);
  const std::string_view text{written.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  const std::string_view pid = text.substr(0, text.find_first_not_of("0123456789"));
  return pid.empty() ? "another process" : "process " + std::string{pid};
}

[[noreturn]] void fail(const std::filesystem::path& lock) {
  const errc code = errno == ENOSPC || errno == EDQUOT ? errc::disk_full : errc::cannot_write;
  throw error{code, lock.string() + " (" + std::generic_category().message(errno) + ")"};
}

}  // namespace

owner_lock::owner_lock(const std::filesystem::path& file) {
  std::filesystem::path lock = file;
  lock += ".lock";
  fd_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
  if (fd_ == -1) {
    fail(lock);
  }
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    const std::string owner = owner_of(fd_);
    ::close(fd_);
    if (reason == EWOULDBLOCK) {
      throw error{errc::file_in_use, file.string() + " (" + owner + " has it)"};
    }
    errno = reason;
    fail(lock);
  }
  // For who comes second; on a full disk they have to do without.
  const std::string pid = std::to_string(::getpid()) + "\n";
  static_cast<void>(!::ftruncate(fd_, 0));
  static_cast<void>(!::pwrite(fd_, pid.data(), pid.size(), 0));
}

owner_lock::~owner_lock() { ::close(fd_); }

}  // namespace parley::detail
