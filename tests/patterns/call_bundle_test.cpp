// SPDX-License-Identifier: MPL-2.0
#include "call_bundle.hpp"

#include <parley/request_reply.hpp>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "call_book.hpp"
#include "call_desk.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using support::patience;
using kind = call_header::kind;

namespace {

const std::string head{"\xffPRC\x01\x20", 6};

std::vector<call_header> headers_in(const frame& bytes) {
  auto reader = bundle_reader::open(bytes);
  REQUIRE(reader);
  std::vector<call_header> all;
  while (reader->has_more()) {
    const auto next = parse_header(reader->next());
    REQUIRE(next);
    all.push_back(*next);
  }
  return all;
}

// Headers of what went out, a bundle's one by one.
std::vector<call_header> headers_of(const std::vector<message>& sent) {
  std::vector<call_header> all;
  for (const message& each : sent) {
    if (is_bundle(each.back())) {
      for (const call_header& inner : headers_in(each.back())) {
        all.push_back(inner);
      }
    } else if (const auto header = parse_header(each.back().view())) {
      all.push_back(*header);
    }
  }
  return all;
}

// A client's book with one server, and what it sends.
struct world : call_book::outbox {
  explicit world(std::uint8_t servers_flags = call_header::bundles) {
    book.add_link(false);
    book.set_ready(0, true, now);
    book.receive(0, pack_header({.what = kind::pong, .flags = servers_flags, .id = 1, .link = 7}),
                 now);
    sent.clear();
  }

  bool send(std::size_t, message&& outgoing) override {
    if (can_send) {
      sent.push_back(std::move(outgoing));
    }
    return can_send;
  }
  std::uint64_t start(std::string_view payload = "payload", bool idempotent = false) {
    return book.start({.payload = payload,
                       .deadline = now + 1s,
                       .idempotent = idempotent,
                       .when_done = [](call_outcome&&) {}},
                      now);
  }
  std::vector<call_end> ends() {
    std::vector<call_end> all;
    for (const call_book::ended& each : book.take_ended()) {
      all.push_back(each.how.how);
    }
    return all;
  }

  call_book::time_point now{1h};
  bool can_send = true;
  std::vector<message> sent;
  call_book book{*this, {}};
};

call_header request_header(std::uint64_t id, std::uint8_t more_flags = call_header::bundles) {
  return {.what = kind::request,
          .flags = static_cast<std::uint8_t>(call_header::carries | more_flags),
          .id = id};
}

// A server's desk, and what it wants sent.
struct counter {
  explicit counter(const server_options& options = {}) : desk{options, 1, 2} {}

  void receive(const frame& bytes, std::string_view client = "A") {
    message incoming{frame{client}};
    incoming.push_back(bytes);
    desk.receive(std::move(incoming), now, out, stops);
  }
  void receive(std::uint64_t id, std::string_view client = "A",
               std::uint8_t flags = call_header::bundles) {
    receive(pack_header(request_header(id, flags), frame{"payload"}), client);
  }
  void answer_next(call_desk::time_point::duration taken = 1us) {
    const auto next = desk.next(now);
    REQUIRE(next);
    next->runs = true;
    now += taken;
    desk.answer(*next, frame{"reply"}, now, out);
  }

  call_desk::time_point now{1h};
  call_desk desk;
  std::vector<message> out;
  std::vector<std::stop_source> stops;
};

}  // namespace

// The format.

TEST_CASE("a bundle gives the messages that were put in, in order") {
  bundle_writer writer;
  REQUIRE(writer.add({.what = kind::request, .id = 1}, frame{"first"}));
  REQUIRE(writer.add({.what = kind::cancel, .id = 2}));
  REQUIRE(writer.add({.what = kind::reply, .id = 3}, frame{std::string(1024, 'x')}));
  const frame packed = writer.packed();
  REQUIRE(is_bundle(packed));
  auto reader = bundle_reader::open(packed);
  REQUIRE(reader);
  CHECK(reader->count() == 3);
  const std::string_view first = reader->next();
  CHECK(parse_header(first) ==
        call_header{.what = kind::request, .flags = call_header::carries, .id = 1});
  CHECK(carried_by(first) == "first");
  CHECK(parse_header(reader->next()) == call_header{.what = kind::cancel, .id = 2});
  CHECK(carried_by(reader->next()) == std::string(1024, 'x'));
  CHECK_FALSE(reader->has_more());
}

TEST_CASE("a bundle of one message is that message") {
  bundle_writer writer;
  REQUIRE(writer.add({.what = kind::request, .id = 1}, frame{"alone"}));
  CHECK(writer.packed() == pack_header({.what = kind::request, .id = 1}, frame{"alone"}));
}

