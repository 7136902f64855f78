// SPDX-License-Identifier: MPL-2.0
#include "zmq_context.hpp"

#include <future>
#include <system_error>
#include <thread>
#include <utility>

namespace parley::detail {

zmq_context::~zmq_context() {
  const time_point limit =
      limit_.load(std::memory_order_relaxed);  // the last handle: nobody writes
  if (limit == time_point::min()) {
    return;
  }
  try {
    std::promise<void> ended;
    const std::future<void> end = ended.get_future();
    std::thread{[native = std::move(native_), ended = std::move(ended)]() mutable {
      native.close();
      ended.set_value();
    }}.detach();
    static_cast<void>(end.wait_until(limit));
  } catch (const std::system_error&) {
    // No thread to be had: it went with what the thread was to take along, and was waited for.
  }
}

void zmq_context::wait_no_longer_than(time_point when) noexcept {
  time_point before = limit_.load(std::memory_order_relaxed);  // the context's handles order it
  while (before < when && !limit_.compare_exchange_weak(before, when, std::memory_order_relaxed)) {
  }
}

}  // namespace parley::detail
