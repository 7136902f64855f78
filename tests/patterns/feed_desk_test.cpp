// SPDX-License-Identifier: MPL-2.0
#include "feed_desk.hpp"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using kind = feed_entry::kind;

namespace {

// What one subscriber got: each entry in words.
struct inbox {
  std::uint64_t link = 0;
  std::uint64_t next = 1;  // position
  std::uint64_t publisher = 0;
  std::vector<std::string> told;

  std::string said() {
    std::string text;
    for (const std::string& each : told) {
      text += (text.empty() ? "" : " ") + each;
    }
    told.clear();
    return text;
  }
};

struct desk_at_work {
  explicit desk_at_work(const publisher_options& chosen = {}) : options{chosen} {}

  publisher_options options;
  feed_bundle::time_point now{1h};
  feed_desk desk{options, 7, now};
  std::uint64_t sequence = 0;
  std::uint64_t urgent_sequence = 0;
  std::map<std::uint64_t, inbox> inboxes;
  std::vector<message> plain;

  void say(char what, const std::string& topic) {
    desk.receive(message{frame{std::string(1, what) + topic}}, now);
  }
  void connect(const feed_wishes& wishes, const std::vector<std::string>& prefixes) {
    say('\1', wishes_topic(wishes));
    for (const std::string& each : prefixes) {
      add(wishes.subscriber, each);
    }
    say('\1', inbox_topic(wishes.subscriber));
    flush();
  }
  void add(std::uint64_t who, const std::string& prefix) {
    say('\1', prefix_topic(who, prefix));
    say('\1', prefix);
  }
  void remove(std::uint64_t who, const std::string& prefix) {
    say('\0', prefix);
    say('\0', prefix_topic(who, prefix));
  }
  // As ZeroMQ says it: in the order of the topics' bytes.
  void disconnect(const feed_wishes& wishes, const std::vector<std::string>& prefixes) {
    for (const std::string& each : prefixes) {
      say('\0', each);
    }
    say('\0', wishes_topic(wishes));
    for (const std::string& each : prefixes) {
      say('\0', prefix_topic(wishes.subscriber, each));
    }
    say('\0', inbox_topic(wishes.subscriber));
    flush();
  }
  void publish(const std::string& topic, const std::string& body, bool is_urgent = false) {
    const feed_ref one{
        new feed_bundle{is_urgent, ++(is_urgent ? urgent_sequence : sequence), 0, 0}};
    body.size() < feed_bundle::large_body ? one->add(topic, body)
                                          : one->add({.topic = topic}, frame{body});
    static_cast<void>(desk.publish(one, 0, false, now));
  }
  void request(feed_request::kind what, std::uint64_t who, std::uint64_t position,
               std::uint64_t from = 0, std::uint64_t from_urgent = 0) {
    say('\1', request_topic({what, who, inboxes[who].link, position, from, from_urgent}));
  }
  // The subscriber's program received so much.
  void received(std::uint64_t who) {
    request(feed_request::kind::received, who, inboxes[who].next - 1);
    flush();
  }

  void flush() {
    desk.flush(now, [this](message&& outgoing) { deliver(std::move(outgoing)); });
  }
  void deliver(message&& outgoing) {
    const auto address = parse_address(outgoing.front().view());
    if (!address) {
      plain.push_back(std::move(outgoing));
      return;
    }
    inbox& to = inboxes[address->subscriber];
    if (to.link != address->link) {
      to.link = address->link;
      to.next = 1;
    }
    std::string_view bytes = outgoing[1].view();
    std::uint64_t position = address->position;
    while (!bytes.empty()) {
      const auto entry = take_entry(bytes);
      REQUIRE(entry.has_value());
      if (entry->what == kind::beat) {
        to.told.push_back("beat@" + std::to_string(position));
        continue;
      }
      const bool is_repeated = position < to.next;
      CHECK(position <= to.next);
      to.next = std::max(to.next, ++position);
      to.told.push_back((is_repeated ? "again:" : "") + words(*entry, outgoing));
    }
  }
  static std::string words(const feed_entry& entry, const message& from) {
    const std::string mark = entry.is_urgent ? "!" : "";
    switch (entry.what) {
      case kind::message:
        return mark + std::to_string(entry.sequence) + ":" + std::string{entry.topic} + "=" +
               (entry.body_follows ? std::to_string(from[2].size()) : std::string{entry.body});
      case kind::lost:
        return mark + "lost(" + std::string{entry.topic} + "," + std::to_string(entry.sequence) +
               "-" + std::to_string(entry.last) + "," + std::to_string(entry.count) + "," +
               std::string{to_string(entry.reason)} + ")";
      case kind::joined:
        return "joined(" + std::to_string(entry.next) + "," + std::to_string(entry.next_urgent) +
               ")";
      case kind::active:
        return "active(" + std::string{entry.topic} + ")";
      case kind::inactive:
        return "inactive(" + std::string{entry.topic} + ")";
      case kind::resumed:
        return "resumed";
      case kind::cut_off:
        return "cut_off";
      case kind::beat:
        break;
    }
    return "?";
  }
  std::string said(std::uint64_t who = 1) { return inboxes[who].said(); }

