// SPDX-License-Identifier: MPL-2.0
#include "zmq_departure.hpp"

#include "inproc_name.hpp"

#include <poll.h>

#include <algorithm>
#include <limits>
#include <string>

namespace parley::detail {
namespace {

using std::chrono::milliseconds;

// libzmq's clock stands still for up to a millisecond. With this, the linger time is never over
// before the deadline, so what is gone by then has left.
constexpr int imprecision = 5;  // milliseconds
constexpr int longest = std::numeric_limits<int>::max() - imprecision;

int time_left(zmq_departure::time_point deadline) {
  const auto now = std::chrono::steady_clock::now();
  const auto left =
      deadline <= now ? milliseconds::zero() : std::chrono::ceil<milliseconds>(deadline - now);
  return static_cast<int>(std::min<milliseconds::rep>(left.count(), longest));
}

}  // namespace

zmq_departure::zmq_departure(zmq_context& owner, zmq::socket_t& leaving,
                             time_point deadline) noexcept
    : owner_{owner}, deadline_{deadline} {
  try {
    zmq::socket_t watch{owner.native(), ZMQ_PAIR};
    watch.set(zmq::sockopt::linger, 0);
    const std::string name = fresh_inproc_name("departure");
    if (::zmq_socket_monitor(leaving.handle(), name.c_str(), 0) == 0) {
      watch.connect(name);
      const int left = time_left(deadline);
      linger_ = milliseconds{leaving.get(zmq::sockopt::linger)};
      leaving.set(zmq::sockopt::linger, left == 0 ? 0 : left + imprecision);
      watch_ = std::move(watch);
    }
  } catch (const std::exception&) {
    // Out of sockets or of memory, or shut down: wait() says so. It keeps its linger time.
  }
  leaving.close();
}

bool zmq_departure::wait() noexcept {
  if (!watch_) {
    return false;
  }
  const auto now = [] { return std::chrono::steady_clock::now(); };
  try {
    pollfd changed{watch_.get(zmq::sockopt::fd), POLLIN, 0};
    // A pair could send as long as its peer is there.
    while ((watch_.get(zmq::sockopt::events) & ZMQ_POLLOUT) != 0) {
      const int left = time_left(deadline_);
      if (left == 0) {
        return false;
      }
      static_cast<void>(::poll(&changed, 1, left));
    }
    if (!owner_.is_shut_down()) {
      // Woken late, it may have been the linger time's end that we saw.
      return now() <= deadline_;
    }
  } catch (const zmq::error_t&) {
    // shut down meanwhile
  }
  // A shutdown ends the monitor first, whatever the socket still holds.
  owner_.wait_no_longer_than(now() + linger_);
  return false;
}

}  // namespace parley::detail
