// SPDX-License-Identifier: MPL-2.0
#include "stomp/destination.hpp"

#include "support/catch.hpp"

using parley::stomp::destination;

TEST_CASE("the first word of a destination is its kind") {
  CHECK(destination::parse("/topic/a.b")->what == destination::kind::topic);
  CHECK(destination::parse("/topic/a.b")->name == "a.b");
  CHECK(destination::parse("/queue/a/b")->name == "a/b");
  CHECK(destination::parse("/temp-queue/x")->what == destination::kind::temp_queue);
  CHECK(destination::parse("/reply-queue/7/x")->name == "7/x");
}

TEST_CASE("the method of a service is its name when none is given") {
  const auto plain = destination::parse("/service/add");
  CHECK(plain->name == "add");
  CHECK(plain->method == "add");
  const auto named = destination::parse("/service/calculator/add");
  CHECK(named->name == "calculator");
  CHECK(named->method == "add");
}

TEST_CASE("anything else is no destination, and the sentence says what is") {
  for (const char* const text :
       {"", "/", "topic/a", "/topic/", "/topic", "/service//add", "/service/a/", "/exchange/a"}) {
    CHECK_FALSE(destination::parse(text));
  }
  CHECK(destination::expected("/exchange/a").find("/exchange/a") != std::string::npos);
  CHECK(destination::expected("/exchange/a").find("/service/NAME/METHOD") != std::string::npos);
}
