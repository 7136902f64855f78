// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_desk.hpp"

#include "chat_world.hpp"

#include <algorithm>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using parley::peer_exit;
using world = chat_world;

TEST_CASE("a chat begins in its room") {
  chat_desk desk{world::ann, "ann", {}};
  desk.begin("lobby", {});
  REQUIRE(desk.take_steps().size() == 1);
  const auto events = desk.take_events();
  REQUIRE(events.size() == 1);
  CHECK(chat_view{}.line(events[0], 0) == "you are ann, in lobby; /help tells what you can type");
}

TEST_CASE("what is typed is said in the current room") {
  world all;
  all.type("hello");
  CHECK(all.done() == "shout lobby: hello\n");
  CHECK(all.seen() == "[lobby] ann: hello\n");
}

TEST_CASE("rooms are entered, changed and left") {
  world all;
  all.enters(world::bob, "bob", true, "garden");
  CHECK(all.seen().empty());
  all.type("/join garden");
  CHECK(all.done() == "join garden\n");
  CHECK(all.seen() == "you entered garden; here: bob\n");
  all.type("in the garden");
  CHECK(all.done() == "shout garden: in the garden\n");
  all.type("/join lobby");
  CHECK(all.done().empty());
  CHECK(all.desk.room() == "lobby");
  all.type("/leave");
  CHECK(all.done() == "leave lobby\n");
  CHECK(all.desk.room() == "garden");
  all.type("/leave lobby");
  all.type("/leave garden");
  all.forget();
  all.type("to nobody");
  CHECK(all.done().empty());
  CHECK(all.seen() == "you are in no room; /join one\n");
}

TEST_CASE("rooms are told with how many are in them") {
  world all;
  all.enters(world::bob, "bob");
  all.joins(world::bob, "garden");
  all.forget();
  all.type("/rooms");
  CHECK(all.seen() == "garden: 1\nlobby: 2, with you\n");
}

TEST_CASE("services that somebody offers are no rooms") {
  world all;
  all.enters(world::bob, "bob");
  all.joins(world::bob, "service:adder tcp://*:5555");
  all.forget();
  all.type("/rooms");
  all.type("/who");
  CHECK(all.seen() ==
        "lobby: 2, with you\nann (you) in lobby\nbob in lobby  tcp://10.0.0.5:49152\n");
}

TEST_CASE("a room's lines are heard, and those of others not") {
  world all;
  all.enters(world::bob, "bob");
  all.forget();
  all.shouts(world::bob, "hello");
  all.shouts(world::bob, "to others", "garden");
  all.shouts(world::bob, "");
  CHECK(all.seen() == "[lobby] bob: hello\n");
}

TEST_CASE("who was found at once was here before, others enter") {
  world all;
  all.now = chat_desk::time_point{1s};
  all.enters(world::bob, "bob");
  CHECK(all.seen() == "bob is in lobby\n");
  all.now = chat_desk::time_point{100s};
  all.enters(world::other_bob, "carol");
  CHECK(all.seen() == "carol entered lobby\n");
}

TEST_CASE("who goes is told with the reason, if they were in a room of ours") {
  world all;
  all.enters(world::bob, "bob");
  all.enters(world::other_bob, "carol", true, "garden");
  all.forget();
  all.exits(world::bob, peer_exit::link_lost);
  all.exits(world::other_bob);
  CHECK(all.seen() == "bob is gone: the connection was lost\n");
  all.shouts(world::bob, "from nowhere");
  CHECK(all.seen().empty());
}

TEST_CASE("a message to one person asks for a receipt, and that it was read is told once") {
  world all;
  all.enters(world::bob, "bob");
  all.forget();
  all.type("/msg bob lunch?");
  CHECK(all.done() == "whisper 3F2A: lunch? ask 1\n");
  CHECK(all.seen() == "to bob alone: lunch?\n");
  const auto receipt = write_chat("", {.what = chat_mark::kind::read, .id = 1});
  all.whispers(world::bob, receipt);
  CHECK(all.seen() == "bob has read: lunch?\n");
  all.whispers(world::bob, receipt);
  CHECK(all.seen().empty());
}

