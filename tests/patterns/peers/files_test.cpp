// SPDX-License-Identifier: MPL-2.0
//
// Files from one peer to another, in one process, over the loopback interface.
#include <parley/error.hpp>
#include <parley/peers.hpp>

#include "peers/file_mark.hpp"

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "support/await.hpp"
#include "support/beacon_port.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/error_code.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace std::chrono_literals;
using detail::file_mark;
using kind = peer_event::kind;
using support::patience;
namespace fs = std::filesystem;

namespace {

struct network {
  support::beacon_port port;
  context owner;
  support::temporary_directory files;

  [[nodiscard]] peers_options options(std::string name) const {
    return {
        .name = std::move(name), .port = port.number(), .interfaces = {"lo"}, .interval = 100ms};
  }
};

struct two : network {
  explicit two(const std::function<void(peers_options&)>& change = {})
      : ada{owner, options("ada")}, bob{owner, changed(options("bob"), change)} {
    REQUIRE(ada.wait_for_peers(1, patience));
    REQUIRE(bob.wait_for_peers(1, patience));
  }
  static peers_options changed(peers_options options,
                               const std::function<void(peers_options&)>& change) {
    if (change) {
      change(options);
    }
    return options;
  }
  fs::path write(const std::string& name, std::string_view content) const {
    std::ofstream{files / name, std::ios::binary} << content;
    return files / name;
  }
  fs::path directory(const std::string& name) const {
    fs::create_directory(files / name);
    return files / name;
  }

  peers ada;
  peers bob;
};

peer_event await(peers& of, kind what) {
  for (;;) {
    auto event = of.receive_for(patience);
    INFO(of.name() << " waits for " << to_string(what));
    REQUIRE(event.has_value());
    if (event->what == what) {
      return std::move(*event);
    }
    if (event->what == kind::file_failed) {
      INFO(to_string(event->file.why));
      REQUIRE(what == kind::file_failed);
    }
  }
}

std::string content_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::string bytes(std::size_t count) {
  std::string made(count, ' ');
  std::uint64_t next = 1;
  for (char& each : made) {
    next = next * 6364136223846793005U + 1442695040888963407U;
    each = static_cast<char>(next >> 56);
  }
  return made;
}

}  // namespace

TEST_CASE("a file is offered, accepted, and there under its name") {
  two lan;
  const std::string content = bytes(3'000'000);
  const auto number = lan.ada.send_file(lan.bob.id(), lan.write("cat.jpg", content));
  const auto offer = await(lan.bob, kind::file_offered);
  CHECK(offer.peer == lan.ada.id());
  CHECK(offer.name == "ada");
  CHECK(offer.identity == lan.ada.id().str());
  CHECK(offer.file.name == "cat.jpg");
  CHECK(offer.file.size == content.size());
  CHECK_FALSE(offer.file.is_ours);
  const fs::path directory = lan.directory("bob");
  REQUIRE(lan.bob.accept_file(offer.number, directory));
  CHECK_FALSE(lan.bob.accept_file(offer.number, directory));
  const auto done = await(lan.bob, kind::file_done);
  CHECK(done.number == offer.number);
  CHECK(done.file.path == directory / "cat.jpg");
  CHECK(done.file.done == content.size());
  CHECK(content_of(directory / "cat.jpg") == content);
  CHECK_FALSE(fs::exists(directory / "cat.jpg.parley-part"));
  const auto sent = await(lan.ada, kind::file_done);
  CHECK(sent.number == number);
  CHECK(sent.file.is_ours);
  CHECK(sent.file.from == 0);
}

TEST_CASE("both hear how far it is, and messages go on between pieces") {
  two lan;
  const fs::path source = lan.files / "large";
  { std::ofstream file{source}; }
  fs::resize_file(source, std::uintmax_t{1} << 30);
  const auto number = lan.ada.send_file(lan.bob.id(), source);
  REQUIRE(lan.bob.accept_file(await(lan.bob, kind::file_offered).number, lan.directory("bob")));
  const auto half = await(lan.bob, kind::file_progress);
  CHECK(half.file.done <= half.file.size);
  CHECK(await(lan.ada, kind::file_progress).number == number);
  REQUIRE(lan.ada.whisper(lan.bob.id(), "meanwhile"));
  CHECK(await(lan.bob, kind::whisper).content.front().view() == "meanwhile");
  // It has not ended, and does now.
  CHECK(lan.ada.cancel_file(number));
  CHECK(await(lan.ada, kind::file_failed).file.why == file_failure::cancelled);
  CHECK(await(lan.bob, kind::file_failed).file.why == file_failure::cancelled);
  CHECK_FALSE(lan.ada.cancel_file(number));
}

