// SPDX-License-Identifier: MPL-2.0
//
// Letters: said to somebody who may be away.
#include <parley/error.hpp>
#include <parley/peers.hpp>

#include "peers/letter_book.hpp"
#include "peers/letter_mark.hpp"

#include <poll.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "support/beacon_port.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/error_code.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using kind = peer_event::kind;
using support::patience;

namespace {

struct network {
  support::beacon_port port;
  context owner;
  support::temporary_directory files;

  [[nodiscard]] peers_options options(const std::string& name) const {
    return {.name = name,
            .identity = name + "@example.org",
            .port = port.number(),
            .interfaces = {"lo"},
            .interval = 100ms};
  }
  [[nodiscard]] peers_options durable(const std::string& name) const {
    auto chosen = options(name);
    chosen.journal = files.path() / (name + ".db");
    return chosen;
  }
};

const std::string to_bob = "bob@example.org";
const std::string to_ada = "ada@example.org";

peer_event await(peers& of, kind what) {
  for (;;) {
    auto event = of.receive_for(patience);
    INFO(of.name() << " waits for " << to_string(what));
    REQUIRE(event.has_value());
    if (event->what == what) {
      return std::move(*event);
    }
  }
}

void await_delivered(peers& of, std::uint64_t number) {
  while (await(of, kind::delivered).number < number) {
  }
}

}  // namespace

TEST_CASE("a letter to somebody who is away waits for him, and tells when he has it") {
  network lan;
  peers ada{lan.owner, lan.options("ada")};
  CHECK(ada.send_letter(to_bob, "first") == 1);
  CHECK(ada.send_letter(to_bob, "second") == 2);
  CHECK(ada.letters_waiting(to_bob) == 2);
  peers bob{lan.owner, lan.options("bob")};
  const auto first = await(bob, kind::letter);
  CHECK(first.identity == to_ada);
  CHECK(first.number == 1);
  CHECK(first.content.size() == 1);
  CHECK(first.content.front().view() == "first");
  CHECK(await(bob, kind::letter).content.front().view() == "second");
  await_delivered(ada, 2);
  CHECK(ada.letters_waiting(to_bob) == 0);
  CHECK(ada.send_letter(to_bob, "third") == 3);
  CHECK(await(bob, kind::letter).content.front().view() == "third");
}

TEST_CASE("a letter counts as delivered when the program took it, not before") {
  network lan;
  peers ada{lan.owner, lan.options("ada")};
  ada.send_letter(to_bob, "mind the gap");
  {
    peers bob{lan.owner, lan.options("bob")};
    REQUIRE(bob.wait_for_peers(1, patience));
  }
  CHECK(ada.letters_waiting(to_bob) == 1);
  peers bob{lan.owner, lan.options("bob")};
  CHECK(await(bob, kind::letter).content.front().view() == "mind the gap");
  await_delivered(ada, 1);
}

