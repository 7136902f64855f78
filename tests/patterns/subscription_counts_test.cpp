// SPDX-License-Identifier: MPL-2.0
#include "subscription_counts.hpp"

#include <string>

#include "support/catch.hpp"

using parley::detail::subscription_counts;

namespace {
const std::string off(1, '\0');
}

TEST_CASE("subscriptions are counted by the prefixes of a topic") {
  subscription_counts counts;
  counts.apply("\1");
  counts.apply("\1news.");
  counts.apply("\1news.");
  counts.apply("\1news.today");
  CHECK(counts.matching("news.today") == 4);
  CHECK(counts.matching("news.") == 3);
  CHECK(counts.matching("other") == 1);
  CHECK(counts.matching("") == 1);
}

TEST_CASE("each cancellation takes one subscription back") {
  subscription_counts counts;
  counts.apply("\1a");
  counts.apply("\1a");
  counts.apply(off + "a");
  CHECK(counts.matching("a") == 1);
  counts.apply(off + "a");
  counts.apply(off + "a");
  CHECK(counts.matching("a") == 0);
}

TEST_CASE("what is no subscription is ignored") {
  subscription_counts counts;
  counts.apply("");
  counts.apply("hello");
  CHECK(counts.matching("hello") == 0);
}
