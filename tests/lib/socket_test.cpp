// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/socket.hpp>

#include <string>
#include <thread>

#include <zmq.hpp>

#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/error_code.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::code_of;
using support::join;
using support::patience;

namespace {

// Where each case runs: the same code over every carrier of libzmq.
const std::string carriers[] = {"pipe://socket-test", "inproc://socket-test", "ipc://*",
                                "tcp://127.0.0.1:*"};

}  // namespace

TEST_CASE("pair, push-pull and dealer-dealer carry a message whole") {
  const std::pair<socket_kind, socket_kind> kinds[] = {{socket_kind::pair, socket_kind::pair},
                                                       {socket_kind::pull, socket_kind::push},
                                                       {socket_kind::dealer, socket_kind::dealer}};
  for (const std::string& where : carriers) {
    for (const auto& [receiving, sending] : kinds) {
      context owner;
      auto sockets = join(owner, receiving, sending, where);
      const message sent{frame{"head"}, frame{}, frame{std::string(100'000, 'b')}};
      sockets.connected.send(message{sent});
      CHECK(sockets.bound.receive_for(patience) == sent);
    }
  }
}

TEST_CASE("a reply goes back to the one who asked") {
  for (const std::string& where : carriers) {
    context owner;
    auto sockets = join(owner, socket_kind::rep, socket_kind::req, where);
    sockets.connected.send(frame{"question"});
    CHECK(sockets.bound.receive_for(patience) == message{frame{"question"}});
    sockets.bound.send(frame{"answer"});
    CHECK(sockets.connected.receive_for(patience) == message{frame{"answer"}});
  }
}

TEST_CASE("a router names its peers and refuses a name it does not know") {
  context owner;
  socket_options named;
  named.routing_id = "desk-7";
  socket router{owner, socket_kind::router};
  socket dealer{owner, socket_kind::dealer, named};
  dealer.connect(router.bind("tcp://127.0.0.1:*"));
  dealer.send(frame{"hello"});
  const auto received = router.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK((*received)[0] == "desk-7");
  CHECK(router.try_send(message{frame{"desk-7"}, frame{"back"}}));
  CHECK(dealer.receive_for(patience) == message{frame{"back"}});

  message lost{frame{"nobody"}, frame{"x"}};
  CHECK_FALSE(router.try_send(std::move(lost)));
  CHECK(lost.size() == 2);  // NOLINT(bugprone-use-after-move): unchanged when refused
}

TEST_CASE("a router with both carriers says that it knows nobody of that name") {
  context owner;
  socket router{owner, socket_kind::router};
  router.bind("pipe://here");
  router.bind("inproc://here");
  message lost{frame{"nobody"}, frame{"x"}};
  CHECK_FALSE(router.try_send(std::move(lost)));
  CHECK_FALSE(router.send_for(std::move(lost), patience));
  CHECK(code_of([&] { router.send(std::move(lost)); }) == errc::unknown_peer);
  CHECK(lost.size() == 2);  // NOLINT(bugprone-use-after-move): unchanged when refused
}

TEST_CASE("a stream says that nobody is connected by that name") {
  context owner;
  socket stream{owner, socket_kind::stream};
  stream.bind("tcp://127.0.0.1:*");
  message lost{frame{"five!"}, frame{"x"}};
  CHECK_FALSE(stream.try_send(std::move(lost)));
  CHECK_FALSE(stream.send_for(std::move(lost), std::chrono::hours{1}));
  CHECK(code_of([&] { stream.send(std::move(lost)); }) == errc::unknown_peer);
  CHECK(lost.size() == 2);  // NOLINT(bugprone-use-after-move): unchanged when refused
}

TEST_CASE("a subscriber receives what it subscribed to, and no more") {
  for (const std::string& where : carriers) {
    context owner;
    auto sockets = join(owner, socket_kind::xpub, socket_kind::sub, where);
    sockets.connected.subscribe("news.");
    // The subscription has arrived when the publisher reads it: no sleep for a slow joiner.
    CHECK(sockets.bound.receive_for(patience) == message{frame{"\1news."}});
    sockets.bound.send(message{frame{"other"}, frame{"1"}});
    sockets.bound.send(message{frame{"news.today"}, frame{"2"}});
    CHECK(sockets.connected.receive_for(patience) == message{frame{"news.today"}, frame{"2"}});
    sockets.connected.unsubscribe("news.");
    CHECK(sockets.bound.receive_for(patience) == message{frame{std::string_view{"\0news.", 6}}});
  }
}

TEST_CASE("an xsub socket subscribes by message") {
  context owner;
  auto sockets = join(owner, socket_kind::xpub, socket_kind::xsub, "inproc://xsub");
  sockets.connected.subscribe("a");
  CHECK(sockets.bound.receive_for(patience) == message{frame{"\1a"}});
  sockets.connected.unsubscribe("a");
  CHECK(sockets.bound.receive_for(patience) == message{frame{std::string_view{"\0a", 2}}});
}

TEST_CASE("a stream socket talks to a raw connection") {
  context owner;
  auto sockets = join(owner, socket_kind::stream, socket_kind::stream, "tcp://127.0.0.1:*");
  const auto opened = sockets.bound.receive_for(patience);  // an empty body tells of a connection
  REQUIRE(opened.has_value());
  CHECK((*opened)[1].empty());
  sockets.bound.send(message{(*opened)[0], frame{"raw bytes"}});
  for (;;) {
    const auto received = sockets.connected.receive_for(patience);
    REQUIRE(received.has_value());
    if (!(*received)[1].empty()) {
      CHECK((*received)[1] == "raw bytes");
      break;
    }
  }
}

TEST_CASE("a push without a peer is refused and leaves the message as it was") {
  context owner;
  socket push{owner, socket_kind::push};
  message kept{frame{"task"}};
  CHECK_FALSE(push.try_send(std::move(kept)));
  CHECK_FALSE(push.send_for(std::move(kept), 1ms));
  CHECK(kept == message{frame{"task"}});  // NOLINT(bugprone-use-after-move)
}

TEST_CASE("a send beyond the limit is refused, and goes again once the peer reads") {
  context owner;
  socket_options tight;
  tight.send_limit = 1;
  tight.receive_limit = 1;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, "inproc://full", tight);
  int sent = 0;
  while (sockets.connected.try_send(frame{"task"})) {
    ++sent;
  }
  CHECK(sent > 0);
  CHECK(sent < 10);
  while (sockets.bound.try_receive()) {
  }
  CHECK(sockets.connected.send_for(frame{"task"}, patience));
}

TEST_CASE("receive_for gives up when nothing comes") {
  context owner;
  socket pull{owner, socket_kind::pull};
  pull.bind("inproc://silent");
  CHECK_FALSE(pull.try_receive().has_value());
  CHECK_FALSE(pull.receive_for(1ms).has_value());
  CHECK_FALSE(pull.can_receive());
}

TEST_CASE("shutting the context down ends a wait") {
  context owner;
  socket pull{owner, socket_kind::pull};
  pull.bind("inproc://waits");
  std::thread other{[&] { owner.shutdown(); }};
  CHECK(code_of([&] { static_cast<void>(pull.receive()); }) == errc::closed);
  other.join();
}

TEST_CASE("bind tells what was really bound") {
  context owner;
  socket pull{owner, socket_kind::pull};
  const endpoint tcp = pull.bind("tcp://127.0.0.1:0");
  CHECK(tcp.address() == "127.0.0.1");
  CHECK(tcp.port() != 0);
  CHECK_FALSE(pull.bind("ipc://*").is_wildcard());
  CHECK(pull.bind("inproc://name") == endpoint{"inproc://name"});
}

TEST_CASE("IPv6 works where the machine has it") {
  context owner;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, "tcp://[::1]:0");
  sockets.connected.send(frame{"six"});
  CHECK(sockets.bound.receive_for(patience) == message{frame{"six"}});
}

TEST_CASE("set-up errors say what and where") {
  context owner;
  socket first{owner, socket_kind::pull};
  socket second{owner, socket_kind::pull};
  const endpoint taken = first.bind("tcp://127.0.0.1:0");
  CHECK(code_of([&] { second.bind(taken); }) == errc::cannot_bind);
  CHECK(code_of([&] { second.bind("tcp://203.0.113.1:5555"); }) == errc::cannot_bind);
  CHECK(code_of([&] { second.connect("tcp://*:5555"); }) == errc::invalid_endpoint);
  CHECK(code_of([&] { second.connect("tcp://127.0.0.1:0"); }) == errc::invalid_endpoint);
  CHECK(code_of([&] { second.unbind("tcp://127.0.0.1:1"); }) == errc::invalid_endpoint);
  try {
    second.bind(taken);
  } catch (const error& caught) {
    CHECK(std::string{caught.what()}.find("bind pull socket to " + taken.str()) == 0);
  }
}

TEST_CASE("a request socket that is used out of turn says so") {
  context owner;
  auto sockets = join(owner, socket_kind::rep, socket_kind::req, "inproc://turns");
  CHECK(code_of([&] { static_cast<void>(sockets.connected.try_receive()); }) == errc::out_of_turn);
}

TEST_CASE("options that make no sense are refused by name") {
  context owner;
  socket_options bad;
  bad.send_limit = 0;
  CHECK(code_of([&] { socket{owner, socket_kind::push, bad}; }) == errc::invalid_config);
  bad = {};
  bad.linger = -1ms;
  CHECK(code_of([&] { socket{owner, socket_kind::push, bad}; }) == errc::invalid_config);
  bad = {};
  bad.routing_id = std::string(256, 'r');
  CHECK(code_of([&] { socket{owner, socket_kind::dealer, bad}; }) == errc::invalid_config);
  CHECK(code_of([] { context{{.io_threads = 0}}; }) == errc::invalid_config);
}

TEST_CASE("options of connections hold, whatever the socket was used for first") {
  context owner;
  const curve_keys keys = generate_curve_keys();
  parley::socket pull{owner, socket_kind::pull, {.curve = keys}};
  pull.bind("inproc://first");
  parley::socket push{owner, socket_kind::push, {.curve = keys.public_key}};
  push.connect(pull.bind("tcp://127.0.0.1:*"));
  push.send("secret");
  CHECK(pull.receive_for(patience) == message{"secret"});
  parley::socket shared{owner, socket_kind::pull, {.max_frame_bytes = 1000}};
  CHECK(shared.native().get(zmq::sockopt::maxmsgsize) == 1000);
}

TEST_CASE("sockets keep the context alive") {
  std::optional<socket> pull;
  std::optional<socket> push;
  {
    context owner;
    pull.emplace(owner, socket_kind::pull);
    push.emplace(owner, socket_kind::push);
    push->connect(pull->bind("inproc://outlives"));
  }
  push->send(frame{"still here"});
  CHECK(pull->receive_for(patience) == message{frame{"still here"}});
}

TEST_CASE("a socket may be handed to another thread") {
  context owner;
  auto sockets = join(owner, socket_kind::pull, socket_kind::push, "inproc://handed");
  std::thread other{[sender = std::move(sockets.connected)]() mutable {
    sender.send(frame{"from another thread"});
  }};
  CHECK(sockets.bound.receive_for(patience) == message{frame{"from another thread"}});
  other.join();
}
