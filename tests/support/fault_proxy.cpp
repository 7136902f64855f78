// SPDX-License-Identifier: MPL-2.0
#include "support/fault_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <list>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace parley::support {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t most_bytes_under_way = 1 << 20;

int checked(int result, const char* what) {
  if (result < 0) {
    throw std::system_error{errno, std::generic_category(), what};
  }
  return result;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

class descriptor {
 public:
  descriptor(int fd, const char* what) : fd_{checked(fd, what)} {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { ::close(fd_); }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

// Not by closing: a forked child may hold the socket too.
void reset(const descriptor& socket) {
  const sockaddr nobody{};
  ::connect(socket.get(), &nobody, sizeof nobody);
}

// Bytes on their way from one side to the other.
class direction {
 public:
  // False: one of the sides has failed.
  bool forward(const descriptor& from, const descriptor& to, clock::duration delay,
               clock::time_point now) {
    while (wants_more()) {
      std::array<char, 65536> chunk;
      const ssize_t size = ::recv(from.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
      if (size < 0) {
        if (errno != EAGAIN && errno != EINTR) {
          return false;
        }
        break;
      }
      parts_.push_back({now + delay, std::string(chunk.data(), static_cast<std::size_t>(size))});
      bytes_ += static_cast<std::size_t>(size);
      heard_end_ = size == 0;
    }
    while (!parts_.empty() && parts_.front().due <= now) {
      std::string& bytes = parts_.front().bytes;
      if (bytes.empty()) {
        ::shutdown(to.get(), SHUT_WR);
        passed_end_ = true;
      } else {
        const ssize_t size =
            ::send(to.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (size < 0) {
          return errno == EAGAIN || errno == EINTR;
        }
        bytes_ -= static_cast<std::size_t>(size);
        bytes.erase(0, static_cast<std::size_t>(size));
        if (!bytes.empty()) {
          break;
        }
      }
      parts_.pop_front();
    }
    return true;
  }

  [[nodiscard]] bool wants_more() const { return !heard_end_ && bytes_ < most_bytes_under_way; }
  [[nodiscard]] bool is_over() const { return passed_end_; }
  // When its next part is to be written.
  [[nodiscard]] clock::time_point due() const {
    return parts_.empty() ? clock::time_point::max() : parts_.front().due;
  }

 private:
  struct part {
    clock::time_point due;
    std::string bytes;  // none: the end
  };

  std::deque<part> parts_;
  std::size_t bytes_ = 0;
  bool heard_end_ = false;
  bool passed_end_ = false;
};

struct delays {
  clock::duration to_target{};
  clock::duration to_client{};
};

// A client's connection and the one made for it.
class connection {
 public:
  connection(int client, std::uint16_t target)
      : client_{client, "accept"},
        target_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"} {
    const sockaddr_in address = loopback(target);
    // Whether it succeeds turns out in forward().
    ::connect(target_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  ~connection() {
    if (!is_over()) {
      reset(client_);
      reset(target_);
    }
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  // False: it is over.
  bool forward(const delays& kept, clock::time_point now) {
    if (!connected_) {
      pollfd waited{target_.get(), POLLOUT, 0};
      if (::poll(&waited, 1, 0) == 0) {
        return true;
      }
      int failure = 0;
      socklen_t size = sizeof failure;
      ::getsockopt(target_.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
      if (failure != 0) {
        return false;
      }
      connected_ = true;
    }
    return to_target_.forward(client_, target_, kept.to_target, now) &&
           to_client_.forward(target_, client_, kept.to_client, now) && !is_over();
  }

  void add_to(std::vector<pollfd>& waited, clock::time_point now) const {
    if (!connected_) {
      waited.push_back({target_.get(), POLLOUT, 0});
      return;
    }
    add(waited, client_, to_target_, to_client_, now);
    add(waited, target_, to_client_, to_target_, now);
  }
  // The next time, later than now, at which there is something to do unasked.
  [[nodiscard]] clock::time_point due(clock::time_point now) const {
    auto next = clock::time_point::max();
    for (const clock::time_point each : {to_target_.due(), to_client_.due()}) {
      if (each > now) {
        next = std::min(next, each);
      }
    }
    return next;
  }

 private:
  static void add(std::vector<pollfd>& waited, const descriptor& socket, const direction& from,
                  const direction& to, clock::time_point now) {
    const int events = (from.wants_more() ? POLLIN : 0) | (to.due() <= now ? POLLOUT : 0);
    if (events != 0) {
      waited.push_back({socket.get(), static_cast<short>(events), 0});
    }
  }
  [[nodiscard]] bool is_over() const { return to_target_.is_over() && to_client_.is_over(); }

  descriptor client_;
  descriptor target_;
  bool connected_ = false;
  direction to_target_;
  direction to_client_;
};

}  // namespace

class fault_proxy::worker {
 public:
  explicit worker(std::uint16_t target)
      : target_{target},
        nudge_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"},
        listener_{fresh(), "socket"} {
    // The kernel leaves a port to a socket that does not listen only where it was asked for by its
    // number.
    const descriptor first{fresh(), "socket"};
    bind(first, 0);
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(first.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    bind(listener_, port_);
    listen();
    thread_ = std::thread{[this] { run(); }};
  }
  ~worker() {
    order([this] { quit_ = true; });
    thread_.join();
  }
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  // Has the thread do it, and waits until it is done.
  void order(std::function<void()> what) {
    std::packaged_task<void()> task{std::move(what)};
    auto done = task.get_future();
    {
      const std::lock_guard lock{mutex_};
      orders_.push_back(std::move(task));
    }
    const std::uint64_t one = 1;
    static_cast<void>(!::write(nudge_.get(), &one, sizeof one));
    done.get();
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  // For orders only.
  void listen() {
    checked(::listen(listener_.get(), SOMAXCONN), "listen");
    listening_ = true;
  }
  void cut() {
    // Not twice: the second time would be for the connections to come.
    if (std::exchange(listening_, false)) {
      ::shutdown(listener_.get(), SHUT_RD);
    }
    connections_.clear();
  }
  void stall(bool stalled) { stalled_ = stalled; }
  void delay(const delays& kept) { kept_ = kept; }
  void retarget(std::uint16_t target) { target_ = target; }
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

 private:
  static int fresh() { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }
  static void bind(const descriptor& socket, std::uint16_t port) {
    const int yes = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    const sockaddr_in address = loopback(port);
    checked(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            "bind");
  }

  void run() {
    while (!quit_) {
      wait();
      obey();
      if (!stalled_) {
        forward();
      }
    }
  }

  void wait() const {
    const auto now = clock::now();
    auto due = clock::time_point::max();
    std::vector<pollfd> waited{{nudge_.get(), POLLIN, 0}};
    if (!stalled_) {
      if (listening_) {
        waited.push_back({listener_.get(), POLLIN, 0});
      }
      for (const connection& each : connections_) {
        each.add_to(waited, now);
        due = std::min(due, each.due(now));
      }
    }
    timespec limit{};
    if (due != clock::time_point::max()) {
      const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(due - now).count();
      limit = {left / 1'000'000'000, left % 1'000'000'000};
    }
    ::ppoll(waited.data(), waited.size(), due == clock::time_point::max() ? nullptr : &limit,
            nullptr);
  }

  void obey() {
    std::uint64_t nudges = 0;
    static_cast<void>(!::read(nudge_.get(), &nudges, sizeof nudges));
    std::vector<std::packaged_task<void()>> orders;
    {
      const std::lock_guard lock{mutex_};
      orders.swap(orders_);
    }
    for (auto& each : orders) {
      each();
    }
  }

  void forward() {
    while (listening_) {
      const int client = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (client < 0) {
        break;
      }
      connections_.emplace_back(client, target_);
    }
    const auto now = clock::now();
    connections_.remove_if([&](connection& each) { return !each.forward(kept_, now); });
  }

  // Of both sides.
  std::mutex mutex_;  // guards orders_
  std::vector<std::packaged_task<void()>> orders_;

  // Of the thread.
  bool quit_ = false;
  bool listening_ = false;
  bool stalled_ = false;
  delays kept_;
  std::uint16_t target_;
  std::list<connection> connections_;

  // Set once.
  std::uint16_t port_ = 0;
  descriptor nudge_;
  descriptor listener_;
  std::thread thread_;
};

fault_proxy::fault_proxy(const endpoint& target)
    : worker_{std::make_unique<worker>(target.port())} {}
fault_proxy::~fault_proxy() = default;

endpoint fault_proxy::where() const {
  return endpoint{"tcp://127.0.0.1:" + std::to_string(worker_->port())};
}

void fault_proxy::cut() {
  worker_->order([this] { worker_->cut(); });
}
void fault_proxy::restore() {
  worker_->order([this] { worker_->listen(); });
}
void fault_proxy::stall() {
  worker_->order([this] { worker_->stall(true); });
}
void fault_proxy::resume() {
  worker_->order([this] { worker_->stall(false); });
}
void fault_proxy::delay(duration to_target, duration to_client) {
  worker_->order([&] { worker_->delay({to_target, to_client}); });
}
void fault_proxy::retarget(const endpoint& target) {
  worker_->order([&] { worker_->retarget(target.port()); });
}
std::size_t fault_proxy::connections() {
  std::size_t count = 0;
  worker_->order([&] { count = worker_->connections(); });
  return count;
}

}  // namespace parley::support
