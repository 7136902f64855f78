// SPDX-License-Identifier: MPL-2.0
//
// Req, rep, dealer and router by the words of ZeroMQ's RFC 28, over every carrier: what holds over
// tcp holds over pipe.
#include <parley/error.hpp>
#include <parley/socket.hpp>

#include <optional>
#include <string>
#include <utility>

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
using support::fill;
using support::join;
using support::named;
using support::next;
using support::patience;
using support::place;
using support::tight;

// "SHALL send and then receive exactly one message at a time."
TEST_CASE("req and rep take turns, and say so when they do not") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    auto sockets = join(owner, socket_kind::rep, socket_kind::req, place(where));
    socket& req = sockets.connected;
    socket& rep = sockets.bound;
    CHECK(code_of([&] { static_cast<void>(req.try_receive()); }) == errc::out_of_turn);
    CHECK(code_of([&] { static_cast<void>(rep.try_send(message("x"))); }) == errc::out_of_turn);
    for (int round = 0; round < 3; ++round) {
      req.send(message{frame{"a"}, frame{"question"}});
      CHECK_FALSE(req.can_send());
      CHECK(code_of([&] { static_cast<void>(req.try_send(message("x"))); }) == errc::out_of_turn);
      CHECK(rep.receive_for(patience) == message{frame{"a"}, frame{"question"}});
      CHECK(code_of([&] { static_cast<void>(rep.try_receive()); }) == errc::out_of_turn);
      rep.send(message("answer"));
      CHECK(next(req) == "answer");
    }
  }
}

// "A delimiter, consisting of an empty frame, added by the REQ socket."
TEST_CASE("a req puts an empty frame before its message, a rep sends the envelope back") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    auto asked =
        join(owner, socket_kind::router, socket_kind::req, place(where, "asked"), named("me"));
    asked.connected.send(message("question"));
    CHECK(asked.bound.receive_for(patience) == message{frame{"me"}, frame{}, frame{"question"}});
    asked.bound.send(message{frame{"me"}, frame{}, frame{"answer"}});
    CHECK(next(asked.connected) == "answer");

    auto answers = join(owner, socket_kind::rep, socket_kind::dealer, place(where, "answers"));
    answers.connected.send(message{frame{"x"}, frame{"y"}, frame{}, frame{"question"}});
    CHECK(answers.bound.receive_for(patience) == message("question"));
    answers.bound.send(message("answer"));
    CHECK(answers.connected.receive_for(patience) ==
          message{frame{"x"}, frame{"y"}, frame{}, frame{"answer"}});
    // What has no envelope is no request.
    answers.connected.send(message("no delimiter"));
    answers.connected.send(message{frame{}, frame{"after it"}});
    CHECK(next(answers.bound) == "after it");
  }
}

// "SHALL silently discard the reply, or return an error, if the originating peer is no
// longer connected. SHALL not block on sending."
TEST_CASE("a rep whose asker left goes on with the next") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket rep{owner, socket_kind::rep};
    const endpoint here = rep.bind(place(where));
    {
      socket gone{owner, socket_kind::req};
      gone.connect(here);
      gone.send(message("from one who leaves"));
      CHECK(next(rep) == "from one who leaves");
    }
    socket req{owner, socket_kind::req};
    req.connect(here);
    req.send(message("question"));
    rep.send(message("to nobody"));
    CHECK(next(rep) == "question");
    rep.send(message("answer"));
    CHECK(next(req) == "answer");
  }
}

// "SHALL route outgoing messages to connected peers using a round-robin strategy."
TEST_CASE("a req asks its peers in turn") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket one{owner, socket_kind::rep};
    socket two{owner, socket_kind::rep};
    socket req{owner, socket_kind::req};
    req.connect(one.bind(place(where, "one")));
    req.connect(two.bind(place(where, "two")));
    std::string asked;
    for (int index = 0; index < 6; ++index) {
      req.send(message("question"));
      REQUIRE(await([&] {
        for (socket* each : {&one, &two}) {
          if (each->try_receive()) {
            each->send(message(each == &one ? "1" : "2"));
            return true;
          }
        }
        return false;
      }));
      asked += next(req);
    }
    CHECK((asked == "121212" || asked == "212121"));
  }
}