TEST_CASE("empty files and many files arrive") {
  two lan;
  const fs::path directory = lan.directory("bob");
  constexpr int count = 40;
  std::size_t done = 0;
  for (int each = 0; each < count; ++each) {
    const auto size = static_cast<std::size_t>(each) * 1000;
    static_cast<void>(
        lan.ada.send_file(lan.bob.id(), lan.write("f" + std::to_string(each), bytes(size))));
    if (each % 8 == 7) {  // no more than may be offered at a time
      for (int next = 0; next < 8; ++next) {
        REQUIRE(lan.bob.accept_file(await(lan.bob, kind::file_offered).number, directory));
      }
      for (int next = 0; next < 8; ++next) {
        static_cast<void>(await(lan.bob, kind::file_done));
        ++done;
      }
    }
  }
  CHECK(done == count);
  for (int each = 0; each < count; ++each) {
    CHECK(content_of(directory / ("f" + std::to_string(each))) ==
          bytes(static_cast<std::size_t>(each) * 1000));
  }
}

TEST_CASE("who declines, is not here, or takes no files says so") {
  two lan;
  const fs::path file = lan.write("cat.jpg", "miaow");
  const auto number = lan.ada.send_file(lan.bob.id(), file);
  CHECK(lan.bob.cancel_file(await(lan.bob, kind::file_offered).number));
  const auto declined = await(lan.ada, kind::file_failed);
  CHECK(declined.number == number);
  CHECK(declined.file.why == file_failure::declined);
  CHECK(await(lan.bob, kind::file_failed).file.why == file_failure::declined);

  CHECK(lan.ada.send_file(peer_id::random(), file) == number + 1);
  const auto nobody = await(lan.ada, kind::file_failed);
  CHECK(nobody.number == number + 1);
  CHECK(nobody.file.why == file_failure::peer_gone);

  static_cast<void>(lan.ada.send_file(lan.bob.id(), file));
  static_cast<void>(await(lan.bob, kind::file_offered));
  lan.bob.close();
  CHECK(await(lan.ada, kind::file_failed).file.why == file_failure::peer_gone);
}

TEST_CASE("what cannot be sent is refused at once") {
  two lan;
  CHECK(support::code_of([&] { lan.ada.send_file(lan.bob.id(), lan.files / "nothing"); }) ==
        errc::cannot_read);
  CHECK(support::code_of([&] { lan.ada.send_file(lan.bob.id(), lan.files.path()); }) ==
        errc::cannot_read);
}

TEST_CASE("a file that is there is not touched, unless it is told so") {
  two lan;
  const fs::path there = lan.write("precious", "mine");
  static_cast<void>(lan.ada.send_file(lan.bob.id(), lan.write("other", "yours")));
  const auto offer = await(lan.bob, kind::file_offered);
  CHECK(support::code_of([&] { static_cast<void>(lan.bob.accept_file(offer.number, there)); }) ==
        errc::cannot_write);
  CHECK(support::code_of([&] {
          static_cast<void>(lan.bob.accept_file(offer.number, lan.files / "no" / "such"));
        }) == errc::cannot_write);
  CHECK(content_of(there) == "mine");
  CHECK_FALSE(fs::exists(lan.files / "precious.parley-part"));
  REQUIRE(lan.bob.accept_file(offer.number, there, existing_file::replace));
  static_cast<void>(await(lan.bob, kind::file_done));
  CHECK(content_of(there) == "yours");
}

TEST_CASE("a file that appears meanwhile under the name is not touched") {
  two lan;
  const fs::path source = lan.write("large", {});
  fs::resize_file(source, std::uintmax_t{256} << 20);
  static_cast<void>(lan.ada.send_file(lan.bob.id(), source));
  const fs::path there = lan.files / "there";
  REQUIRE(lan.bob.accept_file(await(lan.bob, kind::file_offered).number, there));
  std::ofstream{there} << "mine";
  CHECK(await(lan.bob, kind::file_failed).file.why == file_failure::exists);
  CHECK(await(lan.ada, kind::file_failed).file.why == file_failure::exists);
  CHECK(content_of(there) == "mine");
}

