// SPDX-License-Identifier: MPL-2.0
#include "chat/mutes.hpp"

#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace {

using verdict = mutes::verdict;

const parley::peer_id bob{{1}};
const parley::peer_id carol{{2}};
constexpr mutes::time_point start{};

}  // namespace

TEST_CASE("a limit is free again a window after what was taken first") {
  rate_limit limit{2, 10s};
  CHECK(limit.take(start));
  CHECK(limit.take(start + 4s));
  CHECK_FALSE(limit.take(start + 9s));
  CHECK(limit.next(start + 9s) == start + 10s);
  CHECK(limit.take(start + 10s));
  CHECK(limit.next(start + 10s) == start + 14s);
}

TEST_CASE("who says too much is muted once, others are not") {
  mutes all{3, 10s};
  for (int count = 0; count < 3; ++count) {
    CHECK(all.hear(bob, start) == verdict::heard);
  }
  CHECK(all.hear(bob, start + 1s) == verdict::muted_now);
  CHECK(all.hear(bob, start + 2s) == verdict::muted);
  CHECK(all.hear(carol, start + 2s) == verdict::heard);
}

TEST_CASE("who says the same over a longer time is heard") {
  mutes all{3, 10s};
  for (int count = 0; count < 20; ++count) {
    CHECK(all.hear(bob, start + count * 4s) == verdict::heard);
  }
}

TEST_CASE("a mute ends when its owner was quiet for a window, and says what was missed") {
  mutes all{1, 10s};
  CHECK(all.hear(bob, start) == verdict::heard);
  CHECK(all.hear(bob, start + 1s) == verdict::muted_now);
  CHECK(all.hear(bob, start + 8s) == verdict::muted);
  CHECK(all.next_end() == start + 18s);
  CHECK(all.end(start + 17s).empty());
  const auto ended = all.end(start + 18s);
  REQUIRE(ended.size() == 1);
  CHECK(ended.front().who == bob);
  CHECK(ended.front().count == 2);
  CHECK(all.next_end() == mutes::never);
  CHECK(all.hear(bob, start + 18s) == verdict::heard);
}

TEST_CASE("who is gone is forgotten") {
  mutes all{1, 10s};
  CHECK(all.hear(bob, start) == verdict::heard);
  CHECK(all.hear(bob, start) == verdict::muted_now);
  CHECK(all.forget(bob) == 1);
  CHECK(all.next_end() == mutes::never);
  CHECK(all.hear(bob, start) == verdict::heard);
}
