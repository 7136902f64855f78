// SPDX-License-Identifier: MPL-2.0
//
// Pub, sub, xpub and xsub by the words of ZeroMQ's RFC 29, over every carrier: what holds over tcp
// holds over pipe.
#include <parley/error.hpp>
#include <parley/socket.hpp>

#include <set>
#include <string>

#include "semantics.hpp"
#include "support/await.hpp"
#include "support/carriers.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/error_code.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::await;
using support::carriers;
using support::code_of;
using support::join;
using support::next;
using support::patience;
using support::place;
using support::tight;

// "SHALL perform a binary comparison of the subscription against the start of the first
// frame of the message."
TEST_CASE("a publisher compares prefixes, byte by byte") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    auto sockets = join(owner, socket_kind::xpub, socket_kind::sub, place(where));
    for (const std::string& prefix :
         {std::string{"a"}, std::string{"ab"}, std::string{"\0\xff", 2}}) {
      sockets.connected.subscribe(prefix);
      CHECK(next(sockets.bound) == "\1" + prefix);
    }
    for (const std::string& topic : {std::string{"b"}, std::string{"abc"}, std::string{"\0", 1},
                                     std::string{"\0\xff!", 3}, std::string{}, std::string{"a"}}) {
      sockets.bound.send(message(topic));
    }
    CHECK(next(sockets.connected) == "abc");  // once, though two prefixes match
    CHECK(next(sockets.connected) == std::string{"\0\xff!", 3});
    CHECK(next(sockets.connected) == "a");
    sockets.connected.unsubscribe("a");
    CHECK(next(sockets.bound) == std::string{"\0a", 2});
    sockets.bound.send(message("a"));
    sockets.bound.send(message("abd"));
    CHECK(next(sockets.connected) == "abd");
  }
}

TEST_CASE("private topics are for who asked for them, not for who asked for all") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket_options options;
    options.private_topics = true;
    socket xpub{owner, socket_kind::xpub, options};
    socket all{owner, socket_kind::sub};
    socket one{owner, socket_kind::sub};
    const endpoint here = xpub.bind(place(where));
    all.connect(here);
    one.connect(here);
    all.subscribe("");
    CHECK(next(xpub) == "\1");
    one.subscribe("\1-one");
    CHECK(next(xpub) == "\1\1-one");
    for (const std::string topic : {"\1-one, of two", "\1-two", "\xfe", "a"}) {
      xpub.send(message(topic));
    }
    CHECK(next(all) == "\xfe");
    CHECK(next(all) == "a");
    CHECK(next(one) == "\1-one, of two");
    all.unsubscribe("");
    CHECK(next(xpub) == std::string(1, '\0'));
    all.subscribe("b");
    CHECK(next(xpub) == "\1b");
    one.unsubscribe("\1-one");
    CHECK(next(xpub) == std::string{"\0\1-one", 6});
    for (const std::string topic : {"a", "\1-one", "b"}) {
      xpub.send(message(topic));
    }
    CHECK(next(all) == "b");
    CHECK_FALSE(one.try_receive().has_value());
  }
}

// "MAY, depending on configuration, normalize commands delivered to its calling application
// so that multiple identical subscriptions result in a single command only."
TEST_CASE("an xpub tells of the first subscription and of the last to go, or of all") {
  for (const bool all : {false, true}) {
    for (const std::string& where : carriers) {
      INFO(where << (all ? ", all" : ""));
      context owner;
      socket_options options;
      options.all_subscriptions = all;
      socket xpub{owner, socket_kind::xpub, options};
      socket one{owner, socket_kind::sub};
      socket two{owner, socket_kind::sub};
      const endpoint here = xpub.bind(place(where));
      one.connect(here);
      two.connect(here);
      one.subscribe("a");
      CHECK(next(xpub) == "\1a");
      two.subscribe("a");
      if (all) {
        CHECK(next(xpub) == "\1a");
      }
      two.subscribe("b");  // in order behind it
      CHECK(next(xpub) == "\1b");
      one.unsubscribe("a");
      if (all) {
        CHECK(next(xpub) == std::string{"\0a", 2});
      }
      one.subscribe("c");
      CHECK(next(xpub) == "\1c");
      two.unsubscribe("a");
      CHECK(next(xpub) == std::string{"\0a", 2});
    }
  }
}

// "SHALL, if the subscriber peer disconnects prematurely, generate a suitable unsubscribe
// request for the calling application."
TEST_CASE("an xpub tells what a subscriber that left had subscribed to") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket xpub{owner, socket_kind::xpub};
    {
      socket sub{owner, socket_kind::sub};
      sub.connect(xpub.bind(place(where)));
      sub.subscribe("a");
      CHECK(next(xpub) == "\1a");
    }
    CHECK(next(xpub) == std::string{"\0a", 2});
  }
}

// "SHALL silently drop the message if the queue for a subscriber is full. SHALL NOT block
// on sending."
TEST_CASE("a publisher drops for the slow and goes on") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket_options tight;
    tight.send_limit = 2;
    tight.receive_limit = 2;
    auto sockets = join(owner, socket_kind::xpub, socket_kind::sub, place(where), tight);
    sockets.connected.subscribe("");
    CHECK(next(sockets.bound) == "\1");
    const std::string body(100'000, 'b');
    for (int index = 0; index < 500; ++index) {
      REQUIRE(sockets.bound.try_send(message(body)));
    }
    int received = 1;
    CHECK(next(sockets.connected) == body);
    while (sockets.connected.receive_for(50ms)) {
      ++received;
    }
    CHECK(received < 500);
  }
}

