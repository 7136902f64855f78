// SPDX-License-Identifier: MPL-2.0
#include "tcp_probes.hpp"

#include <parley/error.hpp>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <utility>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;

// One that has not answered by then may be there, but is no good.
constexpr auto probe_time = 1500ms;
// Descriptors at a time; others wait.
constexpr std::size_t most_open = 128;

std::string own_host(int fd) {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  std::array<char, NI_MAXHOST> text{};
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0 ||
      ::getnameinfo(reinterpret_cast<sockaddr*>(&own), size, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) != 0) {
    return {};
  }
  // The scope is our name for the link; others have their own.
  const std::string host = text.data();
  return host.substr(0, host.find('%'));
}

}  // namespace

tcp_probes::tcp_probes() : epoll_fd_{::epoll_create1(EPOLL_CLOEXEC)} {
  if (epoll_fd_ < 0) {
    throw error{errc::out_of_resources, "make a descriptor to wait by"};
  }
}

tcp_probes::~tcp_probes() {
  for (const auto& [fd, each] : open_) {
    ::close(fd);
  }
  ::close(epoll_fd_);
}

void tcp_probes::begin(peer_link link, const peer_place& where, time_point now) {
  probe begun{link, where, now + probe_time};
  if (open_.size() < most_open) {
    open(std::move(begun));
  } else {
    waiting_.push_back(std::move(begun));
  }
}

void tcp_probes::open(probe&& begun) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int fd = -1;
  bool is_refused = false;
  if (::getaddrinfo(begun.where.host.c_str(), std::to_string(begun.where.port).c_str(), &hints,
                    &found) == 0) {
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> address{found, &::freeaddrinfo};
    fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && ::connect(fd, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS) {
      is_refused = errno == ECONNREFUSED;
      ::close(std::exchange(fd, -1));
    }
  }
  if (fd < 0) {
    results_.push_back({begun.link,
                        std::move(begun.where),
                        is_refused ? probe_answer::refused : probe_answer::silent,
                        {}});
    return;
  }
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.fd = fd;
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
  open_.emplace(fd, std::move(begun));
}

std::vector<tcp_probes::result> tcp_probes::take_results(time_point now) {
  std::array<epoll_event, 64> ready{};
  const int count = ::epoll_wait(epoll_fd_, ready.data(), static_cast<int>(ready.size()), 0);
  const auto end = [this](auto found, probe_answer how, std::string own) {
    const auto next = std::next(found);
    ::close(found->first);
    results_.push_back({found->second.link, std::move(found->second.where), how, std::move(own)});
    open_.erase(found);
    return next;
  };
  for (int index = 0; index < count; ++index) {
    const auto found = open_.find(ready[static_cast<std::size_t>(index)].data.fd);
    if (found == open_.end()) {
      continue;
    }
    int code = 0;
    socklen_t size = sizeof code;
    ::getsockopt(found->first, SOL_SOCKET, SO_ERROR, &code, &size);
    std::string own = code == 0 ? own_host(found->first) : std::string{};
    end(found,
        code == 0              ? probe_answer::answered
        : code == ECONNREFUSED ? probe_answer::refused
                               : probe_answer::silent,
        std::move(own));
  }
  for (auto each = open_.begin(); each != open_.end();) {
    each = each->second.until <= now ? end(each, probe_answer::silent, {}) : std::next(each);
  }
  while (!waiting_.empty() && open_.size() < most_open) {
    probe next = std::move(waiting_.front());
    waiting_.pop_front();
    next.until = now + probe_time;
    open(std::move(next));
  }
  return std::exchange(results_, {});
}

tcp_probes::time_point tcp_probes::due() const noexcept {
  if (!results_.empty()) {
    return time_point::min();
  }
  auto next = time_point::max();
  for (const auto& [fd, each] : open_) {
    next = std::min(next, each.until);
  }
  return next;
}

}  // namespace parley::detail
