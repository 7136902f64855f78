// SPDX-License-Identifier: MPL-2.0
//
// Bytes on a socket's port that are not what a ZeroMQ peer sends: whoever sends them is cut off,
// the monitor says so, and the others do not notice.
#include <parley/allow_list.hpp>
#include <parley/monitor.hpp>
#include <parley/socket.hpp>

#include <array>
#include <optional>
#include <random>
#include <string>

#include <zmq.hpp>

#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/raw_peer.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;
using support::raw_peer;

namespace {

const std::string no_handshake =
    "no handshake: the peer does not speak ZMTP 3, or is a kind of socket that does not fit";

// A receiver with a limit on frames, a peer that behaves, and a monitor.
class world {
 public:
  explicit world(std::chrono::milliseconds handshake_limit = 30s) {
    receiving_.native().set(zmq::sockopt::handshake_ivl, static_cast<int>(handshake_limit.count()));
    where = receiving_.bind("tcp://127.0.0.1:0");
    behaving_.connect(where);
    check_nobody_noticed();
    await(connection_change::ready);
  }

  connection_event await(connection_change wanted) {
    for (;;) {
      auto event = watch_.receive_for(patience);
      INFO("waiting for " << to_string(wanted));
      REQUIRE(event.has_value());
      if (event->change == wanted) {
        return *event;
      }
    }
  }

  // Nothing came but what the peer that behaves sends.
  void check_nobody_noticed() {
    behaving_.send(message("still here"));
    CHECK(receiving_.receive_for(patience) == message("still here"));
  }

  // Through with the handshake, as any pushing peer.
  [[nodiscard]] raw_peer shaken_hands() {
    raw_peer peer = raw_peer::connected(where);
    peer.write(support::zmtp_greeting() + support::zmtp_ready("PUSH"));
    await(connection_change::ready);
    return peer;
  }

  endpoint where{"tcp://127.0.0.1:1"};

 private:
  context owner_;
  parley::socket receiving_{owner_, socket_kind::pull, {.max_frame_bytes = 1000}};
  monitor watch_{owner_, receiving_};
  parley::socket behaving_{owner_, socket_kind::push};
};

// "long-size = 8OCTET", after the flags octet (RFC 23)
std::string long_frame_header(std::uint64_t size) {
  std::string header{'\2'};
  for (int shift = 56; shift >= 0; shift -= 8) {
    header += static_cast<char>((size >> shift) & 0xff);
  }
  return header;
}

}  // namespace

