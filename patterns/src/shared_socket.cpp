// SPDX-License-Identifier: MPL-2.0
#include "shared_socket.hpp"

#include <parley/error.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <string>

namespace parley::detail {

using clock = std::chrono::steady_clock;

shared_socket::side::side() : wake_fd{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)} {
  if (wake_fd < 0) {
    throw error{errc::out_of_resources, "make a wake-up descriptor"};
  }
}

shared_socket::side::~side() { ::close(wake_fd); }

void shared_socket::side::signal() const noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the descriptor is readable already.
  static_cast<void>(!::write(wake_fd, &one, sizeof one));
}

void shared_socket::side::drain() const noexcept {
  std::uint64_t count = 0;
  static_cast<void>(!::read(wake_fd, &count, sizeof count));
}

shared_socket::shared_socket(context& owner, socket_kind kind, const socket_options& options)
    : context_{owner}, socket_{std::in_place, owner, kind, options}, fd_{socket_->fd()} {}

shared_socket::~shared_socket() { close(); }

void shared_socket::close() noexcept {
  std::unique_lock lock{mutex_};
  closed_ = true;
  input_.signal();
  output_.signal();
  input_.next.notify_all();
  output_.next.notify_all();
  // Nobody may sleep on the descriptor while libzmq closes it.
  all_left_.wait(lock, [this] { return !input_.has_leader && !output_.has_leader; });
  socket_.reset();
}

void shared_socket::check_open() const {
  if (closed_) {
    throw closed{"use a pattern object"};
  }
}

void shared_socket::interrupt() noexcept {
  const std::lock_guard lock{mutex_};
  interrupted_ = true;
  input_.signal();
}

void shared_socket::wake_others() noexcept {
  for (side* direction : {&input_, &output_}) {
    if (!direction->has_leader && direction->in_line > 0) {
      direction->next.notify_one();
    }
  }
  try {
    if (input_.has_leader || output_.has_leader) {
      const socket_readiness now = socket_->ready();
      if (now.receive && input_.has_leader) {
        input_.signal();
      }
      if (now.send && output_.has_leader) {
        output_.signal();
      }
    }
  } catch (const error&) {
    // The context was shut down; the leaders learn it from libzmq themselves.
    input_.signal();
    output_.signal();
  }
}

monitor shared_socket::watch() {
  return with([this](socket& watched) { return monitor{context_, watched}; });
}

bool shared_socket::send_until(message&& outgoing, time_point deadline) {
  std::unique_lock lock{mutex_};
  for (;;) {
    check_open();
    {
      const pass_on others{*this};
      if (socket_->try_send(std::move(outgoing))) {
        return true;
      }
      // A refused send may have looked at an old state; this looks at the present one.
      if (socket_->can_send()) {
        continue;
      }
    }
    if (!wait(lock, output_, deadline)) {
      return false;
    }
  }
}

std::optional<message> shared_socket::receive_until(time_point deadline) {
  std::unique_lock lock{mutex_};
  for (;;) {
    check_open();
    {
      const pass_on others{*this};
      if (std::exchange(interrupted_, false)) {
        return std::nullopt;
      }
      if (auto incoming = socket_->try_receive()) {
        return incoming;
      }
    }
    if (!wait(lock, input_, deadline)) {
      return std::nullopt;
    }
  }
}

bool shared_socket::wait_until_readable(time_point deadline) {
  std::unique_lock lock{mutex_};
  for (;;) {
    check_open();
    {
      const pass_on others{*this};
      if (socket_->can_receive()) {
        return true;
      }
    }
    if (!wait(lock, input_, deadline)) {
      return false;
    }
  }
}

// True: look at the socket again. False: the deadline has passed.
bool shared_socket::wait(std::unique_lock<std::mutex>& lock, side& direction, time_point deadline) {
  if (clock::now() >= deadline) {
    return false;
  }
  if (direction.has_leader) {
    ++direction.in_line;
    if (deadline == time_point::max()) {
      direction.next.wait(lock);
    } else {
      direction.next.wait_until(lock, deadline);
    }
    --direction.in_line;
    return true;
  }

  direction.has_leader = true;
  wake_others();  // and this thread, when what it waits for came since it looked
  lock.unlock();
  std::array<pollfd, 2> waited{{{fd_, POLLIN, 0}, {direction.wake_fd, POLLIN, 0}}};
  int limit = -1;
  if (deadline != time_point::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now());
    limit = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 86'400'000));
  }
  static_cast<void>(::poll(waited.data(), waited.size(), limit));
  lock.lock();
  direction.has_leader = false;
  if (closed_) {
    all_left_.notify_all();
  } else {
    direction.drain();
  }
  return true;
}

}  // namespace parley::detail
