// SPDX-License-Identifier: MPL-2.0
#include "feed_reader.hpp"

#include <initializer_list>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using kind = feed_entry::kind;
using request = feed_request::kind;

namespace {

constexpr std::uint64_t own_id = 7;

feed_entry joined(std::uint64_t publisher, std::uint64_t next = 1, std::uint64_t next_urgent = 1) {
  feed_entry entry;
  entry.what = kind::joined;
  entry.publisher = publisher;
  entry.next = next;
  entry.next_urgent = next_urgent;
  return entry;
}

feed_entry text(std::uint64_t sequence, std::string_view body = "b", bool is_urgent = false) {
  feed_entry entry;
  entry.what = kind::message;
  entry.sequence = sequence;
  entry.topic = "t";
  entry.body = body;
  entry.is_urgent = is_urgent;
  return entry;
}

feed_entry lost(std::uint64_t first, std::uint64_t last, std::uint64_t count) {
  feed_entry entry;
  entry.what = kind::lost;
  entry.sequence = first;
  entry.last = last;
  entry.count = count;
  entry.topic = "t";
  entry.reason = loss_reason::away;
  return entry;
}

feed_entry active(std::string_view prefix) {
  feed_entry entry;
  entry.what = kind::active;
  entry.topic = prefix;
  return entry;
}

feed_entry inactive(std::string_view prefix) {
  feed_entry entry = active(prefix);
  entry.what = kind::inactive;
  return entry;
}

feed_entry on(std::string_view topic, std::uint64_t sequence) {
  feed_entry entry = text(sequence);
  entry.topic = topic;
  return entry;
}

feed_entry word(kind what) {
  feed_entry entry;
  entry.what = what;
  return entry;
}

const feed_entry beat = word(kind::beat);

message packed(std::uint64_t link, std::uint64_t position, const std::vector<feed_entry>& entries) {
  std::string bytes;
  for (const feed_entry& each : entries) {
    pack_entry(bytes, each);
  }
  return message{pack_address({own_id, link, position}), frame{bytes}};
}

// A subscriber and its hours; publishers are just what they send.
struct world {
  explicit world(const subscriber_options& options = {}) : reader{own_id, options, now} {
    CHECK(reader.subscribe("t"));
  }

  void send(std::uint64_t link, std::uint64_t position, const std::vector<feed_entry>& entries) {
    reader.take(packed(link, position, entries), now);
  }

  // Takes all there is; the sequence numbers of the messages.
  std::vector<std::uint64_t> receive_all() {
    std::vector<std::uint64_t> sequences;
    while (auto got = receive()) {
      sequences.push_back(got->sequence);
    }
    return sequences;
  }
  std::optional<publication> receive() {
    publication got;
    feed_event event{};
    for (;;) {
      switch (reader.next(got, event)) {
        case feed_reader::step::nothing:
          return std::nullopt;
        case feed_reader::step::message:
          return got;
        case feed_reader::step::event:
          events.push_back(event);
      }
    }
  }

  std::vector<feed_request> said() { return std::exchange(reader.requests(), {}); }
  std::vector<feed_request> said(request what) {
    std::vector<feed_request> all = said();
    std::erase_if(all, [what](const auto& each) { return each.what != what; });
    return all;
  }

  feed_reader::time_point now{1h};
  feed_reader reader;
  std::vector<feed_event> events;
};

using numbers = std::vector<std::uint64_t>;

// "prefix: received waiting lost, ..." of the first publisher
std::string by_prefix(const feed_reader& of) {
  std::string text;
  const std::vector<feed_ledger> all = of.ledger();
  REQUIRE_FALSE(all.empty());
  for (const feed_prefix_ledger& each : all.front().prefixes) {
    text += (text.empty() ? "" : ", ") + each.prefix + ": " + std::to_string(each.received) + " " +
            std::to_string(each.waiting) + " " + std::to_string(each.lost.total());
  }
  return text;
}

}  // namespace

// Messages.

TEST_CASE("messages come out in the order in which they were sent") {
  world at;
  at.send(1, 1, {joined(9), text(1), text(2)});
  at.send(1, 4, {text(3)});
  CHECK(at.receive_all() == numbers{1, 2, 3});
}

TEST_CASE("a message comes out with all that its publisher said of it") {
  world at;
  feed_entry relayed = text(2);
  relayed.is_relayed = true;
  relayed.origin = 77;
  relayed.origin_sequence = 78;
  relayed.hops = 3;
  at.send(1, 1, {joined(9), text(5, "body", true), relayed});
  const auto own = at.receive();
  REQUIRE(own.has_value());
  CHECK(own->topic == "t");
  CHECK(own->body == "body");
  CHECK(own->publisher == 9);
  CHECK(own->sequence == 5);
  CHECK(own->is_urgent);
  CHECK(own->hops == 0);
  const auto other = at.receive();
  REQUIRE(other.has_value());
  CHECK(other->publisher == 77);
  CHECK(other->sequence == 78);
  CHECK_FALSE(other->is_urgent);
  CHECK(other->hops == 3);
}

