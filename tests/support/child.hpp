// SPDX-License-Identifier: MPL-2.0
//
// A forked child that runs one function. It is gone when its owner goes; waits for it are bounded.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace parley::support {

class child {
 public:
  // What is written to say reaches the parent's hear.
  class line {
   public:
    explicit line(int fd) : fd_{fd} {}
    void say(std::string words) const {
      words += '\n';
      static_cast<void>(!::write(fd_, words.data(), words.size()));
    }

   private:
    int fd_;
  };

  // Runs action(line) in a child, which then ends without any of the parent's destructors, exit
  // code 0, or 1 when it throws.
  template<class Action>
  explicit child(Action action) {
    int ends[2];
    if (::pipe(ends) != 0) {
      throw std::system_error{errno, std::generic_category(), "pipe"};
    }
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      int code = 0;
      try {
        action(line{ends[1]});
      } catch (const std::exception& failure) {
        std::fprintf(stderr, "child: %s\n", failure.what());
        code = 1;
      }
      std::fflush(nullptr);
      ::_exit(code);
    }
    ::close(ends[1]);
    fd_ = ends[0];
    if (pid_ < 0) {
      ::close(fd_);
      throw std::system_error{errno, std::generic_category(), "fork"};
    }
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child() {
    kill();
    ::close(fd_);
  }

  // The next line that it says. Throws when it ends, or keeps silent, instead.
  std::string hear() {
    std::string words;
    for (char next = 0;;) {
      pollfd said{fd_, POLLIN, 0};
      if (::poll(&said, 1, patience_milliseconds) <= 0) {
        throw std::runtime_error{"the child keeps silent"};
      }
      if (::read(fd_, &next, 1) != 1) {
        throw std::runtime_error{"the child has ended"};
      }
      if (next == '\n') {
        return words;
      }
      words += next;
    }
  }

  // Its exit code; -1: it was still running when patience was over, or died by a signal.
  int finish() {
    pollfd ended{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)), POLLIN, 0};
    const bool in_time = ::poll(&ended, 1, patience_milliseconds) == 1;
    ::close(ended.fd);
    if (!in_time) {
      return -1;
    }
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // Holds it where it is, until resumed. Returns when it stands still.
  void stop() const {
    siginfo_t held{};
    if (::kill(pid_, SIGSTOP) == 0) {
      ::waitid(P_PID, static_cast<id_t>(pid_), &held, WSTOPPED | WEXITED | WNOWAIT);
    }
  }
  void resume() const { ::kill(pid_, SIGCONT); }

  void kill() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(std::exchange(pid_, -1), nullptr, 0);
    }
  }

 private:
  static constexpr int patience_milliseconds = 20'000;

  pid_t pid_ = -1;
  int fd_ = -1;
};

}  // namespace parley::support
