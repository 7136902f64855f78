// SPDX-License-Identifier: MPL-2.0
#include <parley/pipe/mpsc_pipe.hpp>
#include <parley/pipe/spsc_pipe.hpp>
#include <parley/poller.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::join;
using support::patience;

TEST_CASE("a poller waits on sockets and file descriptors together") {
  context owner;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, "inproc://poller");
  const int fd = ::eventfd(0, EFD_NONBLOCK);
  std::string log;
  poller waiting;
  waiting.add(sockets.bound, interest::input, [&] {
    log += "socket ";
    static_cast<void>(sockets.bound.receive());
  });
  waiting.add(fd, interest::input, [&] {
    log += "fd ";
    std::uint64_t count = 0;
    static_cast<void>(!::read(fd, &count, sizeof count));
  });

  CHECK(waiting.wait_for(1ms) == 0);
  sockets.connected.send(frame{"x"});
  CHECK(waiting.wait_for(patience) == 1);
  const std::uint64_t one = 1;
  REQUIRE(::write(fd, &one, sizeof one) == sizeof one);
  CHECK(waiting.wait() == 1);
  CHECK(log == "socket fd ");
  ::close(fd);
}

TEST_CASE("a socket is reported until it is read empty") {
  context owner;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, "inproc://level");
  int called = 0;
  poller waiting;
  waiting.add(sockets.bound, interest::input, [&] { ++called; });
  sockets.connected.send(frame{"x"});
  CHECK(waiting.wait_for(patience) == 1);
  CHECK(waiting.wait_for(patience) == 1);
  CHECK(called == 2);
}

TEST_CASE("a handler may remove itself and others") {
  context owner;
  auto sockets = join(owner, socket_kind::pair, socket_kind::pair, "inproc://remove");
  poller waiting;
  poller::key first = 0;
  poller::key second = 0;
  int called = 0;
  const auto once = [&] {
    ++called;
    waiting.remove(first);
    waiting.remove(second);
  };
  first = waiting.add(sockets.bound, interest::output, once);
  second = waiting.add(sockets.connected, interest::output, once);
  CHECK(waiting.wait_for(patience) == 1);
  CHECK(called == 1);
  CHECK(waiting.size() == 0);
}

TEST_CASE("what a handler throws leaves wait") {
  context owner;
  auto sockets = join(owner, socket_kind::pair, socket_kind::pair, "inproc://throws");
  poller waiting;
  waiting.add(sockets.bound, interest::output, [] { throw std::runtime_error{"handler"}; });
  CHECK_THROWS_WITH(waiting.wait(), "handler");
}

TEST_CASE("a poller calls the rest of what was ready after a handler threw") {
  context owner;
  poller waiting;
  int called = 0;
  waiting.after(0ms, [] { throw std::runtime_error{"handler"}; });
  waiting.after(0ms, [&] { ++called; });
  CHECK_THROWS_WITH(waiting.wait(), "handler");
  CHECK(called == 0);
  CHECK(waiting.wait() == 1);
  CHECK(called == 1);
}

TEST_CASE("a poller waits at the reading end of a pipe until it is drained") {
  constexpr int last = 20'000;
  spsc_pipe<int> numbers{8};
  std::jthread writer{[&] {
    for (int number = 0; number <= last; ++number) {
      numbers.push(number);
    }
    numbers.close();
  }};
  poller waiting;
  std::vector<int> got;
  poller::key key = 0;
  key = waiting.add(numbers, interest::input, [&] {
    while (const auto number = numbers.try_pop()) {
      got.push_back(*number);
    }
    if (numbers.drained()) {
      waiting.remove(key);
    }
  });
  while (waiting.size() > 0) {
    REQUIRE(waiting.wait_for(patience) == 1);
  }
  REQUIRE(got.size() == last + 1);
  CHECK(std::is_sorted(got.begin(), got.end()));
}

TEST_CASE("a poller waits at the writing end of a pipe for room") {
  constexpr int last = 20'000;
  spsc_pipe<int> numbers{8};
  std::jthread reader{[&] {
    while (const auto number = numbers.pop()) {
      if (*number == last) {
        numbers.close();
      }
    }
  }};
  poller waiting;
  int next = 0;
  waiting.add(numbers, interest::output, [&] {
    while (numbers.try_push(next) == push_result::pushed) {
      ++next;
    }
  });
  while (!numbers.closed()) {
    static_cast<void>(waiting.wait_for(patience));
  }
  CHECK(next > last);
}

