// SPDX-License-Identifier: MPL-2.0
//
// Pair by the words of ZeroMQ's RFC 31, over every carrier: what holds over tcp holds over
// pipe.
#include <parley/socket.hpp>

#include <string>

#include "semantics.hpp"
#include "support/carriers.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::carriers;
using support::join;
using support::next;
using support::patience;
using support::place;

// "MAY be connected to at most one PAIR peers, and MAY both send and receive messages."
TEST_CASE("a pair talks both ways, with one peer") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    auto sockets = join(owner, socket_kind::pair, socket_kind::pair, place(where));
    sockets.connected.send(message("there"));
    CHECK(next(sockets.bound) == "there");
    sockets.bound.send(message("back"));
    CHECK(next(sockets.connected) == "back");
  }
}

// "MAY be connected to at most one PAIR peers", "SHALL receive incoming messages from its single
// peer if it has one."
TEST_CASE("a pair has nothing to do with who comes second") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket pair{owner, socket_kind::pair};
    socket first{owner, socket_kind::pair};
    socket second{owner, socket_kind::pair};
    const endpoint here = pair.bind(place(where));
    first.connect(here);
    first.send(message("first"));
    CHECK(next(pair) == "first");
    second.connect(here);
    static_cast<void>(second.try_send(message("second")));
    for (int round = 0; round < 20; ++round) {
      pair.send(message("there"));
      CHECK(next(first) == "there");
      first.send(message("back"));
      CHECK(next(pair) == "back");
    }
    CHECK_FALSE(pair.receive_for(20ms).has_value());
    CHECK_FALSE(second.try_receive().has_value());
  }
}

// "SHALL not filter or modify outgoing or incoming messages in any way."
TEST_CASE("a pair leaves messages as they are") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    auto sockets = join(owner, socket_kind::pair, socket_kind::pair, place(where));
    for (const message& odd : {message{frame{}}, message{frame{}, frame{"\1"}, frame{}},
                               message{frame{std::string(70'000, 'b')}, frame{"\0a"}}}) {
      sockets.connected.send(message{odd});
      CHECK(sockets.bound.receive_for(patience) == odd);
      sockets.bound.send(message{odd});
      CHECK(sockets.connected.receive_for(patience) == odd);
    }
  }
}

// "SHALL block on sending, or return a suitable error, when it has no available peer."
TEST_CASE("a pair refuses while it has no peer") {
  for (const std::string& where : carriers) {
    semantics::check_refuses_nobody(where, socket_kind::pair, socket_kind::pair);
  }
}

// "SHALL consider its peer as available only when it has a outgoing queue that is not full. SHALL
// not accept further messages when it has no available peer. SHALL NOT discard messages that it
// cannot queue."
TEST_CASE("a pair refuses what its peer has no room for") {
  for (const std::string& where : carriers) {
    semantics::check_refuses_when_full(where, socket_kind::pair, socket_kind::pair);
  }
}
