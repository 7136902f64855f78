// SPDX-License-Identifier: MPL-2.0
#include <parley/awaitable.hpp>
#include <parley/awaitable_call.hpp>
#include <parley/error.hpp>
#include <parley/server.hpp>

#include <future>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

struct answers {
  int sum = 0;
  bool refused = false;
  bool stopped = false;
  std::thread::id where;
};

coroutine ask(poller& at, client& of, std::stop_source& end, answers& got) {
  got.sum = co_await call<int>(at, of, "add", 2, 3);
  got.where = std::this_thread::get_id();
  try {
    co_await call<int>(at, of, "add", "two", 3);
  } catch (const remote_error&) {
    got.refused = true;
  }
  std::stop_source stop;
  stop.request_stop();
  call_options stopped;
  stopped.stop = stop.get_token();
  try {
    co_await call<void>(at, of, stopped, "wait");
  } catch (const cancelled&) {
    got.stopped = true;
  }
  end.request_stop();
}

coroutine wait_for_ever(poller& at, client& of) { co_await call<void>(at, of, "wait"); }

}  // namespace

TEST_CASE("a coroutine waits for a call at its poller, and goes on on the poller's thread") {
  for (const std::string where : {"pipe://awaitable-call", "tcp://127.0.0.1:*"}) {
    context owner;
    server calculator{owner};
    calculator.handle("add", [](int a, int b) { return a + b; });
    client caller{owner, calculator.bind(where), {.timeout = patience}};
    poller loop;
    std::stop_source end;
    answers got;
    coroutine asking = ask(loop, caller, end, got);
    asking.start();
    loop.run(end.get_token());
    CHECK(asking.done());
    CHECK(got.sum == 5);
    CHECK(got.refused);
    CHECK(got.stopped);
    CHECK(got.where == std::this_thread::get_id());
    CHECK(loop.size() == 0);
  }
}

TEST_CASE("a coroutine that is destroyed while it waits cancels its call, also at the server") {
  context owner;
  server patient{owner};
  std::promise<void> begun;
  std::promise<void> stopped;
  patient.handle("wait", [&](const call_context& about) {
    std::promise<void> asked;
    const std::stop_callback on_stop{about.stop_token(), [&] { asked.set_value(); }};
    begun.set_value();
    if (asked.get_future().wait_for(patience) == std::future_status::ready) {
      stopped.set_value();
    }
  });
  client caller{owner, patient.bind("tcp://127.0.0.1:0"), {.timeout = 1h}};
  poller loop;
  std::optional<coroutine> waiting{wait_for_ever(loop, caller)};
  waiting->start();
  begun.get_future().wait();
  waiting.reset();
  CHECK(stopped.get_future().wait_for(patience) == std::future_status::ready);
  CHECK(loop.size() == 0);
}
