// SPDX-License-Identifier: MPL-2.0
#include "waker.hpp"

#include <chrono>
#include <future>

#include "support/catch.hpp"
#include "support/connected.hpp"

using parley::detail::waker;
using parley::support::patience;

TEST_CASE("a rest until a time that is long past is over at once") {
  waker asleep;
  auto resting = std::async(std::launch::async, [&] { asleep.rest({}, waker::time_point::min()); });
  const bool is_over = resting.wait_for(patience) == std::future_status::ready;
  asleep.wake();
  CHECK(is_over);
}