// "SHALL block on sending, or return a suitable error, when it has no connected peers. SHALL NOT
// discard messages that it cannot send to a connected peer."
TEST_CASE("a req refuses while it has no peer, and may ask when one is there") {
  for (const std::string& where : carriers) {
    semantics::check_refuses_nobody(where, socket_kind::req, socket_kind::rep);
  }
}

// "SHALL accept an incoming message only from the last peer that it sent a request to. SHALL
// discard silently any messages received from other peers."
TEST_CASE("a req hears only whom it asked") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket one{owner, socket_kind::router};
    socket two{owner, socket_kind::router};
    socket req{owner, socket_kind::req, named("me")};
    req.connect(one.bind(place(where, "one")));
    req.connect(two.bind(place(where, "two")));
    req.send(message("question"));
    socket* asked = nullptr;
    REQUIRE(await([&] {
      for (socket* each : {&one, &two}) {
        if (each->try_receive()) {
          asked = each;
        }
      }
      return asked != nullptr;
    }));
    socket& other = asked == &one ? two : one;
    // It may not have made the acquaintance yet.
    CHECK(await([&] { return other.try_send(message{"me", frame{}, "not asked"}); }));
    CHECK(other.try_send(message{"me", frame{}, "nor now"}));
    CHECK_FALSE(req.receive_for(20ms).has_value());
    asked->send(message{"me", frame{}, "answer"});
    CHECK(next(req) == "answer");
  }
}

// Here we differ from the sentences above, as libzmq does within a process (docs/sockets.md).
TEST_CASE("a req whose peer went hears any other") {
  for (const std::string where : {"pipe://", "inproc://"}) {
    INFO(where);
    context owner;
    std::optional<socket> first{std::in_place, owner, socket_kind::router};
    socket req{owner, socket_kind::req, named("me")};
    req.connect(first->bind(place(where, "first")));
    req.send(message("question"));
    CHECK(next(*first) == "question");
    socket other{owner, socket_kind::router};
    req.connect(other.bind(place(where, "other")));
    first.reset();
    CHECK(await([&] {
      static_cast<void>(other.try_send(message{"me", frame{}, "answer"}));
      return req.try_receive().has_value();
    }));
  }
}

TEST_CASE("a relaxed req asks again, and takes only the reply to its last question") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket_options relaxed;
    relaxed.relaxed = true;
    auto sockets = join(owner, socket_kind::router, socket_kind::req, place(where), relaxed);
    sockets.connected.send(message("first"));
    auto first = sockets.bound.receive_for(patience);
    REQUIRE(first.has_value());
    sockets.connected.send(message("second"));
    auto second = sockets.bound.receive_for(patience);
    REQUIRE(second.has_value());
    (*first)[first->size() - 1] = frame{"late"};
    (*second)[second->size() - 1] = frame{"answer"};
    static_cast<void>(sockets.bound.try_send(std::move(*first)));
    static_cast<void>(sockets.bound.try_send(std::move(*second)));
    CHECK(next(sockets.connected) == "answer");
  }
}

// A dealer "SHALL route outgoing messages to available peers using a round-robin strategy",
// and "SHALL not filter or modify outgoing or incoming messages in any way".
TEST_CASE("a dealer deals in turn and leaves messages as they are") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket one{owner, socket_kind::dealer};
    socket two{owner, socket_kind::dealer};
    socket dealer{owner, socket_kind::dealer};
    dealer.connect(one.bind(place(where, "one")));
    dealer.connect(two.bind(place(where, "two")));
    const message odd{frame{}, frame{"a"}, frame{}};
    for (int index = 0; index < 4; ++index) {
      dealer.send(message{odd});
    }
    for (socket* each : {&one, &two}) {
      CHECK(each->receive_for(patience) == odd);
      CHECK(each->receive_for(patience) == odd);
      each->send(message{odd});
    }
    CHECK(dealer.receive_for(patience) == odd);
    CHECK(dealer.receive_for(patience) == odd);
  }
}