TEST_CASE("a poller waits for many writers of one pipe, and is one of them") {
  mpsc_pipe<int> numbers{2};
  auto here = numbers.add_writer();
  std::jthread other{[there = numbers.add_writer()]() mutable {
    for (int number = 0; number < 1000; ++number) {
      there.push(1);
    }
  }};
  poller waiting;
  int sum = 0;
  int sent = 0;
  waiting.add(numbers, interest::input, [&] {
    while (const auto number = numbers.try_pop()) {
      sum += *number;
    }
  });
  poller::key writing = 0;
  writing = waiting.add(here, interest::output, [&] {
    while (sent < 1000 && here.try_push(1) == push_result::pushed) {
      ++sent;
    }
    if (sent == 1000) {
      waiting.remove(writing);
    }
  });
  while (sum < 2000) {
    REQUIRE(waiting.wait_for(patience) > 0);
  }
  CHECK(sum == 2000);
}

TEST_CASE("pipes that share a bell are polled as others are") {
  const auto bell = std::make_shared<doorbell>();
  spsc_pipe<int> first{4, bell, std::make_shared<doorbell>()};
  spsc_pipe<int> second{4, bell, std::make_shared<doorbell>()};
  poller waiting;
  std::string log;
  waiting.add(first, interest::input, [&] { log += std::to_string(first.pop().value()); });
  waiting.add(second, interest::input, [&] { log += std::to_string(second.pop().value()); });
  CHECK(waiting.wait_for(1ms) == 0);
  std::jthread{[&] { first.push(1); }}.join();
  CHECK(waiting.wait_for(patience) == 1);
  std::jthread writer{[&] { second.push(2); }};
  CHECK(waiting.wait_for(patience) == 1);
  CHECK(log == "12");
}

TEST_CASE("both directions of a socket are waited for at once") {
  context owner;
  for (const std::string where : {"pipe://both", "inproc://both", "tcp://127.0.0.1:*"}) {
    INFO(where);
    constexpr int rounds = 2000;
    socket_options small;
    small.send_limit = small.receive_limit = 1;
    auto sockets = join(owner, socket_kind::pair, socket_kind::pair, where, small);
    std::jthread echo{[&] {
      for (int round = 0; round < rounds; ++round) {
        sockets.connected.send(sockets.connected.receive());
      }
    }};
    poller waiting;
    int sent = 0;
    int received = 0;
    poller::key writing = 0;
    writing = waiting.add(sockets.bound, interest::output, [&] {
      while (sent < rounds && sockets.bound.try_send(frame{"x"})) {
        ++sent;
      }
      if (sent == rounds) {
        waiting.remove(writing);
      }
    });
    waiting.add(sockets.bound, interest::input, [&] {
      while (sockets.bound.try_receive()) {
        ++received;
      }
    });
    while (received < rounds) {
      REQUIRE(waiting.wait_for(patience) > 0);
    }
    CHECK(received == rounds);
  }
}

TEST_CASE("a timer calls once, after its delay") {
  poller waiting;
  const auto start = std::chrono::steady_clock::now();
  int called = 0;
  waiting.after(5ms, [&] { ++called; });
  CHECK(waiting.size() == 1);
  CHECK(waiting.wait_for(patience) == 1);
  CHECK(std::chrono::steady_clock::now() - start >= 5ms);
  CHECK(waiting.wait_for(1ms) == 0);
  CHECK(called == 1);
  CHECK(waiting.size() == 0);
}

TEST_CASE("timers call in the order of their times") {
  poller waiting;
  std::string log;
  for (;;) {
    const auto start = std::chrono::steady_clock::now();
    const auto last = waiting.after(3ms, [&] { log += 'c'; });
    const auto first = waiting.after(1ms, [&] { log += 'a'; });
    const auto second = waiting.after(2ms, [&] { log += 'b'; });
    if (std::chrono::steady_clock::now() - start < 1ms) {
      break;
    }
    // Held up between them: their times may have another order.
    for (const poller::key each : {last, first, second}) {
      waiting.remove(each);
    }
  }
  while (waiting.size() > 0) {
    waiting.wait();
  }
  CHECK(log == "abc");
}

