// SPDX-License-Identifier: MPL-2.0
#include "server_link.hpp"

#include <chrono>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using parley::detail::call_header;
using parley::detail::server_link;
using duty = server_link::duty;
using kind = call_header::kind;

namespace {

const server_link::time_point start{1h};

// Pings every 100 ms, gives up after 300 ms.
struct pinged_link : server_link {
  pinged_link() : server_link{false, 100ms, 300ms} { connect(start); }

  std::uint64_t ping(time_point now) {
    const std::uint64_t number = sent();
    pinged(number, now);
    return number;
  }
  bool pong(std::uint64_t number, time_point now, std::uint64_t link = 7,
            std::uint64_t clock = 5'000'000) {
    heard(now);
    const call_header header{.what = kind::pong, .id = number, .time = clock, .link = link};
    const bool another = heard_from(header);
    take_pong(header);
    return another;
  }
};

}  // namespace

TEST_CASE("a link pings as soon as its server has shown to be one of ours, then at its interval") {
  pinged_link link;
  CHECK(link.next() == server_link::time_point::max());
  CHECK(link.tick(start) == duty::nothing);
  static_cast<void>(link.heard_from({.what = kind::reply, .id = 1}));
  CHECK(link.next() == start);
  CHECK(link.tick(start) == duty::ping);
  link.pong(link.ping(start), start + 1ms);
  CHECK(link.next() == start + 100ms);
  CHECK(link.tick(start + 99ms) == duty::nothing);
  CHECK(link.tick(start + 100ms) == duty::ping);
}

TEST_CASE("a server of ours that is silent after a ping is given up, once, until it is heard") {
  pinged_link link;
  link.pong(link.ping(start), start + 1ms);
  link.ping(start + 100ms);
  CHECK(link.next() == start + 400ms);
  CHECK(link.tick(start + 399ms) == duty::nothing);
  CHECK(link.live());
  CHECK(link.tick(start + 400ms) == duty::give_up);
  CHECK_FALSE(link.live());
  CHECK(link.connected());
  CHECK(link.tick(start + 400ms) == duty::ping);  // it is asked on
  link.ping(start + 400ms);
  CHECK(link.tick(start + 10s) != duty::give_up);
  CHECK(link.heard(start + 11s));
  CHECK(link.live());
  CHECK_FALSE(link.heard(start + 12s));
}

// As after SIGSTOP and SIGCONT: what has come meanwhile lies in the kernel still.
TEST_CASE("who could not listen does not give a server up before it has listened") {
  pinged_link link;
  link.pong(link.ping(start), start + 1ms);
  const auto number = link.ping(start + 100ms);
  CHECK(link.tick(start + 10s) == duty::nothing);
  CHECK(link.live());
  CHECK(link.next() == start + 10s + 75ms);
  SECTION("and hears what has come meanwhile") {
    link.pong(number, start + 10s + 1ms);
    CHECK(link.tick(start + 10s + 75ms) == duty::ping);
    CHECK(link.live());
  }
  SECTION("and gives it up if there was nothing") {
    CHECK(link.tick(start + 10s + 75ms) == duty::give_up);
  }
  SECTION("and does not put it off again") { CHECK(link.tick(start + 20s) == duty::give_up); }
}

TEST_CASE("a server is given up in time although pings are rarer than that") {
  server_link link{false, 10s, 300ms};
  link.connect(start);
  link.pinged(link.sent(), start);
  link.heard(start + 1ms);
  static_cast<void>(link.heard_from({.what = kind::pong, .id = 1}));
  link.pinged(link.sent(), start + 10s);
  CHECK(link.next() == start + 10s + 300ms);
  CHECK(link.tick(link.next()) == duty::give_up);
  CHECK(link.next() == start + 20s);
}

TEST_CASE("whatever is heard says that a server lives") {
  pinged_link link;
  link.pong(link.ping(start), start + 1ms);
  link.ping(start + 100ms);
  link.heard(start + 200ms);  // no pong
  CHECK(link.tick(start + 400ms) == duty::ping);
  CHECK(link.live());
}

