// SPDX-License-Identifier: MPL-2.0
//
// The ends of sockets and contexts: what they wait for, and what they say of what was not sent.
#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/socket.hpp>

#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <zmq.hpp>

#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/error_code.hpp"
#include "support/raw_peer.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::code_of;
using support::join;
using support::patience;
using support::raw_peer;

namespace {

using clock_type = std::chrono::steady_clock;

// A tcp endpoint where nobody listens.
endpoint nobody() { return raw_peer::listening().where(); }

socket_options lingering(std::chrono::milliseconds linger) {
  socket_options options;
  options.linger = linger;
  return options;
}

// Whether action returns. If it does not, the program is ended: there is no way out of a hang.
template<class Action>
bool returns(Action action) {
  std::promise<void> done;
  auto finished = done.get_future();
  std::thread runner{[&] {
    action();
    done.set_value();
  }};
  const bool in_time = finished.wait_for(4 * patience) == std::future_status::ready;
  if (!in_time) {
    std::fputs("it hangs\n", stderr);
    std::_Exit(1);
  }
  runner.join();
  return in_time;
}

}  // namespace

TEST_CASE("close_for waits until what was sent has left, over every carrier") {
  for (const std::string where : {"pipe://leaves", "ipc://*", "tcp://127.0.0.1:*"}) {
    context owner;
    auto sockets = join(owner, socket_kind::pull, socket_kind::push, where);
    for (int count = 0; count < 100; ++count) {
      sockets.connected.send(message(std::to_string(count)));
    }
    CHECK(sockets.connected.close_for(patience).all_sent());
    for (int count = 0; count < 100; ++count) {
      CHECK(sockets.bound.receive_for(patience) == message(std::to_string(count)));
    }
  }
}

TEST_CASE("close_for counts what waits for a bind, and it is gone for good") {
  context owner;
  parley::socket push{owner, socket_kind::push, lingering(60s)};
  push.connect("pipe://nobody");
  push.connect("pipe://nobody-either");
  for (int count = 0; count < 7; ++count) {
    push.send(message("task"));
  }
  const close_result left = push.close_for(1ms);
  CHECK(left.unsent == 7);
  CHECK_FALSE(left.uncounted);
  CHECK_FALSE(left.all_sent());
  const socket_statistics figures = push.statistics();
  CHECK(figures.messages_sent == 7);
  CHECK(figures.dropped_gone == 7);

  parley::socket late{owner, socket_kind::pull};
  late.bind("pipe://nobody");
  CHECK_FALSE(late.try_receive().has_value());
}

TEST_CASE("a bind while close_for waits takes the messages") {
  context owner;
  parley::socket push{owner, socket_kind::push};
  push.connect("pipe://late");
  push.send(message("task"));
  auto result = std::async(std::launch::async, [&] { return push.close_for(patience); });
  parley::socket pull{owner, socket_kind::pull};
  pull.bind("pipe://late");
  CHECK(result.get().all_sent());
  CHECK(pull.receive_for(patience) == message("task"));
}

TEST_CASE("close_for never waits longer, and says that libzmq still held something") {
  context owner;
  parley::socket push{owner, socket_kind::push, lingering(60s)};
  push.connect(nobody());
  push.send(message("task"));
  const auto start = clock_type::now();
  const close_result left = push.close_for(50ms);
  CHECK(clock_type::now() - start < patience);
  CHECK(left.uncounted);
  CHECK(left.unsent == 0);
}

TEST_CASE("a peer that takes connections and never reads does not hold close_for") {
  context owner;
  const raw_peer stuck = raw_peer::listening();
  parley::socket push{owner, socket_kind::push, lingering(60s)};
  push.connect(stuck.where());
  push.send(message("task"));
  CHECK(push.close_for(50ms).uncounted);
}