TEST_CASE("nobody can say that another one has read") {
  world all;
  all.enters(world::bob, "bob");
  all.enters(world::other_bob, "carol");
  all.type("/msg bob lunch?");
  static_cast<void>(all.done());
  all.forget();
  all.whispers(world::other_bob, write_chat("", {.what = chat_mark::kind::read, .id = 1}));
  CHECK(all.seen().empty());
}

TEST_CASE("who has no chat of ours gets the text alone, and no marks") {
  world all;
  all.enters(world::bob, "bob", false);
  all.forget();
  all.type("/msg bob lunch?");
  all.type("/away at lunch");
  CHECK(all.done() == "whisper 3F2A: lunch?\n");
  all.forget();
  all.whispers(world::bob, write_chat("hi", {.what = chat_mark::kind::ask, .id = 7}));
  all.type("/back");
  CHECK(all.done().empty());
}

TEST_CASE("a message from one person is answered by a receipt") {
  world all;
  all.enters(world::bob, "bob");
  all.forget();
  all.whispers(world::bob, write_chat("lunch?", {.what = chat_mark::kind::ask, .id = 7}));
  CHECK(all.seen() == "bob, to you alone: lunch?\n");
  CHECK(all.done() == "whisper 3F2A:  read 7\n");
  all.whispers(world::bob, "no need to tell");
  CHECK(all.done().empty());
}

TEST_CASE("what comes while we are away is read when we are back") {
  world all;
  all.enters(world::bob, "bob");
  all.type("/away at lunch");
  CHECK(all.done() == "whisper 3F2A:  away at lunch\n");
  all.whispers(world::bob, write_chat("lunch?", {.what = chat_mark::kind::ask, .id = 7}));
  CHECK(all.done().empty());
  all.type("/back");
  CHECK(all.done() == "whisper 3F2A:  away \nwhisper 3F2A:  read 7\n");
}

TEST_CASE("who enters later hears that we are away") {
  world all;
  all.type("/away");
  all.forget();
  all.enters(world::bob, "bob");
  CHECK(all.done() == "whisper 3F2A:  away away\n");
}

TEST_CASE("others' away notes are told when they change, and shown beside what is said to them") {
  world all;
  all.enters(world::bob, "bob");
  all.forget();
  const auto away = write_chat("", {.what = chat_mark::kind::away, .note = "at lunch"});
  all.whispers(world::bob, away);
  CHECK(all.seen() == "bob is away: at lunch\n");
  all.whispers(world::bob, away);
  CHECK(all.seen().empty());
  all.type("/msg bob hm");
  static_cast<void>(all.done());
  CHECK(all.seen() == "to bob alone: hm  (away: at lunch)\n");
  all.type("/who");
  CHECK(all.seen() == "ann (you) in lobby\nbob in lobby  tcp://10.0.0.5:49152  away: at lunch\n");
  all.whispers(world::bob, write_chat("", {.what = chat_mark::kind::away}));
  CHECK(all.seen() == "bob is back\n");
}

TEST_CASE("two of one name are not mistaken for each other") {
  world all;
  all.enters(world::bob, "bob");
  all.enters(world::other_bob, "bob");
  all.forget();
  all.shouts(world::bob, "hello");
  all.type("/msg bob hi");
  CHECK(all.seen() == "[lobby] bob~3F2A: hello\nwho of these? bob~3F2A, bob~91C0\n");
  CHECK(all.done().empty());
  all.type("/msg bob~9 hi");
  CHECK(all.done() == "whisper 91C0: hi ask 1\n");
}

