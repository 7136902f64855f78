// SPDX-License-Identifier: MPL-2.0
#include <parley/pipe/doorbell.hpp>

#include <linux/membarrier.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <ctime>
#include <parley/error.hpp>
#include <system_error>
#include <thread>

namespace parley {
namespace {

long membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0, 0); }

// May this process fence all its threads at once?
bool register_membarrier() noexcept {
  const long commands = membarrier(MEMBARRIER_CMD_QUERY);
  return commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0 &&
         membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

// Asked at the first doorbell. Not a function's static: a thread that is forked away while it makes
// one would leave it locked for ever in the child. Asking twice does no harm.
bool has_membarrier() noexcept {
  enum : int { unknown, yes, no };
  static int shared = unknown;
  const std::atomic_ref known{shared};  // relaxed: a figure, it publishes nothing
  int answer = known.load(std::memory_order_relaxed);
  if (answer == unknown) {
    answer = register_membarrier() ? yes : no;
    known.store(answer, std::memory_order_relaxed);
  }
  return answer == yes;
}

// Where there is one core, who spins keeps the other end from working.
wait_strategy fit_to_machine(wait_strategy strategy) noexcept {
  if (strategy.mode == wait_mode::adaptive && std::thread::hardware_concurrency() == 1) {
    strategy.mode = wait_mode::sleep;
  }
  return strategy;
}

}  // namespace

doorbell::doorbell(wait_strategy strategy)
    : owner_fences_{has_membarrier()},
      mode_{fit_to_machine(strategy).mode},
      budget_{fit_to_machine(strategy)} {}

doorbell::~doorbell() {
  if (fd_ != -1) ::close(fd_);
}

int doorbell::fd() {
  if (fd_ == -1) {
    fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd_ == -1) {
      throw error{errc::out_of_resources,
                  "eventfd of a pipe: " + std::generic_category().message(errno)};
    }
  }
  return fd_;
}

void doorbell::announce() {
  assert(!announced_ && "disarm a doorbell before it is armed or waited at again");
  static_cast<void>(fd());
  announced_ = true;
  // Releases fd_ to who wakes us. Acquires what a ringer that found us awake had to tell.
  armed_.exchange(1, std::memory_order_acq_rel);
  // A full fence in this thread and in every ringer that runs; one that does not run has passed
  // one when it was taken off its core.
  if (owner_fences_) membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

void doorbell::disarm() noexcept {
  if (!announced_) return;
  announced_ = false;
  // Acquires what the ringer had to tell, if there was one.
  if (armed_.exchange(0, std::memory_order_acq_rel) != 0) return;
  // Somebody took armed_ and has written the descriptor, or is about to: take that back.
  std::uint64_t rings = 0;
  while (::read(fd_, &rings, sizeof rings) == -1) {
    pollfd written{fd_, POLLIN, 0};
    ::poll(&written, 1, -1);
  }
}

void doorbell::sleep(detail::steady_point deadline) noexcept {
  using namespace std::chrono;
  pollfd rung{fd_, POLLIN, 0};
  if (deadline == detail::never) {
    ::ppoll(&rung, 1, nullptr, nullptr);
    return;
  }
  const auto left = duration_cast<nanoseconds>(deadline - steady_clock::now());
  if (left <= left.zero()) return;
  const auto whole = duration_cast<seconds>(left);
  const timespec timeout{whole.count(), (left - whole).count()};
  ::ppoll(&rung, 1, &timeout, nullptr);
}

void doorbell::wake() noexcept {
  // Acquires fd_. Releases the news to disarm and to the next announce.
  if (armed_.exchange(0, std::memory_order_acq_rel) == 0) return;
  wakes_.fetch_add(1, std::memory_order_relaxed);  // a figure, it publishes nothing
  const std::uint64_t one = 1;
  // Cannot be full: the one before was taken back before armed_ was set again.
  while (::write(fd_, &one, sizeof one) == -1 && errno == EINTR) {
  }
}

}  // namespace parley
