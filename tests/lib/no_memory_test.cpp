// SPDX-License-Identifier: MPL-2.0
//
// Sockets for which there is no memory at the moment. Their messages go and come whole, later or
// not at all.
#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/socket.hpp>

#include <dlfcn.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <zmq.h>

#include "support/await.hpp"
#include "support/carriers.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/operator_new.hpp"

using namespace parley;
using support::await;
using support::carriers;
using support::join;
using support::next;
using support::patience;
using support::place;

namespace {

thread_local std::size_t pieces_left = SIZE_MAX;
thread_local std::size_t parts_left = SIZE_MAX;
thread_local bool fails_next = false;  // one piece, and those after it are there

// While it lives, this thread gets so many of them, and no more.
class only {
 public:
  only(std::size_t& which, std::size_t count) noexcept : which_{which} { which = count; }
  ~only() { which_ = SIZE_MAX; }
  only(const only&) = delete;
  only& operator=(const only&) = delete;

 private:
  std::size_t& which_;
};

bool takes_one_of(std::size_t& left) noexcept {
  if (left == 0) {
    return false;
  }
  left -= left != SIZE_MAX ? 1 : 0;
  return true;
}

}  // namespace

void* support::allocate(std::size_t size) noexcept {
  if (std::exchange(fails_next, false) || !takes_one_of(pieces_left)) {
    return nullptr;
  }
  return std::malloc(size > 0 ? size : 1);
}

// In the place of libzmq's, whose memory is not of operator new.
extern "C" int zmq_msg_init_size(zmq_msg_t* part, std::size_t size) {
  using function = int (*)(zmq_msg_t*, std::size_t);
  static const auto original = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "zmq_msg_init_size"));
  if (!takes_one_of(parts_left)) {
    errno = ENOMEM;
    return -1;
  }
  return original(part, size);
}

namespace {

// Bound, and connected to where nobody is, with a message for him. A peer has come, and the socket
// has not heard of it.
struct dealer_with_news {
  dealer_with_news() {
    dealer.bind("pipe://here");
    dealer.connect("pipe://nobody");
    dealer.send(message("to nobody"));
    peer.connect("pipe://here");
    peer.send(message("hello"));
  }

  context owner;
  socket dealer{owner, socket_kind::dealer};
  socket peer{owner, socket_kind::dealer};
};

message of_frames(std::size_t count) {
  message made;
  for (std::size_t index = 0; index < count; ++index) {
    made.push_back(frame{std::string(200, static_cast<char>('a' + index))});
  }
  return made;
}

}  // namespace

TEST_CASE("what has no memory for one of its parts is not sent, and the next message is whole") {
  for (const std::string where : {"inproc://", "ipc://", "tcp://"}) {
    for (const std::size_t frames : {2U, 3U, 9U}) {
      for (std::size_t parts = 0; parts < frames; ++parts) {
        INFO(where << ", " << parts << " of " << frames);
        context owner;
        auto sockets = join(owner, socket_kind::pull, socket_kind::push, place(where));
        message outgoing = of_frames(frames);
        bool failed = false;
        {
          const only few{parts_left, parts};
          try {
            sockets.connected.send(std::move(outgoing));
          } catch (const std::bad_alloc&) {
            failed = true;
          }
        }
        CHECK(failed);
        CHECK(outgoing == of_frames(frames));  // NOLINT(bugprone-use-after-move): unchanged
        sockets.connected.send(message{"next", "one"});
        CHECK(sockets.bound.receive_for(patience) == message{"next", "one"});
        CHECK(sockets.connected.statistics().messages_sent == 1);
      }
    }
  }
}

TEST_CASE("what there is no memory to receive comes whole when there is some") {
  for (const std::string& where : carriers) {
    for (const std::size_t frames : {1U, 2U, 5U}) {
      for (std::size_t pieces = 0; pieces < frames; ++pieces) {
        INFO(where << ", " << frames << " frames, memory for " << pieces);
        context owner;
        auto sockets = join(owner, socket_kind::rep, socket_kind::req, place(where));
        sockets.connected.send(of_frames(frames));
        REQUIRE(await([&] { return sockets.bound.can_receive(); }));
        std::optional<message> received;
        // A thread of its own has no bodies left over from messages before.
        std::thread{[&] {
          const only few{pieces_left, pieces};
          try {
            received = sockets.bound.try_receive();
          } catch (const std::bad_alloc&) {
          }
        }}.join();
        if (!received) {
          CHECK(sockets.bound.can_receive());
          received = sockets.bound.receive_for(patience);
        }
        CHECK(received == of_frames(frames));
        sockets.bound.send(message("answer"));
        CHECK(next(sockets.connected) == "answer");
        CHECK(sockets.bound.statistics().messages_received == 1);
      }
    }
  }
}

