// SPDX-License-Identifier: MPL-2.0
#include "batch_keeper.hpp"

#include <parley/error.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <utility>

namespace parley::detail {
namespace {

using std::chrono::nanoseconds;
using clock = std::chrono::steady_clock;

constexpr nanoseconds for_ever = nanoseconds::max();

}  // namespace

batch_keeper::~batch_keeper() {
  if (thread_.joinable()) {
    {
      const auto held = hold();
      is_over_ = true;
    }
    wake();
    thread_.join();
  }
  if (wake_fd_ != -1) {
    ::close(wake_fd_);
  }
}

void batch_keeper::add(batch_sender& kept) {
  const auto held = hold();
  keep(kept);
}

// With the lock.
void batch_keeper::keep(batch_sender& kept) {
  if (wake_fd_ == -1) {
    wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd_ == -1) {
      throw error{errc::out_of_resources, "eventfd for batches"};
    }
  }
  if (!thread_.joinable()) {
    thread_ = std::thread{[this] { run(); }};
  }
  kept_.push_back(&kept);  // last: who throws keeps nothing
  wake();
}

void batch_keeper::remove(batch_sender& kept) noexcept {
  const auto held = hold();
  std::erase(kept_, &kept);
}

void batch_keeper::take_over(std::unique_ptr<batch_sender>&& left, zmq::socket_t&& native,
                             time_point until) {
  std::list<departing> taken(1);  // before anything changes
  const auto held = hold();
  if (std::find(kept_.begin(), kept_.end(), left.get()) == kept_.end()) {
    keep(*left);
  }
  taken.front() = {std::move(left), std::move(native), until};
  departing_.splice(departing_.end(), taken);
  wake();
}

void batch_keeper::wake() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_fd_, &one, sizeof one));  // full means woken
}

void batch_keeper::run() {
  std::vector<pollfd> fds;
  for (;;) {
    fds.assign(1, {wake_fd_, POLLIN, 0});
    nanoseconds wait = for_ever;
    {
      const auto held = hold();
      wait = look(fds);
      if (is_over_ && departing_.empty()) {
        return;
      }
    }
    const timespec limit{wait.count() / 1'000'000'000, wait.count() % 1'000'000'000};
    static_cast<void>(
        ::ppoll(fds.data(), fds.size(), wait == for_ever ? nullptr : &limit, nullptr));
    if (fds.front().revents != 0) {
      std::uint64_t wakes = 0;
      static_cast<void>(::read(wake_fd_, &wakes, sizeof wakes));
    }
  }
}

// What there is to do; adds what to poll, and returns for how long.
nanoseconds batch_keeper::look(std::vector<pollfd>& fds) {
  nanoseconds wait = for_ever;
  for (batch_sender* const each : kept_) {
    each->peers().look();
    wait = std::min(wait, each->tick());
    each->peers().add_fds(fds);
  }
  let_go();
  return wait;
}

void batch_keeper::let_go() {
  const auto now = clock::now();
  std::erase_if(departing_, [&](departing& each) {
    if (each.sender->unsent() > 0 && !each.sender->is_broken() && now < each.until) {
      return false;
    }
    std::erase(kept_, each.sender.get());
    const auto left = std::max(std::chrono::ceil<std::chrono::milliseconds>(each.until - now),
                               std::chrono::milliseconds::zero());
    each.sender.reset();
    try {
      each.native.set(zmq::sockopt::linger, static_cast<int>(left.count()));
    } catch (const zmq::error_t&) {
      // shut down: nothing leaves any more
    }
    each.native.close();
    return true;
  });
}

}  // namespace parley::detail
