// SPDX-License-Identifier: MPL-2.0
//
// Calls for coroutines that wait at a poller (parley/awaitable.hpp):
//   int sum = co_await parley::call<int>(at, client, "add", 2, 3);
//
// Threads: the coroutine goes on on the poller's thread, whichever thread brought the reply. The
// client and the poller outlive the wait. A coroutine that is destroyed while it waits cancels its
// call, also at the server.
#pragma once

#include <parley/client.hpp>
#include <parley/pipe/doorbell.hpp>
#include <parley/poller.hpp>

#include <atomic>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <tuple>
#include <utility>

namespace parley {
namespace detail {

template<class Result, class Start>
class call_awaiter {
 public:
  call_awaiter(poller& at, call_options options, Start start)
      : at_{at}, options_{std::move(options)}, start_{std::move(start)} {}
  call_awaiter(const call_awaiter&) = delete;
  call_awaiter& operator=(const call_awaiter&) = delete;
  ~call_awaiter() {
    at_.remove(place_);
    cancel_.request_stop();  // says nothing to a call that has ended
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> who) {
    place_ = at_.add(
        came_->bell, [came = came_] { return came->is_there.load(std::memory_order_acquire); },
        [this, who] {
          at_.remove(std::exchange(place_, 0));
          who.resume();  // this may be gone then
        });
    if (options_.stop.stop_possible()) {
      on_stop_.emplace(options_.stop, [this] { cancel_.request_stop(); });
    }
    options_.stop = cancel_.get_token();
    start_(options_, [came = came_](call_result<Result>&& result) {
      came->result.emplace(std::move(result));
      came->is_there.store(true, std::memory_order_release);  // publishes the result
      came->bell.ring();
    });
  }
  Result await_resume() { return came_->result->get(); }

 private:
  // Shared with the call, which may end after this is gone.
  struct arrival {
    std::optional<call_result<Result>> result;
    std::atomic<bool> is_there{false};
    doorbell bell;
  };

  poller& at_;
  call_options options_;
  Start start_;
  std::shared_ptr<arrival> came_ = std::make_shared<arrival>();
  poller::key place_ = 0;
  std::stop_source cancel_;
  std::optional<std::stop_callback<std::function<void()>>> on_stop_;
};

}  // namespace detail

// Throws what client::call does. Requires: the arguments live until the co_await, as in any call.
template<class Result, class... Arguments>
[[nodiscard]] auto call(poller& at, client& of, const call_options& options,
                        std::string_view method, const Arguments&... arguments) {
  auto start = [&of, method, &arguments...](const call_options& chosen, auto done) {
    of.call_then<Result>(chosen, std::move(done), method, arguments...);
  };
  return detail::call_awaiter<Result, decltype(start)>{at, options, std::move(start)};
}
template<class Result, class... Arguments>
[[nodiscard]] auto call(poller& at, client& of, std::string_view method,
                        const Arguments&... arguments) {
  return call<Result>(at, of, call_options{}, method, arguments...);
}

}  // namespace parley
