// SPDX-License-Identifier: MPL-2.0
#include "batch_sender.hpp"

#include <parley/error.hpp>

#include "batch_keeper.hpp"
#include "zmq_part.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace parley::detail {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds for_ever = nanoseconds::max();

// Who sent nothing for so long sends seldom: some tens of thousand messages a second, which libzmq
// carries well one by one.
constexpr nanoseconds lull = std::chrono::microseconds{20};

// How often the keeper finds nothing before it sleeps until it is called, which costs a system
// call.
constexpr int most_quiet_ticks = 8;

// A peer that does not read is asked again after this.
constexpr nanoseconds retry = std::chrono::milliseconds{1};

}  // namespace

batch_sender::batch_sender(zmq::context_t& context, zmq::socket_t& native, batch_keeper& keeper,
                           const batch_label& label, const shared_options& options,
                           counter& batches_sent)
    : native_{native.handle()},
      keeper_{keeper},
      batches_sent_{&batches_sent},
      half_delay_{nanoseconds{options->batch.delay} / 2},
      batch_{options->batch.bytes, label},
      peers_{context, native, options} {}

batch_sender::~batch_sender() {
  if (wake_fd_ != -1) {
    ::close(wake_fd_);
  }
}

int batch_sender::pass(const message& outgoing) {
  return send_parts(native_, outgoing, ZMQ_DONTWAIT);
}

inline bool batch_sender::has_just_sent() const noexcept {
  return clock::now() - last_sent_ < lull;
}

int batch_sender::send(const message& outgoing) {
  const auto held = hold();
  if (peers_.all_unpack() && batch_.is_small(outgoing) && (!batch_.empty() || has_just_sent())) {
    if (!batch_.add(outgoing)) {
      if (const int failure = flush_held(); failure != 0) {
        return failure;
      }
      static_cast<void>(batch_.add(outgoing));  // it is small, and the batch is empty
    }
    if (batch_.count() == 1) {
      ++opened_;
      if (!is_kept_) {
        is_kept_ = true;
        quiet_ticks_ = 0;
        keeper_.wake();
      }
    }
  } else {
    if (const int failure = flush_held(); failure != 0) {
      return failure;
    }
    if (const int failure = pass(outgoing); failure != 0) {
      return failure;
    }
    last_sent_ = clock::now();
  }
  return 0;
}

int batch_sender::flush() {
  const auto held = hold();
  return flush_held();
}

int batch_sender::flush_held() {
  if (batch_.empty()) {
    return 0;
  }
  if (batch_.count() > 1 && peers_.all_unpack()) {
    if (const int failure = pass(message{batch_.batch()}); failure != 0) {
      return failure;
    }
    batch_.clear();
    if (batches_sent_ != nullptr) {
      batches_sent_->add(1);
    }
  }
  while (!batch_.empty()) {
    const message oldest = batch_.front();
    if (const int failure = pass(oldest); failure != 0) {
      return failure;
    }
    batch_.drop_front(oldest);
  }
  last_sent_ = clock::now();
  return 0;
}

std::chrono::nanoseconds batch_sender::tick() noexcept {
  const std::unique_lock held{mutex_, std::try_to_lock};
  if (!held) {
    return half_delay_;
  }
  if (!is_kept_) {
    return for_ever;
  }
  if (batch_.empty()) {
    is_kept_ = ++quiet_ticks_ < most_quiet_ticks;
    return is_kept_ ? half_delay_ : for_ever;
  }
  quiet_ticks_ = 0;
  if (seen_opened_ != opened_) {
    seen_opened_ = opened_;
    return half_delay_;
  }
  int failure = ENOMEM;
  try {
    failure = flush_held();
  } catch (const std::bad_alloc&) {
    // later, perhaps
  }
  ring();
  is_broken_ = failure == ETERM || failure == ENOTSOCK;
  is_kept_ = !is_broken_;
  if (is_broken_) {
    return for_ever;
  }
  return failure == 0 ? half_delay_ : std::max(half_delay_, retry);
}

int batch_sender::wake_fd() {
  const auto held = hold();
  if (wake_fd_ == -1) {
    wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd_ == -1) {
      throw error{errc::out_of_resources, "eventfd of a socket"};
    }
  }
  return wake_fd_;
}

void batch_sender::ring() noexcept {
  if (wake_fd_ != -1 && !is_rung_) {
    is_rung_ = true;
    const std::uint64_t one = 1;
    static_cast<void>(::write(wake_fd_, &one, sizeof one));
  }
}

void batch_sender::take_wake() noexcept {
  if (is_rung_) {
    is_rung_ = false;
    std::uint64_t rings = 0;
    static_cast<void>(::read(wake_fd_, &rings, sizeof rings));
  }
}

void batch_sender::will_connect(const endpoint& where) {
  const auto kept = keeper_.hold();
  peers_.add(where);
}

void batch_sender::give_up_batching() {
  const auto kept = keeper_.hold();
  peers_.give_up();
}

void batch_sender::stop_counting() {
  const auto held = hold();
  batches_sent_ = nullptr;
}

std::size_t batch_sender::unsent() {
  const auto held = hold();
  return batch_.count();
}

bool batch_sender::is_broken() {
  const auto held = hold();
  return is_broken_;
}

}  // namespace parley::detail
