// SPDX-License-Identifier: MPL-2.0
#include "shared_options.hpp"

#include <chrono>

#include "support/catch.hpp"

using namespace parley;
using parley::detail::shared_options;

TEST_CASE("sockets with the default options share them") {
  const shared_options one;
  const shared_options other{socket_options{}};
  CHECK(&*one == &*other);
  CHECK(*one == socket_options{});
}

TEST_CASE("options that differ in anything are kept as they are") {
  const curve_keys keys = generate_curve_keys();
  const auto check = [](const socket_options& wanted) {
    const shared_options kept{wanted};
    CHECK_FALSE(*kept == socket_options{});
    CHECK(*kept == wanted);
    const shared_options copy{kept};
    CHECK(&*copy == &*kept);
  };
  check({.send_limit = 1});
  check({.batch = {.bytes = 8192}});
  check({.batch = {.delay = std::chrono::microseconds{1}}});
  check({.curve = keys});
  check({.curve = {keys.public_key, keys}});
  check({.routing_id = "name"});
  check({.relaxed = true});
}

// The key would turn into a client of that server, with fresh keys of its own, equal to nothing.
template<class Left, class Right>
concept comparable = requires(const Left& left, const Right& right) {
  left == right;
};
static_assert(comparable<curve_security, curve_security>);
static_assert(!comparable<curve_security, curve_key>);
static_assert(!comparable<curve_security, curve_keys>);