  prefix_ledger books(std::uint64_t who = 1) {
    for (const subscriber_ledger& each : desk.ledger()) {
      if (each.id == who) {
        const prefix_ledger sum = each.sum();
        CHECK(sum.published == sum.delivered + sum.queued + sum.dropped.total());
        return sum;
      }
    }
    return {};
  }
};

feed_wishes wishes(std::uint64_t who, std::uint32_t limit = 100) {
  return {.subscriber = who, .limit = limit, .limit_bytes = 1 << 20};
}

feed_wishes wishes(std::uint64_t who, feed_start start) {
  feed_wishes made = wishes(who);
  made.start = start;
  return made;
}

publisher_options limited(std::size_t limit, lag_policy policy = lag_policy::drop_oldest) {
  publisher_options options;
  options.limit = limit;
  options.when_lagging = policy;
  return options;
}

publisher_options remembering(std::size_t history, bool last_value = false) {
  publisher_options options;
  options.history = history;
  options.last_value = last_value;
  return options;
}

}  // namespace

TEST_CASE("a subscriber gets what it asked for, in order, and each prefix is confirmed") {
  desk_at_work at;
  at.publish("a.x", "before");
  at.connect(wishes(1), {"a.", "b"});
  CHECK(at.said() == "joined(2,1) active(a.) active(b)");
  at.publish("a.x", "1");
  at.publish("c", "2");
  at.publish("bee", "3");
  at.flush();
  CHECK(at.said() == "2:a.x=1 4:bee=3");
  at.received(1);
  CHECK(at.books().delivered == 2);
  CHECK(at.books().queued == 0);
}

TEST_CASE("prefixes come and go") {
  desk_at_work at;
  at.connect(wishes(1), {});
  CHECK(at.desk.subscribers("") == 1);
  CHECK(at.desk.subscribers("a") == 0);
  at.add(1, "a");
  at.flush();
  CHECK(at.desk.subscribers("ab") == 1);
  at.publish("a", "1");
  at.say('\0', "a");
  at.say('\0', prefix_topic(1, "a"));
  at.flush();
  at.publish("a", "2");
  at.flush();
  CHECK(at.said() == "joined(1,1) active(a) 1:a=1 inactive(a)");
  CHECK(at.desk.subscribers("a") == 0);
}

TEST_CASE("a prefix that is given up and wanted again between two looks is confirmed anew") {
  desk_at_work at;
  at.connect(wishes(1), {"a"});
  static_cast<void>(at.said());
  at.remove(1, "a");
  at.add(1, "a");
  at.flush();
  CHECK(at.said() == "inactive(a) active(a)");
  at.publish("a", "1");
  at.flush();
  CHECK(at.said() == "1:a=1");
  at.add(1, "b");
  at.remove(1, "b");
  at.flush();
  CHECK(at.said() == "");
  CHECK(at.desk.subscribers("b") == 0);
}

TEST_CASE("a prefix that is not asked for any more after a new connection is not served") {
  desk_at_work at;
  at.connect(wishes(1), {"a", "b"});
  at.received(1);
  static_cast<void>(at.said());
  at.disconnect(wishes(1), {"a", "b"});
  at.connect(wishes(1), {"b"});
  CHECK(at.said() == "inactive(a) resumed");
}

TEST_CASE("plain subscribers get the topic, the body and a mark; our own are not counted twice") {
  desk_at_work at;
  at.connect(wishes(1), {"a"});
  at.publish("a", "1");
  at.flush();
  CHECK(at.plain.empty());
  CHECK(at.desk.subscribers("a") == 1);
  at.say('\1', "a");  // a plain one
  at.flush();
  CHECK(at.desk.subscribers("a") == 2);
  at.publish("a", "2");
  at.flush();
  REQUIRE(at.plain.size() == 1);
  CHECK(at.plain[0][0] == "a");
  CHECK(at.plain[0][1] == "2");
  const auto mark = parse_mark(at.plain[0][2].view());
  REQUIRE(mark.has_value());
  CHECK(mark->sequence == 2);
  CHECK(mark->topic_sequence == 2);
  at.say('\0', "a");
  at.flush();
  at.publish("a", "3");
  at.flush();
  CHECK(at.plain.size() == 1);
  at.disconnect(wishes(1), {"a"});
  CHECK(at.desk.subscribers("a") == 0);
}

