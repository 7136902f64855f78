// SPDX-License-Identifier: MPL-2.0
#include "feed_bundle.hpp"

#include <string>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;

namespace {

feed_ref bundle_of(const std::vector<std::string>& bodies) {
  const feed_ref made{new feed_bundle{false, 7, 0, 0}};
  for (const std::string& each : bodies) {
    made->add("topic", each);
  }
  return made;
}

std::string words(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const auto entry = take_entry(bytes);
    REQUIRE(entry.has_value());
    text += std::to_string(entry->sequence) + std::string{entry->topic} + std::string{entry->body};
  }
  return text;
}

}  // namespace

TEST_CASE("a bundle holds messages as they travel, with numbers in a row") {
  const feed_ref made = bundle_of({"a", "b", "c"});
  CHECK(words(made->bytes.view()) == "7topica8topicb9topicc");
  CHECK(made->sequence(2) == 9);
  CHECK(made->topic(1) == "topic");
  CHECK(made->body_of(1) == "b");
}

TEST_CASE("what leaves is a slice of it, which outlives it") {
  frame sent;
  {
    feed_range some{bundle_of({std::string(100, 'a'), "b", std::string(100, 'c')}), 0, 3};
    static_cast<void>(some.take(1));
    sent = some.packed();
  }
  CHECK(words(sent.view()) == "8topicb9topic" + std::string(100, 'c'));
}

TEST_CASE("ranges are parted and joined, and know what they cost") {
  const feed_ref made = bundle_of({"a", "b", "c", "d"});
  feed_range rest{made, 0, 4};
  const std::size_t whole = rest.cost();
  feed_range first = rest.take(3);
  CHECK(first.cost() + rest.cost() == whole);
  CHECK(first.first() == 7);
  CHECK(first.last() == 9);
  CHECK_FALSE(first.join({made, 2, 3}));
  CHECK_FALSE(first.join({bundle_of({"a", "b", "c", "d"}), 3, 4}));
  CHECK(first.join(rest));
  CHECK(first.size() == 4);
}

TEST_CASE("a large body travels behind the others, and nothing behind it") {
  const feed_ref made = bundle_of({"a"});
  const std::string large(feed_bundle::large_body, 'x');
  CHECK(made->has_room_for(5, large.size()));
  made->add({.topic = "topic"}, frame{large});
  CHECK_FALSE(made->has_room_for(5, 1));
  CHECK(made->is_followed(2));
  CHECK_FALSE(made->is_followed(1));
  CHECK(made->body_of(1) == large);
  CHECK(feed_range{made, 1, 2}.cost() > large.size());
}

TEST_CASE("a bundle has an end") {
  const feed_ref made = bundle_of({});
  std::size_t count = 0;
  for (; made->has_room_for(5, 1000); ++count) {
    made->add("topic", std::string(1000, 'x'));
  }
  CHECK(made->bytes.size() <= feed_bundle::most_bytes);
  CHECK(count > 30);
}

TEST_CASE("a message knows whether the one before it has the same topic") {
  const feed_ref made{new feed_bundle{false, 1, 0, 0}};
  for (const char* topic : {"a", "a", "ab", "a", "a"}) {
    made->add(topic, "x");
  }
  made->add({.is_relayed = true, .topic = "a"}, "y");
  made->add({.is_relayed = true, .topic = "b"}, "y");
  made->add("b", "x");
  std::string told;
  for (const feed_bundle::part& each : made->parts) {
    told += each.topic == feed_bundle::as_before ? '=' : '!';
  }
  CHECK(told == "!=!!==!=");
  CHECK(words(made->bytes.view()) == "1ax2ax3abx4ax5ax6ay7by8bx");
}

TEST_CASE("one message alone does not keep the others") {
  const feed_ref made = bundle_of({"a", "b"});
  const feed_range alone = feed_range{made, 1, 2}.alone();
  CHECK(alone.of.get() != made.get());
  CHECK(words(alone.of->bytes.view()) == "8topicb");
  CHECK(feed_range{alone.of, 0, 1}.alone().of.get() == alone.of.get());
}
