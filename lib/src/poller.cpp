// SPDX-License-Identifier: MPL-2.0
#include <parley/poller.hpp>

#include <parley/error.hpp>

#include "zmq_error.hpp"

#include <algorithm>
#include <utility>

#include <zmq.hpp>

namespace parley {
namespace {
using clock = std::chrono::steady_clock;
}

poller::key poller::add(socket& source, interest what, handler on_ready) {
  return add(source.native().handle(), -1, what, std::move(on_ready));
}

poller::key poller::add(int fd, interest what, handler on_ready) {
  return add(nullptr, fd, what, std::move(on_ready));
}

poller::key poller::add(void* source, int fd, interest what, handler on_ready) {
  const short events = what == interest::input ? ZMQ_POLLIN : ZMQ_POLLOUT;
  entries_.push_back({next_, source, fd, events, std::make_shared<handler>(std::move(on_ready))});
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

std::size_t poller::poll_once(std::chrono::milliseconds limit) {
  std::vector<zmq::pollitem_t> items;
  std::vector<std::pair<key, std::shared_ptr<handler>>> handlers;
  for (const entry& each : entries_) {
    items.push_back({each.source, each.fd, each.events, 0});
    handlers.emplace_back(each.id, each.on_ready);
  }
  try {
    if (zmq::poll(items, limit) == 0) {
      return 0;
    }
  } catch (const zmq::error_t& failure) {
    if (failure.num() == EINTR) {
      return 0;
    }
    detail::throw_zmq_error(failure.num(), "wait on poller");
  }
  std::size_t called = 0;
  for (std::size_t index = 0; index < items.size(); ++index) {
    const key id = handlers[index].first;
    const bool still_there = std::any_of(entries_.begin(), entries_.end(),
                                         [id](const entry& each) { return each.id == id; });
    if (items[index].revents != 0 && still_there) {
      (*handlers[index].second)();
      ++called;
    }
  }
  return called;
}

}  // namespace parley
