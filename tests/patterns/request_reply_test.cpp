// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/request_reply.hpp>
#include <parley/socket.hpp>

#include <atomic>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

const std::string carriers[] = {"pipe://request-reply-test", "inproc://request-reply-test",
                                "ipc://*", "tcp://127.0.0.1:*"};

struct point {
  int x = 0;
  int y = 0;
  MSGPACK_DEFINE(x, y)
};

std::string remote_type(const std::function<void()>& call) {
  try {
    call();
  } catch (const remote_error& caught) {
    return caught.type();
  }
  return "no remote error";
}

}  // namespace

TEST_CASE("a call returns what the function returns") {
  for (const std::string& where : carriers) {
    context owner;
    server calculator{owner};
    const endpoint bound = calculator.bind(where);
    calculator.handle("add", [](int a, int b) { return a + b; });
    calculator.handle("mirror", [](const point& p) { return point{p.y, p.x}; });
    calculator.handle("join", [](const std::vector<std::string>& words) {
      std::string joined;
      for (const std::string& each : words) {
        joined += each;
      }
      return joined;
    });
    std::atomic<int> noted{0};
    calculator.handle("note", [&](int value) { noted = value; });
    calculator.handle("nothing", [] { return 1; });

    client caller{owner, bound};
    CHECK(caller.call<int>("add", 2, 3) == 5);
    CHECK(caller.call<point>("mirror", point{1, 2}).x == 2);
    CHECK(caller.call<std::string>("join", std::vector<std::string>{"a", "b"}) == "ab");
    CHECK(caller.call<std::string>("join", std::vector<std::string>(10'000, "long")).size() ==
          40'000);
    caller.call<void>("note", 7);
    CHECK(noted == 7);
    CHECK(caller.call<int>("nothing") == 1);
  }
}

TEST_CASE("each way to fail has its own type") {
  context owner;
  server calculator{owner};
  client caller{owner, calculator.bind("inproc://failures")};
  calculator.handle("fail", [](int) -> int { throw std::out_of_range{"too far"}; });
  CHECK(remote_type([&] { caller.call<int>("absent"); }) == "unknown_method");
  CHECK(remote_type([&] { caller.call<int>("fail"); }) == "wrong_parameters");
  CHECK(remote_type([&] { caller.call<int>("fail", 1, 2); }) == "wrong_parameters");
  CHECK(remote_type([&] { caller.call<int>("fail", "text"); }) == "wrong_parameters");
  CHECK(remote_type([&] { caller.call<int>("fail", 1); }) == "std::out_of_range");
  CHECK_THROWS_WITH(caller.call<int>("fail", 1), Catch::Contains("too far"));
}

TEST_CASE("a result of another type is an error of the caller's alone") {
  context owner;
  server words{owner};
  client caller{owner, words.bind("inproc://wrong-result")};
  words.handle("word", [] { return std::string{"word"}; });
  CHECK_THROWS_AS(caller.call<int>("word"), protocol_error);
  CHECK(caller.call<std::string>("word") == "word");
}

TEST_CASE("a call that nobody answers times out, and the client stays usable") {
  context owner;
  parley::socket silent{owner, socket_kind::router};
  client caller{owner, silent.bind("tcp://127.0.0.1:0"), {.timeout = 20ms}};
  REQUIRE(caller.wait_for_server(patience));
  CHECK_THROWS_AS(caller.call<int>("add", 1, 2), timed_out);
  CHECK_THROWS_AS(caller.async_call<int>("add", 1, 2).get(), timed_out);

  server calculator{owner};
  calculator.handle("add", [](int a, int b) { return a + b; });
  client other{owner, calculator.bind("tcp://127.0.0.1:0")};
  CHECK(other.call<int>("add", 1, 2) == 3);
}

TEST_CASE("a reply that comes too late is not taken for another call's") {
  context owner;
  parley::socket slow{owner, socket_kind::rep};
  client caller{owner, slow.bind("inproc://late")};
  REQUIRE(caller.wait_for_server(patience));
  CHECK_THROWS_AS(caller.request({.timeout = 1ms}, frame{"first"}), timed_out);
  REQUIRE(slow.receive_for(patience).has_value());
  slow.send(frame{"reply to first"});
  std::thread answering{[&] {
    const auto request = slow.receive_for(patience);
    slow.send(frame{"reply to " + request->front().str()});
  }};
  CHECK(caller.request(frame{"second"}).front() == "reply to second");
  answering.join();
}

TEST_CASE("a call that no server is there for says so") {
  context owner;
  client lonely{owner};
  CHECK_THROWS_AS(lonely.call<int>({.timeout = 1ms}, "add", 1, 2), no_server);
  CHECK_THROWS_AS(lonely.call<int>({.timeout = 1h, .wait_for_server = false}, "add", 1, 2),
                  no_server);
}

TEST_CASE("many calls are in flight at once, in any order") {
  context owner;
  server calculator{owner, {.workers = 4}};
  calculator.handle("double", [](int value) { return 2 * value; });
  client caller{owner, calculator.bind("tcp://127.0.0.1:0")};
  std::vector<std::future<int>> results;
  for (int value = 0; value < 500; ++value) {
    results.push_back(caller.async_call<int>("double", value));
  }
  for (int value = 0; value < 500; ++value) {
    CHECK(results[static_cast<std::size_t>(value)].get() == 2 * value);
  }
}

TEST_CASE("many threads share one client, waiting or not, and each gets its own replies") {
  context owner;
  server calculator{owner, {.workers = 2}};
  calculator.handle("same", [](int value) { return value; });
  client caller{owner, calculator.bind("tcp://127.0.0.1:0"), {.timeout = patience}};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 6; ++thread) {
    threads.emplace_back([&, thread] {
      for (int index = 0; index < 200; ++index) {
        const int value = thread * 1000 + index;
        const int result = thread % 2 == 0 ? caller.call<int>("same", value)
                                           : caller.async_call<int>("same", value).get();
        wrong += result == value ? 0 : 1;
      }
    });
  }
  for (std::thread& each : threads) {
    each.join();
  }
  CHECK(wrong == 0);
}

TEST_CASE("calls go to several servers in turn") {
  context owner;
  server first{owner};
  server second{owner};
  first.handle("name", [] { return 1; });
  second.handle("name", [] { return 2; });
  client caller{owner, {first.bind("tcp://127.0.0.1:0"), second.bind("tcp://127.0.0.1:0")}};
  std::map<int, int> answers;
  for (int count = 0; count < 10; ++count) {
    ++answers[caller.call<int>("name")];
  }
  CHECK(answers[1] == 5);
  CHECK(answers[2] == 5);
}

TEST_CASE("a notification runs the method and is not answered") {
  context owner;
  server log{owner};
  std::promise<std::string> seen;
  log.handle("log", [&](const std::string& text) { seen.set_value(text); });
  client caller{owner, log.bind("tcp://127.0.0.1:0")};
  caller.notify("log", "hello");
  auto result = seen.get_future();
  REQUIRE(result.wait_for(patience) == std::future_status::ready);
  CHECK(result.get() == "hello");
}

TEST_CASE("raw requests reach a plain REP socket and come back") {
  context owner;
  parley::socket plain{owner, socket_kind::rep};
  client caller{owner, plain.bind("tcp://127.0.0.1:0")};
  std::thread answering{[&] {
    const auto request = plain.receive_for(patience);
    plain.send(message{(*request)[1], (*request)[0]});
  }};
  CHECK(caller.request(message{frame{"a"}, frame{"b"}}) == message{frame{"b"}, frame{"a"}});
  answering.join();
}

TEST_CASE("plain REQ and bare DEALER sockets reach a raw server") {
  context owner;
  server echo{owner};
  echo.handle_raw([](message request) { return request; });
  const endpoint bound = echo.bind("tcp://127.0.0.1:0");
  for (const socket_kind kind : {socket_kind::req, socket_kind::dealer}) {
    parley::socket plain{owner, kind};
    plain.connect(bound);
    plain.send(message{frame{"a"}, frame{"b"}});
    CHECK(plain.receive_for(patience) == message{frame{"a"}, frame{"b"}});
  }
}

TEST_CASE("garbage is answered with an error and hurts nobody else") {
  context owner;
  server calculator{owner};
  calculator.handle("add", [](int a, int b) { return a + b; });
  const endpoint bound = calculator.bind("tcp://127.0.0.1:0");
  parley::socket hostile{owner, socket_kind::req};
  hostile.connect(bound);
  for (const char* garbage : {"garbage", "\x94", "\x93\x01", "\xdf\xff\xff\xff\xff"}) {
    hostile.send(frame{garbage});
    const auto reply = hostile.receive_for(patience);
    REQUIRE(reply.has_value());
    CHECK(reply->front().view().find("wrong_request") != std::string_view::npos);
  }
  client caller{owner, bound};
  CHECK(caller.call<int>("add", 2, 3) == 5);
}

TEST_CASE("a call that cannot be sent ends once, through its callback") {
  context owner;
  client lonely{owner};
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> ended{0};
    lonely.call_packed({.timeout = 2ms}, "add", encode(std::tuple{1, 2}), [&](call_outcome&& reply) {
      CHECK(reply.how == call_end::no_server);
      ++ended;
    });
    while (ended == 0) {
      std::this_thread::yield();
    }
    CHECK(ended == 1);
  }
}

TEST_CASE("a client may be closed by several threads at once") {
  for (int round = 0; round < 50; ++round) {
    context owner;
    parley::socket silent{owner, socket_kind::router};
    client caller{owner, silent.bind("inproc://closed-twice")};
    auto later = caller.async_call<int>("add", 1, 2);
    std::thread other{[&] { caller.close(); }};
    caller.close();
    other.join();
    CHECK_THROWS_AS(later.get(), closed);
  }
}

TEST_CASE("a raw handler may throw anything") {
  context owner;
  server odd{owner};
  odd.handle_raw([](const message&) -> message { throw 1; });
  client caller{owner, odd.bind("inproc://throws-anything")};
  CHECK(caller.request(frame{"x"}).front().view().find("no std::exception") !=
        std::string_view::npos);
}

TEST_CASE("closing the client ends its calls with closed") {
  context owner;
  parley::socket silent{owner, socket_kind::router};
  client caller{owner, silent.bind("tcp://127.0.0.1:0"), {.timeout = patience}};
  auto later = caller.async_call<int>("add", 1, 2);
  std::vector<std::thread> waiting;
  std::atomic<int> ended{0};
  for (int count = 0; count < 3; ++count) {
    waiting.emplace_back([&] {
      try {
        caller.call<int>("add", 1, 2);
      } catch (const closed&) {
        ++ended;
      }
    });
  }
  for (int count = 0; count < 4;) {  // until all four are in flight
    const auto received = silent.receive_for(patience);
    REQUIRE(received.has_value());
    count += received->size() > 2 ? 1 : 0;  // the other is a ping
  }
  caller.close();
  for (std::thread& each : waiting) {
    each.join();
  }
  CHECK(ended == 3);
  CHECK_THROWS_AS(later.get(), closed);
  CHECK_THROWS_AS(caller.call<int>("add", 1, 2), closed);
}

TEST_CASE("a server waits for the handlers that run, and for no others") {
  context owner;
  std::atomic<bool> finished{false};
  std::promise<void> started;
  std::promise<void> proceed;
  std::optional<server> busy{std::in_place, owner};
  busy->handle("work", [&] {
    started.set_value();
    proceed.get_future().wait();
    finished = true;
  });
  client caller{owner, busy->bind("tcp://127.0.0.1:0")};
  auto result = caller.async_call<void>("work");
  started.get_future().wait();
  std::thread other{[&] { proceed.set_value(); }};
  busy.reset();
  CHECK(finished);
  other.join();
}