TEST_CASE("what is no ZMTP at all is cut off, and none of it is received") {
  std::mt19937 random{20240501};
  std::string noise(100'000, '\0');
  for (char& each : noise) {
    each = static_cast<char>(random());
  }
  noise.front() = 'x';
  const std::string request = "GET /chat HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
  std::string many_requests;
  for (int count = 0; count < 100; ++count) {
    many_requests += request;
  }
  for (const std::string& nonsense :
       {request, many_requests, noise, std::string{"STOMP\n\n"}, std::string(1000, '\0')}) {
    world here;
    const raw_peer stranger = raw_peer::connected(here.where);
    stranger.write(nonsense);
    stranger.await_hang_up();
    CHECK(here.await(connection_change::disconnected).reason == no_handshake);
    here.check_nobody_noticed();
  }
}

TEST_CASE("a greeting that goes wrong after its first octets is a failed handshake") {
  for (std::string rest : {std::string(200, '\xff'), std::string(200, 'x')}) {
    world here;
    const raw_peer stranger = raw_peer::connected(here.where);
    stranger.write(support::zmtp_greeting().substr(0, 10) + "\3" + rest);
    stranger.await_hang_up();
    CHECK(here.await(connection_change::handshake_failed).reason ==
          "one side asks for a security that the other does not offer");
    here.check_nobody_noticed();
  }
}

TEST_CASE("half a greeting, then silence, is cut off when the time for it is up") {
  world here{50ms};
  const raw_peer stranger = raw_peer::connected(here.where);
  stranger.write(support::zmtp_greeting().substr(0, 30));
  stranger.await_hang_up();
  CHECK_FALSE(here.await(connection_change::handshake_failed).reason.empty());
  here.check_nobody_noticed();
}

TEST_CASE("half a greeting, then the end, is a failed handshake") {
  world here;
  {
    const raw_peer stranger = raw_peer::connected(here.where);
    stranger.write(support::zmtp_greeting().substr(0, 30));
  }
  CHECK_FALSE(here.await(connection_change::handshake_failed).reason.empty());
  here.check_nobody_noticed();
}

TEST_CASE("a command that is none instead of READY is a failed handshake") {
  world here;
  const raw_peer stranger = raw_peer::connected(here.where);
  stranger.write(support::zmtp_greeting() + std::string{"\4\6\5HELLO"});
  stranger.await_hang_up();
  CHECK(here.await(connection_change::handshake_failed).reason ==
        "the peer sent a command out of turn");
  here.check_nobody_noticed();
}

TEST_CASE("a READY that is malformed, or of a kind that does not fit, is cut off with a reason") {
  std::string malformed = support::zmtp_ready("PUSH");
  malformed[23] = '\x7f';  // the length of the socket type
  for (const std::string& ready : {malformed, support::zmtp_ready("SUB")}) {
    world here;
    const raw_peer stranger = raw_peer::connected(here.where);
    stranger.write(support::zmtp_greeting() + ready);
    stranger.await_hang_up();
    CHECK(here.await(connection_change::disconnected).reason == no_handshake);
    here.check_nobody_noticed();
  }
}

TEST_CASE("a frame that says it is huge is cut off before a byte of it comes") {
  for (const std::uint64_t size :
       {std::uint64_t{1001}, std::uint64_t{1} << 40, ~std::uint64_t{0} >> 1, ~std::uint64_t{0}}) {
    world here;
    const raw_peer stranger = here.shaken_hands();
    stranger.write(long_frame_header(size));
    stranger.await_hang_up();
    here.await(connection_change::disconnected);
    here.check_nobody_noticed();
  }
}

TEST_CASE("a frame of max_frame_bytes passes, one more byte does not") {
  context owner;
  parley::socket pull{owner, socket_kind::pull, {.max_frame_bytes = 1000}};
  const endpoint where = pull.bind("tcp://127.0.0.1:0");
  parley::socket push{owner, socket_kind::push, {.reconnect = 1ms}};
  push.connect(where);
  push.send(message(std::string(1000, 'x')));
  CHECK(pull.receive_for(patience) == message(std::string(1000, 'x')));
  push.send(message(std::string(1001, 'x')));
  parley::socket other{owner, socket_kind::push};
  other.connect(where);
  other.send(message("next"));
  CHECK(pull.receive_for(patience) == message("next"));
}

TEST_CASE("a message that breaks off in its middle is not received") {
  world here;
  {
    const raw_peer stranger = here.shaken_hands();
    stranger.write(std::string{"\1\5first"});        // "more" is set
    stranger.write(std::string{"\0\144second", 8});  // 100 octets announced
  }
  here.await(connection_change::disconnected);
  here.check_nobody_noticed();
}

TEST_CASE("a hundred strangers at once do not disturb a conversation") {
  world here;
  std::vector<raw_peer> strangers;
  for (int count = 0; count < 100; ++count) {
    strangers.push_back(raw_peer::connected(here.where));
    strangers.back().write(count % 2 == 0 ? "GET / HTTP/1.1\r\n\r\n" : std::string(80, '\xff'));
    here.check_nobody_noticed();
  }
  for (const raw_peer& each : strangers) {
    each.await_hang_up();
  }
  here.check_nobody_noticed();
}

TEST_CASE("an allow list lets plain sockets of its context be") {
  context owner;
  allow_list friends{owner, std::vector<curve_key>{}};
  auto sockets = support::join(owner, socket_kind::pull, socket_kind::push, "tcp://127.0.0.1:*");
  sockets.connected.send(message("hello"));
  CHECK(sockets.bound.receive_for(patience) == message("hello"));
  CHECK(friends.allowed() + friends.refused() == 0);
}
