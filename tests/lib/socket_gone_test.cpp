// SPDX-License-Identifier: MPL-2.0
//
// What a socket that is bound to pipe:// does when its peers have gone and nobody tells it: it
// finds that it can send to nobody, and waits as it does before the first has come. What loops
// instead does so in a child, and is found when the child does not end.
#include <parley/awaitable.hpp>
#include <parley/poller.hpp>
#include <parley/proxy.hpp>
#include <parley/socket.hpp>

#include <poll.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pipe_carrier.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/connected.hpp"
#include "support/sanitizers.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

// Catch2's words end the child with its destructors, which may be what hangs.
void expect(bool held, const char* what) {
  if (!held) {
    throw std::runtime_error{what};
  }
}

// In a process of its own, if it may be. False: it did not return, or threw.
template<class Action>
bool returns(Action action) {
  if (!support::may_fork) {
    action();
    return true;
  }
  support::child one{[&](const support::child::line&) { action(); }};
  return one.finish() == 0;
}

struct left_alone {
  socket_kind kind;
  socket_kind peer;
};
const std::vector<left_alone> senders{{socket_kind::push, socket_kind::pull},
                                      {socket_kind::pair, socket_kind::pair},
                                      {socket_kind::dealer, socket_kind::router},
                                      {socket_kind::dealer, socket_kind::dealer},
                                      {socket_kind::req, socket_kind::rep}};

// Its only peer has come and gone. Watched: by somebody who saw the peer.
socket sender_without_peer(context& owner, const left_alone& kinds, bool has_tcp_too = false) {
  socket bound{owner, kinds.kind};
  bound.bind("pipe://left");
  if (has_tcp_too) {
    bound.bind("tcp://127.0.0.1:0");
  }
  socket peer{owner, kinds.peer};
  peer.connect("pipe://left");
  expect(bound.can_send(), "the peer cannot be sent to");
  return bound;
}

}  // namespace

