// SPDX-License-Identifier: MPL-2.0
//
// What ZeroMQ's RFCs say of several kinds in the same words: the checks behind the cases of each.
#pragma once

#include <parley/socket.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "support/await.hpp"
#include "support/carriers.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"

namespace parley::semantics {

// "SHALL not modify outgoing messages in any way", nor incoming ones.
inline void check_leaves_alone(socket& sender, socket& receiver) {
  for (const message& odd : {message{frame{}}, message{frame{}, frame{"\1"}, frame{}},
                             message{frame{std::string(70'000, 'b')}, frame{"\0a"}}}) {
    sender.send(message{odd});
    CHECK(receiver.receive_for(support::patience) == odd);
  }
}

// "SHALL block on sending, or return a suitable error, when it has no available peers."
// "SHALL NOT discard messages that it cannot queue."
inline void check_refuses_nobody(const std::string& where, socket_kind kind, socket_kind peer) {
  INFO(where);
  context owner;
  socket sender{owner, kind};
  const endpoint here = sender.bind(support::place(where));
  message outgoing{"head", "body"};
  CHECK_FALSE(sender.can_send());
  CHECK_FALSE(sender.try_send(std::move(outgoing)));
  CHECK_FALSE(sender.send_for(std::move(outgoing), std::chrono::milliseconds{1}));
  CHECK(outgoing == message{"head", "body"});  // NOLINT(bugprone-use-after-move): refused
  socket reader{owner, peer};
  reader.connect(here);
  CHECK(sender.send_for(std::move(outgoing), support::patience));
  CHECK(reader.receive_for(support::patience) == message{"head", "body"});
}

// "SHALL not accept further messages when it has no available peers. SHALL NOT discard messages
// that it cannot queue."
inline void check_refuses_when_full(const std::string& where, socket_kind kind, socket_kind peer) {
  INFO(where);
  context owner;
  auto sockets = support::join(owner, peer, kind, support::place(where), support::tight());
  const frame body{std::string(100'000, 'b')};
  auto full = support::fill(sockets.connected, [&](const frame&) { return message{body}; });
  CHECK(full.refused == message{body});
  for (; full.sent > 0; --full.sent) {
    REQUIRE(sockets.bound.receive_for(support::patience) == message{body});
  }
  CHECK(sockets.connected.send_for(std::move(full.refused), support::patience));
  CHECK(sockets.bound.receive_for(support::patience) == message{body});
}

// "SHALL consider a peer as available only when it has a outgoing queue that is not full."
inline void check_passes_over_the_full(const std::string& where, socket_kind kind,
                                       socket_kind peer) {
  INFO(where);
  context owner;
  socket idle{owner, peer, support::tight()};
  socket busy{owner, peer, support::tight()};
  socket sender{owner, kind, support::tight()};
  sender.connect(idle.bind(support::place(where, "idle")));
  sender.connect(busy.bind(support::place(where, "busy")));
  support::fill(sender, [](const frame& body) { return message{body}; });
  for (int index = 0; index < 5; ++index) {
    message last{"last"};
    REQUIRE(support::await([&] {
      return sender.try_send(std::move(last)) || (static_cast<void>(busy.try_receive()), false);
    }));
  }
  REQUIRE(support::await([&] {
    const auto received = busy.try_receive();
    return received && received->back() == frame{"last"};
  }));
}

// "SHALL receive incoming messages from its peers using a fair-queuing strategy." For: a listener
// and the kind of its peers. Wrap: what is sent, of a text.
struct fair_queueing {
  socket_kind listening;
  socket_kind speaking;
  std::function<message(const std::string&)> wrap = [](const std::string& text) {
    return message{text};
  };

  void check(const std::string& where) const {
    INFO(where);
    for (const bool first_is_busy : {false, true}) {
      context owner;
      socket listener{owner, listening};
      socket first{owner, speaking};
      socket second{owner, speaking};
      introduce(listener, first, second, where);
      // An xpub takes in all that one has sent, then all that the next has.
      if ((where == "pipe://" || where == "inproc://") && listening != socket_kind::xpub) {
        check_turns(listener, first, second);
      }
      check_nobody_is_drowned(listener, first_is_busy ? first : second,
                              first_is_busy ? second : first);
    }
  }

 private:
  void say(socket& from, const std::string& text) const {
    static_cast<void>(from.try_send(wrap(text)));
  }
  static std::string hear(socket& listener) {
    std::string heard = support::next(listener);
    if (listener.kind() == socket_kind::rep) {
      listener.send(message("heard"));
    }
    return heard;
  }

  void introduce(socket& listener, socket& first, socket& second, const std::string& where) const {
    const endpoint here = listener.bind(support::place(where));
    first.connect(here);
    second.connect(here);
    const bool subscribes = speaking == socket_kind::xpub;
    if (subscribes) {
      listener.subscribe("");
    }
    for (socket* each : {&first, &second}) {
      if (subscribes) {
        REQUIRE(support::await([&] {
          static_cast<void>(listener.can_receive());  // it notices who came when it is used
          return each->try_receive().has_value();
        }));
      } else {
        say(*each, "here");
        REQUIRE(hear(listener) == "here");
      }
    }
  }

  // Where what was sent is there at once: each in turn.
  void check_turns(socket& listener, socket& first, socket& second) const {
    for (int index = 0; index < 3; ++index) {
      say(first, "first");
    }
    for (int index = 0; index < 3; ++index) {
      say(second, "second");
    }
    static_cast<void>(listener.can_receive());  // libzmq does not look at all of them each time
    std::string before;
    for (int index = 0; index < 6; ++index) {
      const std::string heard = hear(listener);
      CHECK(heard != before);
      before = heard;
    }
  }

  // However much one says, the other is heard.
  void check_nobody_is_drowned(socket& listener, socket& busy, socket& quiet) const {
    const auto talk = [&] {
      for (int index = 0; index < 10; ++index) {
        say(busy, "much");
      }
    };
    for (int index = 0; index < 30; ++index) {
      talk();
    }
    say(quiet, "little");
    const auto end = std::chrono::steady_clock::now() + support::patience;
    std::string heard;
    while (heard != "little" && std::chrono::steady_clock::now() < end) {
      talk();
      heard = hear(listener);
    }
    CHECK(heard == "little");
  }
};

}  // namespace parley::semantics
