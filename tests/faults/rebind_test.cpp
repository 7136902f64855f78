// SPDX-License-Identifier: MPL-2.0
//
// Endpoints that are unbound, and bound again.
#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/socket.hpp>

#include <optional>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

socket_options quick() {
  socket_options options;
  options.reconnect = 1ms;
  options.reconnect_max = 10ms;
  return options;
}

// A wildcard ipc path goes when it is unbound.
std::vector<std::string> endpoints() {
  static const support::temporary_directory fresh;
  return {"tcp://127.0.0.1:0", "ipc://" + (fresh / "socket").string()};
}

void await(monitor& watch, connection_change wanted) {
  for (;;) {
    const auto event = watch.receive_for(patience);
    INFO("waiting for " << to_string(wanted));
    REQUIRE(event.has_value());
    if (event->change == wanted) {
      return;
    }
  }
}

}  // namespace

TEST_CASE("an endpoint unbound takes nobody, and bound again it takes everybody who waits") {
  for (const std::string& wanted : endpoints()) {
    context owner;
    socket pull{owner, socket_kind::pull};
    monitor watch{owner, pull};
    const endpoint where = pull.bind(wanted);
    socket early{owner, socket_kind::push, quick()};
    early.connect(where);
    early.send(message("early"));
    CHECK(pull.receive_for(patience) == message("early"));

    // libzmq ends the connections of an endpoint with it.
    pull.unbind(where);
    await(watch, connection_change::closed);
    socket late{owner, socket_kind::push, quick()};
    monitor attempts{owner, late};
    late.connect(where);
    late.send(message("late"));
    await(attempts, connection_change::retrying);
    CHECK_FALSE(pull.try_receive().has_value());

    CHECK(pull.bind(where).str() == where.str());
    CHECK(pull.receive_for(patience) == message("late"));
    std::optional<message> received;
    while (!received) {
      early.send(message("early again"));  // the first may have gone into the lost connection
      received = pull.receive_for(100ms);
    }
    CHECK(received == message("early again"));
  }
}

TEST_CASE("over pipe:// too, who connects meanwhile waits") {
  context owner;
  socket pull{owner, socket_kind::pull};
  pull.bind("pipe://again");
  socket early{owner, socket_kind::push};
  early.connect("pipe://again");
  pull.unbind("pipe://again");
  socket late{owner, socket_kind::push};
  late.connect("pipe://again");
  late.send(message("late"));
  early.send(message("still connected"));
  CHECK(pull.receive_for(patience) == message("still connected"));
  CHECK_FALSE(pull.try_receive().has_value());
  pull.bind("pipe://again");
  CHECK(pull.receive_for(patience) == message("late"));
}

TEST_CASE("a sender follows its endpoint from one receiver to the next, ten times") {
  std::vector<std::string> wanted_ones = endpoints();
  wanted_ones.emplace_back("pipe://follow");
  for (const std::string& wanted : wanted_ones) {
    context owner;
    std::optional<socket> pull{std::in_place, owner, socket_kind::pull};
    const endpoint where = pull->bind(wanted);
    // What is queued towards a receiver goes with it, so each message waits for the connection.
    socket_options only_connected = quick();
    only_connected.only_connected = true;
    socket push{owner, socket_kind::push, only_connected};
    push.connect(where);
    for (int round = 0; round < 10; ++round) {
      std::optional<message> received;
      while (!received) {
        REQUIRE(push.send_for(message(std::to_string(round)), patience));
        received = pull->receive_for(100ms);  // it may have gone where nobody is any more
      }
      CHECK(*received == message(std::to_string(round)));
      static_cast<void>(pull->close_for(0ms));
      pull.emplace(owner, socket_kind::pull);
      // The port is free a moment after libzmq has closed it.
      for (;;) {
        try {
          pull->bind(where);
          break;
        } catch (const error& taken) {
          REQUIRE(taken.code() == errc::cannot_bind);
        }
      }
    }
  }
}
