// SPDX-License-Identifier: MPL-2.0
#include "sent_file.hpp"

#include <parley/error.hpp>

#include <fcntl.h>

#include <cstdlib>
#include <new>
#include <system_error>

namespace parley::detail {
namespace {

// Bytes that belong to a frame.
struct piece : frame::body {
  piece() noexcept : body{&destroy} {}
  static void destroy(body* owner) noexcept {
    std::free(static_cast<piece*>(owner));  // NOLINT: made by malloc below, trivially destructible
  }
  [[nodiscard]] char* bytes() noexcept { return reinterpret_cast<char*>(this + 1); }
};

// O_NONBLOCK: a pipe without a writer would hold us up; of a file it means nothing.
int open_to_read(const std::filesystem::path& path) {
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

bool is_same(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino && one.st_size == other.st_size &&
         one.st_mtim.tv_sec == other.st_mtim.tv_sec && one.st_mtim.tv_nsec == other.st_mtim.tv_nsec;
}

}  // namespace

sent_file::sent_file(const std::filesystem::path& path) {
  const file_handle file{open_to_read(path)};
  if (!file.is_open() || ::fstat(file.fd(), &was_) != 0) {
    throw error{errc::cannot_read,
                path.string() + " (" + std::generic_category().message(errno) + ')'};
  }
  if (!S_ISREG(was_.st_mode)) {
    throw error{errc::cannot_read, path.string() + " is no file with an end"};
  }
  about_.name = path.filename().string();
  about_.size = static_cast<std::uint64_t>(was_.st_size);
  about_.path = path;
  about_.is_ours = true;
}

file_failure sent_file::open() {
  if (!file_.is_open()) {
    file_ = file_handle{open_to_read(about_.path)};
    if (!file_.is_open()) {
      return file_failure::cannot_read;
    }
    ::posix_fadvise(file_.fd(), 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  return is_as_it_was() ? file_failure::none : file_failure::changed;
}

bool sent_file::is_as_it_was() const {
  struct stat now {};
  return ::fstat(file_.fd(), &now) == 0 && is_same(now, was_);
}

bool sent_file::work(const file_job& what, file_result& came) {
  came.why = open();
  if (came.why != file_failure::none) {
    return true;
  }
  if (what.what == file_job::kind::read) {
    read(what, came);
    return true;
  }
  if (!file_.hash_some(hash_, what.offset)) {
    came.why = is_as_it_was() ? file_failure::cannot_read : file_failure::changed;
    return true;
  }
  came.digest = hash_.digest();
  return hash_.size() == what.offset;
}

void sent_file::read(const file_job& what, file_result& came) {
  if (what.offset != hash_.size()) {
    hash_.begin_anew();  // the receiver's part was of another file
  }
  void* const memory = std::malloc(sizeof(piece) + what.size);
  if (memory == nullptr) {
    throw std::bad_alloc{};
  }
  piece* const owner = new (memory) piece;
  const bool is_read = file_.read(owner->bytes(), what.size, what.offset);
  if (is_read) {
    hash_.add(owner->bytes(), what.size);
  }
  if (what.size > frame::inline_capacity) {
    came.content = frame::adopt(owner, owner->bytes(), what.size);
  } else {
    came.content = frame{owner->bytes(), what.size};
    std::free(memory);
  }
  // What was read is of the file as it was if it is still so.
  if (!is_as_it_was()) {
    came.why = file_failure::changed;
  } else if (!is_read) {
    came.why = file_failure::cannot_read;
  } else if (what.offset + what.size == about_.size) {
    came.digest = hash_.digest();
  }
}

}  // namespace parley::detail
