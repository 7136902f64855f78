// SPDX-License-Identifier: MPL-2.0
//
// A signal with a handler wakes a call that waits. The call goes on.
#include <parley/error.hpp>
#include <parley/socket.hpp>

#include <atomic>
#include <optional>
#include <string>
#include <thread>

#include "support/carriers.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/signals.hpp"

using namespace parley;
using support::carriers;
using support::fill;
using support::join;
using support::patience;
using support::place;
using support::tight;
using support::woken_by_signals;

namespace {

// The ways to send: without a limit, and with one.
void send(socket& from, message outgoing, bool limited) {
  if (limited) {
    CHECK(from.send_for(std::move(outgoing), patience));
  } else {
    from.send(std::move(outgoing));
  }
}

std::optional<message> receive(socket& from, bool limited) {
  return limited ? from.receive_for(patience) : from.receive();
}

// The message comes after so many that were sent before it, and nothing behind it.
void check_arrives(socket& to, int before, const std::string& text) {
  for (; before > 0; --before) {
    REQUIRE(to.receive_for(patience).has_value());
  }
  const auto last = to.receive_for(patience);
  REQUIRE(last.has_value());
  CHECK(last->back() == frame{text});
}

}  // namespace

TEST_CASE("a push that waits for room goes on after a signal") {
  for (const bool limited : {false, true}) {
    for (const std::string& where : carriers) {
      INFO(where << (limited ? ", limited" : ""));
      context owner;
      auto sockets = join(owner, socket_kind::pull, socket_kind::push, place(where), tight());
      const int before =
          fill(sockets.connected, [](const frame& body) { return message{body}; }).sent;
      std::optional<message> first;
      {
        const woken_by_signals meanwhile{[&] {
          for (int index = 0; index < before; ++index) {
            first = sockets.bound.receive_for(patience);
          }
        }};
        send(sockets.connected, message{frame{"a"}, frame{"last"}}, limited);
      }
      REQUIRE(first.has_value());
      check_arrives(sockets.bound, 0, "last");
    }
  }
}

TEST_CASE("a router that waits for room at its peer goes on after a signal") {
  for (const bool limited : {false, true}) {
    for (const std::string& where : carriers) {
      INFO(where << (limited ? ", limited" : ""));
      context owner;
      socket router{owner, socket_kind::router, tight()};
      socket_options named = tight();
      named.routing_id = "desk";
      socket dealer{owner, socket_kind::dealer, named};
      dealer.connect(router.bind(place(where)));
      dealer.send(message("here"));
      REQUIRE(router.receive_for(patience).has_value());
      const int before = fill(router, [](const frame& body) { return message{"desk", body}; }).sent;
      {
        const woken_by_signals meanwhile{[&] {
          for (int index = 0; index < before; ++index) {
            static_cast<void>(dealer.receive_for(patience));
          }
        }};
        send(router, message{frame{"desk"}, frame{"last"}}, limited);
      }
      check_arrives(dealer, 0, "last");
    }
  }
}

TEST_CASE("a pull that waits for a message goes on after a signal") {
  for (const bool limited : {false, true}) {
    for (const std::string& where : carriers) {
      INFO(where << (limited ? ", limited" : ""));
      context owner;
      auto sockets = join(owner, socket_kind::pull, socket_kind::push, place(where));
      const woken_by_signals meanwhile{[&] { sockets.connected.send(message("late")); }};
      CHECK(receive(sockets.bound, limited) == message("late"));
    }
  }
}

TEST_CASE("with both carriers, a socket that waits goes on after a signal") {
  for (const bool limited : {false, true}) {
    INFO((limited ? "limited" : "not limited"));
    context owner;
    socket pull{owner, socket_kind::pull};
    pull.bind("inproc://here");
    pull.bind("pipe://here");
    socket push{owner, socket_kind::push};
    push.connect("inproc://here");
    const woken_by_signals meanwhile{[&] { push.send(message("late")); }};
    CHECK(receive(pull, limited) == message("late"));
  }
}

namespace {

void check_push_goes_on(const std::string& where, const socket_options& options) {
  context owner;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, place(where), options);
  const int before = fill(sockets.connected, [](const frame& body) { return message{body}; }).sent;
  {
    const woken_by_signals meanwhile{[&] {
      for (int index = 0; index < before; ++index) {
        static_cast<void>(sockets.bound.receive_for(patience));
      }
    }};
    sockets.connected.send(message("last"));
  }
  check_arrives(sockets.bound, 0, "last");
}

}  // namespace

TEST_CASE("a push that waits for bytes of its own to be let go of goes on after a signal") {
  for (const std::string& where : carriers) {
    INFO(where);
    socket_options options = tight();
    options.send_limit_bytes = 1000;
    check_push_goes_on(where, options);
  }
}

TEST_CASE("a push that batches goes on after a signal") {
  for (const bool limits_bytes : {false, true}) {
    INFO((limits_bytes ? "limits bytes" : ""));
    socket_options options = tight();
    options.batch.bytes = 1000;
    options.send_limit_bytes = limits_bytes ? std::size_t{1} << 30 : 0;
    check_push_goes_on("tcp://", options);
  }
}

// libzmq looks for news in each call, by a system call that a signal may end.
TEST_CASE("no call that does not wait fails for a signal") {
  for (const std::string& where : carriers) {
    INFO(where);
    support::handled_signals signals;
    std::atomic<bool> is_over{false};
    std::thread hail{[&, to = pthread_self()] {
      while (!is_over) {
        signals.send(to);
      }
    }};
    int arrived = 0;
    std::string failed;
    try {
      context owner;
      auto sockets = join(owner, socket_kind::pull, socket_kind::push, place(where, "first"));
      for (int index = 0; index < 2000; ++index) {
        static_cast<void>(sockets.bound.ready());
        static_cast<void>(sockets.connected.ready());
        while (!sockets.connected.try_send(message{frame{"a"}, frame{"b"}})) {
        }
        arrived += sockets.bound.receive_for(patience) == message{frame{"a"}, frame{"b"}} ? 1 : 0;
      }
      for (int index = 0; index < 20; ++index) {
        const endpoint more = sockets.bound.bind(place(where, "more"));
        sockets.connected.connect(more);
        sockets.connected.disconnect(more);
        sockets.bound.unbind(more);
      }
    } catch (const error& thrown) {
      failed = thrown.what();
    }
    is_over = true;
    hail.join();
    CHECK(failed.empty());
    CHECK(arrived == 2000);
  }
}