TEST_CASE("no more is on the way than the subscriber has room for") {
  desk_at_work at;
  at.connect(wishes(1, 4), {"a"});
  CHECK(at.said() == "joined(1,1) active(a)");
  for (const char* each : {"1", "2", "3", "4"}) {
    at.publish("a", each);
  }
  at.flush();
  CHECK(at.said() == "1:a=1 2:a=2");
  at.received(1);
  CHECK(at.said() == "3:a=3 4:a=4");
  CHECK_FALSE(at.desk.has_all_received(4, 0));
  at.received(1);
  CHECK(at.desk.has_all_received(4, 0));
}

TEST_CASE("of a subscriber that lags the oldest are dropped, and it is told which") {
  desk_at_work at{limited(3)};
  at.connect(wishes(1, 2), {"a"});  // half the limit: one at a time
  static_cast<void>(at.said());
  for (int count = 1; count <= 9; ++count) {
    at.publish("a", std::to_string(count));
  }
  at.flush();
  for (int round = 0; round < 9; ++round) {
    at.received(1);
  }
  CHECK(at.said() == "active(a) lost(a,1-6,6,lagged) 7:a=7 8:a=8 9:a=9");
  CHECK(at.books().dropped[loss_reason::lagged] == 6);
  CHECK(at.books().delivered == 3);
}

TEST_CASE("or the newest") {
  desk_at_work at{limited(3, lag_policy::drop_newest)};
  at.connect(wishes(1, 2), {"a"});
  static_cast<void>(at.said());
  for (int count = 1; count <= 9; ++count) {
    at.publish("a", std::to_string(count));
  }
  at.flush();
  for (int round = 0; round < 9; ++round) {
    at.received(1);
  }
  CHECK(at.said() == "active(a) 1:a=1 2:a=2 3:a=3 lost(a,4-9,6,lagged)");
}

TEST_CASE("what was lost of several prefixes is told at once, though there is room for one") {
  desk_at_work at{limited(2, lag_policy::drop_newest)};
  at.connect(wishes(1, 1), {"a", "b"});
  for (int count = 0; count < 3; ++count) {
    at.received(1);
  }
  CHECK(at.said() == "joined(1,1) active(a) active(b)");
  for (int count = 0; count < 4; ++count) {
    at.publish("a", "");
    at.publish("b", "");
  }
  at.flush();
  at.received(1);
  at.received(1);
  CHECK(at.said() == "1:a= 2:b= 3:a=");
  at.received(1);
  // Else who heard the first only, and then asks for what comes after it, misses the rest unseen.
  CHECK(at.said() == "lost(a,5-7,2,lagged) lost(b,4-8,3,lagged)");
}

TEST_CASE("or all but the newest of each topic, as soon as it lags") {
  desk_at_work at{limited(100, lag_policy::newest_by_topic)};
  at.connect(wishes(1, 1), {""});
  static_cast<void>(at.said());
  at.received(1);
  for (int count = 1; count <= 4; ++count) {
    at.publish("a", std::to_string(count));
    at.publish("b", std::to_string(count));
  }
  at.flush();
  for (int round = 0; round < 9; ++round) {
    at.received(1);
  }
  CHECK(at.said() == "active() lost(,1-6,6,superseded) 7:a=4 8:b=4");
  at.publish("a", "5");
  at.publish("a", "6");
  at.flush();
  at.received(1);
  CHECK(at.said() == "9:a=5 10:a=6");  // it does not lag any more
}

TEST_CASE("a message that takes the place of an older one is under the prefix of that") {
  desk_at_work at{limited(100, lag_policy::newest_by_topic)};
  at.connect(wishes(1, 1), {"a"});
  at.received(1);
  at.publish("ab", "1");
  at.add(1, "ab");
  at.flush();
  at.publish("ab", "2");
  for (int round = 0; round < 9; ++round) {
    at.received(1);
  }
  // The subscriber sees it in front of the news.
  CHECK(at.said() == "joined(1,1) active(a) lost(a,1-1,1,superseded) 2:ab=2 active(ab)");
  const std::vector<prefix_ledger> books = at.desk.ledger().front().prefixes;
  REQUIRE(books.size() == 2);
  CHECK(books[0].published == 2);
  CHECK(books[0].delivered == 1);
  CHECK(books[1].published == 0);
  CHECK(books[1].delivered == 0);
}

