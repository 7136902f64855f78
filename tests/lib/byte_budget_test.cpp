// SPDX-License-Identifier: MPL-2.0
//
// The high-water mark in bytes, socket_options::send_limit_bytes.
#include <parley/error.hpp>
#include <parley/poller.hpp>
#include <parley/socket.hpp>

#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using support::patience;

namespace {

constexpr std::size_t body_bytes = 256 * 1024;
constexpr std::size_t limit = 4 * body_bytes;

frame body() { return frame{std::string(body_bytes, 'x')}; }

// Little room in the kernel and in the receiver, so that the sender's side fills up.
socket_options narrow() {
  socket_options options;
  options.receive_limit = 1;
  options.send_limit_bytes = limit;
  options.send_buffer_bytes = 4096;
  options.receive_buffer_bytes = 4096;
  options.linger = std::chrono::milliseconds{0};
  return options;
}

struct connection {
  explicit connection(const std::string& where, socket_options options = narrow())
      : push{owner, socket_kind::push, options}, pull{owner, socket_kind::pull, options} {
    push.connect(pull.bind(where));
    push.send("hello");
    static_cast<void>(pull.receive());
  }

  std::size_t fill() {
    std::size_t sent = 0;
    while (push.try_send(body())) {
      ++sent;
    }
    return sent;
  }
  bool receive() { return pull.receive_for(patience).has_value(); }

  context owner;
  parley::socket push, pull;
};

}  // namespace

TEST_CASE("a socket with a limit in bytes refuses what is beyond it") {
  connection to_pipe{"pipe://narrow"};
  CHECK(to_pipe.fill() == 4);
}

TEST_CASE("the limit in bytes counts what libzmq holds, not what the system has") {
  const std::string where = GENERATE("tcp://127.0.0.1:*", "ipc://*");
  connection narrow_to{where};
  const std::size_t sent = narrow_to.fill();
  CHECK(sent >= 4);
  CHECK(sent < 100);  // of the 1000 that the limit in messages has room for
}

TEST_CASE("there is room again when the receiver is done with a body") {
  const std::string where = GENERATE("tcp://127.0.0.1:*", "ipc://*", "pipe://again");
  connection narrow_to{where};
  const std::size_t before = narrow_to.fill();
  for (std::size_t index = 0; index < before; ++index) {
    REQUIRE(narrow_to.receive());
  }
  CHECK(narrow_to.push.send_for(body(), patience));
  CHECK(narrow_to.receive());
}

TEST_CASE("over pipe:// a body counts as long as the receiver keeps it") {
  connection keeping{"pipe://keeping"};
  keeping.fill();
  {
    const auto kept = keeping.pull.receive_for(patience);
    REQUIRE(kept);
    CHECK_FALSE(keeping.push.try_send(body()));
  }
  CHECK(keeping.push.try_send(body()));
}

TEST_CASE("a send waits for room in bytes, and goes on when there is some") {
  const std::string where = GENERATE("tcp://127.0.0.1:*", "pipe://waits");
  connection narrow_to{where};
  const std::size_t before = narrow_to.fill();
  std::thread receiver{[&] {
    for (std::size_t index = 0; index < before + 10; ++index) {
      static_cast<void>(narrow_to.pull.receive_for(patience));
    }
  }};
  // Without a deadline of its own, which would look once more at the end.
  auto sender = std::async(std::launch::async, [&] {
    for (int count = 0; count < 10; ++count) {
      narrow_to.push.send(body());
    }
  });
  const bool has_gone_on = sender.wait_for(patience) == std::future_status::ready;
  CHECK(has_gone_on);
  if (!has_gone_on) {
    narrow_to.owner.shutdown();
  }
  receiver.join();
}

TEST_CASE("a send that finds no room in bytes before its deadline leaves the message") {
  connection full{"pipe://deadline"};
  full.fill();
  message outgoing{"head", body()};
  CHECK_FALSE(full.push.send_for(std::move(outgoing), std::chrono::milliseconds{1}));
  CHECK(outgoing == message{"head", body()});
}

TEST_CASE("small bodies do not count") {
  connection small{GENERATE("pipe://small", "inproc://small")};
  small.fill();
  CHECK_FALSE(small.push.try_send("text"));  // but they wait their turn
  REQUIRE(small.receive());
  for (int count = 0; count < 500; ++count) {
    REQUIRE(small.push.try_send(frame{std::string(4096, 's')}));
  }
}

TEST_CASE("every body of a message counts") {
  connection many{"pipe://bodies"};
  CHECK(many.push.try_send(message{"head", body(), body(), "text", body(), body()}));
  CHECK_FALSE(many.push.try_send(body()));
}

TEST_CASE("a body larger than the limit passes when nothing else is out") {
  connection huge{"pipe://huge"};
  CHECK(huge.push.try_send(frame{std::string(3 * limit, 'x')}));
  CHECK_FALSE(huge.push.try_send(body()));
  REQUIRE(huge.receive());
  CHECK(huge.push.try_send(body()));
}

