// SPDX-License-Identifier: MPL-2.0
//
// Push and pull by the words of ZeroMQ's RFC 30, over every carrier: what holds over tcp holds over
// pipe.
#include <parley/endpoint.hpp>
#include <parley/error.hpp>
#include <parley/socket.hpp>

#include <unistd.h>

#include <string>
#include <utility>

#include "semantics.hpp"
#include "support/carriers.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/error_code.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using support::carriers;
using support::code_of;
using support::join;
using support::next;
using support::patience;
using support::place;

namespace {

// Where nobody is bound, and nobody else will be.
endpoint place_to_be(const std::string& carrier, const support::temporary_directory& directory) {
  if (carrier == "ipc://") {
    return carrier + (directory / "socket").string();
  }
  if (carrier == "tcp://") {
    // A loopback address of this process's own: other programs take ports of 127.0.0.1.
    const auto own = static_cast<unsigned>(::getpid());
    const auto octet = [](unsigned value) { return "." + std::to_string(value & 0xffU); };
    return carrier + "127" + octet(64 + (own >> 16U)) + octet(own >> 8U) + octet(own) + ":29170";
  }
  return place(carrier);
}

}  // namespace

// "SHALL route outgoing messages to available peers using a round-robin strategy."
TEST_CASE("a push deals to its peers in turn") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket one{owner, socket_kind::pull};
    socket two{owner, socket_kind::pull};
    socket push{owner, socket_kind::push};
    push.connect(one.bind(place(where, "one")));
    push.connect(two.bind(place(where, "two")));
    for (int index = 0; index < 10; ++index) {
      push.send(message("task"));
    }
    for (int index = 0; index < 5; ++index) {
      CHECK(next(one) == "task");
      CHECK(next(two) == "task");
    }
    CHECK_FALSE(one.try_receive());
    CHECK_FALSE(two.try_receive());
  }
}

// "SHALL block on sending, or return a suitable error, when it has no available peers."
TEST_CASE("a push refuses while it has no peer") {
  for (const std::string& where : carriers) {
    semantics::check_refuses_nobody(where, socket_kind::push, socket_kind::pull);
  }
}

// "SHALL not accept further messages when it has no available peers. SHALL NOT discard messages
// that it cannot queue."
TEST_CASE("a push refuses what nobody can take, and loses nothing of what it took") {
  for (const std::string& where : carriers) {
    semantics::check_refuses_when_full(where, socket_kind::push, socket_kind::pull);
  }
}

// "SHALL consider a peer as available only when it has a outgoing queue that is not full."
TEST_CASE("a push passes over who has no room") {
  for (const std::string& where : carriers) {
    semantics::check_passes_over_the_full(where, socket_kind::push, socket_kind::pull);
  }
}

// "SHALL receive incoming messages from its peers using a fair-queuing strategy."
TEST_CASE("a pull hears all of its peers, in turn") {
  for (const std::string& where : carriers) {
    semantics::fair_queueing{socket_kind::pull, socket_kind::push}.check(where);
  }
}

// "SHALL not filter or modify outgoing messages in any way", nor incoming ones.
TEST_CASE("push and pull leave messages as they are") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    auto sockets = join(owner, socket_kind::pull, socket_kind::push, place(where));
    semantics::check_leaves_alone(sockets.connected, sockets.bound);
  }
}

// Push "SHALL only send messages", pull "SHALL only receive messages"; so pub and sub
// in RFC 29.
TEST_CASE("a one-way kind says that it does not go the other way") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    auto line = join(owner, socket_kind::pull, socket_kind::push, place(where, "line"));
    CHECK(code_of([&] { static_cast<void>(line.bound.try_send(message("x"))); }) ==
          errc::unsupported);
    CHECK(code_of([&] { static_cast<void>(line.connected.try_receive()); }) == errc::unsupported);
    auto feed = join(owner, socket_kind::pub, socket_kind::sub, place(where, "feed"));
    CHECK(code_of([&] { static_cast<void>(feed.bound.try_receive()); }) == errc::unsupported);
    CHECK(code_of([&] { static_cast<void>(feed.connected.try_send(message("x"))); }) ==
          errc::unsupported);
    CHECK(code_of([&] { line.bound.subscribe("x"); }) != errc{});
  }
}

// Here we differ from "If this peer disconnects, the PULL socket SHALL destroy its queue and SHALL
// discard any messages it contains", as libzmq does (docs/sockets.md).
TEST_CASE("what was sent before the sender went is delivered") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket pull{owner, socket_kind::pull};
    {
      socket push{owner, socket_kind::push};
      push.connect(pull.bind(place(where)));
      for (int index = 0; index < 100; ++index) {
        push.send(message(std::to_string(index)));
      }
    }
    for (int index = 0; index < 100; ++index) {
      CHECK(next(pull) == std::to_string(index));
    }
  }
}

// "SHALL create this queue when initiating an outgoing connection to a peer, and SHALL maintain the
// queue whether or not the connection is established." So in 28, 29 and 31.
TEST_CASE("who connects first waits for who binds") {
  const std::pair<socket_kind, socket_kind> kinds[] = {{socket_kind::push, socket_kind::pull},
                                                       {socket_kind::pair, socket_kind::pair},
                                                       {socket_kind::req, socket_kind::rep},
                                                       {socket_kind::dealer, socket_kind::router}};
  for (const std::string& where : carriers) {
    for (const auto& [first, second] : kinds) {
      INFO(where << ' ' << to_string(first));
      const support::temporary_directory directory;
      const endpoint here = place_to_be(where, directory);
      context owner;
      socket early{owner, first};
      early.connect(here);
      early.send(message("early"));
      socket late{owner, second};
      late.bind(here);
      CHECK(next(late) == "early");
    }
  }
}

TEST_CASE("a subscriber that connects first tells who binds what it wants") {
  for (const std::string& where : carriers) {
    for (const socket_kind kind : {socket_kind::sub, socket_kind::xsub}) {
      INFO(where << ' ' << to_string(kind));
      const support::temporary_directory directory;
      const endpoint here = place_to_be(where, directory);
      context owner;
      socket early{owner, kind};
      early.subscribe("a");
      early.connect(here);
      socket late{owner, socket_kind::xpub};
      late.bind(here);
      CHECK(next(late) == "\1a");
      late.send(message("a"));
      CHECK(next(early) == "a");
    }
  }
}