TEST_CASE("a pull that had no memory for a message takes it before the next one") {
  for (const std::string& where : carriers) {
    for (std::size_t pieces = 0; pieces < 5; ++pieces) {
      INFO(where << ", memory for " << pieces);
      context owner;
      auto sockets = join(owner, socket_kind::pull, socket_kind::push, place(where));
      sockets.connected.send(of_frames(5));
      sockets.connected.send(message("next"));
      REQUIRE(await([&] { return sockets.bound.can_receive(); }));
      std::optional<message> received;
      std::thread{[&] {
        const only few{pieces_left, pieces};
        try {
          received = sockets.bound.receive();
        } catch (const std::bad_alloc&) {
        }
      }}.join();
      if (!received) {
        received = sockets.bound.receive();
      }
      CHECK(received == of_frames(5));
      CHECK(sockets.bound.receive() == message("next"));
      CHECK(sockets.bound.statistics().messages_received == 2);
    }
  }
}

TEST_CASE("a peer for whom there was no memory is there when there is") {
  dealer_with_news at;
  fails_next = true;
  CHECK_THROWS_AS(at.dealer.try_receive(), std::bad_alloc);
  CHECK(at.dealer.receive_for(patience) == message("hello"));
  at.peer.send(message("more"));
  CHECK(at.dealer.receive_for(patience) == message("more"));
}

TEST_CASE("a socket can be closed without memory, and its peers are told") {
  dealer_with_news at;
  fails_next = true;
  CHECK(at.dealer.close_for(patience).unsent == 1);
  CHECK_FALSE(fails_next);
  CHECK(at.dealer.statistics().dropped_gone == 1);
  const socket_statistics left = at.peer.statistics();
  CHECK(left.messages_sent == 1);
  CHECK(left.queued == 0);
  CHECK(left.dropped_gone == 1);
}

TEST_CASE("an event of a connection for which there is no memory comes first the next time") {
  using change = connection_change;
  context owner;
  socket bound{owner, socket_kind::dealer};
  monitor events{owner, bound};
  const endpoint where = bound.bind("tcp://127.0.0.1:*");
  socket other{owner, socket_kind::dealer};
  other.connect(where);
  std::vector<change> told;
  while (told.empty() || told.back() != change::ready) {
    fails_next = true;
    try {
      const auto event = events.receive_for(patience);
      REQUIRE(event.has_value());
      FAIL("there was memory");
    } catch (const std::bad_alloc&) {
      // Its endpoint has no room.
    }
    const auto event = events.receive_for(patience);
    REQUIRE(event.has_value());
    CHECK(event->where == where.str());
    told.push_back(event->change);
  }
  CHECK(told == std::vector{change::listening, change::accepted, change::ready});
}

namespace {

// Whether action had memory enough with so many pieces. In a thread of its own, which has nothing
// left over from before.
template<class Action>
bool succeeds_with(std::size_t pieces, Action action) {
  bool succeeded = false;
  std::thread{[&] {
    const only few{pieces_left, pieces};
    try {
      action();
      succeeded = true;
    } catch (const std::bad_alloc&) {
    }
  }}.join();
  return succeeded;
}

constexpr std::size_t most_pieces = 200;

std::string long_prefix(int number) { return std::string(200, static_cast<char>('a' + number)); }

}  // namespace

TEST_CASE("a bind to a pipe for which there is no memory changes nothing") {
  for (std::size_t pieces = 0; pieces < most_pieces; ++pieces) {
    INFO("memory for " << pieces);
    context owner;
    socket first{owner, socket_kind::push};
    socket second{owner, socket_kind::push};
    for (socket* const each : {&first, &second}) {
      each->connect("pipe://here");
      each->send(message("early"));
    }
    socket pull{owner, socket_kind::pull};
    const bool is_bound = succeeds_with(pieces, [&] { pull.bind("pipe://here"); });
    if (!is_bound) {
      CHECK(first.statistics().peers + second.statistics().peers == 0);
      CHECK(pull.statistics().peers == 0);
      pull.bind("pipe://here");
    }
    for (int count = 0; count < 2; ++count) {
      CHECK(next(pull) == "early");
    }
    if (is_bound) {
      CHECK(pieces > 0);
      return;
    }
  }
  FAIL("it never has memory enough");
}

TEST_CASE("a connect to a pipe for which there is no memory changes nothing") {
  for (std::size_t pieces = 0; pieces < most_pieces; ++pieces) {
    INFO("memory for " << pieces);
    context owner;
    socket xpub{owner, socket_kind::xpub};
    xpub.bind("pipe://here");
    socket sub{owner, socket_kind::sub};
    sub.subscribe(long_prefix(0));
    const bool is_connected = succeeds_with(pieces, [&] { sub.connect("pipe://here"); });
    if (!is_connected) {
      CHECK_FALSE(xpub.try_receive());
      CHECK(xpub.statistics().peers == 0);
      sub.connect("pipe://here");
    }
    CHECK(next(xpub) == '\1' + long_prefix(0));
    CHECK_FALSE(xpub.try_receive());
    CHECK(xpub.statistics().peers == 1);
    CHECK_FALSE(sub.try_receive());  // takes up what there was no memory for
    CHECK(sub.statistics().messages_sent == 1);
    sub.disconnect("pipe://here");
    CHECK_THROWS_AS(sub.disconnect("pipe://here"), error);
    if (is_connected) {
      CHECK(pieces > 0);
      return;
    }
  }
  FAIL("it never has memory enough");
}

