// SPDX-License-Identifier: MPL-2.0
#include "call_deadlines.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using parley::detail::call_deadlines;
using time_point = call_deadlines::time_point;

TEST_CASE("no deadline is due when there is none") {
  call_deadlines deadlines;
  CHECK(deadlines.earliest() == time_point::max());
  CHECK_FALSE(deadlines.due(time_point::max()));
}

TEST_CASE("deadlines come due in order, in whatever order they were added") {
  std::mt19937 random{20261122};
  for (int round = 0; round < 50; ++round) {
    call_deadlines deadlines;
    std::map<std::uint64_t, time_point> open;
    const auto is_open = [&](std::uint64_t id) { return open.count(id) > 0; };
    std::uint64_t next = 0;
    time_point now{1h};
    for (int step = 0; step < 2000; ++step) {
      now += std::chrono::milliseconds{random() % 3};
      // Mostly one timeout, as the calls of most programs have.
      const auto timeout = random() % 4 == 0 ? std::chrono::milliseconds{random() % 200} : 100ms;
      open.emplace(++next, now + timeout);
      deadlines.add(now + timeout, next, open.size(), is_open);
      REQUIRE(deadlines.size() <= 2 * open.size() + 64);
      if (random() % 2 == 0) {
        open.erase(std::next(open.begin(), static_cast<long>(random() % open.size())));
      }
      time_point before{};
      while (const auto due = deadlines.due(now)) {
        deadlines.pop();
        const auto late = open.find(*due);
        if (late != open.end()) {
          REQUIRE(late->second <= now);
          REQUIRE(late->second >= before);
          before = late->second;
          open.erase(late);
        }
      }
      for (const auto& [id, when] : open) {
        REQUIRE(when > now);
        REQUIRE(deadlines.earliest() <= when);
      }
    }
  }
}

TEST_CASE("calls that have ended take no room beside one that lasts") {
  // In the order of their deadlines, and in the reverse.
  for (const auto step : {1ms, -1ms}) {
    call_deadlines deadlines;
    const auto only_first = [](std::uint64_t id) { return id == 1; };
    for (std::uint64_t id = 1; id < 10'000; ++id) {
      deadlines.add(time_point{1h} + step * static_cast<std::int64_t>(id), id, 1, only_first);
      REQUIRE(deadlines.size() <= 66);
    }
    std::optional<std::uint64_t> last;
    while (const auto due = deadlines.due(time_point{2h})) {
      deadlines.pop();
      last = due == 1U ? due : last;
    }
    CHECK(last == 1U);
  }
}