TEST_CASE("a periodic timer leaves out what it missed") {
  poller waiting;
  constexpr auto interval = 4ms;
  std::vector<std::chrono::steady_clock::time_point> calls;
  const auto start = std::chrono::steady_clock::now();
  waiting.every(interval, [&] {
    calls.push_back(std::chrono::steady_clock::now());
    if (calls.size() == 2) {
      std::this_thread::sleep_for(5 *
                                  interval);  // the handler under test is late: misses beats 3 to 7
    }
  });
  while (calls.size() < 4) {
    waiting.wait();
  }
  CHECK(calls[2] - start >= 7 * interval);  // once for all that it missed
  CHECK(calls[3] - start >= 8 * interval);  // and on with beat 8
}

TEST_CASE("a late call of a periodic timer does not move the next") {
  poller waiting;
  constexpr auto interval = 4ms;
  auto last = std::chrono::steady_clock::now();
  const auto end = last + patience;
  auto shortest = std::chrono::steady_clock::duration::max();
  bool dawdle = true;
  waiting.every(interval, [&] {
    const auto now = std::chrono::steady_clock::now();
    shortest = std::min(shortest, now - last);
    last = now;
    if (std::exchange(dawdle, !dawdle)) {
      std::this_thread::sleep_for(interval * 3 / 2);  // the next call is late, the one after is not
    }
  });
  // A timer that starts anew with each call never calls twice within its interval.
  while (shortest >= interval && std::chrono::steady_clock::now() < end) {
    waiting.wait();
  }
  CHECK(shortest < interval);
}

TEST_CASE("a periodic timer may remove itself") {
  poller waiting;
  int called = 0;
  poller::key beat = 0;
  beat = waiting.every(1ms, [&] {
    if (++called == 3) {
      waiting.remove(beat);
    }
  });
  while (waiting.size() > 0) {
    waiting.wait();
  }
  CHECK(called == 3);
}

TEST_CASE("a timer that was removed is not called") {
  poller waiting;
  bool called = false;
  poller::key other = 0;
  waiting.after(0ms, [&] { waiting.remove(other); });
  other = waiting.after(0ms, [&] { called = true; });
  CHECK(waiting.wait() == 1);
  CHECK_FALSE(called);
  CHECK(waiting.wait_for(0ms) == 0);
}

TEST_CASE("timers are called while a socket is always ready, and the other way round") {
  context owner;
  auto sockets = join(owner, socket_kind::pair, socket_kind::pair, "inproc://busy");
  poller waiting;
  int written = 0;
  int beats = 0;
  waiting.add(sockets.bound, interest::output, [&] { ++written; });
  waiting.every(1ns, [&] { ++beats; });
  while (written < 3 || beats < 3) {
    REQUIRE(waiting.wait() > 0);
  }
}

TEST_CASE("a stop ends a wait from another thread") {
  poller waiting;
  for (int round = 0; round < 200; ++round) {
    std::stop_source source;
    std::jthread other{[&] { source.request_stop(); }};
    CHECK(waiting.wait(source.get_token()) == 0);
    CHECK(waiting.wait_for(patience, source.get_token()) == 0);
  }
}

TEST_CASE("a poller runs until it is stopped") {
  context owner;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, "pipe://run");
  poller waiting;
  std::stop_source source;
  int received = 0;
  waiting.add(sockets.bound, interest::input, [&] {
    while (sockets.bound.try_receive()) {
      ++received;
    }
    if (received == 3) {
      source.request_stop();
    }
  });
  std::jthread sender{[&] {
    for (int number = 0; number < 3; ++number) {
      sockets.connected.send(frame{"x"});
    }
  }};
  waiting.run(source.get_token());
  CHECK(received == 3);
}

TEST_CASE("news that comes between a poller's look and its sleep is not slept through") {
  doorbell bell;
  int looks = 0;
  bool news = false;
  poller waiting;
  waiting.add(
      bell,
      [&] {
        const bool seen = news;
        if (++looks == 1) {
          news = true;  // just after the look, as another thread would
          bell.ring();
        }
        return seen;
      },
      [&] { news = false; });
  CHECK(waiting.wait() == 1);
  CHECK_FALSE(news);
}