TEST_CASE("bodies of all sizes come out whole, and outlive their batch") {
  world at;
  std::vector<publication> kept;
  std::vector<std::string> bodies;
  for (const std::size_t size : {0U, 1U, 63U, 64U, 65U, 1024U, 1025U, 100'000U}) {
    bodies.emplace_back(size, 'x');
  }
  std::vector<feed_entry> entries{joined(9)};
  for (const std::string& each : bodies) {
    entries.push_back(text(1, each));
  }
  at.send(1, 1, entries);
  while (auto got = at.receive()) {
    kept.push_back(std::move(*got));
  }
  at.reader.rest(at.now);
  REQUIRE(kept.size() == bodies.size());
  for (std::size_t index = 0; index < bodies.size(); ++index) {
    CHECK(kept[index].body == bodies[index]);
  }
}

TEST_CASE("a body that follows as a frame is handed out without a copy") {
  world at;
  at.send(1, 1, {joined(9)});
  const frame body{std::string(5000, 'x')};
  feed_entry entry = text(1);
  entry.body_follows = true;
  message incoming = packed(1, 2, {text(0), entry});
  incoming.push_back(body);
  at.reader.take(std::move(incoming), at.now);
  CHECK(at.receive()->sequence == 0);
  CHECK(at.receive()->body.data() == body.data());
}

TEST_CASE("several publishers are served in the order in which they came") {
  world at;
  at.send(1, 1, {joined(8), text(1)});
  at.send(2, 1, {joined(9), text(1)});
  at.send(1, 3, {text(2)});
  numbers publishers;
  while (auto got = at.receive()) {
    publishers.push_back(got->publisher);
  }
  CHECK(publishers == numbers{8, 9, 8});
}

TEST_CASE("what came twice is handed out once, and counted") {
  world at;
  at.send(1, 1, {joined(9), text(1), text(2)});
  at.send(1, 1, {joined(9), text(1), text(2)});
  at.send(1, 2, {text(1), text(2), text(3), text(4)});
  CHECK(at.receive_all() == numbers{1, 2, 3, 4});
  REQUIRE(at.reader.ledger().size() == 1);
  CHECK(at.reader.ledger().front().repeated == 4);
  CHECK(at.reader.ledger().front().received == 4);
}

TEST_CASE("what was repeated after a connection was lost is said to be received once more") {
  world at;
  at.send(1, 1, {joined(9), text(1)});
  at.receive_all();
  at.reader.rest(at.now);
  REQUIRE(at.said(request::received).size() == 1);
  at.now += 1s;  // what we said got lost with the connection
  at.send(1, 1, {joined(9), text(1)});
  CHECK(at.reader.due() == at.now + 10ms);
  at.now += 10ms;
  at.reader.tick(at.now);
  const auto again = at.said(request::received);
  REQUIRE(again.size() == 1);
  CHECK(again.front().position == 2);
}

// Gaps.

TEST_CASE("what comes behind a gap is asked for from the gap on, and ignored") {
  world at;
  at.send(1, 1, {joined(9), text(1)});
  at.send(1, 4, {text(3)});
  const auto asked = at.said(request::again);
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().link == 1);
  CHECK(asked.front().subscriber == own_id);
  CHECK(asked.front().position == 3);
  CHECK(at.receive_all() == numbers{1});
  at.send(1, 3, {text(2), text(3)});
  CHECK(at.receive_all() == numbers{2, 3});
}

TEST_CASE("a gap is asked for once in 100 ms, when something comes") {
  world at;
  at.send(1, 1, {joined(9)});
  at.send(1, 3, {text(2)});
  at.send(1, 4, {text(3)});
  CHECK(at.said(request::again).size() == 1);
  at.now += 99ms;
  at.send(1, 5, {text(4)});
  CHECK(at.said(request::again).empty());
  at.now += 1ms;
  at.reader.tick(at.now);
  CHECK(at.said(request::again).empty());
  at.send(1, 6, {text(5)});
  CHECK(at.said(request::again).size() == 1);
}

TEST_CASE("a beat shows that the last message is missing") {
  world at;
  at.send(1, 1, {joined(9), text(1)});
  at.send(1, 3, {beat});
  CHECK(at.said(request::again).empty());
  at.send(1, 4, {beat});
  const auto asked = at.said(request::again);
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().position == 3);
}

