// SPDX-License-Identifier: MPL-2.0
#include "feed_wire.hpp"

#include <string>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using kind = feed_entry::kind;

namespace {

bool equal(const feed_entry& left, const feed_entry& right) {
  return left.what == right.what && left.is_urgent == right.is_urgent &&
         left.is_relayed == right.is_relayed && left.body_follows == right.body_follows &&
         left.reason == right.reason && left.sequence == right.sequence &&
         left.last == right.last && left.count == right.count && left.origin == right.origin &&
         left.origin_sequence == right.origin_sequence && left.hops == right.hops &&
         left.topic == right.topic && left.body == right.body &&
         left.publisher == right.publisher && left.age == right.age && left.next == right.next &&
         left.next_urgent == right.next_urgent && left.window == right.window &&
         left.heartbeat == right.heartbeat;
}

std::string packed(const feed_entry& entry) {
  std::string bytes;
  pack_entry(bytes, entry);
  return bytes;
}

// One of each, in all its forms.
const std::vector<feed_entry> entries{
    {.what = kind::message, .sequence = 0x0102030405060708, .topic = "prices", .body = "1.0842"},
    {.what = kind::message, .is_urgent = true, .sequence = 1, .topic = "t", .body = ""},
    {.what = kind::message,
     .is_relayed = true,
     .sequence = 7,
     .origin = 8,
     .origin_sequence = 9,
     .hops = 3,
     .topic = "t",
     .body = "b"},
    {.what = kind::message, .body_follows = true, .sequence = 2, .topic = "t"},
    {.what = kind::lost,
     .is_urgent = true,
     .reason = loss_reason::away,
     .sequence = 3,
     .last = 5,
     .count = 2,
     .topic = "prices."},
    {.what = kind::lost,
     .is_relayed = true,
     .reason = loss_reason::upstream,
     .sequence = 3,
     .last = 5,
     .count = 2,
     .origin = 8,
     .origin_sequence = 9,
     .hops = 3,
     .topic = "prices."},
    {.what = kind::joined,
     .publisher = 11,
     .age = 12,
     .next = 13,
     .next_urgent = 14,
     .window = 15,
     .heartbeat = 16},
    {.what = kind::active, .topic = "prices."},
    {.what = kind::resumed},
    {.what = kind::cut_off},
    {.what = kind::beat},
};

}  // namespace

TEST_CASE("an entry comes back as it was packed") {
  for (const feed_entry& each : entries) {
    const std::string bytes = packed(each);
    std::string_view rest = bytes;
    const auto back = take_entry(rest);
    REQUIRE(back.has_value());
    CHECK(equal(*back, each));
    CHECK(rest.empty());
  }
}

TEST_CASE("an entry that is cut short anywhere is malformed") {
  for (const feed_entry& each : entries) {
    const std::string bytes = packed(each);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      std::string_view rest{bytes.data(), size};
      CHECK_FALSE(take_entry(rest).has_value());
    }
  }
}

TEST_CASE("a message whose topic no publisher can have is malformed") {
  for (const bool is_relayed : {false, true}) {
    const std::string bytes = packed({.what = kind::message,
                                      .is_relayed = is_relayed,
                                      .sequence = 1,
                                      .topic = "\1PRu",
                                      .body = "b"});
    std::string_view rest = bytes;
    feed_message usual;
    CHECK_FALSE(take_message(rest, usual));
    CHECK_FALSE(take_entry(rest).has_value());
  }
}

TEST_CASE("entries are taken one after the other") {
  std::string bytes;
  for (const feed_entry& each : entries) {
    if (!each.body_follows) {
      pack_entry(bytes, each);
    }
  }
  std::string_view rest = bytes;
  for (const feed_entry& each : entries) {
    if (!each.body_follows) {
      const auto back = take_entry(rest);
      REQUIRE(back.has_value());
      CHECK(equal(*back, each));
    }
  }
  CHECK(rest.empty());
}

TEST_CASE("an entry whose body follows as a frame is the last one") {
  std::string bytes = packed({.what = kind::message, .body_follows = true, .topic = "t"});
  pack_entry(bytes, {.what = kind::beat});
  std::string_view rest = bytes;
  CHECK_FALSE(take_entry(rest).has_value());
}

TEST_CASE("an entry of an unknown kind or reason is malformed") {
  for (const std::string& bytes : {std::string{"\0", 1}, std::string{"\x8"}, std::string{"\xff"}}) {
    std::string_view rest = bytes;
    CHECK_FALSE(take_entry(rest).has_value());
  }
  std::string bytes = packed({.what = kind::lost, .topic = "t"});
  bytes[2] = static_cast<char>(loss_reasons);
  std::string_view rest = bytes;
  CHECK_FALSE(take_entry(rest).has_value());
}

