// SPDX-License-Identifier: MPL-2.0
//
// Coroutines that wait at a poller, with nothing but the standard library.
//
// The words below work in any coroutine; the class coroutine is one for who has
// none. Each co_await gives the
// poller's other handlers and coroutines a turn, also when it need not wait. Threads: a coroutine
// runs on the thread that waits at its poller. The poller, the sockets and whatever else is waited
// for outlive the wait; a coroutine that is destroyed while it waits is removed from the poller.
// What a coroutine throws leaves the poller's wait, as what a handler throws does.
#pragma once

#include <parley/message.hpp>
#include <parley/poller.hpp>
#include <parley/socket.hpp>

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace parley {

// A coroutine that its owner starts, and may end at any time by destroying the object.
class [[nodiscard]] coroutine {
 public:
  struct promise_type {
    coroutine get_return_object() noexcept {
      return coroutine{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() { throw; }
  };

  coroutine(coroutine&& other) noexcept : handle_{std::exchange(other.handle_, nullptr)} {}
  coroutine& operator=(coroutine&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~coroutine() {
    if (handle_) {
      handle_.destroy();
    }
  }

  // Runs it to its first co_await. Requires: not started before.
  void start() { handle_.resume(); }
  [[nodiscard]] bool done() const noexcept { return handle_.done(); }

 private:
  explicit coroutine(std::coroutine_handle<promise_type> handle) noexcept : handle_{handle} {}
  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

// What a coroutine that sleeps has in the poller; goes with the coroutine.
class place_in_poller {
 public:
  explicit place_in_poller(poller& at) noexcept : at_{at} {}
  place_in_poller(const place_in_poller&) = delete;
  place_in_poller& operator=(const place_in_poller&) = delete;
  ~place_in_poller() { leave(); }

  template<class Source>
  void wait_for_source(poller::handler on_ready, Source& source, interest what) {
    source_ = at_.add(source, what, std::move(on_ready));
  }
  void wait_for_time(poller::handler on_due, poller::duration delay) {
    timer_ = at_.after(delay, std::move(on_due));
  }
  void leave() {
    at_.remove(std::exchange(source_, 0));
    at_.remove(std::exchange(timer_, 0));
  }

 private:
  poller& at_;
  poller::key source_ = 0;
  poller::key timer_ = 0;
};

// Makes an attempt whenever the source is ready, until one gives a result, or once more when the
// limit has passed. Then the coroutine goes on with finish(std::optional<result>).
template<class Source, class Attempt, class Finish>
class attempt_awaiter {
 public:
  attempt_awaiter(poller& at, Source source, interest what, std::optional<poller::duration> limit,
                  Attempt attempt, Finish finish)
      : place_{at},
        source_{source},
        what_{what},
        limit_{limit},
        attempt_{std::move(attempt)},
        finish_{std::move(finish)} {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> who) {
    place_.wait_for_source([this, who] { go_on(who, false); }, source_, what_);
    if (limit_) {
      place_.wait_for_time([this, who] { go_on(who, true); }, *limit_);
    }
  }
  auto await_resume() {
    if (failure_) {
      std::rethrow_exception(failure_);
    }
    return finish_(std::move(result_));
  }

 private:
  void go_on(std::coroutine_handle<> who, bool is_late) {
    try {
      result_ = attempt_();
    } catch (...) {
      failure_ = std::current_exception();
    }
    if (failure_ || result_ || is_late) {
      place_.leave();
      who.resume();  // this may be gone then
    }
  }

  place_in_poller place_;
  Source source_;  // a reference, or a descriptor
  const interest what_;
  const std::optional<poller::duration> limit_;
  Attempt attempt_;
  Finish finish_;
  std::invoke_result_t<Attempt&> result_;
  std::exception_ptr failure_;
};

}  // namespace detail

// co_await ready(at, source, interest::input): until a socket, an end of a pipe or a file
// descriptor is ready. Others may have used it meanwhile: go on with a try_x.
template<class Source>
[[nodiscard]] auto ready(poller& at, Source& source, interest what) {
  // A descriptor is a value, which need not live as long as the wait.
  using kept = std::conditional_t<std::is_same_v<std::remove_const_t<Source>, int>, int, Source&>;
  const auto at_once = [] { return std::optional{true}; };
  const auto nothing = [](std::optional<bool>) {};
  return detail::attempt_awaiter<kept, decltype(at_once), decltype(nothing)>{
      at, source, what, std::nullopt, at_once, nothing};
}

// message next = co_await receive(at, from)
[[nodiscard]] inline auto receive(poller& at, socket& from) {
  const auto attempt = [&from] { return from.try_receive(); };
  const auto finish = [](std::optional<message> received) { return std::move(*received); };
  return detail::attempt_awaiter<socket&, decltype(attempt), decltype(finish)>{
      at, from, interest::input, std::nullopt, attempt, finish};
}

// std::optional<message> next = co_await receive_for(at, from, 1s). Nothing: the time was up.
[[nodiscard]] inline auto receive_for(poller& at, socket& from, poller::duration limit) {
  const auto attempt = [&from] { return from.try_receive(); };
  const auto finish = [](std::optional<message> received) { return received; };
  return detail::attempt_awaiter<socket&, decltype(attempt), decltype(finish)>{
      at, from, interest::input, limit, attempt, finish};
}

// bool sent = co_await send(at, to, message{...}). False, from a router or stream only: there is no
// such peer, or it has no room.
[[nodiscard]] inline auto send(poller& at, socket& to, message outgoing) {
  auto attempt = [&to, outgoing = std::move(outgoing)]() mutable -> std::optional<bool> {
    if (to.try_send(std::move(outgoing))) {
      return true;
    }
    const bool to_one = to.kind() == socket_kind::router || to.kind() == socket_kind::stream;
    return to_one ? std::optional{false} : std::nullopt;
  };
  const auto finish = [](std::optional<bool> sent) { return *sent; };
  return detail::attempt_awaiter<socket&, decltype(attempt), decltype(finish)>{
      at, to, interest::output, std::nullopt, std::move(attempt), finish};
}

// co_await sleep_for(at, 10ms)
[[nodiscard]] inline auto sleep_for(poller& at, poller::duration delay) {
  class awaiter {
   public:
    awaiter(poller& where, poller::duration how_long) : place_{where}, delay_{how_long} {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> who) { place_.wait_for_time(who, delay_); }
    void await_resume() const noexcept {}

   private:
    detail::place_in_poller place_;
    poller::duration delay_;
  };
  return awaiter{at, delay};
}

}  // namespace parley
