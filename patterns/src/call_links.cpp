// SPDX-License-Identifier: MPL-2.0
#include "call_links.hpp"

#include <parley/error.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <utility>

namespace parley::detail {
namespace {

constexpr std::uint32_t wake_event = 0xffff'ffff;
constexpr std::uint32_t monitor_event = 0x8000'0000;  // and the link's number

// After there was no descriptor left for a new socket.
constexpr std::chrono::milliseconds renewal_pause{100};

int checked(int fd) {
  if (fd < 0) {
    throw error{errc::out_of_resources, "make a client"};
  }
  return fd;
}

}  // namespace

call_links::call_links()
    : epoll_fd_{checked(::epoll_create1(EPOLL_CLOEXEC))},
      wake_fd_{checked(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))} {
  epoll_event readable{};
  readable.events = EPOLLIN;
  readable.data.u32 = wake_event;
  checked(::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &readable));
}

call_links::~call_links() {
  ::close(wake_fd_);
  ::close(epoll_fd_);
}

void call_links::add(std::unique_ptr<call_link> made, std::size_t number) {
  links_.resize(std::max(links_.size(), number + 1));
  watched_.resize(links_.size());
  watch(*made, number);
  touch(number);
  if (made->where().kind() == transport::pipe) {
    pipes_ |= bit(number);
  }
  links_[number] = std::move(made);
}

void call_links::remove(std::size_t number) noexcept {
  touched_ &= ~bit(number);
  pipes_ &= ~bit(number);
  forget(number);
  links_[number].reset();
}

std::optional<std::size_t> call_links::find(const endpoint& where) const {
  const auto found = std::find_if(links_.begin(), links_.end(), [&](const auto& each) {
    return each != nullptr && each->where() == where;
  });
  return found == links_.end() ? std::nullopt
                               : std::optional{static_cast<std::size_t>(found - links_.begin())};
}

bool call_links::send(std::size_t number, message&& outgoing) {
  touch(number);
  call_link* const to = at(number);
  try {
    return to != nullptr && to->is_open() && to->native().try_send(std::move(outgoing));
  } catch (const error&) {
    return false;  // the context is shut down: the next look tells
  }
}

void call_links::close(std::size_t number) noexcept {
  forget(number);
  links_[number]->close();
}

bool call_links::renew(std::size_t number) {
  call_link& which = *links_[number];
  try {
    which.renew();
    watch(which, number);
  } catch (const std::bad_alloc&) {
    close(number);
    throw;
  } catch (const error& failure) {
    close(number);
    if (failure.code() != errc::out_of_resources) {
      throw;
    }
    renews_ = std::chrono::steady_clock::now() + renewal_pause;
    return false;
  }
  return true;
}

void call_links::touch_all() noexcept {
  for (std::size_t number = 0; number < links_.size(); ++number) {
    touched_ |= links_[number] != nullptr ? bit(number) : 0;
  }
}

void call_links::watch(call_link& of, std::size_t number) {
  const std::vector<int> sockets = socket_rest::fds(of.native());
  const std::vector<int> monitors = of.event_fds();
  std::vector<int>& added = watched_[number];
  added.reserve(sockets.size() + monitors.size());
  const auto add = [&](const std::vector<int>& fds, std::size_t as) {
    for (const int fd : fds) {
      epoll_event readable{};
      readable.events = EPOLLIN;
      readable.data.u32 = static_cast<std::uint32_t>(as);
      if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &readable) != 0 && errno != EEXIST) {
        forget(number);
        throw error{errc::out_of_resources, "wait for a server"};
      }
      added.push_back(fd);
    }
  };
  add(sockets, number);
  add(monitors, number | monitor_event);
}

// Asks the link for nothing: that may take memory, or its context may be shut down.
void call_links::forget(std::size_t number) noexcept {
  for (const int fd : watched_[number]) {
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  }
  watched_[number].clear();
}

std::size_t call_links::wait(int limit, some_news& what) const {
  std::array<epoll_event, std::tuple_size_v<some_news>> events;
  const int count = ::epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), limit);
  std::size_t found = 0;
  for (int index = 0; index < count; ++index) {
    const std::uint32_t which = events[static_cast<std::size_t>(index)].data.u32;
    if (which == wake_event) {
      std::uint64_t ignored = 0;
      static_cast<void>(!::read(wake_fd_, &ignored, sizeof ignored));
    } else {
      what[found++] = {which & ~monitor_event, (which & monitor_event) != 0};
    }
  }
  return found;
}

void call_links::wake() const noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(wake_fd_, &one, sizeof one));
}

}  // namespace parley::detail
