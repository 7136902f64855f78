// SPDX-License-Identifier: MPL-2.0
//
// A peer that dies without a word, in the middle of sending or receiving, and one that comes back.
#include <parley/socket.hpp>

#include <optional>
#include <string>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/connected.hpp"
#include "support/sanitizers.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::child;
using support::patience;

namespace {

socket_options quick() {
  socket_options options;
  options.reconnect = 10ms;
  options.linger = 0ms;
  return options;
}

// Three frames that belong together; the second takes many writes.
message numbered(int number) {
  return message{frame{std::to_string(number)},
                 frame{std::string(300'000, static_cast<char>('a' + number % 26))},
                 frame{std::to_string(number)}};
}

bool is_whole(const message& received) {
  return received.size() == 3 && received == numbered(std::stoi(received[0].str()));
}

// Binds, and says what it receives, for ever.
child receiver(const std::string& where) {
  return child{[where](child::line out) {
    context own;
    socket pull{own, socket_kind::pull, quick()};
    out.say(pull.bind(where).str());
    for (;;) {
      out.say(is_whole(pull.receive()) ? "whole" : "torn");
    }
  }};
}

// Connects, and sends for ever.
child sender(const endpoint& where) {
  return child{[where](child::line) {
    context own;
    socket push{own, socket_kind::push, quick()};
    push.connect(where);
    for (int number = 0;; ++number) {
      push.send(numbered(number));
    }
  }};
}

}  // namespace

TEST_CASE("a sender goes on when its receiver is killed, and finds the one that takes its place") {
  if (!support::may_fork) {
    return;
  }
  for (const bool over_ipc : {false, true}) {
    const support::temporary_directory fresh;
    const std::string wanted =
        over_ipc ? "ipc://" + (fresh / "socket").string() : "tcp://127.0.0.1:0";
    child first = receiver(wanted);
    const std::string where = first.hear();
    context owner;
    socket push{owner, socket_kind::push, quick()};
    push.connect(where);
    for (int number = 0; number < 10; ++number) {
      push.send(numbered(number));
      CHECK(first.hear() == "whole");
    }
    push.send(numbered(10));
    first.kill();  // in the middle of it, or before, or after
    push.send(numbered(11));

    child second = receiver(where);
    CHECK(second.hear() == where);
    for (int number = 12; number < 30; ++number) {
      push.send(numbered(number));
    }
    for (int count = 0; count < 18; ++count) {
      CHECK(second.hear() == "whole");
    }
  }
}

TEST_CASE("a receiver gets whole messages only, however often its sender is killed") {
  if (!support::may_fork) {
    return;
  }
  for (const std::string wanted : {"tcp://127.0.0.1:0", "ipc://*"}) {
    context owner;
    socket pull{owner, socket_kind::pull, quick()};
    const endpoint where = pull.bind(wanted);
    for (int round = 0; round < 10; ++round) {
      child sending = sender(where);
      for (int count = 0; count <= round; ++count) {
        const auto received = pull.receive_for(patience);
        REQUIRE(received.has_value());
        CHECK(is_whole(*received));
      }
      sending.kill();
      // What it had brought before it died.
      while (const auto received = pull.try_receive()) {
        CHECK(is_whole(*received));
      }
    }
  }
}

TEST_CASE("a request to a server that is killed can be asked again of the next") {
  if (!support::may_fork) {
    return;
  }
  const auto server = [](const std::string& where) {
    return child{[where](child::line out) {
      context own;
      socket rep{own, socket_kind::rep, quick()};
      out.say(rep.bind(where).str());
      for (;;) {
        message question = rep.receive();
        if (question.front() == "die") {
          ::kill(::getpid(), SIGKILL);
        }
        rep.send(std::move(question));
      }
    }};
  };
  child first = server("tcp://127.0.0.1:0");
  const std::string where = first.hear();
  context owner;
  socket_options patient = quick();
  patient.relaxed = true;
  socket req{owner, socket_kind::req, patient};
  req.connect(where);
  req.send(frame{"die"});
  CHECK(first.finish() == -1);
  CHECK_FALSE(req.try_receive().has_value());

  child second = server(where);
  CHECK(second.hear() == where);
  std::optional<message> answer;
  for (int attempt = 0; attempt < 100 && !answer; ++attempt) {
    REQUIRE(req.send_for(frame{"hello"}, patience));
    answer = req.receive_for(100ms);
  }
  CHECK(answer == message{frame{"hello"}});
}
