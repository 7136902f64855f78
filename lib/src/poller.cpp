// SPDX-License-Identifier: MPL-2.0
#include <parley/poller.hpp>

#include "socket_state.hpp"

#include <poll.h>

#include <algorithm>
#include <utility>

namespace parley {
namespace {
using clock = std::chrono::steady_clock;
}

poller::key poller::add(socket& source, interest what, handler on_ready) {
  source.state_->enter()->be_watched();
  entries_.push_back(
      {next_, source.state_.get(), -1, what, std::make_shared<handler>(std::move(on_ready))});
  return next_++;
}

poller::key poller::add(int fd, interest what, handler on_ready) {
  entries_.push_back({next_, nullptr, fd, what, std::make_shared<handler>(std::move(on_ready))});
  return next_++;
}

void poller::remove(key which) {
  std::erase_if(entries_, [which](const entry& each) { return each.id == which; });
}

std::size_t poller::wait() {
  for (;;) {
    if (const std::size_t called = poll_once(std::chrono::milliseconds{-1})) {
      return called;
    }
  }
}

std::size_t poller::wait_for(clock::duration limit) {
  const auto start = clock::now();
  for (;;) {
    const auto left = std::max(limit - (clock::now() - start), clock::duration::zero());
    const auto step = std::min(std::chrono::ceil<std::chrono::milliseconds>(left),
                               std::chrono::milliseconds{std::chrono::hours{24}});
    const std::size_t called = poll_once(step);
    if (called > 0 || step.count() == 0) {
      return called;
    }
  }
}

bool poller::is_there(key which) const noexcept {
  return std::any_of(entries_.begin(), entries_.end(),
                     [which](const entry& each) { return each.id == which; });
}

std::size_t poller::poll_once(std::chrono::milliseconds limit) {
  const std::vector<entry> waited = entries_;  // handlers may add and remove
  std::vector<bool> ready(waited.size(), false);
  const auto look_at_sockets = [&] {
    bool any = false;
    for (std::size_t index = 0; index < waited.size(); ++index) {
      if (const entry& each = waited[index]; each.source != nullptr) {
        ready[index] = each.what == interest::input ? each.source->enter()->can_receive()
                                                    : each.source->enter()->can_send();
        any = any || ready[index];
      }
    }
    return any;
  };

  std::vector<pollfd> fds;
  std::vector<std::size_t> owners;  // of fds: which entry
  const bool is_ready = look_at_sockets();
  for (std::size_t index = 0; index < waited.size(); ++index) {
    const entry& each = waited[index];
    if (each.source == nullptr) {
      const short events = each.what == interest::input ? POLLIN : POLLOUT;
      fds.push_back({each.fd, events, 0});
    } else if (!is_ready) {
      std::vector<int> of_socket;
      each.source->add_fds(each.what == interest::input, of_socket);
      for (const int fd : of_socket) {
        fds.push_back({fd, POLLIN, 0});
      }
    }
    owners.resize(fds.size(), index);
  }
  const int fired = ::poll(fds.data(), fds.size(), is_ready ? 0 : static_cast<int>(limit.count()));
  if (fired > 0) {
    for (std::size_t index = 0; index < fds.size(); ++index) {
      if (waited[owners[index]].source == nullptr && fds[index].revents != 0) {
        ready[owners[index]] = true;
      }
    }
    if (!is_ready) {
      look_at_sockets();
    }
  }

  std::size_t called = 0;
  for (std::size_t index = 0; index < waited.size(); ++index) {
    if (ready[index] && is_there(waited[index].id)) {
      (*waited[index].on_ready)();
      ++called;
    }
  }
  return called;
}

}  // namespace parley