TEST_CASE("who has closed is handed no letter that would come again") {
  network lan;
  peers ada{lan.owner, lan.options("ada")};
  ada.send_letter(to_bob, "mind the gap");
  {
    peers bob{lan.owner, lan.options("bob")};
    pollfd waited{bob.fd(), POLLIN, 0};
    while (bob.receive_for(patience)->what != kind::enter) {
    }
    REQUIRE(::poll(&waited, 1, 20'000) == 1);  // it is there
    bob.close();
    CHECK_THROWS_AS(bob.try_receive(), closed);
  }
  CHECK(ada.letters_waiting(to_bob) == 1);
}

TEST_CASE("who wrote a letter hears that it was read, also when he was away meanwhile") {
  network lan;
  peers bob{lan.owner, lan.durable("bob")};
  std::optional<peers> ada;
  ada.emplace(lan.owner, lan.durable("ada"));
  const auto number = ada->send_letter(to_bob, "well?");
  const auto letter = await(bob, kind::letter);
  await_delivered(*ada, number);
  ada.reset();
  bob.mark_read(letter);
  ada.emplace(lan.owner, lan.durable("ada"));
  const auto read = await(*ada, kind::read);
  CHECK(read.identity == to_bob);
  CHECK(read.number == number);
  // A receipt is no letter that somebody could read.
  bob.mark_read(read);
  CHECK(bob.send_letter(to_ada, "yes") == 2);
  CHECK(await(*ada, kind::letter).content.front().view() == "yes");
}

TEST_CASE("with journals letters outlive both programs, and come once") {
  network lan;
  {
    peers ada{lan.owner, lan.durable("ada")};
    for (int count = 1; count <= 10; ++count) {
      ada.send_letter(to_bob, count);
    }
  }
  int expected = 0;
  peers ada{lan.owner, lan.durable("ada")};
  CHECK(ada.letters_waiting(to_bob) == 10);
  for (int programs = 0; programs < 5; ++programs) {
    peers bob{lan.owner, lan.durable("bob")};
    for (int count = 0; count < 2; ++count) {
      CHECK(await(bob, kind::letter).as<int>() == ++expected);
    }
  }
  CHECK(ada.send_letter(to_bob, 11) == 11);
  peers bob{lan.owner, lan.durable("bob")};
  CHECK(await(bob, kind::letter).as<int>() == 11);
}

TEST_CASE("a journal of letters is one program's at a time") {
  network lan;
  {
    const peers ada{lan.owner, lan.durable("ada")};
    CHECK(support::code_of([&] {
            const peers other{lan.owner, lan.durable("ada")};
          }) == errc::file_in_use);
  }
  const peers ada{lan.owner, lan.durable("ada")};
}

TEST_CASE("letters are bounded for each receiver") {
  network lan;
  auto options = lan.options("ada");
  options.letters = 2;
  peers ada{lan.owner, options};
  ada.send_letter(to_bob, "1");
  ada.send_letter(to_bob, "2");
  CHECK_THROWS_AS(ada.send_letter(to_bob, "3"), overloaded);
  CHECK(ada.send_letter("eve@example.org", "1") == 1);
  CHECK_THROWS_AS(ada.send_letter("", "1"), config_error);
}

TEST_CASE("letters to a program that does not receive wait, and none is lost") {
  network lan;
  auto options = lan.options("bob");
  options.limit = 8;
  peers bob{lan.owner, options};
  peers ada{lan.owner, lan.options("ada")};
  REQUIRE(ada.wait_for_peers(1, patience));
  REQUIRE(bob.wait_for_peers(1, patience));
  for (int count = 1; count <= 50; ++count) {
    ada.send_letter(to_bob, count);
  }
  for (int count = 1; count <= 50; ++count) {
    REQUIRE(await(bob, kind::letter).as<int>() == count);
  }
  CHECK(bob.statistics().lost == 0);
}

TEST_CASE("letters beyond a rate wait, and nobody is muted for them") {
  network lan;
  auto options = lan.options("bob");
  options.rate = {.messages = 2, .within = 8s};  // one more each 4 s; it is sent again after 5 s
  peers bob{lan.owner, options};
  peers ada{lan.owner, lan.options("ada")};
  REQUIRE(ada.wait_for_peers(1, patience));
  REQUIRE(bob.wait_for_peers(1, patience));
  for (int count = 1; count <= 3; ++count) {
    ada.send_letter(to_bob, count);
  }
  std::vector<std::chrono::steady_clock::time_point> came;
  while (came.size() < 3) {
    const auto event = bob.receive_for(patience);
    REQUIRE(event.has_value());
    CHECK(event->what != kind::muted);
    if (event->what == kind::letter) {
      came.push_back(std::chrono::steady_clock::now());
      CHECK(event->as<int>() == static_cast<int>(came.size()));
    }
  }
  CHECK(came[2] - came[0] >= 3s);  // no sooner; later, as it may be
}

TEST_CASE("of the letters of one session each is the next once, and none before those it follows") {
  const auto numbered = [](std::uint64_t number, std::uint64_t session = 7) {
    return letter_mark{letter_mark::kind::letter, session, number, 0};
  };
  letter_book bobs{1, 100, 1'000'000};
  CHECK(bobs.is_next(to_ada, numbered(1)));
  bobs.offered(to_ada, numbered(1));
  bobs.offered(to_ada, numbered(2));
  CHECK(bobs.is_next(to_ada, numbered(3)));
  for (const std::uint64_t other : {1U, 2U, 4U, 5U, 1000U}) {
    INFO(other);
    CHECK_FALSE(bobs.is_next(to_ada, numbered(other)));
  }
  // That the program took them changes nothing of what is next.
  static_cast<void>(bobs.taken(to_ada, numbered(2)));
  CHECK_FALSE(bobs.is_next(to_ada, numbered(2)));
  CHECK_FALSE(bobs.is_next(to_ada, numbered(4)));
  CHECK(bobs.is_next(to_ada, numbered(3)));
  // Another session has numbers of its own, and so has another sender.
  CHECK(bobs.is_next(to_ada, numbered(1, 8)));
  CHECK(bobs.is_next("eve@example.org", numbered(1)));
  // As it was in the journal.
  letter_book later{1, 100, 1'000'000};
  later.restore_taken(to_ada, 7, 2);
  CHECK_FALSE(later.is_next(to_ada, numbered(2)));
  CHECK(later.is_next(to_ada, numbered(3)));
  CHECK_FALSE(later.is_next(to_ada, numbered(4)));
}

TEST_CASE("a mark of a letter is read as it was written, and nothing else is one") {
  for (const letter_mark& each :
       {letter_mark{letter_mark::kind::letter, 7, 1, 0},
        letter_mark{letter_mark::kind::read, 7, 2, 9},
        letter_mark{letter_mark::kind::received, 0xffffffffffffffff, 3, 0}}) {
    const std::string whole = write_letter_mark(each);
    CHECK(read_letter_mark(whole) == each);
    CHECK_FALSE(read_letter_mark(whole + "x"));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CHECK_FALSE(read_letter_mark(whole.substr(0, size)));
    }
  }
  CHECK_FALSE(read_letter_mark(write_letter_mark({letter_mark::kind::letter, 7, 0, 0})));
}