TEST_CASE("a message that no peer could take is not counted") {
  context owner;
  parley::socket push{owner, socket_kind::push, narrow()};
  for (int count = 0; count < 10; ++count) {
    CHECK_FALSE(push.try_send(body()));
  }
  parley::socket pull{owner, socket_kind::pull, narrow()};
  push.connect(pull.bind("pipe://later"));
  CHECK(push.try_send(body()));
}

TEST_CASE("a message that could not be sent does not hold up the next try") {
  const std::string where = GENERATE("tcp://127.0.0.1:*", "pipe://turns");
  context owner;
  parley::socket rep{owner, socket_kind::rep};
  parley::socket req{owner, socket_kind::req, narrow()};
  req.connect(rep.bind(where));
  req.send("first");
  message large{frame{std::string(2 * limit, 'x')}};
  CHECK_THROWS_AS(req.send(std::move(large)), error);  // out of turn
  REQUIRE(rep.receive_for(patience));
  rep.send("reply");
  REQUIRE(req.receive_for(patience));
  CHECK(req.send_for(std::move(large), patience));
}

TEST_CASE("a publisher counts a body once, however many have subscribed, and waits") {
  context owner;
  parley::socket pub{owner, socket_kind::xpub, narrow()};
  const endpoint where = pub.bind("pipe://many");
  std::vector<parley::socket> subs;
  for (int count = 0; count < 3; ++count) {
    subs.emplace_back(owner, socket_kind::sub).connect(where);
    subs.back().subscribe("");
  }
  REQUIRE(pub.receive_for(patience));
  int sent = 0;
  while (pub.try_send(message{"topic", body()})) {
    ++sent;
  }
  CHECK(sent == 4);
  for (parley::socket& each : subs) {
    CHECK_FALSE(pub.try_send(message{"topic", body()}));
    REQUIRE(each.receive_for(patience));
  }
  CHECK(pub.try_send(message{"topic", body()}));
}

TEST_CASE("a poller says when there is room in bytes") {
  connection narrow_to{"pipe://polled"};
  const std::size_t before = narrow_to.fill();
  poller waiting;
  bool has_room = false;
  waiting.add(narrow_to.push, interest::output, [&] { has_room = true; });
  CHECK(waiting.wait_for(std::chrono::milliseconds{0}) == 0);
  std::thread receiver{[&] {
    for (std::size_t index = 0; index < before; ++index) {
      static_cast<void>(narrow_to.pull.receive_for(patience));
    }
  }};
  CHECK(waiting.wait_for(patience) == 1);
  CHECK(has_room);
  receiver.join();
}

TEST_CASE("the end of the context ends a wait for room in bytes") {
  const std::string where = GENERATE("tcp://127.0.0.1:*", "pipe://ended");
  connection full{where};
  full.fill();
  auto waiting = std::async(std::launch::async, [&] {
    for (;;) {
      full.push.send(body());  // the system may yet take some
    }
  });
  full.owner.shutdown();
  CHECK_THROWS_AS(waiting.get(), closed);
}

TEST_CASE("bodies may outlive the socket that counts them") {
  std::optional<message> kept;
  {
    connection outlived{"pipe://outlived"};
    outlived.fill();
    kept = outlived.pull.receive_for(patience);
  }
  REQUIRE(kept);
  CHECK(kept->front().size() == body_bytes);
}

namespace {

// A sender whose bodies nobody reads.
struct unread {
  unread(bool sender_binds, socket_kind from, socket_kind to)
      : receives{to}, sender{owner, from, narrow()}, first{std::in_place, owner, to, narrow()} {
    (sender_binds ? sender : *first).bind("pipe://unread");
    (sender_binds ? *first : sender).connect("pipe://unread");
    while (sender.try_send(body())) {
    }
    if (sender_binds) {
      second.emplace(owner, to, narrow());
    }
  }
  void replace_first() {
    first.reset();
    if (second) {
      second->connect("pipe://unread");
    } else {
      second.emplace(owner, receives, narrow()).bind("pipe://unread");
    }
  }

  context owner;
  socket_kind receives;
  parley::socket sender;
  std::optional<parley::socket> first, second;
};

}  // namespace

TEST_CASE("what a peer that has gone did not read counts no more") {
  unread at{GENERATE(true, false), socket_kind::push, socket_kind::pull};
  at.replace_first();
  CHECK(at.sender.try_send(body()));
  CHECK(at.second->receive_for(patience));
  CHECK(at.sender.statistics().dropped_gone == 4);
}

TEST_CASE("nor does it while something of that peer is unread") {
  unread at{GENERATE(true, false), socket_kind::pair, socket_kind::pair};
  REQUIRE(at.first->try_send("last words"));
  at.replace_first();
  CHECK(at.sender.try_send(body()));
  CHECK(at.second->receive_for(patience));
  CHECK(at.sender.receive_for(patience) == message("last words"));
}

