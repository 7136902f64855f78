// SPDX-License-Identifier: MPL-2.0
#include <parley/pipe/wait_strategy.hpp>

#include "support/catch.hpp"

using namespace parley;
using namespace std::chrono_literals;

TEST_CASE("spinning that does not pay off is given up") {
  detail::spin_budget budget{{wait_mode::adaptive, 64us}};
  CHECK(budget.spin_for() == 64us);
  budget.waited(1ms);
  CHECK(budget.spin_for() == 32us);
  for (int i = 0; i < 4; ++i)
    budget.waited(1ms);
  CHECK(budget.spin_for() == 0us);
}

TEST_CASE("short waits bring spinning back, also when they were slept through") {
  detail::spin_budget budget{{wait_mode::adaptive, 64us}};
  for (int i = 0; i < 10; ++i)
    budget.waited(1ms);
  budget.waited(60us);
  CHECK(budget.spin_for() == 4us);
  for (int i = 0; i < 10; ++i)
    budget.waited(1us);
  CHECK(budget.spin_for() == 64us);
}

TEST_CASE("a fixed strategy learns nothing") {
  detail::spin_budget sleeper{{wait_mode::sleep, 64us}};
  sleeper.waited(1us);
  CHECK(sleeper.spin_for() == 0us);
  detail::spin_budget spinner{{wait_mode::spin, 64us}};
  spinner.waited(1s);
  CHECK(spinner.spin_for() == 64us);
}
