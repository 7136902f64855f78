// SPDX-License-Identifier: MPL-2.0
#include "runtime.hpp"

#include <parley/error.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace {

constexpr int grace_milliseconds = 1000;

void raise_flag(int fd) noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(fd, &one, sizeof one));
}

int checked(int fd) {
  if (fd < 0) {
    throw parley::error{parley::errc::out_of_resources, "start the program"};
  }
  return fd;
}

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

runtime::runtime() {
  const sigset_t ending = ending_signals();
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  // For commands that hear of these by a descriptor of their own: they would be lost on any thread
  // that does not block them. Nobody else misses them.
  sigset_t of_terminal;
  sigemptyset(&of_terminal);
  sigaddset(&of_terminal, SIGWINCH);
  sigaddset(&of_terminal, SIGCONT);
  pthread_sigmask(SIG_BLOCK, &of_terminal, nullptr);
  signal_fd_ = checked(::signalfd(-1, &ending, SFD_CLOEXEC));
  stop_fd_ = checked(::eventfd(0, EFD_CLOEXEC));
  nudge_fd_ = checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  context_.emplace();
  watcher_ = std::thread{[this] { watch(); }};
}

runtime::~runtime() {
  finish();
  quit_ = true;
  raise_flag(nudge_fd_);
  watcher_.join();
  ::close(nudge_fd_);
  ::close(stop_fd_);
  ::close(signal_fd_);
}

void runtime::watch_stdout() {
  watches_stdout_ = true;
  raise_flag(nudge_fd_);
}

std::optional<parley::endpoint> runtime::look_for_names(const parley::peers_options& where) {
  if (names_) {
    return std::nullopt;
  }
  return names_.emplace(*context_, where).gossip();
}

void runtime::finish() {
  names_.reset();
  std::optional<parley::context> ending;
  {
    const std::lock_guard lock{mutex_};
    ending = std::exchange(context_, std::nullopt);
  }
}

runtime::goodbye::goodbye(runtime& of, std::function<void()> say) : of_{of} {
  const std::lock_guard lock{of_.mutex_};
  of_.goodbye_ = std::move(say);
  pollfd stopped{of_.stop_fd_, POLLIN, 0};
  if (::poll(&stopped, 1, 0) > 0) {
    of_.goodbye_();
  }
}

runtime::goodbye::~goodbye() {
  const std::lock_guard lock{of_.mutex_};
  of_.goodbye_ = nullptr;
}

void runtime::wait_until_stopped() const {
  pollfd waited{stop_fd_, POLLIN, 0};
  while (::poll(&waited, 1, -1) < 0) {
  }
}

exit_code runtime::stopped_code() const noexcept {
  return endless_ || signal_ == 0 ? exit_code::done : interrupted_by(signal_);
}

void runtime::stop() noexcept {
  raise_flag(stop_fd_);
  const std::lock_guard lock{mutex_};
  if (goodbye_) {
    goodbye_();
  } else if (context_) {
    context_->shutdown();
  }
}

void runtime::watch() {
  while (!quit_) {
    // poll reports the end of stdout's reader unasked, as an error.
    std::array<pollfd, 3> waited{
        {{signal_fd_, POLLIN, 0}, {nudge_fd_, POLLIN, 0}, {STDOUT_FILENO, 0, 0}}};
    if (::poll(waited.data(), watches_stdout_ ? 3 : 2, -1) < 0) {
      continue;
    }
    if (waited[1].revents != 0) {
      std::uint64_t nudges = 0;
      static_cast<void>(!::read(nudge_fd_, &nudges, sizeof nudges));
    }
    if (waited[0].revents != 0) {
      signalfd_siginfo info{};
      if (::read(signal_fd_, &info, sizeof info) != sizeof info) {
        continue;
      }
      signal_ = static_cast<int>(info.ssi_signo);
      stop();
      pollfd again{nudge_fd_, POLLIN, 0};
      ::poll(&again, 1, grace_milliseconds);
      if (!quit_) {
        std::_Exit(static_cast<int>(stopped_code()));
      }
    } else if (watches_stdout_ && (waited[2].revents & (POLLERR | POLLHUP)) != 0) {
      stop();
      watches_stdout_ = false;
    }
  }
}
