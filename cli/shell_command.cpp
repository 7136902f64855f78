// SPDX-License-Identifier: MPL-2.0
#include "shell_command.hpp"

#include <parley/error.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <utility>

namespace {

using clock_type = std::chrono::steady_clock;

constexpr std::size_t most_answer_bytes = 64 << 20;
constexpr std::size_t most_reason_bytes = 4096;

class descriptor {
 public:
  explicit descriptor(int fd = -1) : fd_{fd} {}
  descriptor(descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor() { close(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  void close() noexcept {
    if (is_open()) {
      ::close(std::exchange(fd_, -1));
    }
  }

 private:
  int fd_;
};

// Ours never blocks.
struct channel {
  descriptor ours;
  descriptor theirs;

  enum class we { read, write };
  explicit channel(we what) {
    std::array<int, 2> ends;
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw std::system_error{errno, std::generic_category(), "cannot run a command"};
    }
    ours = descriptor{ends[what == we::read ? 0 : 1]};
    theirs = descriptor{ends[what == we::read ? 1 : 0]};
    ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  }
};

extern "C" void kill_group(int) { ::kill(0, SIGKILL); }

// A process that does nothing, the first of a process group. The kernel tells it when this program
// is killed; then it takes the whole group along.
class watchman {
 public:
  watchman() {
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      watch(parent);
    }
    if (pid_ < 0) {
      throw std::system_error{errno, std::generic_category(), "cannot run a command"};
    }
    ::setpgid(pid_, pid_);  // whoever of us is first
  }
  watchman(const watchman&) = delete;
  watchman& operator=(const watchman&) = delete;
  ~watchman() {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  [[nodiscard]] pid_t group() const noexcept { return pid_; }

 private:
  // In a child of a program with threads: nothing in here allocates or takes a lock.
  [[noreturn]] static void watch(pid_t parent) {
    ::setpgid(0, 0);
    ::close_range(0, UINT_MAX, 0);
    const int parent_died = SIGRTMAX;
    struct sigaction what {};
    what.sa_handler = kill_group;
    ::sigaction(parent_died, &what, nullptr);
    sigset_t mask;
    sigfillset(&mask);  // what the group is sent, by itself perhaps, is for the others
    sigdelset(&mask, parent_died);
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
    ::prctl(PR_SET_PDEATHSIG, parent_died);
    while (::getppid() == parent) {
      ::pause();
    }
    ::kill(0, SIGKILL);
    ::_exit(0);
  }

  pid_t pid_;
};

// A shell and what it started. Gone when this is, and when this program is killed.
class process {
 public:
  process(const std::string& line, const std::vector<std::string>& environment, const channel& in,
          const channel& out, const channel& err) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in.theirs.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out.theirs.get(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, err.theirs.get(), STDERR_FILENO);

    // It shall not inherit how this program deals with signals.
    sigset_t none;
    sigset_t pipe;
    sigemptyset(&none);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &pipe);
    posix_spawnattr_setpgroup(&attributes, watchman_.group());
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);

    std::array<std::string, 3> words{"sh", "-c", line};
    std::array<char*, 4> arguments{words[0].data(), words[1].data(), words[2].data(), nullptr};
    std::vector<char*> variables;
    variables.reserve(environment.size());
    for (const std::string& each : environment) {
      variables.push_back(const_cast<char*>(each.c_str()));  // posix_spawn only reads them
    }
    for (char** ours = environ; *ours != nullptr; ++ours) {
      variables.push_back(*ours);
    }
    variables.push_back(nullptr);
    const int failure =
        ::posix_spawn(&pid_, "/bin/sh", &files, &attributes, arguments.data(), variables.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    if (failure != 0) {
      throw std::system_error{failure, std::generic_category(), "cannot run a command"};
    }
    ended_ = descriptor{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
  }
  process(const process&) = delete;
  process& operator=(const process&) = delete;
  ~process() {
    if (!reaped_) {
      ::kill(-watchman_.group(), SIGKILL);
      static_cast<void>(reap());
    }
  }

  // Readable when it has ended.
  [[nodiscard]] int ended_fd() const noexcept { return ended_.get(); }

  // Its status, as waitpid has it.
  [[nodiscard]] int reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
    return status;
  }