TEST_CASE("a link whose beginning was missed is asked for its beginning") {
  world at;
  at.send(1, 5, {text(4)});
  const auto asked = at.said(request::again);
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().link == 1);
  CHECK(asked.front().position == 1);
  at.send(1, 6, {text(5)});
  CHECK(at.said(request::again).empty());
  at.send(1, 1, {joined(9), text(1)});
  CHECK(at.receive_all() == numbers{1});
}

// Publishers that come back.

TEST_CASE("a publisher that forgot us is asked for what we missed, and its new link waits") {
  world at;
  at.send(1, 1, {joined(9), text(1), text(2), text(1, "u", true)});
  at.send(2, 1, {joined(9, 6, 3), active("t"), text(6)});
  const auto asked = at.said(request::from);
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().link == 2);
  CHECK(asked.front().sequence == 3);
  CHECK(asked.front().sequence_urgent == 2);
  CHECK(at.reader.serving("t", at.now) == 0);
  at.send(3, 1, {joined(9, 3, 2), active("t"), text(3), text(4)});
  CHECK(at.said(request::from).empty());
  CHECK(at.reader.serving("t", at.now) == 1);
  CHECK(at.receive_all() == numbers{1, 2, 1, 3, 4});
  REQUIRE(at.reader.ledger().size() == 1);
  CHECK(at.reader.ledger().front().received == 5);
}

TEST_CASE("a publisher that forgot us but sent nothing meanwhile goes on by its new link") {
  world at;
  at.send(1, 1, {joined(9), text(1)});
  at.send(2, 1, {joined(9, 2), text(2)});
  CHECK(at.said(request::from).empty());
  CHECK(at.receive_all() == numbers{1, 2});
}

TEST_CASE("what was missed before the first message is asked for too") {
  world at;
  at.send(1, 1, {joined(9, 5)});
  at.send(2, 1, {joined(9, 8)});
  const auto asked = at.said(request::from);
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().sequence == 5);
}

TEST_CASE("what is known to be lost is not asked for again") {
  world at;
  at.send(1, 1, {joined(9), text(1), lost(2, 5, 4)});
  at.send(2, 1, {joined(9, 6)});
  CHECK(at.said(request::from).empty());
}

TEST_CASE("what a forwarder missed has another publisher's numbers, and says nothing of its own") {
  world at;
  feed_entry upstream = lost(1000, 2000, 1001);
  upstream.reason = loss_reason::upstream;
  upstream.is_relayed = true;
  upstream.origin = 8;
  upstream.origin_sequence = 3;
  upstream.hops = 2;
  at.send(1, 1, {joined(9), text(1), upstream});
  CHECK(at.receive_all().size() == 1);
  CHECK(at.events.back().missed_by == 8);
  CHECK(at.events.back().loss == 3);
  CHECK(at.events.back().hops == 2);
  at.send(2, 1, {joined(9, 6)});
  const auto asked = at.said(request::from);
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].sequence == 2);
}

TEST_CASE("a subscriber that does not recover asks too, to be told what it missed") {
  world at{{.recover = false}};
  at.send(1, 1, {joined(9), text(1)});
  at.send(2, 1, {joined(9, 6), text(6)});
  CHECK(at.said(request::from).size() == 1);
  feed_entry answer = joined(9, 2);
  answer.is_asked_for = true;
  at.send(3, 1, {answer, lost(2, 5, 4), text(6)});
  CHECK(at.receive_all() == numbers{1, 6});
}

TEST_CASE("an unanswered wish for a new link is said again when something comes") {
  world at;
  at.send(1, 1, {joined(9), text(1)});
  at.send(2, 1, {joined(9, 6)});
  CHECK(at.said(request::from).size() == 1);
  at.send(2, 2, {text(6)});
  CHECK(at.said(request::from).empty());
  at.now += 100ms;
  at.send(2, 3, {beat});
  CHECK(at.said(request::from).size() == 1);
}

TEST_CASE("a subscriber that was there before the publisher asks for its first messages") {
  world at;
  at.now += 10s;
  feed_entry young = joined(9, 4);
  young.age = 9'000'000;
  at.send(1, 1, {young});
  const auto asked = at.said(request::from);
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().sequence == 1);
  CHECK(asked.front().sequence_urgent == 1);
  at.send(2, 1, {joined(9), text(1)});
  CHECK(at.receive_all() == numbers{1});
}

TEST_CASE("a subscriber that connects to a running publisher later begins with what comes") {
  world at;
  at.now += 5s;
  at.reader.look_for_more(at.now);
  at.now += 5s;
  feed_entry young = joined(9, 4);
  young.age = 9'000'000;
  at.send(1, 1, {young});
  CHECK(at.said(request::from).empty());
}

