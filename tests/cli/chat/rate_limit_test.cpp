// SPDX-License-Identifier: MPL-2.0
#include "chat/rate_limit.hpp"

#include "support/catch.hpp"

using namespace std::chrono_literals;

TEST_CASE("a limit is free again a window after what was taken first") {
  constexpr rate_limit::time_point start{};
  rate_limit limit{2, 10s};
  CHECK(limit.take(start));
  CHECK(limit.take(start + 4s));
  CHECK_FALSE(limit.take(start + 9s));
  CHECK(limit.next(start + 9s) == start + 10s);
  CHECK(limit.take(start + 10s));
  CHECK(limit.next(start + 10s) == start + 14s);
}
