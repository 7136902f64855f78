// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_people.hpp"
#include "chat/visible_text.hpp"

#include "support/catch.hpp"

namespace {

const bool in_utf8 = (use_utf8(), true);

const parley::peer_id ann{{0xAA}};
const parley::peer_id bob{{0x3F, 0x2A, 0x11}};
const parley::peer_id other_bob{{0x91, 0xC0}};
const parley::peer_id third_bob{{0x3F, 0x2A, 0x12}};

struct people : chat_people {
  people() : chat_people{ann, "ann"} {}
  void add(const parley::peer_id& id, const char* name) {
    static_cast<void>(chat_people::add({.id = id, .name = name}));
  }
};

}  // namespace

TEST_CASE("a label is the name") {
  people all;
  all.add(bob, "bob");
  CHECK(all.label(bob) == "bob");
  CHECK(all.label(ann) == "ann");
  CHECK(all.called("bob") == std::vector{bob});
  CHECK(all.called("Bob") == std::vector{bob});
  CHECK(all.called("bo").empty());
}

TEST_CASE("two of one name are told apart by their ids, as long as both are here") {
  people all;
  all.add(bob, "bob");
  all.add(other_bob, "BOB");
  CHECK(all.label(bob) == "bob~3F2A");
  CHECK(all.label(other_bob) == "BOB~91C0");
  CHECK(all.called("bob").size() == 2);
  CHECK(all.called("bob~9") == std::vector{other_bob});
  CHECK(all.called("bob~3f2a") == std::vector{bob});
  CHECK(all.called("bob~x").empty());
  all.remove(other_bob);
  CHECK(all.label(bob) == "bob");
}

TEST_CASE("ids that begin alike take more digits") {
  people all;
  all.add(bob, "bob");
  all.add(third_bob, "bob");
  CHECK(all.label(bob) == "bob~3F2A11");
  CHECK(all.label(third_bob) == "bob~3F2A12");
  CHECK(all.called("bob~3F2A").size() == 2);
}

TEST_CASE("who has our own name has not our label") {
  people all;
  all.add(bob, "Ann");
  CHECK(all.label(bob) == "Ann~3F2A");
  CHECK(all.label(ann) == "ann~AA00");
  CHECK(all.called("ann") == std::vector{bob});
}

TEST_CASE("nobody looks like somebody else by a name with signs in it") {
  people all;
  all.add(bob, "bob");
  all.add(other_bob, "bob~3F2A");
  CHECK(all.label(other_bob) == "bob_3F2A");
  CHECK(chat_people::plain_label("bob, to you alone:") == "bob,_to_you_alone:");
  CHECK(chat_people::plain_label("\x1b[31mbob\n") == "\\x1b[31mbob\\n");
  CHECK(chat_people::plain_label("") == "_");
  CHECK(chat_people::plain_label(std::string(200, 'x')) == std::string(31, 'x') + "…");
}

TEST_CASE("long names that begin alike are told apart, too") {
  people all;
  all.add(bob, (std::string(40, 'x') + "1").c_str());
  all.add(other_bob, (std::string(40, 'x') + "2").c_str());
  CHECK(all.label(bob) != all.label(other_bob));
}

TEST_CASE("who is not here is somebody") {
  people all;
  CHECK(all.label(bob) == "somebody");
}

TEST_CASE("who enters again is there once, under the new name") {
  people all;
  all.add(bob, "bob");
  all.add(bob, "robert");
  CHECK(all.called("bob").empty());
  CHECK(all.called("robert") == std::vector{bob});
  CHECK(all.all().size() == 1);
}
