// SPDX-License-Identifier: MPL-2.0
#include "departures.hpp"

#include "support/catch.hpp"

using parley::detail::departures;

TEST_CASE("nobody waits for departures when all have ended") {
  departures from;
  CHECK(from.have_ended(from.turn_over()));
  CHECK_FALSE(from.end(from.begin()));
  CHECK_FALSE(from.end(from.begin()));
  CHECK(from.have_ended(from.turn_over()));
  CHECK(from.have_ended(from.turn_over()));
}

TEST_CASE("the last departure that somebody waits for hears so, once, and no other") {
  departures from;
  for (int round = 0; round < 5; ++round) {
    const auto first = from.begin();
    const auto second = from.begin();
    const auto third = from.begin();
    CHECK_FALSE(from.end(second));
    const auto before = from.turn_over();
    const auto later = from.begin();
    CHECK_FALSE(from.have_ended(before));
    CHECK_FALSE(from.end(later));
    CHECK_FALSE(from.end(from.begin()));
    CHECK_FALSE(from.end(third));
    CHECK(from.end(first));
    CHECK_FALSE(from.end(from.begin()));
    CHECK(from.have_ended(before));
  }
}

TEST_CASE("departures that go on and on hold up nobody who waits for earlier ones") {
  departures from;
  auto last = from.begin();
  for (int count = 0; count < 100; ++count) {
    const auto before = from.turn_over();
    const auto next = from.begin();  // one is always under way
    CHECK_FALSE(from.have_ended(before));
    CHECK(from.end(last));
    last = next;
  }
}
