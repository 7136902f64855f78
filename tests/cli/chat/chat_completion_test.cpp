// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_completion.hpp"

#include "chat_world.hpp"

#include "support/catch.hpp"

namespace {

struct garden : chat_world {
  garden() {
    enters(bob, "bob");
    enters(other_bob, "Bobby Tables");
    joins(bob, "the garden");
  }
  // "begun|word word|behind"
  std::string tab(std::string_view typed) {
    const auto found = complete_chat(typed, desk);
    std::string all = found.begun + '|';
    for (const std::string& each : found.words) {
      all += (all.back() == '|' ? "" : ",") + each;
    }
    return all + '|' + found.behind;
  }
};

}  // namespace

TEST_CASE("commands are completed at the beginning of a line") {
  garden all;
  CHECK(all.tab("/m") == "/m|/msg| ");
  CHECK(all.tab("/h") == "/h|/help,/history| ");
  CHECK(complete_chat("/h", all.desk).common() == "/h");
  CHECK(complete_chat("/hi", all.desk).common() == "/history");
  CHECK(all.tab("/x") == "/x|| ");
}

TEST_CASE("a name at the beginning of a line addresses its owner") {
  garden all;
  CHECK(all.tab("bob") == "bob|Bobby_Tables,bob|: ");
  CHECK(all.tab("bobb") == "bobb|Bobby_Tables|: ");
  CHECK(all.tab("ask bobb") == "bobb|Bobby_Tables| ");
}

TEST_CASE("a private message is to a person, and may name others") {
  garden all;
  CHECK(all.tab("/msg bobb") == "bobb|Bobby_Tables| ");
  CHECK(all.tab("/msg bob ask bobb") == "bobb|Bobby_Tables| ");
}

TEST_CASE("rooms are completed with the spaces in them") {
  garden all;
  CHECK(all.tab("/join th") == "th|the garden|");
  CHECK(all.tab("/join the g") == "the g|the garden|");
  CHECK(all.tab("/leave ") == "|lobby|");
  CHECK(all.tab("/history bo") == "||");
}

TEST_CASE("what all words begin with is completed, never less than was typed") {
  chat_completion found{.begun = "x", .words = {"über", "übel"}};
  CHECK(found.common() == "übe");
  found.words = {"Bob", "bobby"};
  found.begun = "bo";
  CHECK(found.common() == "bo");
}