TEST_CASE("a peer that shakes hands and then never reads does not hold close_for") {
  context owner;
  const raw_peer listening = raw_peer::listening();
  parley::socket push{owner, socket_kind::push, lingering(60s)};
  push.connect(listening.where());
  const raw_peer stuck = listening.accept();
  stuck.write(support::zmtp_greeting() + support::zmtp_ready("PULL"));
  // More than the buffers of both machines take.
  const frame large{std::string(1'000'000, 'x')};
  for (int count = 0; count < 100; ++count) {
    push.send(message{large});
  }
  CHECK(push.close_for(50ms).uncounted);
}

TEST_CASE("what was sent through native() is waited for too") {
  context owner;
  const raw_peer stuck = raw_peer::listening();
  parley::socket push{owner, socket_kind::push, lingering(60s)};
  push.connect(stuck.where());
  push.native().send(zmq::buffer("task", 4), zmq::send_flags::none);
  CHECK(push.close_for(50ms).uncounted);
}

TEST_CASE("a socket that sent nothing has nothing to wait for") {
  context owner;
  const raw_peer stuck = raw_peer::listening();
  parley::socket push{owner, socket_kind::push, lingering(60s)};
  push.connect(stuck.where());
  CHECK(push.close_for(parley::socket::duration::max()).all_sent());
  parley::socket untouched{owner, socket_kind::pair};
  CHECK(untouched.close_for(0ms).all_sent());
}

TEST_CASE("a socket with both carriers speaks for both") {
  context owner;
  parley::socket push{owner, socket_kind::push};
  push.connect("pipe://nobody");
  push.connect(nobody());
  for (int count = 0; count < 4; ++count) {
    push.send(message("task"));
  }
  const close_result left = push.close_for(1ms);
  CHECK(left.unsent == 2);
  CHECK(left.uncounted);
}

TEST_CASE("after close_for every call throws closed, but the figures can be read") {
  for (const std::string where : {"pipe://closed", "tcp://127.0.0.1:*"}) {
    context owner;
    auto sockets = join(owner, socket_kind::pair, socket_kind::pair, where);
    sockets.connected.send(message("hello"));
    CHECK(sockets.connected.close_for(patience).all_sent());
    CHECK(code_of([&] { sockets.connected.send(message("more")); }) == errc::closed);
    CHECK(code_of([&] { static_cast<void>(sockets.connected.try_receive()); }) == errc::closed);
    CHECK(code_of([&] { static_cast<void>(sockets.connected.can_send()); }) == errc::closed);
    CHECK(code_of([&] { sockets.connected.connect(endpoint{"tcp://127.0.0.1:1"}); }) ==
          errc::closed);
    CHECK(code_of([&] { sockets.connected.connect(endpoint{"pipe://x"}); }) == errc::closed);
    CHECK(sockets.connected.close_for(patience).all_sent());
    CHECK(sockets.connected.statistics().messages_sent == 1);
  }
}

TEST_CASE("close_for of a context that was shut down returns at once") {
  for (const endpoint& where : {endpoint{"pipe://nobody"}, nobody()}) {
    context owner;
    parley::socket push{owner, socket_kind::push, lingering(20ms)};
    push.connect(where);
    push.send(message("task"));
    owner.shutdown();
    CHECK_FALSE(push.close_for(parley::socket::duration::max()).all_sent());
  }
}

TEST_CASE("a shutdown ends a close_for that waits") {
  CHECK(returns([&] {
    context owner;
    parley::socket push{owner, socket_kind::push};
    push.connect("pipe://nobody");
    push.send(message("task"));
    std::thread other{[&] { owner.shutdown(); }};
    CHECK(push.close_for(parley::socket::duration::max()).unsent == 1);
    other.join();
  }));
}

