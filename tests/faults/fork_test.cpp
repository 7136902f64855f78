// SPDX-License-Identifier: MPL-2.0
//
// A child that fork() made, with copies of its parent's sockets and patterns.
#include <parley/allow_list.hpp>
#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/pipeline.hpp>
#include <parley/poller.hpp>
#include <parley/proxy.hpp>
#include <parley/pub_sub.hpp>
#include <parley/request_reply.hpp>
#include <parley/socket.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/connected.hpp"
#include "support/sanitizers.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::child;
using support::join;
using support::patience;

namespace {

const std::string carriers[] = {"pipe://fork", "inproc://fork", "ipc://*", "tcp://127.0.0.1:*"};

// In the child, where Catch2's macros are of no use.
void expect(bool truth, const std::string& what) {
  if (!truth) {
    throw std::runtime_error{what};
  }
}

template<class Call>
void expect_forked(const std::string& what, Call call) {
  try {
    call();
  } catch (const error& failure) {
    expect(failure.code() == errc::forked, what + ": " + failure.what());
    return;
  }
  expect(false, what + " went through");
}

// Says something, and hears it, over every carrier.
void use_a_context_of_its_own() {
  for (const std::string& where : carriers) {
    context own;
    auto sockets = join(own, socket_kind::pull, socket_kind::push, where);
    sockets.connected.send(message("hello"));
    const auto received = sockets.bound.receive_for(patience);
    expect(received.has_value(), "nothing came over " + where);
  }
  context own;
  server adder{own};
  adder.handle("add", [](int a, int b) { return a + b; });
  client asking{own, adder.bind("tcp://127.0.0.1:0")};
  expect(asking.call<int>("add", 2, 3) == 5, "a call");
}

}  // namespace

TEST_CASE("whatever a child does with its parent's socket is an error, and does not wait") {
  if (!support::may_fork) {
    return;
  }
  for (const std::string& where : carriers) {
    context owner;
    std::optional sockets = join(owner, socket_kind::pair, socket_kind::pair, where);
    child forked{[&](child::line) {
      parley::socket& mine = sockets->connected;
      expect_forked("send", [&] { mine.send(message("x")); });
      expect_forked("try_send", [&] { static_cast<void>(mine.try_send(message("x"))); });
      expect_forked("send_for", [&] { static_cast<void>(mine.send_for(message("x"), 1h)); });
      expect_forked("receive", [&] { static_cast<void>(mine.receive()); });
      expect_forked("receive_for", [&] { static_cast<void>(mine.receive_for(1h)); });
      expect_forked("can_receive", [&] { static_cast<void>(mine.can_receive()); });
      expect_forked("bind", [&] { mine.bind("tcp://127.0.0.1:0"); });
      expect_forked("connect", [&] { mine.connect("pipe://other"); });
      expect_forked("close_for", [&] { static_cast<void>(mine.close_for(1h)); });
      expect_forked("statistics", [&] { static_cast<void>(mine.statistics()); });
      expect_forked("native", [&] { static_cast<void>(mine.native()); });
      expect_forked("a new socket", [&] { parley::socket{owner, socket_kind::pair}; });
      poller waiting;
      expect_forked("poller", [&] { waiting.add(mine, interest::input, [] {}); });
      owner.shutdown();
      sockets.reset();  // the destructors return
    }};
    CHECK(forked.finish() == 0);
    sockets->connected.send(message("the parent goes on"));
    CHECK(sockets->bound.receive_for(patience) == message("the parent goes on"));
  }
}

TEST_CASE("a poller that a child inherits is an error too") {
  if (!support::may_fork) {
    return;
  }
  context owner;
  auto sockets = join(owner, socket_kind::pair, socket_kind::pair, "pipe://polled");
  poller waiting;
  waiting.add(sockets.bound, interest::input, [] {});
  child forked{[&](child::line) {
    expect_forked("wait", [&] { waiting.wait(); });
    expect_forked("wait_for", [&] { waiting.wait_for(1h); });
  }};
  CHECK(forked.finish() == 0);
}

TEST_CASE(
    "a proxy that runs in the parent is an error in the child, and goes there without waiting") {
  if (!support::may_fork) {
    return;
  }
  context owner;
  parley::socket front{owner, socket_kind::pull};
  parley::socket back{owner, socket_kind::push};
  parley::socket source{owner, socket_kind::push};
  parley::socket worker{owner, socket_kind::pull};
  source.connect(front.bind("pipe://front"));
  worker.connect(back.bind("pipe://back"));
  std::optional<proxy> middle{std::in_place, front, back};
  middle->start();
  child forked{[&](child::line) {
    expect_forked("start", [&] { middle->start(); });
    expect_forked("stop", [&] { middle->stop(); });
    expect_forked("run", [&] { middle->run({}); });
    expect_forked("pause", [&] { middle->pause(); });
    expect_forked("statistics", [&] { static_cast<void>(middle->statistics()); });
    middle.reset();
  }};
  CHECK(forked.finish() == 0);
  source.send(message("the parent goes on"));
  CHECK(worker.receive_for(patience) == message("the parent goes on"));
}

