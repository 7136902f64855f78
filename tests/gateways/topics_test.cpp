// SPDX-License-Identifier: MPL-2.0
#include "stomp/topics.hpp"

#include "support/catch.hpp"

using namespace parley::stomp;

TEST_CASE("a pattern without wildcards matches itself") {
  CHECK(topic_matches("a.b", "a.b"));
  CHECK_FALSE(topic_matches("a.b", "a"));
  CHECK_FALSE(topic_matches("a.b", "a.bc"));
  CHECK_FALSE(topic_matches("a", "a.b"));
}

TEST_CASE("* stands for exactly one word") {
  CHECK(topic_matches("a.*", "a.b"));
  CHECK(topic_matches("*.b", "a.b"));
  CHECK_FALSE(topic_matches("a.*", "a"));
  CHECK_FALSE(topic_matches("a.*", "a.b.c"));
  CHECK(topic_matches("*", "a"));
  CHECK_FALSE(topic_matches("a*", "ab"));
}

TEST_CASE("# stands for any number of words, also none") {
  CHECK(topic_matches("a.#", "a"));
  CHECK(topic_matches("a.#", "a.b.c"));
  CHECK(topic_matches("#", "a.b"));
  CHECK(topic_matches("#.c", "a.b.c"));
  CHECK(topic_matches("#.c", "c"));
  CHECK(topic_matches("a.#.d", "a.d"));
  CHECK(topic_matches("a.#.d", "a.b.d.c.d"));
  CHECK_FALSE(topic_matches("a.#.d", "a.b.c"));
  CHECK(topic_matches("#.*", "a"));
  CHECK(topic_matches("#.b.#.b", "a.b.c.b"));
  CHECK_FALSE(topic_matches("#.b.#.b", "a.b.c"));
  CHECK_FALSE(topic_matches("a.#", "ab"));
}

TEST_CASE("a hostile pattern costs no more than its length") {
  std::string pattern;
  std::string topic;
  for (int i = 0; i < 2'000; ++i)
    pattern += "#.*.a.";
  for (int i = 0; i < 4'000; ++i)
    topic += "b.";
  CHECK_FALSE(topic_matches(pattern, topic));
}

TEST_CASE("the prefix of a pattern is what all its topics begin with") {
  CHECK(topic_prefix("a.b") == "a.b");
  CHECK(topic_prefix("a.b.*") == "a.b.");
  CHECK(topic_prefix("a.b.#") == "a.b");
  CHECK(topic_prefix("a.*.c") == "a.");
  CHECK(topic_prefix("*") == "");
  CHECK(topic_prefix("#") == "");
  CHECK(topic_prefix("a.b*") == "a.b*");
}

TEST_CASE("subscribers are found by name and by pattern, until they leave") {
  topics<int> all;
  all.add("a.b", 1);
  all.add("a.*", 2);
  all.add("#", 3);
  all.add("c", 4);
  CHECK(all.match("a.b") == std::vector{1, 2, 3});
  CHECK(all.match("a.b") == std::vector{1, 2, 3});
  all.remove("a.*", 2);
  CHECK(all.match("a.b") == std::vector{1, 3});
  all.remove("a.b", 1);
  all.remove("#", 3);
  CHECK(all.match("a.b").empty());
  CHECK(all.match("c") == std::vector{4});
}

TEST_CASE("who subscribes twice is found twice") {
  topics<int> all;
  all.add("a", 1);
  all.add("*", 1);
  CHECK(all.match("a") == std::vector{1, 1});
  all.remove("a", 1);
  CHECK(all.match("a") == std::vector{1});
}

TEST_CASE("more topics than are remembered are matched as well") {
  topics<int> all;
  all.add("*", 1);
  for (int i = 0; i < 10'000; ++i)
    REQUIRE(all.match(std::to_string(i)).size() == 1);
}