TEST_CASE("a full bundle takes no more, and keeps what it has") {
  bundle_writer writer;
  std::size_t count = 0;
  while (writer.add({.what = kind::request, .id = count + 1}, frame{std::string(1000, 'x')})) {
    ++count;
  }
  CHECK(writer.packed().size() <= bundle_writer::most);
  CHECK(headers_in(writer.packed()).size() == count);
  writer.clear();
  CHECK(writer.empty());
  CHECK(writer.add({.what = kind::ping}));
}

TEST_CASE("a bundle that is cut short anywhere, or claims too much, gives nothing") {
  bundle_writer writer;
  REQUIRE(writer.add({.what = kind::request, .id = 1}, frame{"first"}));
  REQUIRE(writer.add({.what = kind::cancel, .id = 2}));
  const std::string whole = writer.packed().str();
  const std::size_t first = head.size() + 2 + header_size + 5;
  for (std::size_t size = head.size(); size < whole.size(); ++size) {
    CAPTURE(size);
    // Without any message, or with the first alone, it is whole.
    CHECK(bundle_reader::open(frame{whole.substr(0, size)}).has_value() ==
          (size == head.size() || size == first));
  }
  CHECK_FALSE(bundle_reader::open(frame{head + std::string{"\xff\xff"} + std::string(100, 'x')}));
  CHECK_FALSE(bundle_reader::open(frame{head + std::string(70'000, '\0')}));
}

TEST_CASE("a peer's bundle of any bytes does no harm to client and server") {
  std::mt19937 random{4};
  bundle_writer writer;
  REQUIRE(writer.add(request_header(1), frame{"first"}));
  REQUIRE(writer.add({.what = kind::cancel, .id = 1}));
  REQUIRE(writer.add({.what = kind::pong, .id = 2}));
  const std::string whole = writer.packed().str();
  world client;
  client.start();
  counter server;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = whole.substr(0, head.size() + random() % (whole.size() - head.size() + 1));
    for (std::size_t change = random() % 8; change > 0 && bytes.size() > head.size(); --change) {
      bytes[head.size() + random() % (bytes.size() - head.size())] = static_cast<char>(random());
    }
    client.book.receive(0, frame{bytes}, client.now);
    server.receive(frame{bytes});
    while (const auto next = server.desk.next(server.now)) {
      server.desk.answer(*next, frame{"reply"}, server.now, server.out);
    }
  }
  CHECK(client.ends().empty());
  CHECK(client.book.statistics().nonsense > 0);
  CHECK(server.desk.statistics().nonsense > 0);
  CHECK(server.desk.statistics().open == 0);
}

// The client.

TEST_CASE("calls that are held go out together, and in order") {
  world client;
  client.book.hold();
  const std::vector<std::uint64_t> ids{client.start(), client.start(), client.start()};
  CHECK(client.sent.empty());
  client.book.flush();
  REQUIRE(client.sent.size() == 1);
  const auto headers = headers_in(client.sent.front().front());
  REQUIRE(headers.size() == 3);
  for (std::size_t index = 0; index < 3; ++index) {
    CHECK(headers[index].id == ids[index]);
    CHECK((headers[index].flags & call_header::bundles) != 0);
  }
}

TEST_CASE("a call by itself goes out at once, and as it is") {
  world client;
  const std::uint64_t id = client.start();
  REQUIRE(client.sent.size() == 1);
  const auto header = parse_header(client.sent.front().front().view());
  REQUIRE(header);
  CHECK(header->id == id);
}

TEST_CASE("a server that does not say that it takes bundles gets none") {
  world client{0};
  client.book.hold();
  client.start();
  client.start();
  CHECK(client.sent.size() == 2);
  CHECK(headers_of(client.sent).size() == 2);
}

TEST_CASE("what cannot go into a bundle does not overtake it") {
  world client;
  client.book.hold();
  const std::uint64_t first = client.start();
  client.start(std::string(2000, 'x'));
  REQUIRE(client.sent.size() == 2);
  CHECK(parse_header(client.sent[0].front().view())->id == first);
  CHECK(client.sent[1].size() == 3);
}

TEST_CASE("a call that is cancelled while it is held is cancelled at the server, too") {
  world client;
  client.book.hold();
  const std::uint64_t id = client.start();
  client.book.cancel(id);
  client.book.flush();
  CHECK(client.ends() == std::vector{call_end::cancelled});
  const auto headers = headers_of(client.sent);
  REQUIRE(headers.size() == 2);
  CHECK(headers[0].what == kind::request);
  CHECK(headers[1].what == kind::cancel);
  CHECK(headers[1].id == id);
}

TEST_CASE("a held call times out as any other") {
  world client;
  client.book.hold();
  client.start();
  client.now += 2s;
  client.book.tick(client.now);
  CHECK(client.ends() == std::vector{call_end::timed_out});
}

TEST_CASE("a bundle that cannot be sent leaves later, before anything else") {
  world client;
  client.book.hold();
  const std::uint64_t first = client.start();
  const std::uint64_t second = client.start();
  client.can_send = false;
  client.book.flush();
  const std::uint64_t third = client.start();  // waits
  client.can_send = true;
  client.book.hold();
  client.book.set_ready(0, true, client.now);
  client.book.receive(
      0, pack_header({.what = kind::pong, .flags = call_header::bundles, .link = 7}), client.now);
  client.book.flush();
  std::vector<std::uint64_t> ids;
  for (const call_header& each : headers_of(client.sent)) {
    ids.push_back(each.id);
  }
  CHECK(ids == std::vector{first, second, third});
}

TEST_CASE("calls that were held for a server that goes are lost as any other, and not sent later") {
  world client;
  client.book.hold();
  client.start("once");
  const std::uint64_t again = client.start("again", true);
  client.book.set_ready(0, false, client.now);
  client.book.flush();
  CHECK(client.sent.empty());
  CHECK(client.ends() == std::vector{call_end::server_lost});
  client.book.set_ready(0, true, client.now);  // it is back
  client.book.flush();
  std::vector<std::uint64_t> requests;
  for (const message& each : client.sent) {
    const auto header = parse_header(each.front().view());
    if (header && header->what == kind::request) {
      requests.push_back(header->id);
    }
  }
  CHECK(requests == std::vector{again});
}

TEST_CASE("replies in one bundle end the call of each") {
  world client;
  const std::uint64_t first = client.start();
  const std::uint64_t second = client.start();
  bundle_writer replies;
  REQUIRE(replies.add({.what = kind::reply, .id = second, .link = 7}, frame{"2"}));
  REQUIRE(replies.add({.what = kind::reply, .id = first, .link = 7}, frame{"1"}));
  REQUIRE(replies.add({.what = kind::reply, .id = first, .link = 7}, frame{"again"}));
  client.book.receive(0, replies.packed(), client.now);
  const auto ended = client.book.take_ended();
  REQUIRE(ended.size() == 2);
  CHECK(ended[0].how.reply == message{"2"});
  CHECK(ended[1].how.reply == message{"1"});
  CHECK(client.book.statistics().late == 1);
}

// The server.

TEST_CASE("calls in a bundle are executed in order, each with its own deadline") {
  counter server;
  bundle_writer requests;
  auto late = request_header(1);
  late.time = 10;  // microseconds
  REQUIRE(requests.add(late, frame{"late"}));
  REQUIRE(requests.add(request_header(2), frame{"second"}));
  REQUIRE(requests.add(request_header(3), frame{"third"}));
  REQUIRE(requests.add({.what = kind::cancel, .id = 3}));
  server.receive(requests.packed());
  CHECK(server.desk.waiting() == 3);
  server.now += 1ms;
  const auto next = server.desk.next(server.now);
  REQUIRE(next);
  CHECK(next->payload == message{"second"});
  CHECK(server.desk.next(server.now) == nullptr);
  CHECK(server.desk.statistics().expired == 1);
  CHECK(server.desk.statistics().cancelled == 1);
}

TEST_CASE("each call in a bundle counts against the server's queue") {
  counter server{{.queue = 2}};
  bundle_writer requests;
  for (std::uint64_t id = 1; id <= 5; ++id) {
    REQUIRE(requests.add(request_header(id), frame{"request"}));
  }
  server.receive(requests.packed());
  CHECK(server.desk.waiting() == 3);  // one for the worker
  CHECK(server.desk.statistics().refused == 2);
  CHECK(server.out.size() == 2);
}

TEST_CASE("replies go out together when the line is empty, to each client its own") {
  counter server;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    server.receive(id, "A");
    server.receive(10 + id, "B");
  }
  for (int count = 0; count < 5; ++count) {
    server.answer_next();
    CHECK(server.out.empty());
    CHECK(server.desk.holds_replies());
  }
  server.answer_next();
  CHECK_FALSE(server.desk.holds_replies());
  REQUIRE(server.out.size() == 2);
  for (const message& each : server.out) {
    const auto headers = headers_in(each.back());
    REQUIRE(headers.size() == 3);
    for (const call_header& inner : headers) {
      CHECK(inner.what == kind::reply);
      CHECK((inner.id > 10) == (each.front() == "B"));
    }
  }
}

TEST_CASE("a reply by itself is not held, and comes as it is") {
  counter server;
  server.receive(1);
  server.answer_next();
  REQUIRE(server.out.size() == 1);
  CHECK(parse_header(server.out.front().back().view())->id == 1);
}

TEST_CASE("a client that does not say that it takes bundles gets none") {
  counter server;
  server.receive(1, "A", 0);
  server.receive(2, "A", 0);
  server.answer_next();
  CHECK(server.out.size() == 1);
  server.answer_next();
  CHECK(server.out.size() == 2);
  CHECK(headers_of(server.out).size() == 2);
}

TEST_CASE("handlers that take their time hold no replies") {
  counter server;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    server.receive(id);
  }
  server.answer_next(10ms);
  server.out.clear();
  server.answer_next(10ms);
  CHECK(server.out.size() == 1);
  CHECK_FALSE(server.desk.holds_replies());
}

TEST_CASE("a reply that comes after its handler is not held") {
  counter server;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    server.receive(id);
  }
  const auto first = server.desk.next(server.now);
  REQUIRE(first);
  server.desk.answer(*first, frame{"later"}, server.now, server.out);
  CHECK(server.out.size() == 1);
}

