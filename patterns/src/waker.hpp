// SPDX-License-Identifier: MPL-2.0
//
// What a thread of a pattern's own sleeps on, beside its sockets, so that others can wake it.
#pragma once

#include <chrono>
#include <vector>

namespace parley::detail {

class waker {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  waker();  // throws errc::out_of_resources
  ~waker();
  waker(const waker&) = delete;
  waker& operator=(const waker&) = delete;

  // Any thread. Ends the rest that is under way, or else the next one.
  void wake() const noexcept;
  // Until one of the descriptors is readable, somebody wakes us, or until.
  void rest(const std::vector<int>& fds, time_point until);

 private:
  const int fd_;
};

}  // namespace parley::detail