TEST_CASE("who was connected to a socket that goes without memory takes up the next one") {
  context owner;
  std::optional<socket> pull{std::in_place, owner, socket_kind::pull};
  socket push{owner, socket_kind::push};
  push.connect(pull->bind("pipe://here"));
  push.send(message("first"));
  CHECK(next(*pull) == "first");
  CHECK(succeeds_with(0, [&] { pull.reset(); }));
  socket second{owner, socket_kind::pull};
  second.bind("pipe://here");
  CHECK(push.send_for(message("second"), patience));
  CHECK(next(second) == "second");
}

TEST_CASE("a peer that a router has no memory for is there, with its name, when there is") {
  for (std::size_t pieces = 0; pieces < most_pieces; ++pieces) {
    INFO("memory for " << pieces);
    context owner;
    socket router{owner, socket_kind::router};
    router.bind("pipe://here");
    const std::string name(100, 'n');
    socket dealer{owner, socket_kind::dealer, support::named(name)};
    dealer.connect("pipe://here");
    const bool is_known = succeeds_with(pieces, [&] { static_cast<void>(router.try_receive()); });
    CHECK(router.try_send(message{frame{name}, "hello"}));
    CHECK(next(dealer) == "hello");
    dealer.send(message("answer"));
    CHECK(router.receive_for(patience) == message{frame{name}, "answer"});
    CHECK(router.statistics().peers == 1);
    if (is_known) {
      CHECK(pieces > 0);
      return;
    }
  }
  FAIL("it never has memory enough");
}

TEST_CASE("a reply for which there is no memory can be sent when there is") {
  context owner;
  auto sockets = join(owner, socket_kind::rep, socket_kind::req, "pipe://here");
  sockets.connected.send(message("question"));
  CHECK(next(sockets.bound) == "question");
  message reply = of_frames(5);
  CHECK_FALSE(succeeds_with(0, [&] { sockets.bound.send(std::move(reply)); }));
  CHECK(reply == of_frames(5));  // NOLINT(bugprone-use-after-move): unchanged
  sockets.bound.send(std::move(reply));
  CHECK(sockets.connected.receive_for(patience) == of_frames(5));
}

TEST_CASE("subscriptions that wait for a publisher, and for memory, come to him in the end") {
  constexpr int prefixes = 6;
  for (std::size_t pieces = 0; pieces < 4; ++pieces) {
    INFO("memory for " << pieces);
    context owner;
    auto sockets =
        join(owner, socket_kind::xpub, socket_kind::sub, "pipe://here", support::tight());
    for (int index = 0; index < prefixes; ++index) {
      sockets.connected.subscribe(long_prefix(index));
    }
    int told = 0;
    const auto take = [&] {
      while (const auto news = sockets.bound.try_receive()) {
        CHECK(*news == message{frame{'\1' + long_prefix(told)}});
        ++told;
      }
    };
    take();
    CHECK(told < prefixes);
    static_cast<void>(
        succeeds_with(pieces, [&] { static_cast<void>(sockets.connected.try_receive()); }));
    for (int count = 0; count < prefixes; ++count) {
      static_cast<void>(sockets.connected.try_receive());
      take();
    }
    CHECK(told == prefixes);
  }
}

TEST_CASE("what a router or a rep has no memory to take apart comes whole when there is some") {
  const socket_kind kind = GENERATE(socket_kind::router, socket_kind::rep);
  const bool looks_first = GENERATE(false, true);
  for (const std::size_t frames : {1U, 5U}) {
    for (std::size_t pieces = 0; pieces < 3; ++pieces) {
      INFO(to_string(kind) << ", " << frames << " frames, memory for " << pieces);
      context owner;
      socket bound{owner, kind};
      socket dealer{owner, socket_kind::dealer, support::named(std::string(100, 'n'))};
      dealer.connect(bound.bind("pipe://here"));
      message request = of_frames(5);  // the way it came, to a rep
      request.push_back(frame{});
      for (frame& each : of_frames(frames)) {
        request.push_back(each);
      }
      CHECK_FALSE(bound.try_receive());  // the dealer is known
      dealer.send(message{request});
      std::optional<message> received;
      static_cast<void>(succeeds_with(pieces, [&] {
        if (!looks_first || bound.can_receive()) {
          received = bound.try_receive();
        }
      }));
      if (!received) {
        CHECK(bound.can_receive());
        received = bound.receive_for(patience);
      }
      REQUIRE(received);
      if (kind == socket_kind::router) {
        CHECK(received->front() == frame{std::string(100, 'n')});
        received->drop_front(1);
        CHECK(*received == request);
      } else {
        CHECK(*received == of_frames(frames));
        bound.send(message("answer"));
        CHECK(next(dealer) == "answer");
      }
      CHECK(bound.statistics().messages_received == 1);
    }
  }
}
