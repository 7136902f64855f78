// SPDX-License-Identifier: MPL-2.0
//
// Files between programs that are killed while they are under way, and to disks that are full.
#include <parley/peers.hpp>

#include <signal.h>
#include <sys/resource.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/await.hpp"
#include "support/beacon_port.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/connected.hpp"
#include "support/small_disk.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace std::chrono_literals;
using kind = peer_event::kind;
using support::child;
using support::patience;
namespace fs = std::filesystem;

namespace {

constexpr std::uintmax_t file_bytes = std::uintmax_t{192} << 20;

peers_options options(std::uint16_t port, std::string name) {
  return {.name = std::move(name), .port = port, .interfaces = {"lo"}, .interval = 100ms};
}

// No two stretches of it are the same.
void write_numbers(const fs::path& file) {
  std::ofstream out{file, std::ios::binary};
  std::array<std::uint64_t, 1 << 14> block;
  std::uint64_t next = 0;
  for (std::uintmax_t at = 0; at < file_bytes; at += sizeof block) {
    for (std::uint64_t& each : block) {
      each = ++next * 0x9e3779b97f4a7c15U;
    }
    out.write(reinterpret_cast<const char*>(block.data()), sizeof block);
  }
  REQUIRE(out.good());
}

bool are_same(const fs::path& one, const fs::path& other) {
  std::ifstream left{one, std::ios::binary};
  std::ifstream right{other, std::ios::binary};
  std::string a(1 << 20, ' ');
  std::string b(1 << 20, ' ');
  while (left && right) {
    left.read(a.data(), static_cast<std::streamsize>(a.size()));
    right.read(b.data(), static_cast<std::streamsize>(b.size()));
    if (left.gcount() != right.gcount() ||
        a.compare(0, static_cast<std::size_t>(left.gcount()), b, 0,
                  static_cast<std::size_t>(left.gcount())) != 0) {
      return false;
    }
  }
  return left.eof() && right.eof();
}

// Offers it to everybody who comes, and again to who is still here: that a link began anew may be
// seen by one of the two alone.
void send(std::uint16_t port, const fs::path& file, child::line line) {
  context owner;
  peers node{owner, options(port, "sender")};
  std::set<peer_id> here;
  for (;;) {
    const auto event = node.receive();
    if (event.what == kind::enter) {
      here.insert(event.peer);
    } else if (event.what == kind::exit) {
      here.erase(event.peer);
    }
    if (event.what == kind::enter ||
        (event.what == kind::file_failed && here.contains(event.peer))) {
      static_cast<void>(node.send_file(event.peer, file));
    } else if (event.what == kind::file_done) {
      line.say("done");
    }
  }
}

// Says from where on it came.
void receive(std::uint16_t port, const fs::path& to, child::line line) {
  context owner;
  peers node{owner, options(port, "receiver")};
  for (;;) {
    const auto event = node.receive();
    if (event.what == kind::file_offered) {
      static_cast<void>(node.accept_file(event.number, to));
    } else if (event.what == kind::file_done) {
      line.say(std::to_string(event.file.from));
    }
  }
}

std::uintmax_t size_of(const fs::path& file) {
  std::error_code missing;
  const auto size = fs::file_size(file, missing);
  return missing ? 0 : size;
}

bool have_met(const peers& sender, const peers& receiver) {
  return sender.wait_for_peers(1, patience) && receiver.wait_for_peers(1, patience);
}

// What receiving ends with.
std::string receive_until_end(peers& sender, peers& receiver, const fs::path& file,
                              const fs::path& to) {
  if (!have_met(sender, receiver)) {
    return "nobody is here";
  }
  static_cast<void>(sender.send_file(receiver.id(), file));
  while (auto event = receiver.receive_for(patience)) {
    if (event->what == kind::file_offered) {
      static_cast<void>(receiver.accept_file(event->number, to));
    } else if (event->what == kind::file_done) {
      return event->file.from > 0 ? "done, not from the beginning" : "done";
    } else if (event->what == kind::file_failed) {
      return std::string{to_string(event->file.why)};
    }
  }
  return "nothing is told";
}

// Two at a time, to files named 1 and 2. Why one of them failed; "too late": the first had taken
// the room before the second could be accepted.
std::string fill(peers& sender, peers& receiver, const fs::path& file, const fs::path& disk) {
  if (!have_met(sender, receiver)) {
    return "nobody is here";
  }
  std::vector<std::uint64_t> offers;
  std::string why = "both were done";
  bool is_late = false;
  static_cast<void>(sender.send_file(receiver.id(), file));
  static_cast<void>(sender.send_file(receiver.id(), file));
  for (int ended = 0; ended < 2;) {
    const auto event = receiver.receive();
    if (event.what == kind::file_offered) {
      offers.push_back(event.number);
      if (offers.size() == 2) {
        static_cast<void>(receiver.accept_file(offers[0], disk / "1"));
        try {
          static_cast<void>(receiver.accept_file(offers[1], disk / "2"));
        } catch (const error&) {
          static_cast<void>(receiver.cancel_file(offers[1]));
          is_late = true;
        }
      }
    } else if (event.what == kind::file_failed || event.what == kind::file_done) {
      why = event.what == kind::file_failed ? to_string(event.file.why) : why;
      ++ended;
    }
  }
  return is_late ? "too late" : why;
}

}  // namespace