TEST_CASE("a send that waits for room in bytes goes on when the peer that had them goes") {
  unread at{GENERATE(true, false), socket_kind::push, socket_kind::pull};
  std::promise<void> begun;
  auto sending = std::async(std::launch::async, [&] {
    begun.set_value();
    at.sender.send(body());
  });
  begun.get_future().wait();
  at.replace_first();
  const bool has_gone_on = sending.wait_for(patience) == std::future_status::ready;
  CHECK(has_gone_on);
  if (!has_gone_on) {
    at.owner.shutdown();
    CHECK_THROWS_AS(sending.get(), closed);
    return;
  }
  sending.get();
  CHECK(at.second->receive_for(patience));
}

TEST_CASE("a poller hears of the room in bytes that a peer leaves when it goes") {
  unread at{GENERATE(true, false), socket_kind::push, socket_kind::pull};
  poller waiting;
  bool has_room = false;
  waiting.add(at.sender, interest::output, [&] { has_room = true; });
  CHECK(waiting.wait_for(std::chrono::milliseconds{0}) == 0);
  at.replace_first();
  CHECK(waiting.wait_for(patience) == 1);
  CHECK(has_room);
}

TEST_CASE("who was closed, and is kept for its figures, keeps no bodies of its peers") {
  context owner;
  parley::socket sender{owner, socket_kind::pair, narrow()};
  parley::socket reader{owner, socket_kind::pair, narrow()};
  sender.bind("pipe://kept");
  reader.connect("pipe://kept");
  while (sender.try_send(body())) {
  }
  reader.send("last words");
  CHECK(reader.close_for(patience).all_sent());
  CHECK(sender.receive_for(patience) == message("last words"));
  parley::socket next{owner, socket_kind::pair, narrow()};
  next.connect("pipe://kept");
  CHECK(sender.try_send(body()));
  CHECK(sender.statistics().dropped_gone == 4);
  CHECK(reader.statistics().queued == 0);
}

TEST_CASE("nor does an xpub that did not tell of what its subscribers sent") {
  context owner;
  parley::socket sender{owner, socket_kind::xsub, narrow()};
  parley::socket xpub{owner, socket_kind::xpub, narrow()};
  xpub.bind("pipe://kept");
  sender.subscribe("");
  sender.connect("pipe://kept");
  REQUIRE(sender.try_send(frame{std::string(2 * limit, 'x')}));
  CHECK(xpub.try_send("unread"));  // takes up what was sent
  REQUIRE_FALSE(sender.try_send(body()));
  CHECK(xpub.close_for(patience).all_sent());
  CHECK(sender.try_send(body()));
}

TEST_CASE("a body larger than the limit in bytes goes when one of two carriers has room") {
  const bool pipe_has_room = GENERATE(true, false);
  context owner;
  socket_options options = narrow();
  options.send_limit = 1;
  parley::socket dealer{owner, socket_kind::dealer, options};
  parley::socket by_pipe{owner, socket_kind::dealer, options};
  parley::socket by_tcp{owner, socket_kind::dealer, options};
  dealer.connect(by_pipe.bind("pipe://both"));
  dealer.connect(by_tcp.bind("tcp://127.0.0.1:*"));
  while (dealer.send_for(frame{std::string(4000, 's')}, std::chrono::milliseconds{20})) {
  }
  auto sending =
      std::async(std::launch::async, [&] { dealer.send(frame{std::string(2 * limit, 'x')}); });
  std::size_t large = 0;
  parley::socket& reader = pipe_has_room ? by_pipe : by_tcp;
  while (large < 2 * limit) {
    const auto incoming = reader.receive_for(patience);
    REQUIRE(incoming);
    large = incoming->bytes();
  }
  sending.get();
}

TEST_CASE("receivers that come and go do not hold up a sender at its limit in bytes") {
  context owner;
  parley::socket push{owner, socket_kind::push, narrow()};
  push.bind("pipe://busy");
  constexpr int messages = 300;
  auto sending = std::async(std::launch::async, [&] {
    for (int count = 0; count < messages; ++count) {
      push.send(frame{std::string(limit, 'x')});  // each for itself fills it
    }
  });
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const auto is_done = [&] {
    return sending.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
  };
  while (!is_done() && std::chrono::steady_clock::now() < deadline) {
    parley::socket pull{owner, socket_kind::pull, narrow()};
    pull.connect("pipe://busy");
    static_cast<void>(pull.receive_for(std::chrono::milliseconds{1}));
  }
  const bool has_ended = is_done();
  CHECK(has_ended);
  if (!has_ended) {
    owner.shutdown();
    CHECK_THROWS_AS(sending.get(), closed);
  }
}