// A router "SHALL prefix each incoming message with a frame containing the identity of the
// originating double queue", and "SHALL remove the first frame from each outgoing message and use
// this as the identity of a double queue."
TEST_CASE("a router tells its peers apart, named or not") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket router{owner, socket_kind::router};
    socket nameless{owner, socket_kind::dealer};
    socket desk{owner, socket_kind::dealer, named("desk-7")};
    const endpoint here = router.bind(place(where));
    nameless.connect(here);
    nameless.send(message("hello"));
    const auto first = router.receive_for(patience);
    REQUIRE(first.has_value());
    REQUIRE_FALSE((*first)[0].empty());
    CHECK((*first)[0].view().front() == '\0');  // no program may choose such a name
    desk.connect(here);
    desk.send(message{frame{"a"}, frame{"b"}});
    CHECK(router.receive_for(patience) == message{frame{"desk-7"}, frame{"a"}, frame{"b"}});
    CHECK(router.try_send(message{(*first)[0], frame{"to you"}}));
    CHECK(router.try_send(message{frame{"desk-7"}, frame{"to desk"}}));
    CHECK(nameless.receive_for(patience) == message("to you"));
    CHECK(desk.receive_for(patience) == message("to desk"));
  }
}

// "SHALL either silently drop the message, or return an error, depending on configuration,
// if the queue does not exist, or is full. SHALL NOT block on sending."
TEST_CASE("a router refuses or drops what is for nobody") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket strict{owner, socket_kind::router};
    strict.bind(place(where, "strict"));
    message lost{frame{"nobody"}, frame{"x"}};
    CHECK_FALSE(strict.try_send(std::move(lost)));
    CHECK(lost.size() == 2);  // NOLINT(bugprone-use-after-move): unchanged when refused
    socket_options options;
    options.mandatory = false;
    socket loose{owner, socket_kind::router, options};
    loose.bind(place(where, "loose"));
    CHECK(loose.try_send(std::move(lost)));
  }
}

TEST_CASE("a router hands a name over to who comes back under it, if it may") {
  for (const bool handover : {false, true}) {
    for (const std::string& where : carriers) {
      INFO(where << (handover ? ", handover" : ""));
      context owner;
      socket_options options;
      options.handover = handover;
      socket router{owner, socket_kind::router, options};
      const endpoint here = router.bind(place(where));
      socket first{owner, socket_kind::dealer, named("desk")};
      first.connect(here);
      first.send(message("first"));
      CHECK(next(router) == "first");
      socket second{owner, socket_kind::dealer, named("desk")};
      second.connect(here);
      if (handover) {
        second.send(message("second"));
        CHECK(next(router) == "second");
      }
      CHECK(router.try_send(message{frame{"desk"}, frame{"to desk"}}));
      CHECK(next(handover ? second : first) == "to desk");
    }
  }
}

// "SHALL receive incoming messages from its peers using a fair-queuing strategy."
TEST_CASE("rep, dealer and router hear all of their peers, in turn") {
  for (const std::string& where : carriers) {
    semantics::fair_queueing{socket_kind::rep, socket_kind::dealer,
                             [](const std::string& text) {
                               return message{frame{}, frame{text}};
                             }}
        .check(where);
    semantics::fair_queueing{socket_kind::dealer, socket_kind::dealer}.check(where);
    semantics::fair_queueing{socket_kind::router, socket_kind::dealer}.check(where);
  }
}

// "SHALL block on sending, or return a suitable error, when it has no available peers."
TEST_CASE("a dealer refuses while it has no peer") {
  for (const std::string& where : carriers) {
    semantics::check_refuses_nobody(where, socket_kind::dealer, socket_kind::dealer);
  }
}

// "SHALL not accept further messages when it has no available peers. SHALL NOT discard messages
// that it cannot queue."
TEST_CASE("a dealer refuses what nobody can take, and loses nothing of what it took") {
  for (const std::string& where : carriers) {
    semantics::check_refuses_when_full(where, socket_kind::dealer, socket_kind::dealer);
  }
}

