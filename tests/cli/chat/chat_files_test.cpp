// SPDX-License-Identifier: MPL-2.0
//
// Files in a chat: what is typed, what is told, and what is done.
#include "chat/chat_files.hpp"

#include "chat/file_completion.hpp"

#include "chat_world.hpp"

#include <filesystem>
#include <fstream>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

using heard = parley::peer_event::kind;
using world = chat_world;

namespace {

parley::peer_event file_event(heard what, std::uint64_t number, std::uint64_t done = 0,
                              bool is_ours = false) {
  parley::peer_event event{.what = what, .peer = world::bob, .name = "bob"};
  event.number = number;
  event.file = {.name = "cat.jpg", .size = 1'500'000, .done = done, .is_ours = is_ours};
  return event;
}

struct with_bob : world {
  with_bob() {
    enters(bob, "bob");
    forget();
  }
  void hears(heard what, std::uint64_t number, std::uint64_t done = 0, bool is_ours = false) {
    desk.hear(file_event(what, number, done, is_ours), now);
  }
};

}  // namespace

TEST_CASE("a file is sent to who is called so") {
  with_bob all;
  all.type("/send bob my cat.jpg");
  CHECK(all.done() == "send 3F2A: my cat.jpg\n");
  all.type("/send eve cat.jpg");
  CHECK(all.seen() == "nobody here is called eve; /who tells who is here\n");
  all.type("/send bob");
  CHECK(all.seen() == "it is /send NAME FILE\n");
  CHECK(all.done().empty());
  all.desk.was_offered(world::bob, 3, {.name = "cat.jpg", .size = 999, .is_ours = true});
  CHECK(all.seen() == "cat.jpg, 999 bytes, is offered to bob\n");
  CHECK(all.desk.files().is_busy());
  CHECK(all.desk.files().status().empty());
  all.hears(heard::file_progress, 3, 750'000, true);
  CHECK(all.desk.files().status() == "cat.jpg to bob [######------] 50 %");
  all.hears(heard::file_done, 3, 1'500'000, true);
  CHECK(all.seen() == "cat.jpg to bob: 50 %\nbob has cat.jpg\n");
  CHECK_FALSE(all.desk.files().is_busy());
}

TEST_CASE("an offer tells what to type, and is taken or not") {
  with_bob all;
  all.type("/accept");
  CHECK(all.seen() == "nobody offers a file\n");
  all.hears(heard::file_offered, 3);
  CHECK(all.seen() == "bob offers cat.jpg, 1.5 MB; /accept 3 takes it\n");
  CHECK_FALSE(all.desk.files().is_busy());
  all.type("/accept");
  CHECK(all.done() == "accept 3\n");
  all.hears(heard::file_offered, 4);
  all.forget();
  all.type("/accept");
  CHECK(all.seen() == "which of these? 3 (cat.jpg), 4 (cat.jpg)\n");
  all.type("/accept 5");
  CHECK(all.seen() == "which of these? 3 (cat.jpg), 4 (cat.jpg)\n");
  all.type("/decline 4");
  CHECK(all.done() == "decline 4\n");
  all.desk.was_accepted(3, "cat.jpg");
  CHECK(all.desk.files().is_busy());
  all.type("/files");
  CHECK(all.seen() == "cat.jpg from bob: 0 %\nbob offers cat.jpg, 1.5 MB; /accept 4 takes it\n");
}

TEST_CASE("how far it is, is told in quarters, and all of it where a line stands for it") {
  with_bob all;
  all.hears(heard::file_offered, 3);
  all.desk.was_accepted(3, "cat.jpg");
  all.forget();
  std::string told;
  for (std::uint64_t done = 0; done <= 1'500'000; done += 50'000) {
    all.hears(heard::file_progress, 3, done);
    told += all.seen();
  }
  CHECK(told ==
        "cat.jpg from bob: 26 %\ncat.jpg from bob: 50 %\ncat.jpg from bob: 76 %\n"
        "cat.jpg from bob: 100 %\n");
}

TEST_CASE("a file that does not arrive is told, also of who is gone") {
  with_bob all;
  all.hears(heard::file_offered, 3);
  all.exits(world::bob);
  all.forget();
  auto failed = file_event(heard::file_failed, 3);
  failed.file.why = parley::file_failure::peer_gone;
  all.desk.hear(failed, all.now);
  CHECK(all.seen() == "cat.jpg from bob did not arrive: peer gone\n");
  all.desk.hear(failed, all.now);
  CHECK(all.seen().empty());
}

TEST_CASE("who accepts all types nothing") {
  chat_desk desk{world::ann, "ann", {}, true};
  desk.hear({.what = heard::enter, .peer = world::bob, .name = "bob"}, {});
  desk.hear(file_event(heard::file_offered, 3), {});
  const auto steps = desk.take_steps();
  REQUIRE(steps.size() == 1);
  CHECK(steps.front().what == chat_step::kind::accept);
  CHECK(steps.front().text == "cat.jpg");
}

TEST_CASE("who says too much offers nothing either") {
  with_bob all;
  all.happens(world::bob, parley::peer_event::kind::muted);
  all.forget();
  all.hears(heard::file_offered, 3);
  CHECK(all.seen().empty());
  CHECK(all.done() == "decline 3\n");
}

TEST_CASE("sizes are told as people do") {
  CHECK(size_text(0) == "0 bytes");
  CHECK(size_text(999) == "999 bytes");
  CHECK(size_text(1000) == "1.0 kB");
  CHECK(size_text(2'345'678) == "2.3 MB");
  CHECK(size_text(~std::uint64_t{0}) == "18446744.1 TB");
}

TEST_CASE("names of files are completed") {
  const parley::support::temporary_directory files;
  std::filesystem::create_directory(files / "cats");
  std::ofstream{files / "cat.jpg"} << "x";
  std::ofstream{files / ".cat"} << "x";
  const std::string here = files.path().string() + '/';
  CHECK(files_that_begin(here + "ca") ==
        std::vector<std::string>{here + "cat.jpg", here + "cats/"});
  CHECK(files_that_begin(here + "cat.") == std::vector<std::string>{here + "cat.jpg"});
  CHECK(files_that_begin(here).size() == 2);
  CHECK(files_that_begin(here + ".") == std::vector<std::string>{here + ".cat"});
  CHECK(files_that_begin(here + "no/").empty());
}
