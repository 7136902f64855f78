// SPDX-License-Identifier: MPL-2.0
//
// Each kind of socket by the words of ZeroMQ's RFCs, over every carrier: what holds over tcp holds
// over pipe.
#include <parley/error.hpp>
#include <parley/socket.hpp>

#include <set>
#include <string>

#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/error_code.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::code_of;
using support::join;
using support::patience;

namespace {

const std::string carriers[] = {"pipe://", "inproc://", "ipc://", "tcp://"};

// A fresh place of that carrier; a second one of the same context by another name.
std::string place(const std::string& carrier, const std::string& name = "here") {
  return carrier == "tcp://"   ? "tcp://127.0.0.1:*"
         : carrier == "ipc://" ? "ipc://*"
                               : carrier + name;
}

std::string next(socket& from) {
  auto incoming = from.receive_for(patience);
  return incoming ? incoming->back().str() : "nothing";
}

socket_options named(const std::string& name) {
  socket_options options;
  options.routing_id = name;
  return options;
}

}  // namespace

// RFC 31: "MAY be connected to at most one PAIR peers, and MAY both send and receive messages."
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

// RFC 30: "SHALL route outgoing messages to available peers using a round-robin strategy."
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

// RFC 30: "SHALL block on sending, or return a suitable error, when it has no available peers.
// SHALL NOT discard messages that it cannot queue."
TEST_CASE("a push refuses what nobody can take, and loses nothing of what it took") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket_options tight;
    tight.send_limit = 1;
    tight.receive_limit = 1;
    tight.send_buffer_bytes = tight.receive_buffer_bytes = 4096;
    auto sockets = join(owner, socket_kind::pull, socket_kind::push, place(where), tight);
    int sent = 0;
    const std::string body(4000, 'b');
    while (sockets.connected.send_for(message(body), 20ms)) {
      ++sent;
    }
    message refused = message(body);
    CHECK_FALSE(sockets.connected.try_send(std::move(refused)));
    CHECK(refused == message(body));  // NOLINT(bugprone-use-after-move): unchanged when refused
    for (; sent > 0; --sent) {
      REQUIRE(next(sockets.bound) == body);
    }
    CHECK(sockets.connected.send_for(message(body), patience));
  }
}

// RFC 30: "SHALL receive incoming messages from its peers using a fair-queuing strategy."
TEST_CASE("a pull hears all of its peers") {
  for (const std::string& where : carriers) {
    INFO(where);
    context owner;
    socket pull{owner, socket_kind::pull};
    socket one{owner, socket_kind::push};
    socket two{owner, socket_kind::push};
    const endpoint here = pull.bind(place(where));
    one.connect(here);
    two.connect(here);
    for (int index = 0; index < 10; ++index) {
      one.send(message("one"));
      two.send(message("two"));
    }
    std::multiset<std::string> heard;
    for (int index = 0; index < 20; ++index) {
      heard.insert(next(pull));
    }
    CHECK(heard.count("one") == 10);
    CHECK(heard.count("two") == 10);
  }
}

// RFC 30: push "SHALL only send messages", pull "SHALL only receive messages"; so pub and sub
// in 29.
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

// RFC 29: "SHALL perform a binary comparison of the subscription against the start of the first
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

// RFC 29: "MAY, depending on configuration, normalize commands delivered to its calling application
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

// RFC 29: "SHALL, if the subscriber peer disconnects prematurely, generate a suitable unsubscribe
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

// RFC 29: "SHALL silently drop the message if the queue for a subscriber is full. SHALL NOT block
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

// RFC 29: an xsub "SHALL send all messages to all connected publishers", and an xpub "SHALL deliver
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

// RFC 28: "SHALL send and then receive exactly one message at a time."
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

// RFC 28: "A delimiter, consisting of an empty frame, added by the REQ socket."
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

// RFC 28: "SHALL silently discard the reply, or return an error, if the originating peer is no
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
    if (where == "pipe://") {  // libzmq makes a new connection for each question
      CHECK(next(sockets.connected) == "answer");
    }
  }
}

// RFC 28: a dealer "SHALL route outgoing messages to available peers using a round-robin strategy",
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

// RFC 28: a router "SHALL prefix each incoming message with a frame containing the identity of the
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

// RFC 28: "SHALL either silently drop the message, or return an error, depending on configuration,
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

TEST_CASE("who connects first waits for who binds") {
  for (const std::string where : {"pipe://", "inproc://"}) {
    INFO(where);
    context owner;
    socket push{owner, socket_kind::push};
    push.connect(place(where));
    push.send(message("early"));
    socket pull{owner, socket_kind::pull};
    pull.bind(place(where));
    CHECK(next(pull) == "early");
    push.send(message("later"));
    CHECK(next(pull) == "later");

    socket sub{owner, socket_kind::sub};
    sub.subscribe("a");
    sub.connect(place(where, "feed"));
    socket xpub{owner, socket_kind::xpub};
    xpub.bind(place(where, "feed"));
    CHECK(next(xpub) == "\1a");
  }
}
