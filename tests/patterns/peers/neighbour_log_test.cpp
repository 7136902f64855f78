// SPDX-License-Identifier: MPL-2.0
#include "peers/neighbour_log.hpp"

#include <algorithm>
#include <string>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;

namespace {

peer_id id_of(std::uint16_t number) {
  std::array<std::uint8_t, peer_id::size> bytes{};
  bytes[0] = static_cast<std::uint8_t>(number);
  bytes[1] = static_cast<std::uint8_t>(number >> 8);
  bytes[2] = 1;
  return peer_id{bytes};
}

struct log_with_time {
  neighbour_log log{};
  neighbour_log::time_point now{1h};

  void hear(std::uint16_t who) {
    const beacon said{id_of(who), 5000, {}};
    const std::string bytes = write_beacon(said);
    log.heard({bytes, "10.0.0.1", "eth0", beacon_carrier::broadcast}, said, now);
  }
  void try_out(std::uint16_t who) {
    log.probed(id_of(who), {"10.0.0.1", 5000}, probe_answer::refused, now);
  }
  [[nodiscard]] bool knows(std::uint16_t who) {
    return std::ranges::any_of(log.all(now),
                               [&](const neighbour& each) { return each.id == id_of(who); });
  }
};

}  // namespace

TEST_CASE("a neighbour is noted with what was heard of it, and what it answered") {
  log_with_time one;
  one.hear(1);
  one.hear(1);
  one.try_out(1);
  one.try_out(2);
  const auto all = one.log.all(one.now);
  REQUIRE(all.size() == 2);
  CHECK(all[0].version == 1);
  REQUIRE(all[0].sightings.size() == 1);
  CHECK(all[0].sightings[0].count == 2);
  REQUIRE(all[0].attempts.size() == 1);
  CHECK(all[0].attempts[0].last == probe_answer::refused);
  CHECK(all[1].id == id_of(2));
  CHECK(all[1].sightings.empty());
}

TEST_CASE("of too many neighbours those are noted that were heard last") {
  log_with_time one;
  one.hear(0);
  for (std::uint16_t who = 1; who < neighbour_log::most + 100; ++who) {
    one.now += 1ms;
    one.hear(who);
    one.try_out(who);
    one.hear(0);  // goes on
  }
  CHECK(one.log.all(one.now).size() <= neighbour_log::most + 1);
  CHECK(one.knows(0));
  CHECK_FALSE(one.knows(1));
  CHECK(one.knows(neighbour_log::most + 99));
}

TEST_CASE("a neighbour that keeps silent is forgotten after a while") {
  log_with_time one;
  one.hear(1);
  one.try_out(2);
  one.hear(3);
  one.now += neighbour_log::memory - 1s;
  one.hear(3);
  CHECK(one.knows(1));
  one.now += 1s;
  CHECK_FALSE(one.knows(1));
  CHECK_FALSE(one.knows(2));
  CHECK(one.knows(3));
}
