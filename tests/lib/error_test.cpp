// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>

#include "support/catch.hpp"

using namespace parley;

TEST_CASE("an error names what and where, and the sentence of its code") {
  const error caught{errc::cannot_bind, "tcp://*:80"};
  CHECK(std::string{caught.what()} == "tcp://*:80: cannot bind");
  CHECK(caught.code() == errc::cannot_bind);
}

TEST_CASE("a remote error keeps the peer's own words") {
  const remote_error caught{"std::runtime_error", "no such account"};
  CHECK(caught.type() == "std::runtime_error");
  CHECK(caught.text() == "no such account");
  CHECK(caught.code() == errc::remote);
}

TEST_CASE("every code has a sentence of its own") {
  for (int code = 1; code <= static_cast<int>(errc::internal); ++code) {
    CHECK(category().message(code).find("unknown") == std::string::npos);
  }
  CHECK(category().message(10'000).find("unknown") != std::string::npos);
}
