// SPDX-License-Identifier: MPL-2.0
#include <parley/awaitable.hpp>

#include <parley/pipe/spsc_pipe.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::join;
using support::patience;

namespace {

const std::string everywhere[]{"pipe://awaited", "inproc://awaited", "tcp://127.0.0.1:*"};

// Until the coroutine is done; false when nothing happens any more.
bool finish(poller& loop, const coroutine& work) {
  while (!work.done()) {
    if (loop.wait_for(patience) == 0) {
      return false;
    }
  }
  return true;
}

coroutine echo(poller& loop, socket& at, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    message received = co_await receive(loop, at);
    const bool sent = co_await send(loop, at, std::move(received));
    CHECK(sent);
  }
}

coroutine ask(poller& loop, socket& at, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    const bool sent = co_await send(loop, at, frame{std::to_string(round)});
    CHECK(sent);
    const message reply = co_await receive(loop, at);
    CHECK(reply.front() == std::to_string(round));
  }
}

}  // namespace

// A coroutine of a lambda uses what the lambda captured: keep the lambda as long.

TEST_CASE("coroutines talk to each other in one thread") {
  for (const std::string& where : everywhere) {
    INFO(where);
    context owner;
    auto sockets = join(owner, socket_kind::rep, socket_kind::req, where);
    poller loop;
    coroutine server = echo(loop, sockets.bound, 100);
    coroutine client = ask(loop, sockets.connected, 100);
    server.start();
    client.start();
    CHECK(finish(loop, client));
    CHECK(finish(loop, server));
    CHECK(loop.size() == 0);
  }
}

TEST_CASE("a coroutine waits for room, and loses nothing") {
  for (const std::string& where : everywhere) {
    INFO(where);
    constexpr int count = 2000;
    context owner;
    socket_options small;
    small.send_limit = small.receive_limit = 1;
    auto sockets = join(owner, socket_kind::pull, socket_kind::push, where, small);
    poller loop;
    coroutine sender = [](poller& at, socket& to) -> coroutine {
      for (int number = 0; number < count; ++number) {
        const bool sent = co_await send(at, to, frame{std::to_string(number)});
        CHECK(sent);
      }
    }(loop, sockets.connected);
    int right = 0;
    std::jthread reader{[&] {
      for (int number = 0; number < count; ++number) {
        const auto received = sockets.bound.receive_for(patience);
        right += received && received->front() == std::to_string(number) ? 1 : 0;
      }
    }};
    sender.start();
    CHECK(finish(loop, sender));
    reader.join();
    CHECK(right == count);
  }
}

TEST_CASE("receive_for gives a coroutine nothing when the time is up") {
  context owner;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, "pipe://late");
  poller loop;
  std::optional<message> first{std::in_place};
  std::optional<message> second;
  const auto work_code = [&]() -> coroutine {
    first = co_await receive_for(loop, sockets.bound, 1ms);
    sockets.connected.send(frame{"x"});
    second = co_await receive_for(loop, sockets.bound, patience);
  };
  coroutine work = work_code();
  work.start();
  CHECK(finish(loop, work));
  CHECK_FALSE(first);
  CHECK(second == message{frame{"x"}});
  CHECK(loop.size() == 0);
}

TEST_CASE("a coroutine waits for pipes and descriptors") {
  poller loop;
  spsc_pipe<int> numbers{4};
  const int fd = ::eventfd(0, EFD_NONBLOCK);
  int sum = 0;
  const auto work_code = [&]() -> coroutine {
    while (!numbers.drained()) {
      co_await ready(loop, numbers, interest::input);
      while (const auto number = numbers.try_pop()) {
        sum += *number;
      }
    }
    co_await ready(loop, fd, interest::input);
  };
  coroutine work = work_code();
  std::jthread writer{[&] {
    for (int number = 0; number < 1000; ++number) {
      numbers.push(1);
    }
    numbers.close();
    const std::uint64_t one = 1;
    static_cast<void>(!::write(fd, &one, sizeof one));
  }};
  work.start();
  CHECK(finish(loop, work));
  CHECK(sum == 1000);
  writer.join();
  ::close(fd);
}

TEST_CASE("a coroutine sleeps as long as it said") {
  poller loop;
  coroutine work = [](poller& at) -> coroutine {
    const auto start = std::chrono::steady_clock::now();
    co_await sleep_for(at, 5ms);
    CHECK(std::chrono::steady_clock::now() - start >= 5ms);
  }(loop);
  work.start();
  CHECK(finish(loop, work));
}

TEST_CASE("a coroutine that always finds a message lets others run") {
  context owner;
  auto sockets = join(owner, socket_kind::pair, socket_kind::pair, "pipe://greedy");
  poller loop;
  std::stop_source source;
  const auto greedy_code = [&]() -> coroutine {
    for (;;) {
      sockets.connected.send(frame{"x"});
      static_cast<void>(co_await receive(loop, sockets.bound));
    }
  };
  coroutine greedy = greedy_code();
  greedy.start();
  loop.after(1ms, [&] { source.request_stop(); });
  loop.run(source.get_token());
  CHECK_FALSE(greedy.done());
}

TEST_CASE("a coroutine that is destroyed while it waits leaves the poller") {
  context owner;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, "pipe://gone");
  poller loop;
  {
    const auto receiver_code = [&]() -> coroutine {
      static_cast<void>(co_await receive_for(loop, sockets.bound, patience));
    };
    coroutine receiver = receiver_code();
    const auto sleeper_code = [&]() -> coroutine { co_await sleep_for(loop, patience); };
    coroutine sleeper = sleeper_code();
    const auto idle_code = [&]() -> coroutine { co_return; };
    coroutine idle = idle_code();
    receiver.start();
    sleeper.start();
    CHECK(loop.size() == 3);
  }
  CHECK(loop.size() == 0);
  sockets.connected.send(frame{"x"});
  CHECK(loop.wait_for(1ms) == 0);
}

TEST_CASE("what a coroutine throws leaves start, or the wait that resumed it") {
  poller loop;
  coroutine at_once = []() -> coroutine {
    throw std::runtime_error{"at once"};
    co_return;
  }();
  CHECK_THROWS_WITH(at_once.start(), "at once");
  CHECK(at_once.done());
  coroutine later = [](poller& at) -> coroutine {
    co_await sleep_for(at, 0ms);
    throw std::runtime_error{"later"};
  }(loop);
  later.start();
  CHECK_THROWS_WITH(loop.wait(), "later");
  CHECK(later.done());
}

TEST_CASE("a router tells a coroutine that there is no such peer") {
  for (const std::string& where : everywhere) {
    INFO(where);
    context owner;
    auto sockets = join(owner, socket_kind::router, socket_kind::dealer, where);
    sockets.connected.send(frame{"hello"});
    CHECK(sockets.bound.receive_for(patience));
    poller loop;
    bool sent = true;
    const auto work_code = [&]() -> coroutine {
      message lost{"nobody", "x"};  // g++ 12 takes no braced list in a co_await
      sent = co_await send(loop, sockets.bound, std::move(lost));
    };
    coroutine work = work_code();
    work.start();
    CHECK(finish(loop, work));
    CHECK_FALSE(sent);
  }
}
