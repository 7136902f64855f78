// SPDX-License-Identifier: MPL-2.0
#include "call_ids.hpp"

#include <set>

#include "support/catch.hpp"

TEST_CASE("ids differ, and do not follow from each other") {
  parley::detail::call_ids ids;
  std::set<std::uint64_t> seen;
  std::set<std::uint64_t> steps;
  std::uint64_t last = 0;
  for (int count = 0; count < 1000; ++count) {
    const std::uint64_t id = ids.next();
    seen.insert(id);
    steps.insert(id - last);
    last = id;
  }
  CHECK(seen.size() == 1000);
  CHECK(steps.size() == 1000);
}