// "SHALL consider a peer as available only when it has a outgoing queue that is not full."
TEST_CASE("a dealer passes over who has no room") {
  for (const std::string& where : carriers) {
    semantics::check_passes_over_the_full(where, socket_kind::dealer, socket_kind::dealer);
  }
}

// "SHALL deliver this message back to the originating peer."
TEST_CASE("a rep sends its reply to who asked") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket rep{owner, socket_kind::rep};
    socket one{owner, socket_kind::req};
    socket two{owner, socket_kind::req};
    const endpoint here = rep.bind(place(where));
    one.connect(here);
    two.connect(here);
    for (int round = 0; round < 3; ++round) {
      one.send(message("one"));
      two.send(message("two"));
      for (int index = 0; index < 2; ++index) {
        rep.send(message("to " + next(rep)));
      }
      CHECK(next(one) == "to one");
      CHECK(next(two) == "to two");
    }
  }
}

// A rep "SHALL not block on sending."
TEST_CASE("a rep drops its reply to who does not read, and goes on") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    auto sockets = join(owner, socket_kind::rep, socket_kind::dealer, place(where), tight());
    const std::string body(100'000, 'b');
    for (int index = 0; index < 200; ++index) {
      sockets.connected.send(message{frame{}, frame{"question"}});
      CHECK(next(sockets.bound) == "question");
      sockets.bound.send(message(body));
    }
    int received = 0;
    while (sockets.connected.receive_for(50ms)) {
      ++received;
    }
    CHECK(received > 0);
    CHECK(received < 200);
  }
}

// "SHALL either silently drop the message, or return an error, depending on configuration, if the
// queue does not exist, or is full." Here we differ from "SHALL NOT block on sending": a router
// that returns errors may be told to wait, as libzmq's may (docs/sockets.md).
TEST_CASE("a router refuses or drops what its peer has no room for") {
  for (const bool mandatory : {true, false}) {
    for (const std::string& where : carriers) {
      INFO(where << (mandatory ? ", mandatory" : ""));
      context owner;
      socket_options options = tight();
      options.mandatory = mandatory;
      socket router{owner, socket_kind::router, options};
      socket_options desk = tight();
      desk.routing_id = "desk";
      socket dealer{owner, socket_kind::dealer, desk};
      dealer.connect(router.bind(place(where)));
      dealer.send(message("here"));
      CHECK(next(router) == "here");
      const frame body{std::string(100'000, 'b')};
      int sent = 0;
      if (mandatory) {
        const auto full = fill(router, [&](const frame&) { return message{"desk", body}; });
        CHECK(full.refused == message{"desk", body});
        sent = full.sent;
      } else {
        for (; sent < 500; ++sent) {
          router.send(message{"desk", body});
        }
      }
      int received = 0;
      while (received < sent && dealer.receive_for(mandatory ? patience : 50ms)) {
        ++received;
      }
      CHECK(received > 0);
      CHECK((received == sent) == mandatory);
    }
  }
}

// The error, for who waits as long as it takes.
TEST_CASE("a router that sends to nobody throws, and keeps the message") {
  for (const std::string& where : carriers) {
    for (const std::size_t limit : {0, 1000}) {
      INFO(where << (limit > 0 ? ", limited" : ""));
      context owner;
      socket_options options;
      options.send_limit_bytes = limit;
      socket router{owner, socket_kind::router, options};
      router.bind(place(where));
      message lost{frame{"nobody\0", 7}, frame{"x"}};
      std::string said;
      try {
        router.send(std::move(lost));
      } catch (const error& thrown) {
        CHECK(thrown.code() == errc::unknown_peer);
        said = thrown.what();
      }
      CHECK(said == "send on router socket to 'nobody\\x00': there is no such peer");
      CHECK(lost.size() == 2);  // NOLINT(bugprone-use-after-move): unchanged when refused
    }
  }
}
