// SPDX-License-Identifier: MPL-2.0
//
// Over pipe:// every message is accounted for, whatever becomes of the sockets: what was sent is
// received, queued or counted as dropped.
#include <parley/socket.hpp>

#include <cstdint>
#include <optional>
#include <string>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::join;
using support::patience;

namespace {

std::string next(socket& from) {
  auto incoming = from.receive_for(patience);
  return incoming ? incoming->back().str() : "nothing";
}

void send_numbers(socket& to, int count) {
  for (int index = 0; index < count; ++index) {
    to.send(message(std::to_string(index)));
  }
}

struct fate {
  std::uint64_t sent, queued, gone;
  friend bool operator==(const fate&, const fate&) = default;
};

fate fate_of_messages(const socket& sender) {
  const socket_statistics figures = sender.statistics();
  return {figures.messages_sent, figures.queued, figures.dropped_gone};
}

socket_options named(const std::string& routing_id) {
  socket_options options;
  options.routing_id = routing_id;
  return options;
}

}  // namespace

TEST_CASE("what a peer that handed over its name has not read stays accounted for") {
  context owner;
  socket_options hands_over;
  hands_over.handover = true;
  socket router{owner, socket_kind::router, hands_over};
  router.bind("pipe://names");
  std::optional<socket> first{std::in_place, owner, socket_kind::dealer, named("x")};
  first->connect("pipe://names");
  for (int index = 0; index < 3; ++index) {
    REQUIRE(router.try_send(message{"x", std::to_string(index)}));
  }
  socket second{owner, socket_kind::dealer, named("x")};
  second.connect("pipe://names");
  REQUIRE(router.try_send(message{"x", "for the second"}));
  CHECK(next(second) == "for the second");
  CHECK((fate_of_messages(router) == fate{.sent = 4, .queued = 3, .gone = 0}));
  CHECK(router.statistics().peers == 1);
  CHECK(next(*first) == "0");
  CHECK((fate_of_messages(router) == fate{.sent = 4, .queued = 2, .gone = 0}));
  first.reset();
  CHECK((fate_of_messages(router) == fate{.sent = 4, .queued = 0, .gone = 2}));
  socket third{owner, socket_kind::dealer, named("x")};
  third.connect("pipe://names");
  CHECK_FALSE(router.try_receive());
  CHECK((fate_of_messages(router) == fate{.sent = 4, .queued = 0, .gone = 2}));
}

TEST_CASE("what is unread at a close_for is queued as long as somebody may read it") {
  context owner;
  std::optional<socket> reader{std::in_place, owner, socket_kind::pull};
  socket writer{owner, socket_kind::push};
  const bool reader_binds = GENERATE(true, false);
  socket& bound = reader_binds ? *reader : writer;
  (reader_binds ? writer : *reader).connect(bound.bind("pipe://closes"));
  send_numbers(writer, 5);
  CHECK(next(*reader) == "0");
  CHECK(writer.close_for(patience).all_sent());
  CHECK((fate_of_messages(writer) == fate{.sent = 5, .queued = 4, .gone = 0}));
  CHECK(writer.statistics().peers == 0);
  CHECK(next(*reader) == "1");
  CHECK((fate_of_messages(writer) == fate{.sent = 5, .queued = 3, .gone = 0}));
  reader.reset();
  CHECK((fate_of_messages(writer) == fate{.sent = 5, .queued = 0, .gone = 3}));
}

TEST_CASE("what is unread of a peer that was left before stays accounted for after a close_for") {
  context owner;
  std::optional<socket> reader{std::in_place, owner, socket_kind::pull};
  socket writer{owner, socket_kind::push};
  writer.connect(reader->bind("pipe://left"));
  send_numbers(writer, 3);
  writer.disconnect("pipe://left");
  writer.connect("pipe://nobody");
  send_numbers(writer, 2);
  CHECK((fate_of_messages(writer) == fate{.sent = 5, .queued = 5, .gone = 0}));
  CHECK(writer.close_for(0ms).unsent == 2);
  CHECK((fate_of_messages(writer) == fate{.sent = 5, .queued = 3, .gone = 2}));
  CHECK(next(*reader) == "0");
  reader.reset();
  CHECK((fate_of_messages(writer) == fate{.sent = 5, .queued = 0, .gone = 4}));
}

TEST_CASE("what is unread of a peer that was left stays accounted for when libzmq comes in") {
  context owner;
  std::optional<socket> reader{std::in_place, owner, socket_kind::pull};
  socket writer{owner, socket_kind::push};
  writer.connect(reader->bind("pipe://left"));
  send_numbers(writer, 3);
  writer.disconnect("pipe://left");
  writer.connect("tcp://127.0.0.1:1");
  CHECK((fate_of_messages(writer) == fate{.sent = 3, .queued = 3, .gone = 0}));
  CHECK(next(*reader) == "0");
  reader.reset();
  CHECK((fate_of_messages(writer) == fate{.sent = 3, .queued = 0, .gone = 2}));
}

TEST_CASE("a subscription counts the same whether it was there before its publisher or not") {
  context owner;
  socket before{owner, socket_kind::sub};
  socket after{owner, socket_kind::sub};
  socket xpub{owner, socket_kind::xpub};
  before.subscribe("prices.");
  before.subscribe("news");
  before.connect("pipe://feed");
  after.connect("pipe://feed");
  xpub.bind("pipe://feed");
  CHECK_FALSE(before.try_receive());
  CHECK_FALSE(after.try_receive());
  after.subscribe("prices.");
  after.subscribe("news");
  for (socket* const each : {&before, &after}) {
    CHECK(each->statistics().messages_sent == 2);
    CHECK(each->statistics().bytes_sent == 8 + 5);
  }
}
