// SPDX-License-Identifier: MPL-2.0
#include <parley/borrowed_frame.hpp>
#include <parley/error.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

namespace parley {
namespace {

struct borrowed_body : frame::body {
  explicit borrowed_body(std::function<void()> when_released)
      : body{[](body* self) noexcept {
          const auto* const owner = static_cast<borrowed_body*>(self);
          if (owner->released) {
            owner->released();
          }
          delete owner;
        }},
        released{std::move(when_released)} {}
  std::function<void()> released;
};

struct mapping : frame::body {
  mapping(void* mapped_at, std::size_t mapped_size) noexcept
      : body{[](body* self) noexcept {
          const auto* const owner = static_cast<mapping*>(self);
          ::munmap(owner->bytes, owner->size);
          delete owner;
        }},
        bytes{mapped_at},
        size{mapped_size} {}
  void* const bytes;
  const std::size_t size;
};

class open_file {
 public:
  explicit open_file(const std::filesystem::path& source)
      // Not to wait for somebody to open the other end, should it be a FIFO.
      : fd_{::open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)} {}
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  ~open_file() {
    if (fd_ != -1) {
      ::close(fd_);
    }
  }
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  const int fd_;
};

[[noreturn]] void fail(const std::filesystem::path& source, const char* why) {
  throw error{errc::cannot_read, source.string() + " (" + why + ")"};
}

}  // namespace

frame borrow(std::span<const std::byte> bytes, std::function<void()> released) {
  if (bytes.size() <= frame::inline_capacity) {
    frame copy{bytes};
    if (released) {
      released();
    }
    return copy;
  }
  return frame::adopt(new borrowed_body{std::move(released)}, bytes.data(), bytes.size());
}

frame map_file(const std::filesystem::path& source) {
  const open_file file{source};
  struct stat about {};
  if (file.fd() == -1 || ::fstat(file.fd(), &about) != 0) {
    fail(source, std::strerror(errno));
  }
  if (!S_ISREG(about.st_mode)) {
    fail(source, "not a regular file");
  }
  if (about.st_size == 0) {
    return {};
  }
  const auto size = static_cast<std::size_t>(about.st_size);
  void* const bytes = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd(), 0);
  if (bytes == MAP_FAILED) {
    fail(source, std::strerror(errno));
  }
  if (size <= frame::inline_capacity) {
    frame copy{bytes, size};
    ::munmap(bytes, size);
    return copy;
  }
  ::madvise(bytes, size, MADV_SEQUENTIAL);  // a hint; nothing depends on it
  return frame::adopt(new mapping{bytes, size}, bytes, size);
}

frame slice(const frame& whole, std::size_t offset, std::size_t size) {
  assert(offset <= whole.size() && size <= whole.size() - offset);
  if (size <= frame::inline_capacity) {
    return frame{whole.data() + offset, size};
  }
  return frame::adopt(whole.add_share(), whole.data() + offset, size);
}

}  // namespace parley