TEST_CASE("a subscriber that came after the publisher, or in time, begins with what comes") {
  for (const auto& [age, next] : {std::pair{11'000'000, 4}, std::pair{9'000'000, 1}}) {
    world at;
    at.now += 10s;
    feed_entry entry = joined(9, static_cast<std::uint64_t>(next));
    entry.age = static_cast<std::uint64_t>(age);
    at.send(1, 1, {entry});
    CHECK(at.said(request::from).empty());
  }
}

TEST_CASE("who asked for the history gets it once, also when the publisher forgot us") {
  world at{{.start = feed_start::history()}};
  at.send(1, 1, {joined(9, 10), text(1), text(2)});
  CHECK(at.said(request::from).empty());
  at.send(2, 1, {joined(9, 10), text(1), text(2)});
  const auto asked = at.said(request::from);
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().sequence == 3);
  CHECK(at.receive_all() == numbers{1, 2});
}

TEST_CASE("a publisher that was restarted is another one") {
  world at;
  at.send(1, 1, {joined(8), text(1)});
  at.send(2, 1, {joined(9), text(1)});
  CHECK(at.said(request::from).empty());
  at.receive_all();
  CHECK(at.reader.ledger().size() == 2);
}

// Events.

TEST_CASE("events come between the messages where they happened") {
  world at;
  at.send(1, 1,
          {joined(9), active("t"), text(1), lost(2, 4, 3), text(5), word(kind::resumed),
           word(kind::cut_off)});
  CHECK(at.receive()->sequence == 1);
  REQUIRE(at.events.size() == 2);
  CHECK(at.events[0].what == feed_event::kind::joined);
  CHECK(at.events[0].publisher == 9);
  CHECK(at.events[1].what == feed_event::kind::active);
  CHECK(at.events[1].prefix == "t");
  CHECK(at.receive()->sequence == 5);
  REQUIRE(at.events.size() == 3);
  CHECK(at.events[2].what == feed_event::kind::lost);
  CHECK(at.events[2].first == 2);
  CHECK(at.events[2].last == 4);
  CHECK(at.events[2].count == 3);
  CHECK(at.events[2].prefix == "t");
  CHECK(at.events[2].reason == loss_reason::away);
  CHECK_FALSE(at.receive().has_value());
  REQUIRE(at.events.size() == 5);
  CHECK(at.events[3].what == feed_event::kind::resumed);
  CHECK(at.events[4].what == feed_event::kind::cut_off);
}

TEST_CASE("nothing is said of a prefix that we gave up") {
  world at;
  at.send(1, 1, {joined(9), active("t")});
  CHECK(at.reader.unsubscribe("t"));
  at.receive_all();
  CHECK(at.events.size() == 1);
}

TEST_CASE("the books say what was received, waits, came twice and was lost") {
  world at;
  at.send(1, 1, {joined(9), text(1), lost(2, 4, 3), text(5), text(6)});
  at.receive();
  at.receive();
  REQUIRE(at.reader.ledger().size() == 1);
  const feed_ledger book = at.reader.ledger().front();
  CHECK(book.publisher == 9);
  CHECK(book.received == 2);
  CHECK(book.waiting == 1);
  CHECK(book.repeated == 0);
  CHECK(book.lost[loss_reason::away] == 3);
  CHECK(book.lost.total() == 3);
}

TEST_CASE("and they say so by prefix: each message is under the longest that was served then") {
  world at;
  CHECK(at.reader.subscribe("to"));
  at.send(1, 1, {joined(9), active("t"), on("top", 1), active("to"), on("top", 2), on("t", 3)});
  CHECK(by_prefix(at.reader) == "");
  at.receive();
  CHECK(by_prefix(at.reader) == "t: 1 1 0");
  at.receive();
  CHECK(by_prefix(at.reader) == "t: 1 1 0, to: 1 0 0");
  at.send(1, 7, {lost(4, 6, 2), inactive("to"), on("top", 7)});
  CHECK(by_prefix(at.reader) == "t: 1 2 0, to: 1 0 0");
  at.receive_all();
  CHECK(by_prefix(at.reader) == "t: 3 0 2, to: 1 0 0");
  CHECK(at.reader.ledger().front().prefixes.front().lost[loss_reason::away] == 2);
}

TEST_CASE("what was on its way when a prefix was given up is under it") {
  world at;
  at.send(1, 1, {joined(9), active("t"), text(1)});
  at.receive_all();
  CHECK(at.reader.unsubscribe("t"));
  at.send(1, 4, {text(2), lost(3, 3, 1), inactive("t")});
  at.receive_all();
  CHECK(by_prefix(at.reader) == "t: 2 0 1");
  CHECK(at.reader.subscribe("t"));
  at.send(1, 7, {active("t"), text(4)});
  at.receive_all();
  CHECK(by_prefix(at.reader) == "t: 3 0 1");
}

