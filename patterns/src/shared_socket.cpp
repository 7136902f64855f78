// SPDX-License-Identifier: MPL-2.0
#include "shared_socket.hpp"

#include <parley/error.hpp>
#include <parley/socket_rest.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <exception>
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
    : context_{owner}, socket_{std::in_place, owner, kind, options} {}

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

endpoint shared_socket::bind(const endpoint& where) {
  const std::lock_guard lock{mutex_};
  check_open();
  use(where);
  return socket_->bind(where);
}

void shared_socket::connect(const endpoint& where) {
  const std::lock_guard lock{mutex_};
  check_open();
  use(where);
  socket_->connect(where);
}

void shared_socket::disconnect(const endpoint& where) {
  const std::lock_guard lock{mutex_};
  check_open();
  forget_fds();
  socket_->disconnect(where);
}

// Until a socket has an endpoint it rests as one over pipe:// does.
void shared_socket::use(const endpoint& where) noexcept {
  has_pipe_ = (has_pipe_ && has_endpoint_) || where.kind() == transport::pipe;
  has_endpoint_ = true;
  forget_fds();
}

// They are about to change. Who sleeps on the old ones wakes and gets the new ones.
void shared_socket::forget_fds() noexcept {
  fds_.clear();
  input_.signal();
  output_.signal();
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
  } catch (const std::exception&) {
    // The context was shut down, which the leaders learn from libzmq themselves; or there is no
    // memory to look.
    input_.signal();
    output_.signal();
  }
}

monitor shared_socket::watch() {
  const std::lock_guard lock{mutex_};
  check_open();
  forget_fds();  // it may become a socket of libzmq's just now
  return monitor{context_, *socket_};
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

bool shared_socket::receive_all_until(std::vector<message>& into, std::size_t most,
                                      time_point deadline) {
  std::unique_lock lock{mutex_};
  for (bool has_waited = false;; has_waited = true) {
    check_open();
    {
      const pass_on others{*this};
      if (std::exchange(interrupted_, false)) {
        return false;
      }
      const std::size_t before = into.size();
      while (into.size() - before < most) {
        if (into.size() == into.capacity()) {
          into.reserve(
              std::max<std::size_t>(4, 2 * into.size()));  // before there is something to lose
        }
        auto incoming = socket_->try_receive();
        if (!incoming) {
          break;
        }
        into.push_back(std::move(*incoming));
        if (has_waited) {
          break;  // mostly there is but one then, and to look for a second takes a system call
        }
      }
      if (into.size() > before) {
        return true;
      }
    }
    if (!wait(lock, input_, deadline)) {
      return false;
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
  struct leaving {
    shared_socket& self;
    side& direction;
    ~leaving() {
      direction.has_leader = false;
      if (self.closed_) {
        self.all_left_.notify_all();
      }
    }
  } const guard{*this, direction};
  if (!has_pipe_ || !spin(lock, direction, deadline)) {
    if (input_.has_leader == output_.has_leader) {
      wake_others();  // this look may have been at what the other one waits for
    }
    sleep(lock, direction, deadline);
  }
  return true;
}

// True: look at the socket again. False: it was not worth while.
bool shared_socket::spin(std::unique_lock<std::mutex>& lock, side& direction, time_point deadline) {
  const auto start = clock::now();
  const auto end = std::min(start + direction.spinning.spin_for(), deadline);
  for (auto now = start; now < end; now = clock::now()) {
    lock.unlock();
    for (int count = 0; count < 8; ++count) {
      cpu_relax();
    }
    lock.lock();
    if (closed_ || interrupted_ ||
        (&direction == &input_ ? socket_->can_receive() : socket_->can_send())) {
      direction.spinning.waited(clock::now() - start);
      return true;
    }
  }
  return false;
}

void shared_socket::sleep(std::unique_lock<std::mutex>& lock, side& direction,
                          time_point deadline) {
  if (has_pipe_) {
    const socket_readiness now = socket_rest::begin(*socket_);
    if (&direction == &input_ ? now.receive : now.send) {
      return;
    }
  }
  std::vector<pollfd>& waited = direction.waited;
  waited.clear();
  waited.push_back({direction.wake_fd, POLLIN, 0});
  if (fds_.empty()) {
    fds_ = socket_rest::fds(*socket_);
  }
  for (const int fd : fds_) {
    waited.push_back({fd, POLLIN, 0});
  }
  lock.unlock();
  int limit = -1;
  if (deadline != time_point::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now());
    limit = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 86'400'000));
  }
  const auto start = clock::now();
  static_cast<void>(::poll(waited.data(), waited.size(), limit));
  direction.spinning.waited(clock::now() - start);
  if (waited.front().revents != 0) {
    direction.drain();
  }
  lock.lock();
  // The other side may sleep on.
  if (has_pipe_ && !closed_ && input_.has_leader != output_.has_leader) {
    socket_rest::end(*socket_);
  }
}

}  // namespace parley::detail