TEST_CASE("a server that never answered a ping is there as long as it is connected") {
  pinged_link link;
  link.ping(start);
  CHECK(link.tick(start + 1h) == duty::nothing);
  CHECK(link.next() == server_link::time_point::max());
  CHECK(link.live());
  link.disconnect();
  CHECK_FALSE(link.live());
}

TEST_CASE("what is behind a bound endpoint is not pinged, nor is anything without heartbeats") {
  server_link several{true, 100ms, 300ms};
  server_link without{false, 0ms, 300ms};
  for (server_link* const each : {&several, &without}) {
    each->connect(start);
    CHECK(each->tick(start + 1h) == duty::nothing);
    CHECK(each->next() == server_link::time_point::max());
    static_cast<void>(each->heard_from({.what = kind::reply, .link = 1}));
    CHECK_FALSE(each->heard_from({.what = kind::reply, .link = 2}));
    CHECK_FALSE(each->acknowledges());
  }
}

TEST_CASE("a pong acknowledges all that was sent before its ping, and nothing after") {
  pinged_link link;
  link.sent();
  link.sent();
  const std::uint64_t number = link.ping(start);
  link.sent();
  CHECK(link.unacknowledged() == 4);
  link.pong(number - 1, start + 1ms);  // of none that is waited for
  CHECK(link.unacknowledged() == 4);
  link.ping(start + 2ms);
  link.pong(5, start + 3ms);
  CHECK(link.unacknowledged() == 0);
  link.acknowledge(1000);  // a server's lie
  link.sent();
  CHECK(link.unacknowledged() == 1);
}

TEST_CASE("a server that speaks over another connection, or is another, is noticed once") {
  pinged_link link;
  CHECK_FALSE(link.pong(link.ping(start), start + 1ms, 7));
  CHECK_FALSE(link.pong(link.ping(start + 2ms), start + 3ms, 7));
  CHECK_FALSE(link.pong(link.ping(start + 4ms), start + 5ms, 0));  // cannot be told
  CHECK(link.pong(link.ping(start + 6ms), start + 7ms, 8));
  CHECK_FALSE(link.pong(link.ping(start + 8ms), start + 9ms, 8));
}

TEST_CASE("a deadline is told by the server's clock when that is known, else as time left") {
  pinged_link link;
  call_header request;
  link.put_deadline(request, start + 50ms, start + 20ms);
  CHECK((request.flags & call_header::absolute_time) == 0);
  CHECK(request.time == 30'000);

  link.pong(link.ping(start), start + 10ms, 7, 5'000'000);
  link.put_deadline(request, start + 50ms, start + 20ms);
  CHECK((request.flags & call_header::absolute_time) != 0);
  CHECK(request.time == 5'050'000);

  request = {};
  link.put_deadline(request, server_link::time_point::max(), start);
  CHECK(request.time == 0);
  CHECK(request.flags == 0);
}

TEST_CASE("the clock of a server is forgotten when another takes its place") {
  pinged_link link;
  link.pong(link.ping(start), start + 1ms, 7, 5'000'000);
  link.heard(start + 2ms);
  CHECK(link.heard_from({.what = kind::reply, .link = 8}));
  call_header request;
  link.put_deadline(request, start + 50ms, start + 20ms);
  CHECK((request.flags & call_header::absolute_time) == 0);
  link.pong(link.ping(start + 3ms), start + 4ms, 8, 9'000'000);
  link.connect(start + 5ms);
  link.put_deadline(request = {}, start + 50ms, start + 20ms);
  CHECK((request.flags & call_header::absolute_time) == 0);
}

TEST_CASE("a deadline that has passed is told as the shortest time, not as none") {
  pinged_link link;
  call_header request;
  link.put_deadline(request, start, start + 20ms);
  CHECK(request.time == 1);
}

TEST_CASE("a server's load is what it says and what is under way to it") {
  pinged_link link;
  static_cast<void>(link.heard_from({.what = kind::reply, .load = 5}));
  link.in_flight = 3;
  CHECK(link.load() == 8);
  link.connect(start + 1s);
  CHECK(link.load() == 3);
}
