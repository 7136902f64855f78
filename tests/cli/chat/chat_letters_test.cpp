// SPDX-License-Identifier: MPL-2.0
//
// Messages for people who are not here.
#include "chat/chat_history.hpp"

#include "chat_world.hpp"

#include <sys/stat.h>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

using heard = parley::peer_event::kind;
using world = chat_world;

namespace {

const std::string of_bob(32, 'B');
const std::string of_other_bob(32, 'C');

struct with_letters : world {
  with_letters() { desk.know({{of_bob, "bob"}}); }

  void bob_enters() {
    parley::peer_event event{.what = heard::enter, .peer = bob, .name = "bob"};
    event.identity = of_bob;
    event.headers.emplace(chat_header, chat_version);
    desk.hear(event, now);
  }
  void letter(const std::string& text, std::uint64_t written) {
    parley::peer_event event{.what = heard::letter, .peer = bob, .name = "bob"};
    event.identity = of_bob;
    event.number = 7;
    event.content = write_chat(text, {.what = chat_mark::kind::written, .id = written});
    desk.hear(event, now);
  }
};

}  // namespace

TEST_CASE("what is told to somebody who is not here is written to them") {
  with_letters all;
  all.type("/msg Bob lunch?");
  CHECK(all.done() == "letter " + of_bob + ": lunch?\n");
  all.desk.was_written(of_bob, "lunch?");
  CHECK(all.seen() == "to bob alone: lunch?  (kept until they come)\n");
  all.type("/msg eve lunch?");
  CHECK(all.done().empty());
  CHECK(all.seen() == "nobody here is called eve; /who tells who is here\n");
}

TEST_CASE("who is here is told at once, and what did not reach them is written") {
  with_letters all;
  all.bob_enters();
  CHECK(all.done() == "meet " + of_bob + ": bob\n");
  all.type("/msg bob lunch?");
  CHECK(all.done() == "whisper 3F2A: lunch? ask 1\n");
  all.desk.was_told(world::bob, "lunch?", false);
  CHECK(all.done() == "letter " + of_bob + ": lunch?\n");
}

TEST_CASE("of two of one name who are away, one has to say whom") {
  with_letters all;
  all.desk.know({{of_bob, "bob"}, {of_other_bob, "bob"}});
  all.type("/msg bob lunch?");
  CHECK(all.seen() == "who of these, who are not here? bob~BBBB, bob~CCCC\n");
  all.type("/msg bob~c lunch?");
  CHECK(all.done() == "letter " + of_other_bob + ": lunch?\n");
}

TEST_CASE("who keeps nothing writes to nobody") {
  world all;
  all.type("/msg bob lunch?");
  CHECK(all.seen() == "nobody here is called bob; /who tells who is here\n");
  CHECK(all.done().empty());
}

TEST_CASE("a letter is shown with its time, and read when it was shown") {
  with_letters all;
  all.bob_enters();
  all.forget();
  all.letter("lunch?", 86'400);
  const std::string shown = all.seen();
  CHECK(shown.starts_with("bob, to you alone, 1970-01-0"));
  CHECK(shown.ends_with(": lunch?\n"));
  CHECK(all.done() == "letter read 7\n");
  all.type("/away");
  all.forget();
  all.letter("hm", ~std::uint64_t{0});
  CHECK(all.done().empty());
  all.type("/back");
  CHECK(all.done().ends_with("letter read 7\n"));
}

TEST_CASE("that a letter was received, and read, is told") {
  with_letters all;
  all.bob_enters();
  all.forget();
  parley::peer_event receipt{.what = heard::delivered, .peer = world::bob};
  receipt.number = 7;
  all.desk.hear(receipt, all.now);
  CHECK(all.done() == "receipt 7\n");
  all.desk.has_receipt(receipt, "lunch?");
  receipt.what = heard::read;
  all.desk.has_receipt(receipt, "lunch?");
  CHECK(all.seen() == "bob has received: lunch?\nbob has read: lunch?\n");
}

TEST_CASE("who one is, whom one met and what one wrote stay in the history") {
  const parley::support::temporary_directory files;
  std::string identity;
  {
    chat_history history{files / "chat.db", "ann"};
    identity = history.identity();
    CHECK(identity.size() == 32);
    history.remember({of_bob, "bob"});
    history.remember({of_bob, "bobby"});
    history.wrote(of_bob, 1, "one");
    history.wrote(of_bob, 2, "two");
    struct stat letters {};
    REQUIRE(::stat(history.letters_file().c_str(), &letters) == 0);
    CHECK((letters.st_mode & 077) == 0);
  }
  chat_history history{files / "chat.db", "ann"};
  CHECK(history.identity() == identity);
  REQUIRE(history.contacts().size() == 1);
  CHECK(history.contacts().front().name == "bobby");
  CHECK(history.delivered(of_bob, 1) == std::vector<std::string>{"one"});
  CHECK(history.delivered(of_bob, 2) == std::vector<std::string>{"two"});
  CHECK(history.delivered(of_bob, 2).empty());
  CHECK(history.was_read(of_bob, 1) == "one");
  CHECK(history.was_read(of_bob, 1).empty());
  // Another name is another person.
  chat_history other{files / "chat.db", "eve"};
  CHECK(other.identity() != identity);
  CHECK(other.contacts().empty());
}
