// SPDX-License-Identifier: MPL-2.0
#include <parley/poller.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <string>

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