TEST_CASE("a new link begins without prefixes, and its publisher's books go on") {
  world at;
  at.send(1, 1, {joined(9), active("t"), text(1)});
  at.receive_all();
  at.send(2, 1, {joined(9, 2), active("t"), text(2)});
  at.receive_all();
  CHECK(by_prefix(at.reader) == "t: 2 0 0");
}

TEST_CASE("a publisher cannot open books that nobody asked for") {
  world at;
  feed_entry other = lost(2, 2, 1);
  other.topic = "other";
  at.send(1, 1, {joined(9), active("other"), on("other", 1), other, active("t"), text(3)});
  at.receive_all();
  CHECK(by_prefix(at.reader) == "t: 1 0 0");
  CHECK(at.reader.ledger().front().received == 2);
  CHECK(at.reader.ledger().front().lost.total() == 1);
}

TEST_CASE("of the prefixes that were given up the last have books still") {
  world at;
  at.send(1, 1, {joined(9), active("t")});
  at.receive_all();
  std::uint64_t position = 3;
  for (std::size_t number = 0; number < feed_reader::most_given_up + 100; ++number) {
    const std::string prefix = "u" + std::to_string(number);
    CHECK(at.reader.subscribe(prefix));
    at.send(1, position, {active(prefix), on(prefix, position)});
    at.receive_all();
    CHECK(at.reader.unsubscribe(prefix));
    at.send(1, position + 2, {inactive(prefix)});
    position += 3;
  }
  at.receive_all();
  const feed_ledger book = at.reader.ledger().front();
  CHECK(book.prefixes.size() == feed_reader::most_given_up + 1);
  CHECK(book.received == feed_reader::most_given_up + 100);
  CHECK_FALSE(at.reader.unsubscribe("u0"));
}

// Who serves us.

TEST_CASE("a publisher serves a prefix as soon as it said so, whatever waits before") {
  world at;
  CHECK(at.reader.serving("t", at.now) == 0);
  at.send(1, 1, {joined(8), text(1), active("t")});
  CHECK(at.reader.serving("t", at.now) == 1);
  at.send(2, 1, {joined(9), active("t")});
  CHECK(at.reader.serving("t", at.now) == 2);
  CHECK(at.reader.serving("topic", at.now) == 2);
  CHECK(at.reader.serving("other", at.now) == 0);
}

TEST_CASE("without a prefix, who serves all of them is counted") {
  world at;
  CHECK(at.reader.subscribe("u"));
  at.send(1, 1, {joined(8), active("t")});
  CHECK(at.reader.serving("", at.now) == 0);
  at.send(1, 3, {active("u")});
  CHECK(at.reader.serving("", at.now) == 1);
  CHECK(at.reader.unsubscribe("u"));
  CHECK(at.reader.serving("", at.now) == 1);
  CHECK(at.reader.serving("u", at.now) == 0);
}

TEST_CASE("each subscribe is undone by one unsubscribe") {
  world at;
  CHECK_FALSE(at.reader.subscribe("t"));
  CHECK_FALSE(at.reader.unsubscribe("t"));
  CHECK(at.reader.unsubscribe("t"));
  CHECK_FALSE(at.reader.unsubscribe("t"));
}

TEST_CASE("a publisher that cut us off serves us no more") {
  world at;
  at.send(1, 1, {joined(8), active("t"), word(kind::cut_off)});
  CHECK(at.reader.serving("t", at.now) == 0);
  at.send(2, 1, {joined(8), active("t")});
  CHECK(at.reader.serving("t", at.now) == 1);
}

TEST_CASE("a publisher that missed three of its beats serves us no more, until it is heard") {
  world at;
  feed_entry entry = joined(8);
  entry.heartbeat = 1'000'000;
  at.send(1, 1, {entry, active("t")});
  at.now += 3s;
  CHECK(at.reader.serving("t", at.now) == 1);
  at.now += 1ms;
  CHECK(at.reader.serving("t", at.now) == 0);
  at.send(1, 3, {beat});
  CHECK(at.reader.serving("t", at.now) == 1);
}

// What is said of what was received.

TEST_CASE("what the program received is said after an eighth of the window") {
  world at{{.limit = 32}};
  at.send(1, 1, {joined(9), text(1), text(2), text(3), text(4), text(5), text(6), text(7)});
  CHECK(at.said().empty());
  at.receive();
  at.receive();
  CHECK(at.said().empty());
  at.receive();  // the fourth entry
  const auto said = at.said();
  REQUIRE(said.size() == 1);
  CHECK(said.front().what == request::received);
  CHECK(said.front().link == 1);
  CHECK(said.front().position == 4);
  at.receive_all();
  REQUIRE(at.reader.requests().size() == 1);
  CHECK(at.said().front().position == 8);
}

