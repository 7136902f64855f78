// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/request_reply.hpp>
#include <parley/socket.hpp>

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <semaphore>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "call_header.hpp"
#include "support/await.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using parley::detail::call_header;
using parley::detail::pack_header;
using parley::detail::parse_header;
using support::await;
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

TEST_CASE("a method may take any parameters, as they came") {
  context owner;
  server echo{owner};
  client caller{owner, echo.bind("inproc://any-parameters")};
  echo.handle_packed("echo", [](const call_context&, const msgpack::object& parameters) {
    return encode(parameters);
  });
  echo.handle_packed("fail", [](const call_context&, const msgpack::object&) -> frame {
    throw remote_error{"my_type", "my words"};
  });
  CHECK(caller.call<std::vector<int>>("echo", 1, 2, 3) == std::vector{1, 2, 3});
  CHECK(caller.call<std::vector<int>>("echo").empty());
  CHECK(caller.call<std::map<std::string, int>>("echo", arg("a", 1), arg("b", 2)) ==
        std::map<std::string, int>{{"a", 1}, {"b", 2}});
  CHECK(remote_type([&] { caller.call<void>("fail"); }) == "my_type");
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
  REQUIRE(caller.wait_for_servers(1, patience));
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
  REQUIRE(caller.wait_for_servers(1, patience));
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
  REQUIRE(caller.wait_for_servers(2, patience));
  std::map<int, int> answers;
  for (int count = 0; count < 10; ++count) {
    ++answers[caller.call<int>("name")];
  }
  CHECK(answers[1] == 5);
  CHECK(answers[2] == 5);
}

