// SPDX-License-Identifier: MPL-2.0
#include <parley/monitor.hpp>
#include <parley/poller.hpp>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

// The first event of that kind; fails the test when it does not come.
connection_event await(monitor& watch, connection_change wanted) {
  for (;;) {
    auto event = watch.receive_for(patience);
    INFO("waiting for " << to_string(wanted));
    REQUIRE(event.has_value());
    if (event->change == wanted) {
      return *event;
    }
  }
}

}  // namespace

TEST_CASE("a monitor tells of each side's connection from the first to the last") {
  context owner;
  parley::socket pull{owner, socket_kind::pull};
  monitor bound_side{owner, pull};
  const endpoint where = pull.bind("tcp://127.0.0.1:0");
  CHECK(await(bound_side, connection_change::listening).where == where.str());

  {
    parley::socket push{owner, socket_kind::push};
    monitor connecting_side{owner, push};
    push.connect(where);
    CHECK(await(connecting_side, connection_change::connected).where == where.str());
    await(connecting_side, connection_change::ready);
    await(bound_side, connection_change::accepted);
    await(bound_side, connection_change::ready);
  }
  await(bound_side, connection_change::disconnected);
}

TEST_CASE("an attempt where nobody listens is seen to be repeated") {
  context owner;
  parley::socket pull{owner, socket_kind::pull};
  const endpoint where = pull.bind("tcp://127.0.0.1:0");
  pull.unbind(where);
  parley::socket push{owner, socket_kind::push, {.reconnect = 1ms}};
  monitor watch{owner, push};
  push.connect(where);
  await(watch, connection_change::retrying);
}

// "greeting = signature version mechanism as-server filler", 64 octets (RFC 23)
TEST_CASE("a peer that asks for an unknown security is a failed handshake, with the reason") {
  context owner;
  parley::socket pull{owner, socket_kind::pull};
  monitor watch{owner, pull};
  const endpoint where = pull.bind("tcp://127.0.0.1:0");
  parley::socket stranger{owner, socket_kind::stream};
  stranger.connect(where);
  const auto opened = stranger.receive_for(patience);
  REQUIRE(opened.has_value());
  std::string greeting(64, '\0');
  greeting[0] = '\xff';
  greeting[9] = '\x7f';
  greeting[10] = 3;
  greeting.replace(12, 5, "BOGUS");
  stranger.send(message{opened->front(), frame{greeting}});
  CHECK(await(watch, connection_change::handshake_failed).reason ==
        "one side asks for a security that the other does not offer");
}

TEST_CASE("a monitor goes into a poller, and may go while events are still unread") {
  context owner;
  parley::socket pull{owner, socket_kind::pull};
  int seen = 0;
  {
    monitor watch{owner, pull};
    poller waiting;
    waiting.add(watch.events(), interest::input, [&] { seen += watch.try_receive() ? 1 : 0; });
    pull.bind("tcp://127.0.0.1:0");
    CHECK(waiting.wait_for(patience) == 1);
  }
  pull.bind("tcp://127.0.0.1:0");  // nobody listens to the monitor any more: this does not hang
  CHECK(seen == 1);
}

TEST_CASE("a quiet socket has no events") {
  context owner;
  parley::socket pull{owner, socket_kind::pull};
  monitor watch{owner, pull};
  CHECK_FALSE(watch.try_receive().has_value());
  CHECK_FALSE(watch.receive_for(1ms).has_value());
}
