// SPDX-License-Identifier: MPL-2.0
#include "subscription_table.hpp"

#include <set>
#include <string>

#include "subscription_set.hpp"
#include "support/catch.hpp"

using parley::detail::subscription_set;
using parley::detail::subscription_table;

namespace {

struct peer {};

std::multiset<const peer*> matching(const subscription_table<peer>& table,
                                    const std::string& topic) {
  std::multiset<const peer*> found;
  table.match(topic, 0, [&](peer& each) { found.insert(&each); });
  return found;
}

}  // namespace

TEST_CASE("a topic is for those who asked for one of its prefixes") {
  subscription_table<peer> table;
  peer one;
  peer two;
  table.add("a", &one);
  table.add("abc", &two);
  table.add("", &two);
  CHECK(matching(table, "") == std::multiset<const peer*>{&two});
  CHECK(matching(table, "ab") == std::multiset<const peer*>{&one, &two});
  CHECK(matching(table, "abcd") == std::multiset<const peer*>{&one, &two, &two});
  CHECK(matching(table, "b") == std::multiset<const peer*>{&two});
}

TEST_CASE("the first subscription to a prefix and the last to go are told apart from others") {
  subscription_table<peer> table;
  peer one;
  peer two;
  CHECK(table.add("a", &one));
  CHECK_FALSE(table.add("a", &two));
  CHECK_FALSE(table.add("a", &two));
  CHECK_FALSE(table.remove("a", &two));
  CHECK_FALSE(table.remove("a", &two));
  CHECK_FALSE(table.remove("b", &one));
  CHECK(table.remove("a", &one));
  CHECK(matching(table, "a").empty());
}

TEST_CASE("a peer that goes takes its subscriptions along") {
  subscription_table<peer> table;
  peer one;
  peer two;
  table.add("a", &one);
  table.add("b", &one);
  table.add("b", &two);
  std::set<std::pair<std::string, bool>> told;
  table.remove_peer(
      &one, [&](std::string_view prefix, bool nobody_left) { told.emplace(prefix, nobody_left); });
  CHECK(told == std::set<std::pair<std::string, bool>>{{"a", true}, {"b", false}});
  CHECK(matching(table, "a").empty());
  CHECK(matching(table, "b").size() == 1);
}

TEST_CASE("a set of subscriptions counts them, and knows prefixes of a topic among any others") {
  subscription_set wanted;
  wanted.add("a");
  wanted.add("a");
  wanted.add("ab!");
  wanted.add("abcd");
  CHECK(wanted.matches("a"));
  CHECK(wanted.matches("abcc"));
  CHECK_FALSE(wanted.matches("b"));
  CHECK_FALSE(wanted.matches(""));
  CHECK_FALSE(wanted.remove("a"));
  CHECK(wanted.remove("a"));
  CHECK_FALSE(wanted.remove("a"));
  CHECK_FALSE(wanted.matches("abcc"));
  CHECK(wanted.matches("abcde"));
  CHECK(wanted.matches("ab!?"));
  CHECK(wanted.size() == 2);
}