TEST_CASE("a publisher with a smaller window hears of it after an eighth of that") {
  world at;
  feed_entry entry = joined(9);
  entry.window = 16;
  at.send(1, 1, {entry, text(1), text(2), text(3)});
  at.receive_all();
  CHECK(at.said().size() == 2);
}

TEST_CASE("large bodies are said to be received after an eighth of the window in bytes") {
  world at{{.limit_bytes = 800}};
  at.send(1, 1, {joined(9), text(1, std::string(60, 'x')), text(2, std::string(60, 'x'))});
  at.receive();
  CHECK(at.said().empty());
  at.receive();
  CHECK(at.said().size() == 1);
}

TEST_CASE("the rest is said as soon as there is nothing more to receive, and then every 10 ms") {
  world at;
  at.send(1, 1, {joined(9)});
  std::uint64_t position = 2;
  for (; position < 2 + feed_reader::most_said; ++position) {
    at.send(1, position, {text(position)});
    at.receive_all();
    at.reader.rest(at.now);
    const auto said = at.said();
    REQUIRE(said.size() == 1);
    CHECK(said.front().position == position);
  }
  at.send(1, position, {text(position)});
  at.receive_all();
  at.now += 1ms;
  at.reader.rest(at.now);
  CHECK(at.said().empty());
  CHECK(at.reader.due() == at.now + 9ms);
  at.now += 9ms;
  at.reader.tick(at.now);
  const auto said = at.said();
  REQUIRE(said.size() == 1);
  CHECK(said.front().position == position);
  CHECK(at.reader.due() == feed_reader::time_point::max());
  at.now += 10ms;
  at.reader.rest(at.now);
  CHECK(at.said().empty());
}

TEST_CASE("that a publisher joined is said with the next message, or 10 ms later") {
  world at;
  at.send(1, 1, {joined(9), active("t")});
  at.receive_all();
  at.reader.rest(at.now);
  CHECK(at.said().empty());
  at.now += 1ms;
  at.reader.rest(at.now);
  CHECK(at.reader.due() == at.now + 9ms);
  at.now += 9ms;
  at.reader.tick(at.now);
  CHECK(at.said().size() == 1);
}

TEST_CASE("news in front of all messages need not be taken to be said to be received") {
  world at{{.limit = 8}};
  at.send(1, 1, {joined(9), active("t"), active("u"), text(1), active("v")});
  const auto said = at.said(request::received);
  REQUIRE(said.size() == 1);
  CHECK(said.front().position == 3);
  CHECK(at.receive_all().size() == 1);
  CHECK(at.events.size() == 2);  // it subscribed to t alone
  at.now += 10ms;
  at.reader.rest(at.now);
  CHECK(at.said(request::received).back().position == 5);
}

TEST_CASE("who leaves says to all publishers what it received") {
  world at;
  at.send(1, 1, {joined(8), text(1), text(2)});
  at.send(2, 1, {joined(9)});
  at.receive();
  at.said();
  at.reader.leave();
  const auto said = at.said(request::leave);
  REQUIRE(said.size() == 2);
  for (const feed_request& each : said) {
    CHECK(each.position == (each.link == 1 ? 2 : 1));
  }
}

// Plain publishers.

TEST_CASE("a plain publisher's messages come out as publisher 0") {
  world at;
  at.reader.take(message{frame{"topic"}, frame{"body"}}, at.now);
  at.reader.take(message{frame{"alone"}}, at.now);
  at.reader.take(message{frame{"three"}, frame{"body"}, frame{"other"}}, at.now);
  const auto first = at.receive();
  REQUIRE(first.has_value());
  CHECK(first->topic == "topic");
  CHECK(first->body == "body");
  CHECK(first->publisher == 0);
  CHECK(first->sequence == 0);
  const auto second = at.receive();
  REQUIRE(second.has_value());
  CHECK(second->topic == "alone");
  CHECK(second->body.empty());
  CHECK(at.receive()->topic == "three");
  REQUIRE(at.reader.ledger().size() == 1);
  CHECK(at.reader.ledger().front().publisher == 0);
  CHECK(at.reader.ledger().front().received == 3);
}

