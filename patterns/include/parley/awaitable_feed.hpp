// SPDX-License-Identifier: MPL-2.0
//
// Coroutines that receive from a subscriber at a poller, with nothing but the standard library; see
// awaitable.hpp for the words they have in common.
//
//   parley::publication next = co_await parley::receive(loop, feed);
//   std::optional<parley::publication> next = co_await parley::receive_for(loop, feed, 1s);
//
// What is there already is handed out without a turn for others. Threads: a coroutine runs on the
// thread that waits at its poller; it alone receives from that subscriber. The poller and the
// subscriber outlive the wait. Throws closed.
#pragma once

#include <parley/awaitable.hpp>
#include <parley/subscriber.hpp>

#include <chrono>
#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace parley {

namespace detail {

class feed_wait {
 public:
  feed_wait(poller& at, subscriber& from, std::optional<poller::duration> limit) noexcept
      : at_{at}, from_{from}, limit_{limit} {}
  feed_wait(const feed_wait&) = delete;
  feed_wait& operator=(const feed_wait&) = delete;
  ~feed_wait() { leave(); }

  [[nodiscard]] bool await_ready() { return attempt(); }
  void await_suspend(std::coroutine_handle<> who) {
    // Some of what a subscriber has to say to its publishers waits so long.
    constexpr std::chrono::milliseconds saying{10};
    source_ = at_.add(from_.fd(), interest::input, [this, who] { go_on(who, false); });
    word_ = at_.after(saying, [this, who] { go_on(who, false); });
    if (limit_) {
      limit_key_ = at_.after(*limit_, [this, who] { go_on(who, true); });
    }
  }

 protected:
  [[nodiscard]] std::optional<publication> take() {
    if (failure_) {
      std::rethrow_exception(failure_);
    }
    return std::move(got_);
  }

 private:
  bool attempt() {
    try {
      got_ = from_.try_receive();
    } catch (...) {
      failure_ = std::current_exception();
    }
    return got_.has_value() || failure_ != nullptr;
  }
  void go_on(std::coroutine_handle<> who, bool is_late) {
    if (attempt() || is_late) {
      leave();
      who.resume();  // this may be gone then
    }
  }
  void leave() {
    at_.remove(std::exchange(source_, 0));
    at_.remove(std::exchange(word_, 0));
    at_.remove(std::exchange(limit_key_, 0));
  }

  poller& at_;
  subscriber& from_;
  const std::optional<poller::duration> limit_;
  poller::key source_ = 0;
  poller::key word_ = 0;
  poller::key limit_key_ = 0;
  std::optional<publication> got_;
  std::exception_ptr failure_;
};

}  // namespace detail

[[nodiscard]] inline auto receive(poller& at, subscriber& from) {
  struct awaiter : detail::feed_wait {
    using feed_wait::feed_wait;
    publication await_resume() { return std::move(*take()); }
  };
  return awaiter{at, from, std::nullopt};
}

// Nothing: the time was up.
[[nodiscard]] inline auto receive_for(poller& at, subscriber& from, poller::duration limit) {
  struct awaiter : detail::feed_wait {
    using feed_wait::feed_wait;
    std::optional<publication> await_resume() { return take(); }
  };
  return awaiter{at, from, limit};
}

}  // namespace parley