TEST_CASE("replies to more clients than can be held for go out in time, none is lost") {
  counter server;
  std::set<std::uint64_t> expected;
  for (std::uint64_t id = 1; id <= 100; ++id) {
    server.receive(id, "client " + std::to_string(id % 40));
    expected.insert(id);
  }
  for (int count = 0; count < 100; ++count) {
    server.answer_next();
  }
  std::set<std::uint64_t> answered;
  for (const call_header& each : headers_of(server.out)) {
    CHECK(answered.insert(each.id).second);
  }
  CHECK(answered == expected);
}

TEST_CASE("replies that fill more than a bundle all go out") {
  counter server;
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    server.receive(id);
  }
  for (int count = 0; count < 1000; ++count) {
    server.answer_next();
  }
  CHECK(headers_of(server.out).size() == 1000);
  CHECK(server.out.size() < 20);
}

TEST_CASE("all replies of a bundle that could not be delivered are counted") {
  counter server;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    server.receive(id);
  }
  for (int count = 0; count < 3; ++count) {
    server.answer_next();
  }
  REQUIRE(server.out.size() == 1);
  server.desk.undelivered(std::move(server.out.front()), server.stops);
  CHECK(server.desk.statistics().undelivered == 3);
}

// Both, and their threads.

TEST_CASE("a handler that is slow by surprise does not hold up the replies before it") {
  context owner;
  server slow{owner};
  std::mutex mutex;
  std::condition_variable changed;
  int ended = 0;
  bool let_go = false;
  slow.handle("work", [&](int number) {
    std::unique_lock lock{mutex};
    if (number == 99) {
      // Returns when the caller has the replies of all before it.
      CHECK(changed.wait_for(lock, patience, [&] { return ended >= 99; }));
      let_go = true;
    }
    return number;
  });
  client caller{owner, slow.bind("tcp://127.0.0.1:*")};
  REQUIRE(caller.wait_for_servers(1, patience));
  const auto count = [&](const call_result<int>& came) {
    const std::lock_guard lock{mutex};
    CHECK(came.how() == call_end::replied);
    ++ended;
    changed.notify_all();
  };
  for (int number = 0; number < 120; ++number) {
    caller.call_then<int>({.timeout = patience}, count, "work", number);
  }
  std::unique_lock lock{mutex};
  CHECK(changed.wait_for(lock, patience, [&] { return ended == 120; }));
  CHECK(let_go);
}

