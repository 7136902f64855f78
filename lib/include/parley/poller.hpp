// SPDX-License-Identifier: MPL-2.0
//
// Waits on sockets, pipes and file descriptors together, and calls what was given for each.
//
// Belongs to one thread at a time, as do the sockets in it. Sockets must outlive the poller or be
// removed first. Handlers run inside wait, on its thread; they may add and remove, also themselves.
// What a handler throws leaves wait. A socket is reported as long as it is ready (level-triggered).
#pragma once

#include <parley/socket.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace parley {

enum class interest { input, output };

class poller {
 public:
  using handler = std::function<void()>;
  using key = std::size_t;  // never used twice by one poller

  key add(socket& source, interest what, handler on_ready);
  key add(int fd, interest what, handler on_ready);
  void remove(key which);

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

  // How many handlers were called; 0 when the time ran out first.
  std::size_t wait();
  std::size_t wait_for(std::chrono::steady_clock::duration limit);

 private:
  struct entry {
    key id;
    socket::state* source;  // null for a file descriptor
    int fd;
    interest what;
    std::shared_ptr<handler> on_ready;  // shared: it may remove itself while it runs
  };

  [[nodiscard]] bool is_there(key which) const noexcept;
  std::size_t poll_once(std::chrono::milliseconds limit);

  std::vector<entry> entries_;
  key next_ = 1;
};

}  // namespace parley
