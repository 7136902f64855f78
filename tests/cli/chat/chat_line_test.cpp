// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_line.hpp"

#include "support/catch.hpp"

namespace {

using kind = chat_line::kind;

void check(const char* typed, kind what, const char* to, const char* text) {
  CAPTURE(typed);
  const chat_line line = parse_chat_line(typed);
  CHECK(line.what == what);
  CHECK(line.to == to);
  CHECK(line.text == text);
}

}  // namespace

TEST_CASE("a line without a slash is said, without the spaces around it") {
  check("hello, all", kind::say, "", "hello, all");
  check("  two  words \r", kind::say, "", "two  words");
  check("   ", kind::nothing, "", "");
  check("", kind::nothing, "", "");
}

TEST_CASE("two slashes say a line that begins with one") {
  check("//etc/passwd", kind::say, "", "/etc/passwd");
  check("//", kind::say, "", "/");
}

TEST_CASE("a message to one person has a name and a text") {
  check("/msg bob lunch?  now", kind::tell, "bob", "lunch?  now");
  check("/msg  bob~3F2A /quit", kind::tell, "bob~3F2A", "/quit");
  check("/msg bob", kind::incomplete, "/msg", "NAME TEXT");
  check("/msg", kind::incomplete, "/msg", "NAME TEXT");
}

TEST_CASE("the name of a room may have spaces") {
  check("/join the garden ", kind::join, "the garden", "");
  check("/leave", kind::leave, "", "");
  check("/leave lobby", kind::leave, "lobby", "");
  check("/join", kind::incomplete, "/join", "ROOM");
}

TEST_CASE("an away note is the rest of the line") {
  check("/away at lunch", kind::away, "", "at lunch");
  check("/away", kind::away, "", "");
  check("/back", kind::back, "", "");
}

TEST_CASE("every other word behind a slash is told as unknown") {
  check("/shout hello", kind::unknown, "/shout", "");
  check("/", kind::unknown, "/", "");
  check("/Join x", kind::unknown, "/Join", "");
}

TEST_CASE("every command is known by its word") {
  for (const chat_command& each : chat_commands()) {
    CHECK(parse_chat_line(std::string{each.word} + " a b").what == each.what);
  }
}