TEST_CASE("calls that other calls' ends start all end once, each with its own reply") {
  for (const char* const where : {"pipe://bundles-test", "tcp://127.0.0.1:*"}) {
    for (const unsigned workers : {1U, 3U}) {
      context owner;
      server echo{owner, {.workers = workers}};
      echo.handle("echo", [](int number) { return number; });
      client caller{owner, echo.bind(where)};
      constexpr int many = 5000;
      std::mutex mutex;
      std::condition_variable changed;
      std::map<int, int> ends;
      int started = 0;
      std::function<void()> go_on = [&] {
        int number = 0;
        {
          const std::lock_guard lock{mutex};
          if (started == many) {
            return;
          }
          number = started++;
        }
        caller.call_then<int>(
            {.timeout = patience},
            [&, number](const call_result<int>& came) {
              const bool right = came.get() == number;
              go_on();
              const std::lock_guard lock{mutex};
              ends[right ? number : -1] += 1;
              changed.notify_all();
            },
            "echo", number);
      };
      for (int count = 0; count < 200; ++count) {
        go_on();
      }
      std::unique_lock lock{mutex};
      REQUIRE(changed.wait_for(lock, patience, [&] { return ends.size() >= many; }));
      CHECK(ends.count(-1) == 0);
      for (const auto& [number, times] : ends) {
        CHECK(times == 1);
      }
    }
  }
}