TEST_CASE("also then there are no more bytes than the limit") {
  publisher_options options = limited(100, lag_policy::newest_by_topic);
  options.limit_bytes = 1000;
  desk_at_work at{options};
  at.connect(wishes(1, 1), {""});
  static_cast<void>(at.said());
  at.received(1);
  for (const char* each : {"first", "a", "b", "c"}) {
    at.publish(each, "small");
  }
  for (const char* each : {"a", "b", "c"}) {
    at.publish(each, std::string(400, 'x'));
  }
  at.flush();
  for (int round = 0; round < 9; ++round) {
    at.received(1);
  }
  CHECK(at.books().dropped[loss_reason::lagged] > 0);
  CHECK(at.books().dropped[loss_reason::superseded] == 3);
}

TEST_CASE("or it is cut off, and told so") {
  desk_at_work at{limited(3, lag_policy::cut_off)};
  at.connect(wishes(1, 1), {"a"});
  at.received(1);
  at.received(1);
  static_cast<void>(at.said());
  for (int count = 1; count <= 9; ++count) {
    at.publish("a", std::to_string(count));
  }
  at.flush();
  CHECK(at.said() == "1:a=1 lost(a,2-4,3,cut off) cut_off");
  at.received(1);
  at.publish("a", "10");
  at.flush();
  CHECK(at.said().empty());
  CHECK(at.desk.ledger().front().is_cut_off);
  CHECK(at.books().published == 4);
}

TEST_CASE("a subscriber that was away goes on where it stopped") {
  desk_at_work at;
  at.connect(wishes(1), {"a"});
  at.publish("a", "1");
  at.flush();
  at.received(1);
  at.publish("a", "2");
  at.flush();
  static_cast<void>(at.said());
  at.disconnect(wishes(1), {"a"});
  CHECK(at.desk.subscribers("a") == 0);
  at.publish("a", "3");
  at.flush();
  CHECK(at.said().empty());
  at.connect(wishes(1), {"a"});
  CHECK(at.said() == "again:2:a=2 3:a=3 resumed");
  at.publish("a", "4");
  at.flush();
  CHECK(at.said() == "4:a=4");
}

TEST_CASE("one that does not recover is told what it missed") {
  desk_at_work at;
  feed_wishes forgetful = wishes(1);
  forgetful.recovers = false;
  at.connect(forgetful, {"a"});
  static_cast<void>(at.said());
  at.received(1);
  at.disconnect(forgetful, {"a"});
  at.publish("a", "1");
  at.publish("a", "2");
  at.connect(forgetful, {"a"});
  at.publish("a", "3");
  at.flush();
  CHECK(at.said() == "lost(a,1-2,2,away) resumed 3:a=3");
}

TEST_CASE("a connection lost and made anew between two looks is both") {
  desk_at_work at;
  at.connect(wishes(1), {"a", "b"});
  at.publish("a", "1");
  at.flush();
  static_cast<void>(at.said());
  for (const char* each : {"a", "b"}) {
    at.say('\0', each);
  }
  at.say('\0', wishes_topic(wishes(1)));
  at.say('\0', prefix_topic(1, "a"));
  at.say('\0', prefix_topic(1, "b"));
  at.say('\0', inbox_topic(1));
  at.connect(wishes(1), {"b"});
  CHECK(at.said() ==
        "again:joined(1,1) again:active(a) again:active(b) again:1:a=1 "
        "inactive(a) resumed");
  CHECK(at.desk.subscribers("a") == 0);
  CHECK(at.desk.subscribers("b") == 1);
}

TEST_CASE("a connection that is seen to be lost after the next was made takes nothing with it") {
  for (const bool between_two_looks : {false, true}) {
    desk_at_work at;
    at.connect(wishes(1), {"a", "b"});
    at.say('\1', wishes_topic(wishes(1)));
    at.add(1, "a");
    at.add(1, "b");
    at.say('\1', inbox_topic(1));
    if (!between_two_looks) {
      at.flush();
    }
    at.disconnect(wishes(1), {"a", "b"});
    static_cast<void>(at.said());
    CHECK(at.desk.subscribers("a") == 1);
    CHECK(at.desk.subscribers("b") == 1);
    at.publish("a", "1");
    at.flush();
    CHECK(at.said() == "1:a=1");
    at.say('\0', prefix_topic(1, "a"));
    at.say('\0', "a");
    at.flush();
    CHECK(at.desk.subscribers("a") == 0);
    at.disconnect(wishes(1), {"b"});
    CHECK(at.desk.subscribers("") == 0);
    CHECK_FALSE(at.desk.ledger().front().is_here);
  }
}

