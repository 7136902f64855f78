// SPDX-License-Identifier: MPL-2.0
#include "waker.hpp"

#include <parley/error.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>

namespace parley::detail {

waker::waker() : fd_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)} {
  if (fd_ < 0) {
    throw error{errc::out_of_resources, "make a wake-up descriptor"};
  }
}

waker::~waker() { ::close(fd_); }

void waker::wake() const noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the descriptor is readable already.
  static_cast<void>(!::write(fd_, &one, sizeof one));
}

void waker::rest(const std::vector<int>& fds, time_point until) {
  std::vector<pollfd> waited;
  waited.reserve(1 + fds.size());
  waited.push_back({fd_, POLLIN, 0});
  for (const int fd : fds) {
    waited.push_back({fd, POLLIN, 0});
  }
  using clock = std::chrono::steady_clock;
  timespec limit{};
  if (until != time_point::max()) {
    const auto now = clock::now();
    // What is long past has no distance from now that a duration could hold.
    const auto left = until > now ? until - now : clock::duration::zero();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    limit = {static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
  }
  static_cast<void>(::ppoll(waited.data(), waited.size(),
                            until == time_point::max() ? nullptr : &limit, nullptr));
  if (waited.front().revents != 0) {
    std::uint64_t count = 0;
    static_cast<void>(!::read(fd_, &count, sizeof count));
  }
}

}  // namespace parley::detail