TEST_CASE("a name that nobody has is told") {
  world all;
  all.type("/msg zoe hi");
  CHECK(all.seen() == "nobody here is called zoe; /who tells who is here\n");
  all.type("/who garden");
  CHECK(all.seen() == "nobody is in garden\n");
  all.type("/shout hi");
  CHECK(all.seen() == "there is no command /shout; /help lists them\n");
}

TEST_CASE("who says too much is told to be muted, and to be heard again") {
  world all;
  all.enters(world::bob, "bob");
  all.forget();
  all.happens(world::bob, parley::peer_event::kind::muted);
  CHECK(all.seen() == "bob says too much, and is muted until quiet for 10 s\n");
  CHECK(all.done().empty());  // parley::peers told him
  all.happens(world::bob, parley::peer_event::kind::unmuted, 81);
  CHECK(all.seen() == "bob is heard again; 81 lines did not reach you\n");
}

TEST_CASE("who joins and leaves without an end is not shown while he is muted") {
  world all;
  all.enters(world::bob, "bob");
  all.happens(world::bob, parley::peer_event::kind::muted);
  all.forget();
  for (int count = 0; count < 3; ++count) {
    all.happens(world::bob, parley::peer_event::kind::leave, 0, "lobby");
    all.joins(world::bob, "lobby");
  }
  CHECK(all.seen().empty());
  all.happens(world::bob, parley::peer_event::kind::unmuted);
  all.forget();
  all.happens(world::bob, parley::peer_event::kind::leave, 0, "lobby");
  CHECK(all.seen() == "bob left lobby\n");
}

TEST_CASE("who is muted by a chat and is no program of Parley is told in words") {
  world all;
  all.enters(world::bob, "bob", false);
  all.happens(world::bob, parley::peer_event::kind::muted);
  CHECK(
      all.done() ==
      "whisper 3F2A: (ann does not hear you: that was more than 50 lines in 10 s. Be quiet for as "
      "long.)\n");
}

TEST_CASE("that others do not hear us is told") {
  world all;
  all.enters(world::bob, "bob");
  all.forget();
  all.happens(world::bob, parley::peer_event::kind::muted_by, 10'000);
  CHECK(all.seen() == "bob does not hear you: you said too much. Be quiet for 10 s\n");
}

TEST_CASE("our own lines keep below the rate") {
  world all;
  for (std::size_t count = 0; count < chat_desk::most_lines; ++count) {
    CHECK(all.desk.next_line(all.now) == all.now);
    all.type("x");
  }
  CHECK(all.desk.next_line(all.now) == all.now + chat_desk::window + chat_desk::margin);
  CHECK(all.desk.next_line(all.now + 20s) == all.now + 20s);
}

TEST_CASE("what is no text, or too long, is not said") {
  world all;
  all.type("\xff");
  CHECK(all.seen() == "that is no UTF-8, and was not said\n");
  all.type(std::string(chat_desk::longest_text + 1, 'x'));
  CHECK(all.seen() == "a line has 65,536 octets at most; that one was not said\n");
  CHECK(all.done().empty());
}

TEST_CASE("a text of any length is shown up to a bound") {
  world all;
  all.enters(world::bob, "bob");
  all.forget();
  all.shouts(world::bob, std::string(5'000'000, 'x'));
  CHECK(all.seen().size() < 5000);
}

TEST_CASE("what others send is shown without anything that a terminal acts upon") {
  world all;
  all.enters(world::bob, "\x1b]0;x\x07");
  all.shouts(world::bob, "\x1b[2J\u202e");
  all.whispers(world::bob, write_chat("", {.what = chat_mark::kind::away, .note = "\x1b[2J\n"}));
  all.joins(world::bob, "\x1b[2J");
  all.type("/who");
  all.type("/rooms");
  const std::string seen = all.seen();
  CHECK(seen.find('\x1b') == seen.npos);
  CHECK(seen.find('\x07') == seen.npos);
  CHECK_THAT(seen, Catch::Contains("\\x1b]0;x\\x07 is away: \\x1b[2J\\n"));
}