// An xsub "SHALL send all messages to all connected publishers", and an xpub "SHALL deliver
// these messages to its calling application."
TEST_CASE("an xsub talks upstream to all its publishers") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket one{owner, socket_kind::xpub};
    socket two{owner, socket_kind::xpub};
    socket xsub{owner, socket_kind::xsub};
    xsub.connect(one.bind(place(where, "one")));
    xsub.connect(two.bind(place(where, "two")));
    for (socket* each : {&one, &two}) {
      // A first subscription shows that the connection is there.
      xsub.subscribe(each == &one ? "1" : "2");
    }
    for (socket* each : {&one, &two}) {
      CHECK(next(*each) ==
            "\1"
            "1");
      CHECK(next(*each) ==
            "\1"
            "2");
    }
    xsub.send(message("hello"));
    CHECK(next(one) == "hello");
    CHECK(next(two) == "hello");
    xsub.send(message("\1as a message"));
    CHECK(next(one) == "\1as a message");
  }
}

// "SHALL not modify outgoing messages in any way", nor incoming ones.
TEST_CASE("publishers and subscribers leave messages as they are") {
  for (const std::string& where : carriers) {
    for (const socket_kind kind : {socket_kind::sub, socket_kind::xsub}) {
      INFO(where << ' ' << to_string(kind));
      context owner;
      auto sockets = join(owner, socket_kind::xpub, kind, place(where));
      sockets.connected.subscribe("");
      CHECK(next(sockets.bound) == "\1");
      semantics::check_leaves_alone(sockets.bound, sockets.connected);
    }
  }
}

// "SHALL silently discard any messages that subscribers send it."
TEST_CASE("a pub hears nothing of what its subscribers send") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket_options few;
    few.receive_limit = 10;
    socket pub{owner, socket_kind::pub, few};
    socket xsub{owner, socket_kind::xsub};
    xsub.connect(pub.bind(place(where)));
    for (int index = 0; index < 100; ++index) {
      xsub.send(message("hello"));
      static_cast<void>(pub.can_receive());
    }
    xsub.subscribe("a");
    CHECK(await([&] {
      pub.send(message("a"));
      return xsub.try_receive().has_value();
    }));
    CHECK_FALSE(pub.can_receive());
    CHECK(code_of([&] { static_cast<void>(pub.try_receive()); }) == errc::unsupported);
  }
}

// "SHALL send subscribe and unsubscribe requests to publishers"
TEST_CASE("a bound subscriber tells each publisher that comes what it wants") {
  for (const std::string& where : carriers) {
    for (const socket_kind kind : {socket_kind::sub, socket_kind::xsub}) {
      INFO(where << ' ' << to_string(kind));
      context owner;
      socket listener{owner, kind};
      const endpoint here = listener.bind(place(where));
      listener.subscribe("a");
      listener.subscribe("b");
      for (int index = 0; index < 2; ++index) {
        socket xpub{owner, socket_kind::xpub};
        xpub.connect(here);
        std::set<std::string> told;
        await([&] {
          static_cast<void>(listener.can_receive());  // it notices who came when it is used
          while (const auto one = xpub.try_receive()) {
            told.insert(one->back().str());
          }
          return told.size() == 2;
        });
        CHECK(told == std::set<std::string>{std::string{"\1"} + "a", std::string{"\1"} + "b"});
        xpub.send(message("abc"));
        CHECK(next(listener) == "abc");
      }
    }
  }
}

// "SHALL receive incoming messages from its publishers using a fair-queuing strategy."
TEST_CASE("a subscriber hears all of its publishers, in turn") {
  for (const std::string& where : carriers) {
    semantics::fair_queueing{socket_kind::sub, socket_kind::xpub}.check(where);
    semantics::fair_queueing{socket_kind::xsub, socket_kind::xpub}.check(where);
  }
}

// "SHALL receive incoming messages from its subscribers using a fair-queuing strategy."
TEST_CASE("an xpub hears all of its subscribers, in turn") {
  for (const std::string& where : carriers) {
    semantics::fair_queueing{socket_kind::xpub, socket_kind::xsub}.check(where);
  }
}

// "SHALL silently drop the message if the outgoing queue for a publisher is full. SHALL NOT block
// on sending."
TEST_CASE("an xsub drops for a publisher that does not read, and goes on") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    auto sockets = join(owner, socket_kind::xpub, socket_kind::xsub, place(where), tight());
    sockets.connected.subscribe("a");
    CHECK(next(sockets.bound) == "\1a");
    const std::string body(100'000, 'b');
    for (int index = 0; index < 500; ++index) {
      sockets.connected.send(message(body));
    }
    int received = 0;
    while (const auto one = sockets.bound.receive_for(50ms)) {
      CHECK(one->front().view() == body);
      ++received;
    }
    CHECK(received < 500);
    CHECK(await([&] {
      sockets.connected.send(message("room again"));
      return sockets.bound.try_receive() == message("room again");
    }));
  }
}

// "When closing a connection to a publisher SHOULD send unsubscribe requests for all
// subscriptions."
TEST_CASE("an xsub that disconnects has unsubscribed") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket xpub{owner, socket_kind::xpub};
    socket xsub{owner, socket_kind::xsub};
    const endpoint here = xpub.bind(place(where));
    xsub.connect(here);
    for (const std::string prefix : {"a", "b"}) {
      xsub.subscribe(prefix);
      CHECK(next(xpub) == "\1" + prefix);
    }
    xsub.disconnect(here);
    std::set<std::string> told;
    await([&] {
      static_cast<void>(xsub.can_receive());  // libzmq's side ends while its socket is used
      while (const auto one = xpub.try_receive()) {
        told.insert(one->back().str());
      }
      return told.size() == 2;
    });
    CHECK(told == std::set<std::string>{{"\0a", 2}, {"\0b", 2}});
  }
}