TEST_CASE("the sentence says what to do instead") {
  if (!support::may_fork) {
    return;
  }
  context owner;
  parley::socket mine{owner, socket_kind::pair};
  child forked{[&](child::line out) {
    try {
      static_cast<void>(mine.try_receive());
    } catch (const error& failure) {
      out.say(failure.what());
    }
  }};
  CHECK(forked.hear() ==
        "use a socket: it belongs to the parent process; after fork() a child must make its own");
}

TEST_CASE("a child may make a context of its own, beside the one it inherited") {
  if (!support::may_fork) {
    return;
  }
  context owner;
  std::optional sockets = join(owner, socket_kind::pair, socket_kind::pair, "tcp://127.0.0.1:*");
  child forked{[&](child::line) {
    use_a_context_of_its_own();
    sockets.reset();
    use_a_context_of_its_own();
  }};
  CHECK(forked.finish() == 0);
}

TEST_CASE("a child of a child is guarded as well") {
  if (!support::may_fork) {
    return;
  }
  context owner;
  parley::socket mine{owner, socket_kind::pair};
  child forked{[&](child::line) {
    context own;
    parley::socket childs{own, socket_kind::pair};
    child grandchild{[&](child::line) {
      expect_forked("the parent's", [&] { static_cast<void>(mine.try_receive()); });
      expect_forked("the child's", [&] { static_cast<void>(childs.try_receive()); });
      use_a_context_of_its_own();
    }};
    expect(grandchild.finish() == 0, "the grandchild failed");
    expect(!childs.try_receive(), "the child's own");
  }};
  CHECK(forked.finish() == 0);
}

TEST_CASE("a child is not held by a lock that another thread of the parent had") {
  if (!support::may_fork) {
    return;
  }
  context owner;
  auto sockets = join(owner, socket_kind::pair, socket_kind::pair, "pipe://busy");
  std::atomic<bool> over{false};
  std::thread asking{[&] {
    while (!over) {
      static_cast<void>(sockets.bound.statistics());
      parley::socket passing{owner, socket_kind::push};
      passing.connect("pipe://nobody");
    }
  }};
  for (int count = 0; count < 20; ++count) {
    child forked{[&](child::line) {
      expect_forked("statistics", [&] { static_cast<void>(sockets.bound.statistics()); });
      expect_forked("a socket", [&] { parley::socket{owner, socket_kind::push}; });
      const auto going = std::move(sockets);
    }};
    CHECK(forked.finish() == 0);
  }
  over = true;
  asking.join();
}

TEST_CASE("patterns that a child inherits throw when used and return when destroyed") {
  if (!support::may_fork) {
    return;
  }
  context owner;
  std::optional<publisher> prices{std::in_place, owner, "tcp://127.0.0.1:0"};
  std::optional<subscriber> feed{std::in_place, owner};
  std::optional<source> tasks{std::in_place, owner, "tcp://127.0.0.1:0"};
  std::optional<worker> working{std::in_place, owner};
  std::optional<server> adder{std::in_place, owner};
  adder->handle("add", [](int a, int b) { return a + b; });
  std::optional<client> asking{std::in_place, owner, adder->bind("tcp://127.0.0.1:0")};
  // Starts the client's own thread.
  REQUIRE(asking->async_call<int>("add", 2, 3).get() == 5);
  std::optional<allow_list> friends{std::in_place, owner, std::vector<curve_key>{}};
  parley::socket watched{owner, socket_kind::pull};
  std::optional<monitor> watch{std::in_place, owner, watched};

  child forked{[&](child::line) {
    expect_forked("publish", [&] { prices->publish("a", "b"); });
    expect_forked("subscribers", [&] { static_cast<void>(prices->subscribers()); });
    expect_forked("subscribe", [&] { feed->subscribe("a"); });
    expect_forked("receive", [&] { static_cast<void>(feed->receive()); });
    expect_forked("push", [&] { tasks->push("a"); });
    expect_forked("take", [&] { static_cast<void>(working->receive()); });
    expect_forked("handle", [&] { adder->handle("f", [] {}); });
    expect_forked("call", [&] { asking->call<int>("add", 1, 1); });
    expect_forked("async_call", [&] { asking->async_call<int>("add", 1, 1).get(); });
    expect_forked("monitor", [&] { static_cast<void>(watch->receive_for(1h)); });
    prices->close();
    asking->close();
    adder->close();
    watch.reset();
    friends.reset();
    asking.reset();
    adder.reset();
    working.reset();
    tasks.reset();
    feed.reset();
    prices.reset();
    use_a_context_of_its_own();
  }};
  CHECK(forked.finish() == 0);
  CHECK(asking->call<int>("add", 20, 3) == 23);
}

TEST_CASE("a child that ends as programs do, by exit, does not hang") {
  if (!support::may_fork) {
    return;
  }
  static context owner;
  static auto sockets = join(owner, socket_kind::pull, socket_kind::push, "tcp://127.0.0.1:*");
  static client asking{owner, "tcp://127.0.0.1:1"};
  child forked{[&](child::line) { std::exit(0); }};
  CHECK(forked.finish() == 0);
}