TEST_CASE("a plain publisher's messages are under the longest prefix that matches them") {
  world at{{.limit = 1}};
  CHECK(at.reader.subscribe("to"));
  for (const char* each : {"top", "t", "to"}) {
    at.reader.take(message{frame{each}}, at.now);
  }
  at.receive();
  CHECK(by_prefix(at.reader) == "t: 0 1 0, to: 1 1 0");
  at.receive_all();
  CHECK(at.reader.unsubscribe("to"));
  at.reader.take(message{frame{"top"}}, at.now);
  at.receive_all();
  CHECK(by_prefix(at.reader) == "t: 2 0 0, to: 2 0 0");
  for (std::size_t count = 0; count < 1 + feed_reader::reserve + 5; ++count) {
    at.reader.take(message{frame{"top"}}, at.now);
  }
  CHECK(by_prefix(at.reader) == "t: 2 1001 5, to: 2 0 0");
}

TEST_CASE("a copy of what comes by a link is not handed out") {
  world at;
  at.reader.take(message{frame{"topic"}, frame{"body"}, pack_mark({9, 1, 1})}, at.now);
  CHECK_FALSE(at.receive().has_value());
  CHECK(at.reader.nonsense() == 0);
}

TEST_CASE("plain messages beyond the limit are dropped and counted") {
  world at{{.limit = 10}};
  for (std::size_t count = 0; count < 10 + feed_reader::reserve + 5; ++count) {
    at.reader.take(message{frame{"topic"}}, at.now);
  }
  CHECK(at.receive_all().size() == 10 + feed_reader::reserve);
  CHECK(at.reader.ledger().front().lost[loss_reason::lagged] == 5);
}

// Hostile publishers.

TEST_CASE("what is for others, or has no address, is nonsense") {
  world at;
  at.reader.take(message{pack_address({8, 1, 1}), frame{"x"}}, at.now);
  at.reader.take(message{pack_address({own_id, 1, 1})}, at.now);
  at.reader.take(message{pack_address({own_id, 1, 0}), frame{"x"}}, at.now);
  at.reader.take(message{pack_address({own_id, 1, 1}), frame{}, frame{}, frame{}}, at.now);
  at.reader.take(message{frame{"\1PR"}, frame{}}, at.now);
  at.reader.take(message{frame{"\1"}}, at.now);
  CHECK(at.reader.nonsense() == 6);
  CHECK(at.reader.is_empty());
}

TEST_CASE("a link that does not begin with joined is nonsense") {
  world at;
  at.send(1, 1, {text(1)});
  at.send(2, 1, {joined(0)});
  at.send(3, 1, {});
  CHECK(at.reader.nonsense() == 3);
  CHECK(at.reader.is_empty());
}

TEST_CASE("a malformed batch ends its link, and what came before is kept") {
  const std::vector<std::vector<feed_entry>> bad{
      {text(2), joined(9)},      // joined comes first or not at all
      {text(2), word(kind{9})},  // packed as its kind alone
      {text(2), word(kind{255})},
  };
  for (const auto& entries : bad) {
    world at;
    at.send(1, 1, {joined(9), active("t"), text(1)});
    at.send(1, 4, entries);
    CHECK(at.reader.nonsense() == 1);
    CHECK(at.reader.serving("t", at.now) == 0);
    at.send(1, 4, {text(2)});
    CHECK(at.receive_all() == numbers{1});
  }
}

TEST_CASE("a body frame that was not announced, or is missing, ends the link") {
  for (const bool is_announced : {false, true}) {
    world at;
    at.send(1, 1, {joined(9)});
    feed_entry entry = text(1);
    entry.body_follows = is_announced;
    message incoming = packed(1, 2, {entry});
    if (!is_announced) {
      incoming.push_back(frame{"body"});
    }
    at.reader.take(std::move(incoming), at.now);
    CHECK(at.reader.nonsense() == 1);
    CHECK_FALSE(at.receive().has_value());
  }
}

TEST_CASE("what exceeds the window by far is ignored, and can be asked for later") {
  world at{{.limit = 10}};
  at.send(1, 1, {joined(9)});
  std::uint64_t position = 2;
  for (; at.reader.nonsense() == 0 && position < 10'000; ++position) {
    at.send(1, position, {text(position)});
  }
  const std::uint64_t first_ignored = position - 1;
  CHECK(first_ignored < 2 * 10 + feed_reader::reserve + 5);
  CHECK(at.receive_all().size() == first_ignored - 2);
  at.send(1, first_ignored, {text(first_ignored)});
  CHECK(at.receive_all() == numbers{first_ignored});
}

TEST_CASE("a window in bytes is held too, whatever the count") {
  world at{{.limit_bytes = 1000}};
  at.send(1, 1, {joined(9)});
  std::uint64_t position = 2;
  for (; at.reader.nonsense() == 0 && position < 100; ++position) {
    at.send(1, position, {text(position, std::string(500, 'x'))});
  }
  CHECK(position < 10);
}