TEST_CASE("a context ends though a shutdown cut short a close_for that had hours") {
  std::optional<raw_peer> stuck;  // stays when the context ends
  CHECK(returns([&stuck] {
    context owner;
    parley::socket push{owner, socket_kind::push, lingering(20ms)};
    const endpoint where = push.bind("tcp://127.0.0.1:*");
    stuck.emplace(raw_peer::connected(where));
    stuck->write(support::zmtp_greeting() + support::zmtp_ready("PULL"));
    const frame large{std::string(1'000'000, 'x')};
    for (int count = 0; count < 100; ++count) {
      push.send(message{large});
    }
    auto closing = std::async(std::launch::async, [&] { return push.close_for(1h); });
    // Until libzmq has taken over the socket, with the long limit.
    try {
      for (;;) {
        static_cast<void>(raw_peer::connected(where));
      }
    } catch (const std::system_error&) {
      owner.shutdown();
    }
    CHECK(closing.get().uncounted);
  }));
}

TEST_CASE("a context ends though its sockets hold messages for peers that do not exist") {
  for (const endpoint& where : {nobody(), endpoint{"ipc:///nonexistent/parley"},
                                endpoint{"inproc://nobody"}, endpoint{"pipe://nobody"}}) {
    for (const socket_kind kind : {socket_kind::push, socket_kind::dealer, socket_kind::pair}) {
      CHECK(returns([&, kind] {
        context owner;
        parley::socket sender{owner, kind, lingering(20ms)};
        sender.connect(where);
        for (int count = 0; count < 100; ++count) {
          sender.send(message("task"));
        }
      }));
    }
  }
}

TEST_CASE("a context ends though a peer takes connections and never reads") {
  const raw_peer listening = raw_peer::listening();
  CHECK(returns([&] {
    context owner;
    parley::socket push{owner, socket_kind::push, lingering(20ms)};
    push.connect(listening.where());
    const raw_peer stuck = listening.accept();
    stuck.write(support::zmtp_greeting() + support::zmtp_ready("PULL"));
    const frame large{std::string(1'000'000, 'x')};
    for (int count = 0; count < 100; ++count) {
      push.send(message{large});
    }
  }));
}

TEST_CASE("a context ends though a CURVE server never answers") {
  const raw_peer stuck = raw_peer::listening();
  const curve_keys keys = generate_curve_keys();
  CHECK(returns([&] {
    context owner;
    parley::socket push{owner,
                        socket_kind::push,
                        {.linger = 20ms, .curve = {keys.public_key, generate_curve_keys()}}};
    push.connect(stuck.where());
    push.send(message("task"));
  }));
}

TEST_CASE("receivers in other threads do not hold a context's end once it is shut down") {
  CHECK(returns([] {
    std::vector<std::thread> waiting;
    std::atomic<int> ended{0};
    {
      context owner;
      for (const std::string where : {"tcp://127.0.0.1:*", "pipe://silent", "inproc://silent"}) {
        parley::socket made{owner, socket_kind::pull};
        made.bind(where);
        waiting.emplace_back([&ended, pull = std::move(made)]() mutable {
          ended += code_of([&] { static_cast<void>(pull.receive()); }) == errc::closed ? 1 : 0;
        });
      }
      owner.shutdown();
    }
    for (std::thread& each : waiting) {
      each.join();
    }
    CHECK(ended == 3);
  }));
}

TEST_CASE("a context ends though events of a monitor are unread") {
  CHECK(returns([] {
    context owner;
    parley::socket pull{owner, socket_kind::pull};
    monitor watch{owner, pull};
    const endpoint where = pull.bind("tcp://127.0.0.1:*");
    for (int count = 0; count < 50; ++count) {
      const raw_peer stranger = raw_peer::connected(where);
      stranger.write(std::string(100, '\xff'));
      stranger.await_hang_up();
    }
  }));
}

TEST_CASE("each send with a limit in time throws closed after the end of the context") {
  const socket_kind kind = GENERATE(socket_kind::router, socket_kind::stream);
  context owner;
  parley::socket sender{owner, kind};
  sender.bind("tcp://127.0.0.1:*");
  owner.shutdown();
  for (int count = 0; count < 3; ++count) {
    CHECK(code_of([&] {
            static_cast<void>(sender.send_for(message{"to", "you"}, 1ms));
          }) == errc::closed);
  }
}
