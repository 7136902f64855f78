// SPDX-License-Identifier: MPL-2.0
#include "peers/sender_rates.hpp"

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;

namespace {

using verdict = sender_rates::verdict;

const peer_id bob{{1}};
const peer_id carol{{2}};
constexpr sender_rates::time_point start{};

}  // namespace

TEST_CASE("who says too much is muted once, others are not") {
  sender_rates all{{.messages = 3, .within = 10s}};
  for (int count = 0; count < 3; ++count) {
    CHECK(all.hear(bob, 1, start) == verdict::heard);
  }
  CHECK(all.hear(bob, 1, start + 1s) == verdict::muted_now);
  CHECK(all.hear(bob, 1, start + 2s) == verdict::muted);
  CHECK(all.hear(bob, 1, start + 9s) == verdict::muted);  // though there would be room
  CHECK(all.hear(carol, 1, start + 2s) == verdict::heard);
}

TEST_CASE("who says as much again within the time of the rate is heard") {
  sender_rates all{{.messages = 3, .within = 10s}};
  for (int round = 0; round < 5; ++round) {
    for (int count = 0; count < 3; ++count) {
      CHECK(all.hear(bob, 1, start + round * 10s) == verdict::heard);
    }
  }
  sender_rates steady{{.messages = 3, .within = 9s}};
  for (int count = 0; count < 1000; ++count) {
    REQUIRE(steady.hear(bob, 1, start + count * 3s) == verdict::heard);
  }
}

TEST_CASE("what was saved up is no more than the rate's messages") {
  sender_rates all{{.messages = 2, .within = 1s}};
  CHECK(all.hear(bob, 1, start) == verdict::heard);
  CHECK(all.hear(bob, 1, start + 60s) == verdict::heard);
  CHECK(all.hear(bob, 1, start + 60s) == verdict::heard);
  CHECK(all.hear(bob, 1, start + 60s) == verdict::muted_now);
}

TEST_CASE("too many bytes are too much, too, and so is one message that is larger") {
  sender_rates all{{.bytes = 100, .within = 10s}};
  CHECK(all.hear(bob, 60, start) == verdict::heard);
  CHECK(all.hear(bob, 60, start + 1s) == verdict::muted_now);
  CHECK(all.hear(carol, 100, start) == verdict::heard);
  CHECK(all.hear(carol, 50, start + 5s) == verdict::heard);
  CHECK(all.hear(carol, 101, start + 60s) == verdict::muted_now);
}

TEST_CASE("a mute ends when its owner was quiet for as long, and says what was missed") {
  sender_rates all{{.messages = 1, .within = 10s}};
  CHECK(all.due() == sender_rates::never);
  CHECK(all.hear(bob, 1, start) == verdict::heard);
  CHECK(all.hear(bob, 1, start + 1s) == verdict::muted_now);
  CHECK(all.hear(bob, 1, start + 8s) == verdict::muted);
  CHECK(all.due() == start + 18s);
  CHECK(all.end(start + 17s).empty());
  const auto ended = all.end(start + 18s);
  REQUIRE(ended.size() == 1);
  CHECK(ended.front().who == bob);
  CHECK(ended.front().count == 2);
  CHECK(all.due() == sender_rates::never);
  CHECK(all.hear(bob, 1, start + 18s) == verdict::heard);
}

TEST_CASE("letters have a room of their own, mute nobody, and wait while their sender is muted") {
  sender_rates all{{.messages = 1, .bytes = 10, .within = 10s}};
  CHECK(all.takes_letter(bob, 1000, start));  // a large one takes all there is
  CHECK_FALSE(all.takes_letter(bob, 1, start + 9s));
  CHECK(all.hear(bob, 1, start + 9s) == verdict::heard);
  CHECK(all.takes_letter(bob, 1, start + 10s));
  CHECK(all.hear(bob, 1, start + 10s) == verdict::muted_now);
  CHECK_FALSE(all.takes_letter(bob, 1, start + 20s));
  static_cast<void>(all.end(start + 20s));
  CHECK(all.takes_letter(bob, 1, start + 20s));
}

TEST_CASE("who is gone is forgotten") {
  sender_rates all{{.messages = 1, .within = 10s}};
  CHECK(all.hear(bob, 1, start) == verdict::heard);
  CHECK(all.hear(bob, 1, start) == verdict::muted_now);
  all.forget(bob);
  CHECK(all.due() == sender_rates::never);
  CHECK(all.hear(bob, 1, start) == verdict::heard);
}

TEST_CASE("without a rate everybody says what he likes") {
  sender_rates all{{}};
  for (int count = 0; count < 1000; ++count) {
    REQUIRE(all.hear(bob, 1'000'000, start) == verdict::heard);
    REQUIRE(all.takes_letter(bob, 1'000'000, start));
  }
}
