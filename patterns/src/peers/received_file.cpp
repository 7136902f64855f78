// SPDX-License-Identifier: MPL-2.0
#include "received_file.hpp"

#include <parley/error.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <system_error>
#include <thread>

namespace parley::detail {
namespace {

// The system is told to write so much at a time, so that little is left to do in the end.
constexpr std::uint64_t settle_interval = std::uint64_t{8} << 20;

[[noreturn]] void refuse(errc what, const std::filesystem::path& file, int why) {
  throw error{what, file.string() + " (" + std::generic_category().message(why) + ')'};
}

file_failure failure_of(int why) {
  return why == ENOSPC || why == EDQUOT || why == EFBIG ? file_failure::disk_full
                                                        : file_failure::cannot_write;
}

bool is_there(const std::filesystem::path& file) {
  struct stat found {};
  return ::lstat(file.c_str(), &found) == 0;
}

// A transfer that has just broken off lets go of it in a moment.
bool lock(int fd) {
  constexpr auto patience = std::chrono::seconds{1};
  const auto end = std::chrono::steady_clock::now() + patience;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK || std::chrono::steady_clock::now() >= end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  return true;
}

// Ours alone. Whoever had it before may have given it its name meanwhile: then it is not the part.
file_handle open_part(const std::filesystem::path& part) {
  for (;;) {
    file_handle file{
        ::open(part.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0666)};
    struct stat opened {};
    if (!file.is_open() || ::fstat(file.fd(), &opened) != 0) {
      refuse(errno == ENOSPC ? errc::disk_full : errc::cannot_write, part, errno);
    }
    if (!S_ISREG(opened.st_mode)) {
      refuse(errc::cannot_write, part, EINVAL);
    }
    if (!lock(file.fd())) {
      refuse(errc::file_in_use, part, errno);
    }
    struct stat named {};
    if (::lstat(part.c_str(), &named) == 0 && named.st_dev == opened.st_dev &&
        named.st_ino == opened.st_ino) {
      return file;
    }
  }
}

// Where the file system tells.
bool has_room(int fd, std::uint64_t bytes) {
  struct statvfs disk {};
  return ::fstatvfs(fd, &disk) != 0 || disk.f_blocks == 0 || bytes / disk.f_frsize <= disk.f_bavail;
}

void sync_directory(const std::filesystem::path& file) {
  const auto directory = file.has_parent_path() ? file.parent_path() : std::filesystem::path{"."};
  const file_handle opened{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (opened.is_open()) {
    ::fsync(opened.fd());
  }
}

}  // namespace

received_file::received_file(const std::filesystem::path& to, std::uint64_t size,
                             existing_file existing)
    : to_{to}, part_{to}, existing_{existing} {
  part_ += ".parley-part";
  if (existing == existing_file::keep && is_there(to)) {
    refuse(errc::cannot_write, to, EEXIST);
  }
  file_ = open_part(part_);
  struct stat opened {};
  ::fstat(file_.fd(), &opened);
  part_size_ = static_cast<std::uint64_t>(opened.st_size);
  if (part_size_ < size && !has_room(file_.fd(), size - part_size_)) {
    if (part_size_ == 0) {
      ::unlink(part_.c_str());
    }
    refuse(errc::disk_full, to, ENOSPC);
  }
}

received_file::~received_file() {
  struct stat left {};
  if (file_.is_open() && ::fstat(file_.fd(), &left) == 0 && left.st_size == 0 && !part_.empty()) {
    ::unlink(part_.c_str());
  }
}

bool received_file::work(const file_job& what, file_result& came) {
  switch (what.what) {
    case file_job::kind::check:
      if (!file_.hash_some(hash_, what.offset)) {
        came.why = file_failure::cannot_write;
        return true;
      }
      came.digest = hash_.digest();
      return hash_.size() == what.offset;
    case file_job::kind::begin:
      came.why = begin(what.offset);
      break;
    case file_job::kind::write:
      came.why = write(what.content);
      came.offset = hash_.size();
      break;
    default:
      came.why = finish(what.digest);
      break;
  }
  return true;
}

file_failure received_file::begin(std::uint64_t offset) {
  if (offset == 0) {
    hash_.begin_anew();
    if (::ftruncate(file_.fd(), 0) != 0) {
      return failure_of(errno);
    }
  }
  settled_ = offset;
  return file_failure::none;
}

file_failure received_file::write(const frame& content) {
  const std::byte* from = content.data();
  std::size_t left = content.size();
  while (left > 0) {
    const std::uint64_t at = hash_.size() + (content.size() - left);
    const auto count = ::pwrite(file_.fd(), from, left, static_cast<off_t>(at));
    if (count < 0 && errno != EINTR) {
      return failure_of(errno);
    }
    const auto written = static_cast<std::size_t>(count < 0 ? 0 : count);
    from += written;
    left -= written;
  }
  hash_.add(content.data(), content.size());
  if (hash_.size() - settled_ >= settle_interval) {
    ::sync_file_range(file_.fd(), static_cast<off_t>(settled_),
                      static_cast<off_t>(hash_.size() - settled_), SYNC_FILE_RANGE_WRITE);
    settled_ = hash_.size();
  }
  return file_failure::none;
}

file_failure received_file::finish(const file_digest& expected) {
  if (hash_.digest() != expected) {
    static_cast<void>(::ftruncate(file_.fd(), 0));  // nothing of it is of use
    return file_failure::checksum;
  }
  if (::fdatasync(file_.fd()) != 0) {
    return failure_of(errno);
  }
  const file_failure why = give_name();
  if (why == file_failure::none) {
    part_.clear();
    sync_directory(to_);
  }
  return why;
}

file_failure received_file::give_name() {
  if (existing_ == existing_file::replace) {
    return ::rename(part_.c_str(), to_.c_str()) == 0 ? file_failure::none : failure_of(errno);
  }
  if (::renameat2(AT_FDCWD, part_.c_str(), AT_FDCWD, to_.c_str(), RENAME_NOREPLACE) == 0) {
    return file_failure::none;
  }
  // Not every file system can; all that have links can do it so.
  const bool cannot = errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP;
  if (cannot && ::link(part_.c_str(), to_.c_str()) == 0) {
    ::unlink(part_.c_str());
    return file_failure::none;
  }
  return errno == EEXIST ? file_failure::exists : failure_of(errno);
}

}  // namespace parley::detail