TEST_CASE("a file goes on where it was when either program is killed, and arrives as it was") {
  const support::beacon_port port;
  const support::temporary_directory directory;
  const fs::path source = directory / "source";
  const fs::path to = directory / "there";
  const fs::path part = directory / "there.parley-part";
  write_numbers(source);
  const auto start_sender = [&] {
    return std::make_unique<child>([&](child::line line) { send(port.number(), source, line); });
  };
  const auto start_receiver = [&] {
    return std::make_unique<child>([&](child::line line) { receive(port.number(), to, line); });
  };
  auto sender = start_sender();
  auto receiver = start_receiver();
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random{seed};
  std::uintmax_t had = 0;
  int kills = 0;
  for (int count = 0; count < 4; ++count) {
    const std::uintmax_t moment = had + file_bytes / 32 + random() % (file_bytes / 16);
    REQUIRE(support::await([&] { return size_of(part) >= moment || fs::exists(to); }));
    auto& victim = count % 2 == 0 ? receiver : sender;
    victim->kill();
    if (fs::exists(to)) {
      break;
    }
    ++kills;
    had = size_of(part);
    CHECK(had >= moment);
    victim.reset();
    victim = count % 2 == 0 ? start_receiver() : start_sender();
  }
  REQUIRE(kills > 0);
  if (!fs::exists(to)) {
    CHECK(std::stoull(receiver->hear()) >= had);
    CHECK(sender->hear() == "done");
  }
  CHECK(are_same(source, to));
  CHECK_FALSE(fs::exists(part));
}

TEST_CASE("a disk that gets full ends a file, and it goes on when there is room") {
  const support::temporary_directory directory;
  const support::temporary_directory disk;
  const support::beacon_port port;
  std::ofstream{directory / "source"} << std::string(3 << 20, 'x');
  child node{[&](child::line line) {
    if (!support::mount_small_disk(disk.path(), 4 << 20)) {
      line.say("no small disk");
      return;
    }
    line.say("small disk");
    context owner;
    peers sender{owner, options(port.number(), "sender")};
    peers receiver{owner, options(port.number(), "receiver")};
    // There is room for either when both are accepted.
    // What was removed takes its room until the receiver has closed it.
    const auto has_room = [&](const fs::path& part) {
      return support::await([&] {
        return fs::space(disk.path()).available + size_of(part) >= std::uintmax_t{3} << 20;
      });
    };
    std::string why;
    while ((why = fill(sender, receiver, directory / "source", disk.path())) == "too late") {
      fs::remove(disk / "1");
      static_cast<void>(has_room(disk / "none"));
    }
    line.say(why);
    const bool is_first = fs::exists(disk / "1.parley-part");
    const fs::path broken = disk / (is_first ? "1" : "2");
    for (const char* const other :
         {is_first ? "2" : "1", is_first ? "2.parley-part" : "1.parley-part"}) {
      fs::remove(disk / other);
    }
    static_cast<void>(has_room(broken.string() + ".parley-part"));
    line.say(receive_until_end(sender, receiver, directory / "source", broken));
    line.say(are_same(directory / "source", broken) ? "same" : "different");
  }};
  if (node.hear() == "no small disk") {
    WARN("only root can mount a small disk: skipped");
    return;
  }
  CHECK(node.hear() == "disk full");
  CHECK(node.hear() == "done, not from the beginning");
  CHECK(node.hear() == "same");
}

TEST_CASE("a file that grows beyond what the process may write ends, and nothing else does") {
  const support::temporary_directory directory;
  const support::beacon_port port;
  std::ofstream{directory / "source"} << std::string(3 << 20, 'x');
  child node{[&](child::line line) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    context owner;
    peers sender{owner, options(port.number(), "sender")};
    peers receiver{owner, options(port.number(), "receiver")};
    line.say(receive_until_end(sender, receiver, directory / "source", directory / "there"));
    while (auto event = sender.receive_for(patience)) {
      if (event->what == kind::file_failed) {
        line.say(std::string{to_string(event->file.why)});
        break;
      }
    }
    line.say(sender.whisper(receiver.id(), "still here?") ? "here" : "gone");
  }};
  CHECK(node.hear() == "disk full");
  CHECK(node.hear() == "disk full");
  CHECK(node.hear() == "here");
  CHECK(size_of(directory / "there.parley-part") == 1 << 20);
  CHECK_FALSE(fs::exists(directory / "there"));
}