TEST_CASE("two files do not go to one place at a time") {
  two lan;
  const fs::path source = lan.write("large", {});
  fs::resize_file(source, std::uintmax_t{1} << 30);
  static_cast<void>(lan.ada.send_file(lan.bob.id(), source));
  static_cast<void>(lan.ada.send_file(lan.bob.id(), source));
  const auto first = await(lan.bob, kind::file_offered).number;
  const auto second = await(lan.bob, kind::file_offered).number;
  REQUIRE(lan.bob.accept_file(first, lan.files / "there"));
  CHECK(support::code_of([&] {
          static_cast<void>(lan.bob.accept_file(second, lan.files / "there"));
        }) == errc::file_in_use);
  CHECK(lan.bob.cancel_file(first));
}

TEST_CASE("a part goes on where it is, if it is one of this file") {
  two lan;
  const std::string content = bytes(2'000'000);
  const fs::path source = lan.write("source", content);
  lan.write("there.parley-part", std::string_view{content}.substr(0, 1'234'567));
  static_cast<void>(lan.ada.send_file(lan.bob.id(), source));
  REQUIRE(lan.bob.accept_file(await(lan.bob, kind::file_offered).number, lan.files / "there"));
  CHECK(await(lan.bob, kind::file_done).file.from == 1'234'567);
  CHECK(await(lan.ada, kind::file_done).file.from == 1'234'567);
  CHECK(content_of(lan.files / "there") == content);

  lan.write("elsewhere.parley-part", std::string(1'234'567, 'x'));
  static_cast<void>(lan.ada.send_file(lan.bob.id(), source));
  REQUIRE(lan.bob.accept_file(await(lan.bob, kind::file_offered).number, lan.files / "elsewhere"));
  CHECK(await(lan.bob, kind::file_done).file.from == 0);
  CHECK(content_of(lan.files / "elsewhere") == content);

  // All of it was there, but for its name; and more than all of it.
  lan.write("whole.parley-part", content);
  static_cast<void>(lan.ada.send_file(lan.bob.id(), source));
  REQUIRE(lan.bob.accept_file(await(lan.bob, kind::file_offered).number, lan.files / "whole"));
  CHECK(await(lan.bob, kind::file_done).file.from == content.size());
  CHECK(content_of(lan.files / "whole") == content);
  lan.write("longer.parley-part", content + "x");
  static_cast<void>(lan.ada.send_file(lan.bob.id(), source));
  REQUIRE(lan.bob.accept_file(await(lan.bob, kind::file_offered).number, lan.files / "longer"));
  CHECK(await(lan.bob, kind::file_done).file.from == 0);
  CHECK(content_of(lan.files / "longer") == content);
}

TEST_CASE("a link in place of the part leads nowhere") {
  two lan;
  const fs::path precious = lan.write("precious", "mine");
  fs::create_symlink(precious, lan.files / "there.parley-part");
  static_cast<void>(lan.ada.send_file(lan.bob.id(), lan.write("source", "yours")));
  const auto offer = await(lan.bob, kind::file_offered);
  CHECK(support::code_of([&] {
          static_cast<void>(lan.bob.accept_file(offer.number, lan.files / "there"));
        }) == errc::cannot_write);
  CHECK(content_of(precious) == "mine");
}

TEST_CASE("a file that was changed since it was offered is not sent") {
  two lan;
  const fs::path source = lan.write("source", bytes(1'000'000));
  static_cast<void>(lan.ada.send_file(lan.bob.id(), source));
  const auto offer = await(lan.bob, kind::file_offered);
  std::ofstream{source, std::ios::app} << "more";
  REQUIRE(lan.bob.accept_file(offer.number, lan.files / "there"));
  CHECK(await(lan.bob, kind::file_failed).file.why == file_failure::changed);
  CHECK(await(lan.ada, kind::file_failed).file.why == file_failure::changed);
  CHECK_FALSE(fs::exists(lan.files / "there"));
}

