// SPDX-License-Identifier: MPL-2.0
#include <parley/allow_list.hpp>
#include <parley/doorkeeper.hpp>
#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/socket.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/nothing_left.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace parley::detail;
using support::patience;

namespace {

// A CURVE server.
struct house {
  context owner;
  curve_keys keys = generate_curve_keys();
  parley::socket pull{owner, socket_kind::pull, {.curve = keys}};
  endpoint where = pull.bind("tcp://127.0.0.1:0");

  bool lets_in(const curve_keys& client) {
    parley::socket push{owner, socket_kind::push, {.curve = {keys.public_key, client}}};
    monitor watch{owner, push};
    push.connect(where);
    for (;;) {
      const auto event = watch.receive_for(patience);
      if (!event || event->change == connection_change::ready ||
          event->change == connection_change::handshake_failed) {
        return event && event->change == connection_change::ready;
      }
    }
  }
};

}  // namespace

TEST_CASE("without a list everybody is let in, and what he says carries his key") {
  house one;
  const auto keeper = doorkeeper::of(one.owner);
  const curve_keys guest = generate_curve_keys();
  CHECK(keeper->holds(guest.public_key));
  parley::socket push{one.owner, socket_kind::push, {.curve = {one.keys.public_key, guest}}};
  push.connect(one.where);
  push.send("hello");
  zmq::message_t came;
  REQUIRE(one.pull.native().recv(came));
  CHECK(came.gets("User-Id") == guest.public_key.z85());
}

TEST_CASE("a list that comes later is obeyed, and when it is gone nobody is let in") {
  house one;
  const auto keeper = doorkeeper::of(one.owner);
  const curve_keys guest = generate_curve_keys();
  const curve_keys stranger = generate_curve_keys();
  CHECK(one.lets_in(stranger));
  {
    const allow_list list{one.owner, std::vector{guest.public_key}};
    CHECK(keeper->holds(guest.public_key));
    CHECK_FALSE(keeper->holds(stranger.public_key));
    CHECK(list.allowed() == 0);  // nobody came
    CHECK(one.lets_in(guest));
    CHECK_FALSE(one.lets_in(stranger));
    CHECK(list.allowed() == 1);
  }
  CHECK_FALSE(keeper->holds(guest.public_key));
  CHECK_FALSE(one.lets_in(guest));
  const allow_list next{one.owner, std::vector{guest.public_key}};
  CHECK(one.lets_in(guest));
}

TEST_CASE(
    "all who ask for the doorkeeper of a context have the same one, also while another ends") {
  context owner;
  CHECK(doorkeeper::of(owner) == doorkeeper::of(owner));
  std::vector<std::future<void>> many;
  for (int count = 0; count < 4; ++count) {
    many.push_back(std::async(std::launch::async, [&owner] {
      for (int again = 0; again < 50; ++again) {
        static_cast<void>(doorkeeper::of(owner));
      }
    }));
  }
  for (auto& each : many) {
    CHECK_NOTHROW(each.get());
  }
}

TEST_CASE("where the program has a ZAP handler of its own there is no doorkeeper") {
  context owner;
  parley::socket own{owner, socket_kind::rep};
  own.bind("inproc://zeromq.zap.01");
  CHECK_THROWS_AS(doorkeeper::of(owner), error);
}

TEST_CASE("while somebody waits for the disk to read the list, others are let in") {
  house one;
  const support::temporary_directory home;
  const curve_keys guest = generate_curve_keys();
  const auto file = home / "allowed";
  const std::string line = guest.public_key.z85() + "\n";
  std::ofstream{file} << line;
  const allow_list list{one.owner, file};
  const auto keeper = doorkeeper::of(one.owner);
  // A pipe is as slow as we like.
  std::filesystem::remove(file);
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  auto slow = std::async(std::launch::async, [&] { return keeper->holds(guest.public_key); });
  const int writer = ::open(file.c_str(), O_WRONLY);  // it has begun to read
  REQUIRE(writer >= 0);
  std::ofstream{home / "next"} << line;
  std::filesystem::rename(home / "next", file);
  CHECK(one.lets_in(guest));
  auto other = std::async(std::launch::async, [&] { return keeper->holds(guest.public_key); });
  CHECK(other.wait_for(patience) == std::future_status::ready);
  CHECK(::write(writer, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
  ::close(writer);
  CHECK(slow.get());
  CHECK(other.get());
}

TEST_CASE("of a context that had a doorkeeper nothing is left") {
  const support::nothing_left afterwards;
  for (int count = 0; count < 5; ++count) {
    house one;
    const allow_list list{one.owner, std::vector{one.keys.public_key}};
    const auto keeper = doorkeeper::of(one.owner);
    CHECK_FALSE(one.lets_in(generate_curve_keys()));
  }
}