TEST_CASE("who is left by its only peer can send no more, and hears of the next") {
  const bool has_tcp_too = GENERATE(false, true);
  for (const auto& kinds : senders) {
    INFO(to_string(kinds.kind) << (has_tcp_too ? " with tcp too" : ""));
    CHECK(returns([&] {
      context owner;
      socket bound = sender_without_peer(owner, kinds, has_tcp_too);
      const int fd = bound.fd();
      expect(!bound.ready().send, "a peer that has gone can be sent to");
      expect(!bound.try_send(message("to nobody")), "a message was taken for nobody");
      expect(!bound.send_for(message("to nobody"), 10ms), "a message was taken in time for nobody");
      expect(!bound.ready().send, "there is somebody to send to");
      socket next{owner, kinds.peer};
      next.connect("pipe://left");
      pollfd item{fd, POLLIN, 0};
      expect(::poll(&item, 1, 10'000) == 1, "the descriptor does not tell of the next peer");
      expect(bound.ready().send, "the next peer cannot be sent to");
      expect(bound.statistics().peers == 1, "there is one peer");
    }));
  }
}

TEST_CASE("a send to a peer that has gone ends at its limit, though nobody watches") {
  for (const auto& kinds : senders) {
    INFO(to_string(kinds.kind));
    CHECK(returns([&] {
      context owner;
      socket bound = sender_without_peer(owner, kinds);
      expect(!bound.send_for(message("to nobody"), 10ms), "a message was taken for nobody");
    }));
  }
}

TEST_CASE("a poller and a coroutine wait for the next peer when the only one has gone") {
  for (const auto& kinds : senders) {
    INFO(to_string(kinds.kind));
    CHECK(returns([&] {
      context owner;
      socket bound = sender_without_peer(owner, kinds);
      poller waiting;
      bool is_ready = false;
      const auto key = waiting.add(bound, interest::output, [&] { is_ready = true; });
      static_cast<void>(waiting.wait_for(0ms));
      expect(!is_ready, "a peer that has gone can be sent to");
      waiting.remove(key);

      bool sent = false;
      const auto say = [&]() -> coroutine {
        sent = co_await send(waiting, bound, message("hello"));
      };
      coroutine saying = say();
      saying.start();
      static_cast<void>(waiting.wait_for(0ms));
      expect(!sent, "a message was sent to nobody");
      socket next{owner, kinds.peer};
      next.connect("pipe://left");
      expect(waiting.wait_for(patience) == 1 && sent, "the next peer is not sent to");
      expect(next.receive_for(patience).has_value(), "the next peer does not receive");
    }));
  }
}

TEST_CASE("a reply of a worker that leaves at once is received, and its place is free") {
  const socket_kind kind = GENERATE(socket_kind::dealer, socket_kind::pair);
  INFO(to_string(kind));
  CHECK(returns([&] {
    context owner;
    socket bound{owner, kind};
    bound.bind("pipe://left");
    std::optional<socket> worker{std::in_place, owner, kind};
    worker->connect("pipe://left");
    poller waiting;
    std::string reply;
    waiting.add(bound, interest::output, [] {});
    waiting.add(bound, interest::input, [&] { reply = bound.receive().back().str(); });
    expect(waiting.wait_for(patience) == 1, "the worker cannot be sent to");
    worker->send(message("reply"));
    worker.reset();
    expect(waiting.wait_for(patience) == 1 && reply == "reply", "the reply is lost");
    expect(waiting.wait_for(0ms) == 0, "a worker that has gone is ready");
    worker.emplace(owner, kind);
    worker->connect("pipe://left");
    expect(waiting.wait_for(patience) == 1, "the next worker cannot be sent to");
  }));
}

TEST_CASE("a proxy whose last worker leaves waits for the next, and can be stopped") {
  CHECK(returns([] {
    context owner;
    socket_options few;
    few.send_limit = few.receive_limit = 2;
    socket front{owner, socket_kind::pull, few};
    socket back{owner, socket_kind::push};
    socket source{owner, socket_kind::push, few};
    front.bind("pipe://tasks");
    source.connect("pipe://tasks");
    back.bind("pipe://workers");
    proxy middle{front, back};
    middle.start();
    for (int round = 0; round < 3; ++round) {
      {
        socket worker{owner, socket_kind::pull};
        worker.connect("pipe://workers");
        source.send(message("task"));
        expect(worker.receive_for(patience).has_value(), "the task does not come");
      }
      int waiting = 0;
      while (source.send_for(message("task"), 10ms)) {
        ++waiting;
      }
      middle.stop();
      middle.start();
      socket next{owner, socket_kind::pull};
      next.connect("pipe://workers");
      for (; waiting > 0; --waiting) {
        expect(next.receive_for(patience).has_value(), "a task is lost");
      }
    }
  }));
}

TEST_CASE("a proxy passes on the answer of a worker that leaves at once, and goes on") {
  CHECK(returns([] {
    context owner;
    socket front{owner, socket_kind::router};
    socket back{owner, socket_kind::dealer};
    socket client{owner, socket_kind::req};
    front.bind("pipe://clients");
    client.connect("pipe://clients");
    back.bind("pipe://workers");
    proxy middle{front, back};
    middle.start();
    for (int round = 0; round < 3; ++round) {
      {
        socket worker{owner, socket_kind::rep};
        worker.connect("pipe://workers");
        client.send(message("question"));
        expect(worker.receive_for(patience).has_value(), "the question does not come");
        middle.pause();  // it looks when the worker has gone, not before
        worker.send(message("answer"));
      }
      middle.resume();
      expect(client.receive_for(patience).has_value(), "the answer does not come");
    }
    middle.stop();
  }));
}

// Who goes takes back its name first, and closes its links after: news of the one may be read
// before the other is seen.
TEST_CASE("a pair whose peer is about to go keeps what is sent for the next") {
  const auto names = std::make_shared<detail::pipe_registry>();
  const auto going = std::make_shared<detail::pipe_mailbox>(socket_kind::pair, socket_options{});
  names->enter(going);
  REQUIRE(names->bind("next", going));
  detail::socket_counters counters;
  detail::pipe_carrier pair{names, socket_kind::pair, {}, counters};
  pair.connect("next");
  const auto link = going->take().arrivals.front().link;
  names->leave(going);
  message none;
  CHECK_FALSE(pair.try_receive(none));
  link->leave(detail::link_side::bound);
  message kept("kept");
  REQUIRE(pair.try_send(kept));
  CHECK(pair.targets() == 1);

  detail::pipe_carrier next{names, socket_kind::pair, {}, counters};
  next.bind("next");
  message received;
  REQUIRE(next.receive_until(received, std::chrono::steady_clock::now() + patience));
  CHECK(received == message("kept"));
}