TEST_CASE("a message as it was published here is taken the short way as by the long one") {
  for (const feed_entry& each : entries) {
    const std::string bytes = packed(each) + "rest";
    std::string_view rest = bytes;
    feed_message usual{};
    const bool is_usual = each.what == kind::message && !each.is_relayed && !each.body_follows;
    REQUIRE(take_message(rest, usual) == is_usual);
    if (!is_usual) {
      CHECK(rest == bytes);
      continue;
    }
    CHECK(rest == "rest");
    CHECK(usual.is_urgent == each.is_urgent);
    CHECK(usual.sequence == each.sequence);
    CHECK(usual.topic == each.topic);
    CHECK(usual.body == each.body);
    const std::string whole = packed(each);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      std::string_view cut{whole.data(), size};
      CHECK_FALSE(take_message(cut, usual));
    }
  }
}

TEST_CASE("numbers are in network order") {
  const std::string bytes =
      packed({.what = kind::message, .sequence = 0x0102030405060708, .topic = "t", .body = "b"});
  CHECK(bytes == std::string{"\1\0\1\2\3\4\5\6\7\x8\0\1t\0\0\0\1b", 18});
}

TEST_CASE("subscriptions say who wants what, and come in the order in which they are repeated") {
  feed_wishes wishes{};
  wishes.subscriber = 5;
  wishes.limit = 6;
  wishes.limit_bytes = 7;
  wishes.recovers = false;
  wishes.start = feed_start::since(std::uint64_t{8});
  const std::string first = wishes_topic(wishes);
  const std::string second = prefix_topic(5, "prices.");
  const std::string third = inbox_topic(5);
  CHECK(first < second);
  CHECK(second < third);
  CHECK(third < "\2");  // then the prefixes themselves

  const auto said = parse_subscription(first);
  REQUIRE(said.has_value());
  CHECK(said->what == feed_subscription::kind::wishes);
  CHECK(said->wishes.subscriber == 5);
  CHECK(said->wishes.limit == 6);
  CHECK(said->wishes.limit_bytes == 7);
  CHECK_FALSE(said->wishes.recovers);
  CHECK(said->wishes.start.what == feed_start::kind::since_sequence);
  CHECK(said->wishes.start.value == 8);

  const auto prefix = parse_subscription(second);
  REQUIRE(prefix.has_value());
  CHECK(prefix->what == feed_subscription::kind::prefix);
  CHECK(prefix->wishes.subscriber == 5);
  CHECK(prefix->prefix == "prices.");

  const auto inbox = parse_subscription(third);
  REQUIRE(inbox.has_value());
  CHECK(inbox->what == feed_subscription::kind::inbox);
  CHECK(inbox->wishes.subscriber == 5);
}

TEST_CASE("what is not said in these words is a plain subscription") {
  const std::string wishes = wishes_topic({});
  for (std::size_t size = 0; size < wishes.size(); ++size) {
    CHECK_FALSE(parse_subscription(std::string_view{wishes}.substr(0, size)).has_value());
  }
  std::string unknown_start = wishes;
  unknown_start[unknown_start.size() - 9] = 5;
  CHECK_FALSE(parse_subscription(unknown_start).has_value());
  std::string other_version = inbox_topic(1);
  other_version[4] = 2;
  CHECK_FALSE(parse_subscription(other_version).has_value());
  CHECK_FALSE(parse_subscription("prices.").has_value());
}

TEST_CASE("an address begins with the inbox of whom it is for, and costs no allocation") {
  const frame bytes = pack_address({1, 2, 3});
  CHECK(bytes.is_inline());
  CHECK(bytes.view().starts_with(inbox_topic(1)));
  const auto address = parse_address(bytes.view());
  REQUIRE(address.has_value());
  CHECK(address->subscriber == 1);
  CHECK(address->link == 2);
  CHECK(address->position == 3);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(parse_address(bytes.view().substr(0, size)).has_value());
  }
}

TEST_CASE("a request comes back as it was packed") {
  using request = feed_request::kind;
  for (const request what : {request::received, request::again, request::from, request::leave}) {
    const std::string bytes = request_topic({what, 1, 2, 3, 4, 5, 6});
    const auto said = parse_feed_request(bytes);
    REQUIRE(said.has_value());
    CHECK(said->what == what);
    CHECK(said->subscriber == 1);
    CHECK(said->link == 2);
    CHECK(said->position == 3);
    CHECK(said->sequence == 4);
    CHECK(said->sequence_urgent == 5);
    CHECK(said->number == 6);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CHECK_FALSE(parse_feed_request(std::string_view{bytes}.substr(0, size)).has_value());
    }
  }
  std::string unknown = request_topic({});
  unknown[5] = 5;
  CHECK_FALSE(parse_feed_request(unknown).has_value());
}

TEST_CASE("a mark comes back as it was packed") {
  const frame bytes = pack_mark({1, 2, 3});
  const auto mark = parse_mark(bytes.view());
  REQUIRE(mark.has_value());
  CHECK(mark->publisher == 1);
  CHECK(mark->sequence == 2);
  CHECK(mark->topic_sequence == 3);
  CHECK_FALSE(parse_mark(bytes.view().substr(1)).has_value());
  CHECK_FALSE(parse_mark("1.0842").has_value());
}
