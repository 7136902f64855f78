// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_history.hpp"
#include "chat/chat_view.hpp"
#include "chat/visible_text.hpp"

#include <parley/error.hpp>

#include <sys/stat.h>

#include <fstream>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

namespace {

using kind = chat_event::kind;

const bool in_utf8 = (use_utf8(), true);
const parley::peer_id bob{{0x3F, 0x2A}};

chat_event line(std::string text, std::string room = "lobby") {
  chat_event event{.what = kind::line, .peer = bob, .name = "bob"};
  event.room = std::move(room);
  event.text = std::move(text);
  return event;
}

std::string texts(const std::vector<chat_event>& events) {
  std::string all;
  for (const chat_event& each : events) {
    all += each.text + '\n';
  }
  return all;
}

}  // namespace

TEST_CASE("a history outlives its chat") {
  const parley::support::temporary_directory place;
  const auto file = place.path() / "state" / "parley" / "chat.db";
  {
    chat_history history{file, "ann"};
    history.add(line("first"), 1'000'000);
    history.add({.what = kind::private_line, .peer = bob, .name = "bob", .text = "second"}, 2);
    history.add({.what = kind::said, .name = "ann", .room = "lobby", .text = "third"}, 3);
    history.add({.what = kind::told, .peer = bob, .name = "bob", .text = "fourth"}, 4);
    history.add({.what = kind::enter, .peer = bob, .name = "bob"}, 5);
  }
  chat_history history{file, "ann"};
  const auto found = history.last(10);
  CHECK(texts(found) == "first\nsecond\nthird\nfourth\n");
  CHECK(found[0].what == kind::past);
  CHECK(found[0].was == kind::line);
  CHECK(found[0].room == "lobby");
  CHECK(found[0].peer == bob);
  CHECK(found[0].at == 1'000'000);
  CHECK(found[1].was == kind::private_line);
  CHECK(found[2].was == kind::said);
  CHECK(found[3].was == kind::told);
}

TEST_CASE("a history tells the last lines, of a room or of all") {
  const parley::support::temporary_directory place;
  chat_history history{place.path() / "chat.db", "ann"};
  history.add(line("1"), 1);
  history.add(line("2", "garden"), 2);
  history.add(line("3"), 3);
  CHECK(texts(history.last(2)) == "2\n3\n");
  CHECK(texts(history.last(2, "lobby")) == "1\n3\n");
  CHECK(texts(history.last(0)).empty());
}

TEST_CASE("a history finds parts of words, in capitals or not, in any script") {
  const parley::support::temporary_directory place;
  chat_history history{place.path() / "chat.db", "ann"};
  history.add(line("Über den Wolken"), 1);
  history.add(line("100% sicher_heit"), 2);
  history.add(line("你好吗"), 3);
  history.add(line("bytes \xff that are no text"), 4);
  CHECK(texts(history.find("über", 10)) == "Über den Wolken\n");
  CHECK(texts(history.find("WOLK", 10)) == "Über den Wolken\n");
  CHECK(texts(history.find("%", 10)) == "100% sicher_heit\n");
  CHECK(texts(history.find("好", 10)) == "你好吗\n");
  CHECK(texts(history.find("no text", 10)) == "bytes \xff that are no text\n");
  CHECK(history.find("'; DROP TABLE lines", 10).empty());
}

TEST_CASE("each name has a history of its own, also in one file at once") {
  const parley::support::temporary_directory place;
  chat_history anns{place.path() / "chat.db", "ann"};
  chat_history bobs{place.path() / "chat.db", "bob"};
  anns.add(line("to ann"), 1);
  bobs.add(line("to bob"), 2);
  CHECK(texts(anns.last(10)) == "to ann\n");
  CHECK(texts(bobs.last(10)) == "to bob\n");
}

TEST_CASE("nobody else can read a history") {
  const parley::support::temporary_directory place;
  const auto file = place.path() / "state" / "chat.db";
  chat_history history{file, "ann"};
  history.add(line("secret"), 1);
  for (const auto& each : {file, std::filesystem::path{file.string() + "-wal"}}) {
    struct stat about {};
    REQUIRE(::stat(each.c_str(), &about) == 0);
    CHECK((about.st_mode & 077u) == 0);
  }
}

TEST_CASE("a file of others is no history, and is left as it is") {
  const parley::support::temporary_directory place;
  const auto file = place.path() / "notes.txt";
  std::ofstream{file} << std::string(5000, 'x');
  CHECK_THROWS_AS((chat_history{file, "ann"}), parley::error);
  CHECK(std::filesystem::file_size(file) == 5000);
}