 private:
  const watchman watchman_;
  pid_t pid_ = -1;
  bool reaped_ = false;
  descriptor ended_;
};

void write_some(descriptor& to, std::string_view& bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(to.get(), bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR || errno == EAGAIN) {
        return;
      }
      break;  // it does not want to read more
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  to.close();
}

// Reads what is there; take(bytes) says whether to go on.
template<class Take>
void read_some(descriptor& from, Take take) {
  std::array<char, 65536> chunk;
  while (from.is_open()) {
    const ssize_t size = ::read(from.get(), chunk.data(), chunk.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) {
      return;
    }
    if (size <= 0) {
      from.close();
    } else if (!take(std::string_view{chunk.data(), static_cast<std::size_t>(size)})) {
      return;
    }
  }
}

int milliseconds_until(clock_type::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock_type::now());
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, INT_MAX));
}

void drop_line_end(std::string& text) {
  if (text.ends_with('\n')) {
    text.pop_back();
  }
}

std::string how_it_ended(int status) {
  return WIFSIGNALED(status)
             ? std::string{"it was ended by the signal "} + ::strsignal(WTERMSIG(status))
             : "it ended with " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

command_answer shell_command::run(std::string_view request, int stop_fd,
                                  const std::stop_token& unwanted,
                                  const std::vector<std::string>& environment) const {
  channel in{channel::we::write};
  channel out{channel::we::read};
  channel err{channel::we::read};
  process running{line_, environment, in, out, err};
  in.theirs.close();
  out.theirs.close();
  err.theirs.close();

  command_answer answer;
  std::string reason;
  const auto exchange_bytes = [&] {
    if (in.ours.is_open()) {
      write_some(in.ours, request);
    }
    read_some(out.ours, [&](std::string_view bytes) {
      answer.text += bytes;
      return answer.text.size() <= most_answer_bytes;
    });
    read_some(err.ours, [&](std::string_view bytes) {
      static_cast<void>(!::write(STDERR_FILENO, bytes.data(), bytes.size()));
      reason += bytes;
      if (reason.size() > most_reason_bytes) {
        reason.erase(0, reason.size() - most_reason_bytes);
      }
      return true;
    });
  };

  const descriptor unwanted_fd{::eventfd(0, EFD_CLOEXEC)};
  const std::stop_callback on_unwanted{
      unwanted, [&unwanted_fd] {
        const std::uint64_t one = 1;
        static_cast<void>(!::write(unwanted_fd.get(), &one, sizeof one));
      }};
  const auto deadline = clock_type::now() + limit_.get();
  for (bool ended = false; !ended;) {
    std::array<pollfd, 6> waited{{{stop_fd, POLLIN, 0},
                                  {running.ended_fd(), POLLIN, 0},
                                  {in.ours.get(), POLLOUT, 0},
                                  {out.ours.get(), POLLIN, 0},
                                  {err.ours.get(), POLLIN, 0},
                                  {unwanted_fd.get(), POLLIN, 0}}};
    if (::poll(waited.data(), waited.size(), milliseconds_until(deadline)) < 0) {
      continue;
    }
    if (waited[0].revents != 0) {
      throw parley::closed{"run a command"};
    }
    if (waited[5].revents != 0) {
      throw parley::cancelled{"run a command"};
    }
    ended = waited[1].revents != 0;
    exchange_bytes();
    if (answer.text.size() > most_answer_bytes) {
      answer.failure = "it wrote more than 64 MiB";
      return answer;
    }
    if (!ended && clock_type::now() >= deadline) {
      answer.failure = "it took longer than " + limit_.str();
      return answer;
    }
  }
  drop_line_end(answer.text);
  drop_line_end(reason);
  const int status = running.reap();
  if (status != 0) {
    answer.failure = reason.empty() ? how_it_ended(status) : reason;
  }
  return answer;
}