TEST_CASE("more than may be received is declined, and a disk that has no room for it") {
  two lan{[](peers_options& options) { options.files_bytes = 1000; }};
  static_cast<void>(lan.ada.send_file(lan.bob.id(), lan.write("large", bytes(1001))));
  CHECK(await(lan.ada, kind::file_failed).file.why == file_failure::too_large);

  two other{[](peers_options& options) { options.files_bytes = std::uint64_t{1} << 62; }};
  const fs::path source = other.write("huge", {});
  std::error_code refused;
  fs::resize_file(source, std::uintmax_t{1} << 43, refused);
  if (refused) {
    WARN("no file system for a file of 8 TiB: skipped");
    return;
  }
  static_cast<void>(other.ada.send_file(other.bob.id(), source));
  const auto offer = await(other.bob, kind::file_offered);
  CHECK(support::code_of([&] {
          static_cast<void>(other.bob.accept_file(offer.number, other.files / "there"));
        }) == errc::disk_full);
  CHECK_FALSE(fs::exists(other.files / "there.parley-part"));
}

TEST_CASE("a program that does not receive hears in the end what became of its files") {
  two lan{[](peers_options& options) { options.limit = 8; }};
  static_cast<void>(lan.ada.send_file(lan.bob.id(), lan.write("cat.jpg", bytes(1'000'000))));
  REQUIRE(lan.bob.accept_file(await(lan.bob, kind::file_offered).number, lan.files / "there"));
  for (int count = 0; count < 100; ++count) {
    REQUIRE(lan.ada.whisper(lan.bob.id(), count));
  }
  REQUIRE(support::await([&] { return fs::exists(lan.files / "there"); }));
  CHECK(await(lan.bob, kind::file_done).file.name == "cat.jpg");
}

// What a hostile peer says is what a program can say that writes marks by hand.
TEST_CASE("a hostile peer's offers and pieces cost it, and nobody else") {
  two lan;
  auto patient = lan.options("eve");
  patient.max_wait = patience;  // she floods him, on a machine that may have others to serve
  peers eve{lan.owner, patient};
  REQUIRE(eve.wait_for_peers(2, patience));
  REQUIRE(lan.bob.wait_for_peers(2, patience));
  const auto say = [&](const file_mark& mark, const std::string& content = {}) {
    message said;
    if (!content.empty()) {
      said.push_back(frame{content});
    }
    said.push_back(frame{detail::write_file_mark(mark)});
    REQUIRE(eve.whisper_message(lan.bob.id(), said));
  };
  say({.what = file_mark::kind::offer,
       .number = 1,
       .offset = std::uint64_t{1} << 63,
       .name = "../../large"});
  for (std::uint64_t number = 2; number < 100'000; ++number) {
    say({.what = file_mark::kind::offer, .number = number, .offset = 1 << 20, .name = "/etc/x"});
  }
  for (int count = 0; count < 1000; ++count) {
    say({.what = file_mark::kind::piece, .number = 1'000'000}, std::string(100'000, 'x'));
  }
  // The first one is accepted: it never ends, and then is more than it was to be.
  const auto offer = await(lan.bob, kind::file_offered);
  CHECK(offer.file.name == "x");
  REQUIRE(lan.bob.accept_file(offer.number, lan.directory("bob")));
  say({.what = file_mark::kind::begin, .number = 2});
  say({.what = file_mark::kind::piece, .number = 2}, std::string(1 << 20, 'x'));
  say({.what = file_mark::kind::piece, .number = 2, .offset = 1 << 20}, "y");
  for (;;) {
    const auto event = lan.bob.receive_for(patience);
    REQUIRE(event.has_value());
    if (event->what == kind::file_failed && event->number == offer.number) {
      // Her library, which knows nothing of it, may withdraw what is accepted before she goes on.
      CHECK((event->file.why == file_failure::nonsense ||
             event->file.why == file_failure::peer_gone));
      break;
    }
  }
  CHECK_FALSE(fs::exists(lan.files / "bob" / "x"));
  // And an honest one has its turn.
  static_cast<void>(lan.ada.send_file(lan.bob.id(), lan.write("cat.jpg", "miaow")));
  for (;;) {
    const auto event = lan.bob.receive_for(patience);
    REQUIRE(event.has_value());
    if (event->what == kind::file_offered && event->peer == lan.ada.id()) {
      REQUIRE(lan.bob.accept_file(event->number, lan.files / "bob"));
    } else if (event->what == kind::file_done) {
      break;
    }
  }
  CHECK(content_of(lan.files / "bob" / "cat.jpg") == "miaow");
}