TEST_CASE("more publishers than can be known: who was silent longest is forgotten") {
  world at;
  for (std::uint64_t id = 1; id <= feed_reader::most_publishers; ++id) {
    at.send(id, 1, {joined(id), active("t")});
    at.now += 1us;
  }
  at.receive_all();
  at.send(1, 3, {beat});
  const std::uint64_t one_more = feed_reader::most_publishers + 1;
  at.send(one_more, 1, {joined(one_more), active("t")});
  CHECK(at.reader.serving("t", at.now) == feed_reader::most_publishers);
  at.said();
  at.send(1, 3, {beat});
  CHECK(at.said().empty());
  at.send(2, 3, {beat});  // it is a stranger now
  CHECK(at.said(request::again).size() == 1);
}

TEST_CASE(
    "who is forgotten hears before what was received, and begins behind that when it is back") {
  world at;
  at.send(1, 1, {joined(1), active("t"), text(1)});
  at.receive_all();
  at.said();
  for (std::uint64_t id = 2; id <= feed_reader::most_publishers + 1; ++id) {
    at.now += 1us;
    at.send(id, 1, {joined(id)});
  }
  const auto said = at.said(request::received);
  REQUIRE(!said.empty());
  CHECK(said.front().link == 1);
  CHECK(said.front().position == 3);
  feed_entry back = joined(1, 2);
  back.is_asked_for = true;
  at.now += 1us;
  at.send(5000, 1, {back, active("t"), text(2)});
  CHECK(at.receive_all() == numbers{2});
}

TEST_CASE("a publisher that joins again and again is not kept again and again") {
  world at{{.limit = 10}};
  for (std::uint64_t link = 1; link <= 50'000; ++link) {
    at.send(link, 1, {joined(9), text(link)});
  }
  CHECK(at.reader.ledger().size() == 1);
  CHECK(at.reader.ledger().front().waiting <
        (10 + feed_reader::reserve) * feed_reader::most_windows);
}

TEST_CASE("strangers cannot make us ask without end") {
  world at;
  for (std::uint64_t link = 1; link <= 10'000; ++link) {
    at.send(link, 5, {beat});
  }
  CHECK(at.said().size() <= 64);
  for (std::uint64_t link = 1; link <= 10'000; ++link) {
    at.send(link, 1, {joined(link, 1), text(1)});
    at.send(link + 20'000, 1, {joined(link, 5)});
  }
  CHECK(at.said().size() <= 256);
}

// Any loss, repetition and reordering on the way.

TEST_CASE("whatever a connection does to batches, each message comes out once and in order") {
  const auto seed = GENERATE(range(1U, 60U));
  CAPTURE(seed);
  std::mt19937 random{seed};
  const auto one_of = [&](std::uint64_t count) { return random() % count; };
  world at;
  constexpr std::uint64_t count = 200;
  // Entry 1 is joined; the message at position p has sequence number p - 1.
  const auto batch = [&](std::uint64_t from, std::uint64_t size) {
    std::vector<feed_entry> entries;
    for (std::uint64_t position = from; position < from + size && position <= count + 1;
         ++position) {
      entries.push_back(position == 1 ? joined(9) : text(position - 1));
    }
    return packed(1, from, entries);
  };
  std::vector<message> on_the_way;
  std::uint64_t next = 1;
  std::uint64_t received = 0;
  numbers got;
  for (int round = 0; round < 100'000 && received <= count; ++round) {
    if (next <= count + 1) {
      const std::uint64_t size = 1 + one_of(5);
      on_the_way.push_back(batch(next, size));
      next = std::min(next + size, count + 2);
    } else {
      on_the_way.push_back(packed(1, next, {beat}));
    }
    if (one_of(4) == 0 && on_the_way.size() > 1) {
      std::swap(on_the_way[one_of(on_the_way.size())], on_the_way.back());
    }
    if (one_of(4) == 0) {
      on_the_way.push_back(on_the_way[one_of(on_the_way.size())]);
    }
    if (one_of(4) == 0) {
      on_the_way.erase(on_the_way.begin());
    }
    if (one_of(2) == 0) {
      for (message& each : on_the_way) {
        at.reader.take(std::move(each), at.now);
      }
      on_the_way.clear();
    }
    at.now += 20ms;
    if (one_of(3) == 0) {
      const numbers more = at.receive_all();
      got.insert(got.end(), more.begin(), more.end());
      at.reader.rest(at.now);
    }
    for (const feed_request& each : at.said()) {
      if (each.what == request::received) {
        received = each.position;
      } else if (each.what == request::again) {
        REQUIRE(each.position > received);
        next = each.position;
      }
    }
  }
  REQUIRE(got.size() == count);
  for (std::uint64_t index = 0; index < count; ++index) {
    CHECK(got[index] == index + 1);
  }
}