TEST_CASE("nor if it is so many subscriptions that its end comes in two looks") {
  desk_at_work at;
  at.connect(wishes(1), {"a", "b"});
  at.connect(wishes(1), {"a", "b"});
  for (const std::string& each : {wishes_topic(wishes(1)), prefix_topic(1, "a"), std::string{"a"},
                                  prefix_topic(1, "b"), std::string{"b"}, inbox_topic(1)}) {
    at.say('\0', each);
    at.flush();
  }
  CHECK(at.desk.subscribers("a") == 1);
  CHECK(at.desk.subscribers("b") == 1);
}

TEST_CASE("who is away for too long is forgotten, and its messages are counted") {
  desk_at_work at;
  at.connect(wishes(1), {"a"});
  at.publish("a", "1");
  at.flush();
  at.disconnect(wishes(1), {"a"});
  at.now += at.options.away + 1s;
  at.flush();
  CHECK(at.desk.ledger().empty());
  CHECK(at.desk.statistics().left.dropped[loss_reason::away] == 1);
  CHECK(at.desk.statistics().left_subscribers == 1);
}

TEST_CASE("a joiner may begin with the last values") {
  desk_at_work at{remembering(0, true)};
  at.publish("a", "1");
  at.publish("b", "2");
  at.publish("a", "3");
  at.publish("c", "4");
  at.connect(wishes(1, feed_start::last_values()), {"a", "b"});
  CHECK(at.said() == "joined(5,1) active(a) active(b) 2:b=2 3:a=3");
  at.add(1, "");
  at.flush();
  CHECK(at.said() == "active() 4:c=4");  // not again what it has
}

TEST_CASE("or with the history, since a number or a time") {
  desk_at_work at{remembering(3)};
  at.publish("a", "1");
  at.publish("a", "2");
  at.now += 10s;
  at.publish("a", "3");
  at.publish("b", "4");
  at.connect(wishes(1, feed_start::history()), {"a"});
  CHECK(at.said(1) == "joined(5,1) active(a) 2:a=2 3:a=3");
  at.connect(wishes(2, feed_start::since(3)), {"a"});
  CHECK(at.said(2) == "joined(5,1) active(a) 3:a=3");
  at.connect(wishes(3, feed_start::since(1)), {"a"});
  CHECK(at.said(3) == "joined(5,1) active(a) lost(a,1-1,1,forgotten) 2:a=2 3:a=3");
  at.connect(wishes(4, feed_start::since(5s)), {""});
  CHECK(at.said(4) == "joined(5,1) active() 3:a=3 4:b=4");
}

TEST_CASE("a subscriber may ask for all from a number on") {
  desk_at_work at{remembering(3)};
  for (int count = 1; count <= 5; ++count) {
    at.publish("a", std::to_string(count));
  }
  at.connect(wishes(1), {"a"});
  CHECK(at.said() == "joined(6,1) active(a)");
  at.request(feed_request::kind::from, 1, 0, 2, 1);
  at.flush();
  CHECK(at.said() == "joined(2,1) active(a) lost(a,2-2,1,forgotten) 3:a=3 4:a=4 5:a=5");
  at.received(1);
  CHECK(at.books().delivered == 3);
}

TEST_CASE("what got lost on the way is sent again, and a beat tells that it is missing") {
  desk_at_work at;
  at.connect(wishes(1), {"a"});
  at.publish("a", "1");
  at.flush();
  static_cast<void>(at.said());
  at.now += 2s;
  at.flush();
  CHECK(at.said() == "beat@4");
  at.request(feed_request::kind::again, 1, 2);
  at.flush();
  CHECK(at.said() == "again:active(a) again:1:a=1");
}

TEST_CASE("a subscriber that had to forget its publisher goes on with what it has not received") {
  desk_at_work at;
  at.connect(wishes(1), {"a"});
  at.publish("a", "1");
  at.flush();
  at.received(1);
  at.publish("a", "2");
  at.flush();
  static_cast<void>(at.said());
  at.request(feed_request::kind::again, 1, 1);  // what comes by this link is strange to it
  at.flush();
  CHECK(at.said() == "joined(2,1) active(a) 2:a=2");
  at.received(1);
  CHECK(at.books().delivered == 2);
  CHECK(at.desk.statistics().nonsense == 0);
}