TEST_CASE("a notification runs the method and is not answered") {
  context owner;
  std::promise<std::string> seen;
  server log{owner};
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
    lonely.call_packed({.timeout = 2ms}, "add", encode(std::tuple{1, 2}),
                       [&](call_outcome&& reply) {
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

// What handlers may be.

TEST_CASE("parameters may be given by name, and left out when they are optional") {
  context owner;
  server calculator{owner};
  client caller{owner, calculator.bind("inproc://named")};
  calculator.handle("power", {"base", "exponent"}, [](int base, std::optional<int> exponent) {
    int result = 1;
    for (int left = exponent.value_or(2); left > 0; --left) {
      result *= base;
    }
    return result;
  });
  CHECK(caller.call<int>("power", 3) == 9);
  CHECK(caller.call<int>("power", 3, 3) == 27);
  CHECK(caller.call<int>("power", arg("exponent", 3), arg("base", 2)) == 8);
  CHECK(caller.call<int>("power", arg("base", 2)) == 4);
  CHECK_THROWS_WITH(caller.call<int>("power", arg("exponent", 3)),
                    Catch::Contains("parameter 'base' is missing"));
  CHECK_THROWS_WITH(caller.call<int>("power", arg("base", 3), arg("root", 3)),
                    Catch::Contains("no parameter 'root'"));
  CHECK_THROWS_WITH(caller.call<int>("power", 1, 2, 3),
                    Catch::Contains("expected 2 parameters, found 3"));
}

namespace {
struct job {
  std::string file;
  int size = 0;
  MSGPACK_DEFINE_MAP(file, size)
};
}  // namespace

TEST_CASE("a struct that packs as a map takes named parameters as a whole") {
  context owner;
  server resizer{owner};
  client caller{owner, resizer.bind("inproc://struct")};
  resizer.handle("resize", [](const job& what) { return what.file + std::to_string(what.size); });
  CHECK(caller.call<std::string>("resize", job{"a", 1}) == "a1");
  CHECK(caller.call<std::string>("resize", arg("file", "b"), arg("size", 2)) == "b2");
}

TEST_CASE("a reply may be given later, by another thread, once") {
  context owner;
  server slow{owner};
  client caller{owner, slow.bind("tcp://127.0.0.1:0")};
  std::vector<reply<int>> kept;
  std::mutex keeping;
  slow.handle("later", [&](const reply<int>& answer, int value) {
    const std::lock_guard lock{keeping};
    kept.push_back(answer);
    if (value == 2) {
      throw std::runtime_error{"not this one"};
    }
  });
  auto first = caller.async_call<int>("later", 1);
  CHECK(remote_type([&] { caller.call<int>("later", 2); }) == "std::runtime_error");
  auto third = caller.async_call<int>("later", 3);
  auto dropped = caller.async_call<int>("later", 4);
  // One worker: it answers after it has taken the others.
  slow.handle("ready", [] {});
  caller.call<void>("ready");
  std::thread other{[&] {
    const std::lock_guard lock{keeping};
    REQUIRE(kept.size() == 4);
    kept[2].fail("no_luck", "sorry");
    kept[0].send(11);
    kept[0].send(12);
    kept.clear();
  }};
  other.join();
  CHECK(first.get() == 11);
  CHECK(remote_type([&] { third.get(); }) == "no_luck");
  CHECK(remote_type([&] { dropped.get(); }) == "no_reply");
}

TEST_CASE("a handler may choose the error's type") {
  context owner;
  server picky{owner};
  client caller{owner, picky.bind("inproc://picky")};
  picky.handle("buy", [] { throw remote_error{"sold_out", "come back tomorrow"}; });
  CHECK(remote_type([&] { caller.call<void>("buy"); }) == "sold_out");
}

TEST_CASE("a server lists its methods, in words of MessagePack") {
  context owner;
  server calculator{owner};
  client caller{owner, calculator.bind("inproc://methods")};
  calculator.handle("add", {"a", "b"}, [](int a, std::optional<double> b) { return a + *b; });
  calculator.handle("count", [](results<std::string>&, unsigned) {});
  const message reply = caller.request([] {
    detail::pack_buffer packed;
    detail::pack_request_head(packed, 1, "parley.methods");
    detail::pack_parameters(packed);
    return packed.take();
  }());
  std::ostringstream shown;
  shown << detail::unpacked{reply.front().view()}.get();
  CHECK(
      shown.str() ==
      R"([1,1,null,[{"name":"add","parameters":[{"name":"a","type":"int"},)"
      R"({"name":"b","type":"float?"}],"result":"float","streams":false},)"
      R"({"name":"count","parameters":[{"name":"","type":"uint"}],"result":"str","streams":true},)"
      R"({"name":"parley.methods","parameters":[],"result":"array<struct>","streams":false}]])");
}

// Time.

TEST_CASE("a handler knows what time is left, and hears when nobody waits any more") {
  for (const std::string& where : carriers) {
    context owner;
    std::promise<void> stopped;
    server patient{owner};
    client caller{owner, patient.bind(where)};
    patient.handle("left", [](const call_context& about) {
      return about.time_left() > 1s && about.time_left() <= 1h;
    });
    CHECK(caller.call<bool>({.timeout = 1h}, "left"));

    patient.handle("wait", [&](const call_context& about) {
      std::promise<void> asked;
      const std::stop_callback on_stop{about.stop_token(), [&] { asked.set_value(); }};
      if (asked.get_future().wait_for(patience) == std::future_status::ready) {
        stopped.set_value();
      }
    });
    CHECK_THROWS_AS(caller.call<void>({.timeout = 50ms}, "wait"), timed_out);
    CHECK(stopped.get_future().wait_for(patience) == std::future_status::ready);
    // It heard of the deadline from its own server, or from the caller's.
    CHECK(patient.statistics().cancelled + patient.statistics().expired == 1);
  }
}

TEST_CASE("a handler is asked to stop when the deadline passes, though nobody says so") {
  for (const bool answers_later : {false, true}) {
    context owner;
    std::promise<void> stopped;
    std::thread waits;
    server patient{owner};
    const auto wait = [&](const call_context& about) {
      std::promise<void> asked;
      const std::stop_callback on_stop{about.stop_token(), [&] { asked.set_value(); }};
      if (asked.get_future().wait_for(patience) == std::future_status::ready) {
        CHECK(about.time_left() == 0s);
        stopped.set_value();
      }
    };
    patient.handle("wait", wait);
    patient.handle("wait_elsewhere", [&](const reply<int>& to) {
      waits = std::thread{[&, to] { wait(to.context()); }};
    });
    // A client that is gone without a word: it sends no cancel.
    parley::socket client{owner, socket_kind::dealer};
    client.connect(patient.bind("tcp://127.0.0.1:0"));
    const char* const method = answers_later ? "wait_elsewhere" : "wait";
    client.send(message{pack_header({.id = 1, .time = 250'000}), frame{},
                        encode(std::tuple{0, 1, method, std::tuple<>{}})});
    CHECK(stopped.get_future().wait_for(patience) == std::future_status::ready);
    CHECK(patient.statistics().expired == 1);
    if (waits.joinable()) {
      waits.join();
    }
  }
}

TEST_CASE("a stop token cancels a call here and at the server") {
  context owner;
  std::promise<void> begun;
  std::promise<void> stopped;
  server patient{owner};
  client caller{owner, patient.bind("tcp://127.0.0.1:0"), {.timeout = patience}};
  patient.handle("wait", [&](const call_context& about) {
    std::promise<void> asked;
    const std::stop_callback on_stop{about.stop_token(), [&] { asked.set_value(); }};
    begun.set_value();
    asked.get_future().wait_for(patience);
    stopped.set_value();
  });
  std::stop_source stop;
  auto result = caller.async_call<void>({.stop = stop.get_token()}, "wait");
  begun.get_future().wait();
  stop.request_stop();
  CHECK_THROWS_AS(result.get(), cancelled);
  CHECK(stopped.get_future().wait_for(patience) == std::future_status::ready);
  // One that was cancelled before it began.
  CHECK_THROWS_AS(caller.call<void>({.stop = stop.get_token()}, "wait"), cancelled);
  CHECK(caller.statistics().cancelled == 2);
}

TEST_CASE("what a handler leaves that was asked to stop is no result, however it gives it") {
  using kind = call_header::kind;
  context owner;
  std::counting_semaphore<> begun{0};
  std::counting_semaphore<> stopped{0};
  std::counting_semaphore<> proceed{0};
  const auto wait = [&](const call_context& about) {
    std::promise<void> asked;
    const std::stop_callback on_stop{about.stop_token(), [&] { asked.set_value(); }};
    begun.release();
    asked.get_future().wait_for(patience);
    stopped.release();
    static_cast<void>(proceed.try_acquire_for(patience));
  };
  server patient{owner};
  patient.handle("result", [&](const call_context& about) {
    wait(about);
    return 1;
  });
  patient.handle("error", [&](const call_context& about) {
    wait(about);
    throw remote_error{"stopped", "by its caller"};
  });
  patient.handle("reply", [&](const reply<int>& to) {
    wait(to.context());
    to.send(1);
  });
  patient.handle("results", [&](results<int>& out) {
    static_cast<void>(out.send(1));
    wait(out.context());
    static_cast<void>(out.send(2));
  });
  patient.handle("stream", [&](results<int>& out) {
    begun.release();
    while (out.send(1)) {
    }
    stopped.release();
    static_cast<void>(proceed.try_acquire_for(patience));
  });
  // By hand: a client of ours asks again only when servers are lost at the worst moment.
  parley::socket client{owner, socket_kind::dealer};
  client.connect(patient.bind("tcp://127.0.0.1:0"));
  const auto next = [&] {
    const auto said = client.receive_for(patience);
    REQUIRE(said.has_value());
    const auto header = parse_header(said->front().view());
    REQUIRE(header.has_value());
    return *header;
  };
  std::uint64_t id = 0;
  for (const std::string method : {"result", "error", "reply", "results", "stream"}) {
    INFO(method);
    const bool streams = method == "stream";
    const std::uint8_t flags =
        call_header::idempotent | (streams ? call_header::streamed : std::uint8_t{0});
    const message request{
        pack_header(
            {.flags = flags, .id = ++id, .time = 3'600'000'000, .amount = streams ? 1U : 0U}),
        frame{}, encode(std::tuple{0, 1, method, std::tuple<>{}})};
    client.send(message{request});
    REQUIRE(begun.try_acquire_for(patience));
    if (streams) {
      CHECK(next().what == kind::item);
    }
    client.send(message{pack_header({.what = kind::cancel, .id = id})});
    REQUIRE(stopped.try_acquire_for(patience));
    client.send(message{request});
    const auto while_it_ends = next();
    CHECK(while_it_ends.what == kind::refused);
    CHECK((while_it_ends.flags & call_header::cut_short) != 0);
    proceed.release();
    REQUIRE(await([&] { return patient.statistics().open == 0; }));
    client.send(message{pack_header({.what = kind::ask, .id = id})});
    const auto from_memory = next();
    CHECK(from_memory.what == kind::refused);
    CHECK((from_memory.flags & call_header::cut_short) != 0);
  }
}

TEST_CASE("a server says of no call that it is unknown before its reply has left") {
  using kind = call_header::kind;
  context owner;
  std::mutex keeping;
  std::deque<reply<int>> kept;
  std::counting_semaphore<> to_answer{0};
  server busy{owner, {.workers = 3}};
  busy.handle("at_once", [] { return 1; });
  busy.handle("later", [&](const reply<int>& to) {
    const std::lock_guard lock{keeping};
    kept.push_back(to);
    to_answer.release();
  });
  const std::jthread answers{[&](const std::stop_token& stop) {
    const std::stop_callback on_stop{stop, [&] { to_answer.release(); }};
    for (to_answer.acquire(); !stop.stop_requested(); to_answer.acquire()) {
      std::unique_lock lock{keeping};
      const reply<int> next = std::move(kept.front());
      kept.pop_front();
      lock.unlock();
      next.send(1);
    }
  }};
  // By hand: a client of ours asks only after a connection was replaced unnoticed.
  parley::socket client{owner, socket_kind::dealer};
  client.connect(busy.bind("inproc://asked-again-and-again"));
  std::map<std::uint64_t, std::string> open;  // calls, and their methods
  std::map<std::string, int> overtaken;
  for (std::uint64_t id = 0; id < 4000;) {
    while (open.size() < 8) {
      const std::string method = ++id % 2 == 0 ? "at_once" : "later";
      open[id] = method;
      client.send(message{pack_header({.id = id}), frame{},
                          encode(std::tuple{0, 1, method, std::tuple<>{}})});
    }
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!open.empty()) {
      if (std::chrono::steady_clock::now() > end) {
        FAIL("a call was not answered");
      }
      for (const auto& [each, method] : open) {
        client.send(message{pack_header({.what = kind::ask, .id = each})});
      }
      while (const auto said = client.try_receive()) {
        const auto header = parse_header(said->front().view());
        const auto found = open.find(header ? header->id : 0);
        if (found != open.end()) {
          overtaken[found->second] += header->what == kind::unknown ? 1 : 0;
          open.erase(found);
        }
      }
    }
  }
  CHECK(overtaken["at_once"] == 0);
  CHECK(overtaken["later"] == 0);
}

TEST_CASE("a call that nobody waits for any more never reaches its handler") {
  context owner;
  server busy{owner};
  client caller{owner, busy.bind("tcp://127.0.0.1:0"), {.timeout = patience}};
  std::promise<void> proceed;
  const std::shared_future<void> go = proceed.get_future().share();
  std::atomic<int> ran{0};
  busy.handle("block", [go] { go.wait(); });
  busy.handle("run", [&] { ++ran; });
  auto blocked = caller.async_call<void>("block");
  CHECK_THROWS_AS(caller.call<void>({.timeout = 30ms}, "run"), timed_out);
  while (busy.statistics().cancelled + busy.statistics().expired == 0) {
    std::this_thread::yield();
  }
  proceed.set_value();
  blocked.get();
  caller.call<void>("run");
  CHECK(ran == 1);
}

// Load.

TEST_CASE("a server refuses what is beyond its bounds, at once, with a hint") {
  for (const std::string& where : carriers) {
    context owner;
    std::promise<void> begun;
    server busy{owner, {.queue = 2}};
    client caller{owner, busy.bind(where), {.timeout = patience}};
    std::promise<void> proceed;
    busy.handle("block", [&] {
      begun.set_value();
      proceed.get_future().wait();
    });
    busy.handle("run", [] {});
    auto blocked = caller.async_call<void>("block");
    begun.get_future().wait();
    std::vector<std::future<void>> others;
    for (int count = 0; count < 3; ++count) {
      others.push_back(caller.async_call<void>("run"));
    }
    try {
      others.back().get();
      FAIL("the third was not refused");
    } catch (const overloaded& refused) {
      CHECK(refused.retry_after() >= 1ms);
    }
    proceed.set_value();
    others[0].get();
    others[1].get();
    CHECK(busy.statistics().refused == 1);
  }
}

TEST_CASE("a server whose workers all came to be busy at once still listens") {
  for (int round = 0; round < 20; ++round) {
    context owner;
    std::promise<void> proceed;
    const std::shared_future<void> go = proceed.get_future().share();
    std::counting_semaphore<> begun{0};
    server busy{owner, {.workers = 3}};
    busy.handle("block", [&, go] {
      begun.release();
      go.wait_for(patience);
    });
    parley::socket client{owner, socket_kind::dealer};
    const endpoint where{"inproc://busy-at-once"};
    client.connect(where);
    for (std::uint64_t id = 1; id <= 3; ++id) {
      client.send(message{pack_header({.id = id}), frame{},
                          encode(std::tuple{0, 1, "block", std::tuple<>{}})});
    }
    busy.bind(where);
    for (int count = 0; count < 3; ++count) {
      REQUIRE(begun.try_acquire_for(patience));
    }
    client.send(message{pack_header({.what = call_header::kind::ping, .id = 9})});
    const auto pong = client.receive_for(patience / 2);
    proceed.set_value();
    REQUIRE(pong.has_value());
    CHECK(parse_header(pong->front().view())->what == call_header::kind::pong);
  }
}

TEST_CASE("a call that one server refuses goes to another") {
  context owner;
  server full{owner, {.queue = 1}};
  server idle{owner};
  std::promise<void> proceed;
  const std::shared_future<void> go = proceed.get_future().share();
  for (server* each : {&full, &idle}) {
    each->handle("block", [go] { go.wait(); });
    each->handle("run", [] {});
  }
  const endpoint where = full.bind("tcp://127.0.0.1:0");
  client blocker{owner, where, {.timeout = patience}};
  auto running = blocker.async_call<void>("block");
  auto waiting = blocker.async_call<void>("block");
  while (full.statistics().open < 2) {
    std::this_thread::yield();
  }
  client caller{owner,
                {where, idle.bind("tcp://127.0.0.1:0")},
                {.timeout = patience, .choice = server_choice::in_turn}};
  REQUIRE(caller.wait_for_servers(2, patience));
  caller.call<void>("run");
  CHECK(caller.statistics().moved == 1);
  proceed.set_value();
  running.get();
  waiting.get();
}

TEST_CASE("a client that has too many calls in flight refuses one more") {
  context owner;
  client lonely{owner, client_options{.limit = 2}};
  auto first = lonely.async_call<void>("run");
  auto second = lonely.async_call<void>("run");
  CHECK_THROWS_AS(lonely.async_call<void>("run").get(), overloaded);
  lonely.close();
  CHECK_THROWS_AS(first.get(), closed);
}

// Several servers.

TEST_CASE("the first server of all asked at once wins, and the others are told to stop") {
  context owner;
  server quick{owner};
  server slow{owner};
  quick.handle("name", [] { return std::string{"quick"}; });
  slow.handle("name", [&](const call_context& about) {
    std::promise<void> asked;
    const std::stop_callback on_stop{about.stop_token(), [&] { asked.set_value(); }};
    asked.get_future().wait_for(patience);
    return std::string{"slow"};
  });
  client caller{owner,
                {quick.bind("tcp://127.0.0.1:0"), slow.bind("tcp://127.0.0.1:0")},
                {.timeout = patience, .choice = server_choice::all_at_once}};
  REQUIRE(caller.wait_for_servers(2, patience));
  CHECK(caller.call<std::string>("name") == "quick");
  // Before its handler began, or while it ran.
  while (slow.statistics().cancelled == 0) {
    std::this_thread::yield();
  }
}

TEST_CASE("an idempotent call goes on when its server is lost, another ends") {
  context owner;
  std::promise<void> proceed;
  std::optional<server> doomed{std::in_place, owner};
  server spare{owner};
  const std::shared_future<void> go = proceed.get_future().share();
  doomed->handle("name", [go](const reply<int>&) { go.wait(); });
  spare.handle("name", [] { return 2; });
  client caller{owner,
                {doomed->bind("tcp://127.0.0.1:0"), spare.bind("tcp://127.0.0.1:0")},
                {.timeout = patience, .choice = server_choice::in_turn}};
  REQUIRE(caller.wait_for_servers(2, patience));
  auto moved = caller.async_call<int>({.idempotent = true}, "name");
  auto lost = caller.async_call<int>("name");
  // As good as dead: nothing of what it says arrives.
  caller.disconnect(caller.servers()[0].where);
  CHECK(moved.get() == 2);
  CHECK_THROWS_AS(lost.get(), server_lost);
  proceed.set_value();
}

// Streams.

TEST_CASE("a stream that gets no result says whether there was a server, as a call does") {
  context owner;
  const auto take_all = [](client& from) {
    for (const int value : from.stream<int>("count")) {
      FAIL("a result came: " << value);
    }
  };
  client alone{owner, "tcp://127.0.0.1:1", {.timeout = 20ms}};
  CHECK_THROWS_AS(take_all(alone), no_server);

  parley::socket silent{owner, socket_kind::router};
  client ignored{owner, silent.bind("tcp://127.0.0.1:0"), {.timeout = 20ms}};
  REQUIRE(ignored.wait_for_servers(1, patience));
  CHECK_THROWS_AS(take_all(ignored), timed_out);
}

TEST_CASE("a stream that its server gave up says so at its end, however late it is read") {
  for (const std::string& where : carriers) {
    context owner;
    std::promise<void> left;
    server counting{owner};
    client caller{owner, counting.bind(where)};
    counting.handle("count", [&](results<int>& out) {
      while (out.send(1)) {
      }
      left.set_value();
    });
    counting.handle("add", [](int a, int b) { return a + b; });
    auto numbers = caller.stream<int>({.timeout = 50ms}, "count");
    CHECK(numbers.next() == 1);
    // Nothing more is taken until the handler has lost patience and its worker is free again.
    left.get_future().wait();
    CHECK(caller.call<int>({.timeout = patience}, "add", 1, 2) == 3);
    try {
      while (numbers.next()) {
      }
      FAIL("the stream seems to be complete");
    } catch (const remote_error& failure) {
      CHECK(failure.type() == "too_slow");
    }
  }
}

TEST_CASE("who takes many results at once gets all of them, or hears that there are too many") {
  context owner;
  server counting{owner};
  client caller{owner, counting.bind("pipe://many"), {.timeout = patience}};
  counting.handle("count", [](results<int>& out, int most) {
    for (int each = 0; each < most && out.send(each); ++each) {
    }
  });
  CHECK(caller.call<std::vector<int>>("count", 100'000).size() == 100'000);
  try {
    static_cast<void>(caller.call<std::vector<int>>("count", 100'001));
    FAIL("some are missing");
  } catch (const remote_error& failure) {
    CHECK(failure.type() == "too_many_results");
  }
}

TEST_CASE("a method may have many results, which come as they are taken") {
  for (const std::string& where : carriers) {
    context owner;
    std::promise<void> stopped;
    server counting{owner};
    client caller{owner, counting.bind(where), {.timeout = patience}};
    std::atomic<int> sent{0};
    counting.handle("count", [&](results<int>& out, int from, int to) {
      for (int value = from; value < to; ++value) {
        if (!out.send(value)) {
          stopped.set_value();
          return;
        }
        ++sent;
      }
    });
    counting.handle("fail", [](results<int>& out) {
      static_cast<void>(out.send(1));
      throw std::out_of_range{"no more"};
    });
    std::vector<int> taken;
    for (const int value : caller.stream<int>("count", 0, 1000)) {
      taken.push_back(value);
    }
    CHECK(taken.size() == 1000);
    CHECK(taken.back() == 999);

    {
      sent = 0;
      auto stream = caller.stream<int>("count", 0, 1'000'000);
      CHECK(stream.next() == 0);
      CHECK(stream.next() == 1);
    }
    CHECK(stopped.get_future().wait_for(patience) == std::future_status::ready);
    CHECK(sent < 1000);  // no more than the caller had said it would take

    auto failing = caller.stream<int>("fail");
    CHECK(failing.next() == 1);
    CHECK(remote_type([&] { static_cast<void>(failing.next()); }) == "std::out_of_range");

    // Who does not ask for a stream gets all in one.
    CHECK(caller.call<std::vector<int>>("count", 2, 5) == std::vector{2, 3, 4});
    // A method with one result is a stream of one.
    counting.handle("one", [] { return 1; });
    auto single = caller.stream<int>("one");
    CHECK(single.next() == 1);
    CHECK(single.next() == std::nullopt);
  }
}
