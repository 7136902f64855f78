// SPDX-License-Identifier: MPL-2.0
#include "origins.hpp"

#include <string>

#include "support/catch.hpp"

using parley::detail::origins;

TEST_CASE("a message is new once, and older ones of its topic are not") {
  origins seen;
  CHECK(seen.is_new(1, "t", 5, false));
  CHECK_FALSE(seen.is_new(1, "t", 5, false));
  CHECK_FALSE(seen.is_new(1, "t", 4, false));
  CHECK(seen.is_new(1, "t", 6, false));
}

TEST_CASE("publishers, topics and urgent messages have numbers by themselves") {
  origins seen;
  CHECK(seen.is_new(1, "t", 5, false));
  CHECK(seen.is_new(2, "t", 5, false));
  CHECK(seen.is_new(1, "u", 3, false));
  CHECK(seen.is_new(1, "t", 1, true));
  CHECK_FALSE(seen.is_new(2, "t", 5, false));
  CHECK_FALSE(seen.is_new(1, "u", 3, false));
  CHECK_FALSE(seen.is_new(1, "t", 1, true));
}

TEST_CASE("the topic that was silent longest is forgotten when there are too many") {
  origins seen;
  CHECK(seen.is_new(1, "silent", 1, false));
  CHECK(seen.is_new(1, "busy", 1, false));
  bool is_good = true;
  for (std::size_t number = 0; number < origins::most - 1; ++number) {
    is_good = is_good && seen.is_new(1, std::to_string(number), 1, false) &&
              !seen.is_new(1, "busy", 1, false);
  }
  CHECK(is_good);
  CHECK(seen.is_new(1, "silent", 1, false));
}

TEST_CASE("topics with long names are forgotten sooner") {
  origins seen;
  const auto name = [](std::size_t number) {
    return std::to_string(number) + std::string(60'000, 'x');
  };
  constexpr std::size_t fit = origins::most_bytes / 61'000;
  bool is_good = true;
  for (std::size_t number = 0; number < fit; ++number) {
    is_good = is_good && seen.is_new(1, name(number), 1, false);
  }
  for (std::size_t number = 0; number < fit; ++number) {
    is_good = is_good && !seen.is_new(1, name(number), 1, false);
  }
  CHECK(is_good);
  for (std::size_t number = fit; number < 2 * fit; ++number) {
    is_good = is_good && seen.is_new(1, name(number), 1, false);
  }
  CHECK(is_good);
  CHECK(seen.is_new(1, name(0), 1, false));
}