TEST_CASE("urgent messages overtake what waits") {
  desk_at_work at;
  at.connect(wishes(1, 3), {"a"});
  at.publish("a", "1");
  at.publish("a", "2");
  at.flush();
  at.publish("a", "now", true);
  at.flush();
  static_cast<void>(at.said());
  at.received(1);
  CHECK(at.said() == "!1:a=now 2:a=2");
}

TEST_CASE("what is too old is not sent") {
  publisher_options options;
  options.max_age = 1s;
  desk_at_work at{options};
  at.connect(wishes(1, 2), {"a"});
  at.publish("a", "1");
  at.flush();
  static_cast<void>(at.said());
  at.now += 2s;
  at.publish("a", "2");
  at.received(1);
  CHECK(at.said() == "lost(a,1-1,1,too old) 2:a=2");
}

TEST_CASE("a large body travels in a frame of its own") {
  desk_at_work at;
  at.connect(wishes(1), {"a"});
  at.publish("a", "1");
  at.publish("a", std::string(100'000, 'x'));
  at.publish("a", "3");
  at.flush();
  CHECK(at.said() == "joined(1,1) active(a) 1:a=1 2:a=100000 3:a=3");
}

TEST_CASE(
    "topics are known up to a bound, and a topic that comes after another is not taken for it") {
  publisher_options options = remembering(0, true);
  options.topics = 2;
  desk_at_work at{options};
  at.connect(wishes(1), {"a"});
  for (const char* each : {"a", "b", "c", "a2", "d"}) {
    at.publish(each, "x");
  }
  at.flush();
  CHECK(at.said() == "joined(1,1) active(a) 1:a=x 4:a2=x");
  CHECK(at.desk.statistics().last_values == 2);
}

TEST_CASE(
    "a publisher that waits takes in what there is room for, and the rest when there is more") {
  desk_at_work at{limited(4, lag_policy::wait)};
  at.connect(wishes(1, 2), {"a"});
  at.received(1);
  static_cast<void>(at.said());
  const feed_ref many{new feed_bundle{false, 1, 0, 0}};
  for (int count = 1; count <= 9; ++count) {
    many->add("a", std::to_string(count));
  }
  std::uint32_t next = at.desk.publish(many, 0, true, at.now);
  CHECK(next == 6);  // two are on their way
  CHECK(at.desk.is_full());
  for (int round = 0; round < 5; ++round) {
    at.flush();
    at.received(1);
    next = at.desk.publish(many, next, true, at.now);
  }
  CHECK(next == 9);
  at.flush();
  CHECK(at.said() == "1:a=1 2:a=2 3:a=3 4:a=4 5:a=5 6:a=6 7:a=7 8:a=8 9:a=9");
  CHECK(at.books().dropped.total() == 0);
}

TEST_CASE("a few of many are packed once for all who want the same, and do not keep the others") {
  desk_at_work at;
  at.connect(wishes(1), {"a"});
  at.connect(wishes(2), {"a"});
  at.connect(wishes(3), {""});
  for (const std::uint64_t each : {1U, 2U, 3U}) {
    static_cast<void>(at.said(each));
  }
  const feed_ref many{new feed_bundle{false, 1, 0, 0}};
  for (int count = 0; count < 10; ++count) {
    many->add(count % 5 == 0 ? "a" : "b", std::string(200, 'x'));
  }
  CHECK(at.desk.publish(many, 0, false, at.now) == 10);
  std::vector<frame> sent;
  at.desk.flush(at.now, [&](message&& outgoing) {
    sent.push_back(outgoing[1]);
    at.deliver(std::move(outgoing));
  });
  REQUIRE(sent.size() == 3);
  CHECK(sent[0].data() == sent[1].data());
  CHECK(sent[2].view() == many->bytes.view());
  CHECK(many->owners == 3);  // we, the third's queue, and what was sent to it
  const std::string body(200, 'x');
  CHECK(at.said(1) == "1:a=" + body + " 6:a=" + body);
  CHECK(at.said(2) == "1:a=" + body + " 6:a=" + body);
}

TEST_CASE("more topics at once than are known are not taken for each other") {
  publisher_options options = remembering(0, true);
  options.topics = 2;
  desk_at_work at{options};
  at.connect(wishes(1), {"a"});
  const feed_ref many{new feed_bundle{false, 1, 0, 0}};
  for (const char* each : {"a", "b", "c", "a2", "d", "a"}) {
    many->add(each, "x");
  }
  CHECK(at.desk.publish(many, 0, false, at.now) == 6);
  at.flush();
  CHECK(at.said() == "joined(1,1) active(a) 1:a=x 4:a2=x 6:a=x");
  CHECK(at.desk.statistics().last_values == 2);
}

TEST_CASE("who leaves is forgotten at once, with what it received") {
  desk_at_work at;
  at.connect(wishes(1), {"a"});
  at.publish("a", "1");
  at.publish("a", "2");
  at.flush();
  at.request(feed_request::kind::leave, 1, 3);
  at.flush();
  CHECK(at.desk.subscribers("a") == 0);
  CHECK(at.desk.statistics().left.delivered == 1);
  CHECK(at.desk.statistics().left.dropped[loss_reason::away] == 1);
}

TEST_CASE("who leaves before it heard of its link is forgotten too") {
  desk_at_work at;
  at.connect(wishes(1), {"a"});
  at.say('\1', request_topic({.what = feed_request::kind::leave, .subscriber = 1}));
  at.flush();
  CHECK(at.desk.ledger().empty());
}

// Bounds over all subscribers.

TEST_CASE("what a subscriber wishes to have on its way is bounded by the publisher") {
  publisher_options options;
  options.limit_bytes = 10'000;
  desk_at_work at{options};
  feed_wishes greedy = wishes(1);
  greedy.limit_bytes = std::uint64_t{1} << 60;
  at.connect(greedy, {"a"});
  at.received(1);
  static_cast<void>(at.said());
  for (int count = 0; count < 20; ++count) {
    at.publish("a", std::string(1000, 'x'));
  }
  at.flush();
  CHECK(at.inboxes[1].told.size() == 5);
}

TEST_CASE("all subscribers together have no more than total_bytes, and the slowest lose first") {
  for (const lag_policy policy :
       {lag_policy::drop_oldest, lag_policy::drop_newest, lag_policy::newest_by_topic}) {
    publisher_options options;
    options.when_lagging = policy;
    options.total_bytes = 100'000;
    desk_at_work at{options};
    const auto topic = [](std::uint64_t who) { return "t" + std::to_string(who) + "."; };
    constexpr std::uint64_t readers = 10;  // each of a topic of its own; the first one receives
    for (std::uint64_t who = 1; who <= readers; ++who) {
      at.connect(wishes(who), {topic(who)});
      at.received(who);
    }
    for (int count = 0; count < 200; ++count) {
      for (std::uint64_t who = 1; who <= readers; ++who) {
        at.publish(topic(who) + std::to_string(count), std::string(1000, 'x'));
      }
      at.flush();
      at.received(1);
    }
    CHECK(at.books(1).delivered == 200);
    std::size_t kept = 0;
    for (std::uint64_t who = 2; who <= readers; ++who) {
      const prefix_ledger book = at.books(who);
      CHECK(book.published == 200);
      CHECK(book.dropped[loss_reason::lagged] > 100);
      kept += 1000 * book.queued;
    }
    CHECK(kept <= options.total_bytes);
    CHECK(kept > options.total_bytes / 4);
    // They hear of it, and have the rest.
    for (int round = 0; round < 100; ++round) {
      for (std::uint64_t who = 1; who <= readers; ++who) {
        at.received(who);
      }
    }
    for (std::uint64_t who = 1; who <= readers; ++who) {
      CHECK(at.books(who).queued == 0);
      CHECK(at.books(who).delivered > 0);
    }
  }
}

TEST_CASE("nor have those who come one after the other and receive nothing") {
  publisher_options options;
  options.total_bytes = 100'000;
  desk_at_work at{options};
  constexpr std::uint64_t readers = 60;
  for (std::uint64_t who = 1; who <= readers; ++who) {
    const std::string topic = "t" + std::to_string(who) + ".";
    at.connect(wishes(who), {topic});
    at.received(who);
    for (int count = 0; count < 100; ++count) {
      at.publish(topic, std::string(1000, 'x'));
      at.flush();
    }
  }
  std::size_t kept = 0;
  for (std::uint64_t who = 1; who <= readers; ++who) {
    kept += 1000 * at.books(who).queued;
  }
  CHECK(kept <= options.total_bytes + 1000 * readers);
}

TEST_CASE("what several subscribers are to get counts once, and the memory does not") {
  publisher_options options = remembering(100, true);
  options.total_bytes = 120'000;
  desk_at_work at{options};
  for (std::uint64_t who = 1; who <= 10; ++who) {
    at.connect(wishes(who), {"a"});
  }
  for (int count = 0; count < 100; ++count) {
    at.publish("a", std::string(1000, 'x'));
    at.flush();
  }
  for (std::uint64_t who = 1; who <= 10; ++who) {
    CHECK(at.books(who).dropped.total() == 0);
    CHECK(at.books(who).queued == 100);
  }
}

TEST_CASE("who is to wait for slow subscribers waits when all together have too much") {
  publisher_options options;
  options.when_lagging = lag_policy::wait;
  options.total_bytes = 10'000;
  desk_at_work at{options};
  at.connect(wishes(1), {"a"});
  at.connect(wishes(2), {"b"});
  at.received(1);
  at.received(2);
  feed_ref one;  // the last one, which may wait
  const auto publish = [&](const std::string& topic) {
    one = feed_ref{new feed_bundle{false, at.sequence + 1, 0, 0}};
    one->add(topic, std::string(1000, 'x'));
    const bool is_published = at.desk.publish(one, 0, true, at.now) == 1;
    at.sequence += is_published ? 1 : 0;
    at.flush();
    return is_published;
  };
  int published = 0;
  while (published < 100 && publish(published % 2 == 0 ? "a" : "b")) {
    ++published;
  }
  CHECK(published >= 9);
  CHECK(published < 15);
  CHECK(at.desk.is_full());
  CHECK(at.books(1).dropped.total() + at.books(2).dropped.total() == 0);
  for (int round = 0; round < 3; ++round) {
    at.received(1);
    at.received(2);
  }
  CHECK_FALSE(at.desk.is_full());
  CHECK(publish("a"));
}

// As docs/pub_sub.md says: ZeroMQ does not tell who subscribed.
TEST_CASE("who claims a plain subscription that is not its own hides one of that very prefix") {
  desk_at_work at;
  at.say('\1', "a");
  at.say('\1', "ab");
  at.say('\1', "b");
  at.say('\1', prefix_topic(66, "a"));
  at.flush();
  const auto copies = [&](const char* topic) {
    at.plain.clear();
    at.publish(topic, "x");
    at.flush();
    return at.plain.size();
  };
  CHECK(copies("a") == 0);
  CHECK(copies("ab") == 1);
  CHECK(copies("b") == 1);
  at.say('\0', prefix_topic(66, "a"));
  at.flush();
  CHECK(copies("a") == 1);
}

TEST_CASE("more who begin to say that they are subscribers than can be known change nothing") {
  desk_at_work at;
  at.connect(wishes(1), {"a"});
  const auto flood = [&](char what) {
    for (std::uint64_t id = 1000; id < 1000 + 65'536 + 10; ++id) {
      at.say(what, wishes_topic(wishes(id)));
    }
    at.flush();
  };
  flood('\1');
  CHECK(at.desk.statistics().nonsense == 10);
  at.say('\1', "a");  // a plain one
  at.add(2, "a");     // that one is not known
  at.flush();
  CHECK(at.desk.subscribers("a") == 2);
  // Who was there before may change its mind, and go.
  at.add(1, "b");
  at.flush();
  CHECK(at.desk.subscribers("b") == 1);
  at.disconnect(wishes(1), {"a", "b"});
  CHECK(at.desk.subscribers("a") == 1);
  CHECK_FALSE(at.desk.ledger().front().is_here);
  flood('\0');
  at.remove(2, "a");
  at.flush();
  CHECK(at.desk.subscribers("a") == 1);
  at.say('\0', "a");
  CHECK(at.desk.subscribers("a") == 0);
  at.connect(wishes(1), {"a"});
  at.publish("a", "1");
  at.flush();
  CHECK(at.plain.empty());
}

TEST_CASE("nonsense from subscribers is counted, and harms nobody") {
  desk_at_work at;
  at.connect(wishes(1), {"a"});
  for (const std::string& each :
       {std::string{"\2PRs\1short"}, std::string{"hello"}, std::string{}, std::string{"\1\xff"}}) {
    at.desk.receive(message{frame{each}}, at.now);
  }
  at.request(feed_request::kind::received, 1, 1'000'000);
  at.request(feed_request::kind::again, 1, 1'000'000);
  at.request(feed_request::kind::again, 1, 0);
  at.flush();
  CHECK(at.desk.statistics().nonsense == 6);
  at.publish("a", "1");
  at.flush();
  CHECK(at.said() == "joined(1,1) active(a) 1:a=1");
}
