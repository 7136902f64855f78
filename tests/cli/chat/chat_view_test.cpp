// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_view.hpp"
#include "chat/visible_text.hpp"

#include <set>

#include "support/catch.hpp"

namespace {

using kind = chat_event::kind;

const bool in_utf8 = (use_utf8(), true);
const parley::peer_id bob{{0x3F, 0x2A}};
constexpr std::int64_t ten_past_two = 1'790'042'400'123'456;  // 2026-09-22T02:00:00.123456Z

chat_event said_by_bob(std::string text) {
  chat_event event{.what = kind::line, .peer = bob, .name = "bob"};
  event.label = "bob";
  event.room = "lobby";
  event.text = std::move(text);
  return event;
}

}  // namespace

TEST_CASE("a line is plain text without colours") {
  CHECK(chat_view{}.line(said_by_bob("hello"), 0) == "[lobby] bob: hello");
}

TEST_CASE("colours end where they began, and text brings none of its own") {
  const chat_view view{.has_colours = true};
  const std::string line = view.line(said_by_bob("\x1b[31mhello"), 0);
  CHECK_THAT(line, Catch::Contains("\x1b[0m: \\x1b[31mhello"));
  CHECK(chat_view{}.line(said_by_bob("x"), 0).find('\x1b') == std::string::npos);
}

TEST_CASE("a line has the time of day where a person looks at it") {
  const chat_view view{.has_time = true};
  const std::string line = view.line(said_by_bob("hello"), ten_past_two);
  REQUIRE(line.size() == std::string{"00:00 [lobby] bob: hello"}.size());
  CHECK(line[2] == ':');
}

TEST_CASE("own lines are not repeated to who typed them on paper") {
  chat_event own{.what = kind::said, .name = "ann", .label = "ann", .is_own = true};
  own.room = "lobby";
  own.text = "hi";
  own.count = 2;
  CHECK(chat_view{.shows_own = false}.line(own, 0).empty());
  CHECK(chat_view{}.line(own, 0) == "[lobby] ann: hi");
  own.count = 0;
  CHECK(chat_view{}.line(own, 0) == "[lobby] ann: hi  (nobody else is in lobby)");
}

TEST_CASE("an event is an object with the time in UTC") {
  CHECK(to_json(said_by_bob("hello"), ten_past_two).dump() ==
        R"({"event":"line","at":"2026-09-22T02:00:00.123456Z",)"
        R"("peer":"3F2A0000000000000000000000000000","name":"bob","room":"lobby","text":"hello"})");
}

TEST_CASE("text that is none is in base64") {
  const auto object = to_json(said_by_bob("\xff"), 0);
  CHECK(object["text_base64"] == "/w==");
  CHECK_FALSE(object.contains("text"));
}

TEST_CASE("every kind of event is told in JSON by a word of its own") {
  std::set<std::string> words;
  for (int number = 0; number <= static_cast<int>(kind::help); ++number) {
    chat_event event{.what = static_cast<kind>(number)};
    words.insert(to_json(event, 0)["event"].get<std::string>());
  }
  CHECK(words.size() == static_cast<std::size_t>(kind::help) + 1);
  CHECK(words.count("") == 0);
}

TEST_CASE("the past is told with its own time") {
  auto event = said_by_bob("hello");
  event.what = kind::past;
  event.at = ten_past_two;
  const auto object = to_json(event, 0);
  CHECK(object["at"] == "2026-09-22T02:00:00.123456Z");
  CHECK(object["was"] == "line");
  CHECK_THAT((chat_view{.has_time = true}.line(event, 0)), Catch::Contains("2026-09-2"));
}

TEST_CASE("the prompt names the room") {
  CHECK(chat_view{}.prompt("lobby") == "lobby> ");
  CHECK(chat_view{}.prompt("") == "(no room)> ");
  CHECK(chat_view{}.prompt("\x1b[2J") == "\\x1b[2J> ");
}
