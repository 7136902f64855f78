// SPDX-License-Identifier: MPL-2.0
#include <parley/allow_list.hpp>
#include <parley/error.hpp>
#include <parley/monitor.hpp>
#include <parley/socket.hpp>

#include <fstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/temporary_directory.hpp"
#include "zap.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;
using support::temporary_directory;

namespace {

// A CURVE server and what a client of it comes to.
struct secured {
  context owner;
  curve_keys server_keys = generate_curve_keys();
  parley::socket pull{owner, socket_kind::pull, {.curve = server_keys}};
  endpoint where = pull.bind("tcp://127.0.0.1:0");

  // The first event that decides the handshake of a client with these keys.
  connection_event connect(const curve_security& client) {
    parley::socket push{owner, socket_kind::push, {.curve = client}};
    monitor watch{owner, push};
    push.connect(where);
    for (;;) {
      const auto event = watch.receive_for(patience);
      if (!event || event->change == connection_change::ready ||
          event->change == connection_change::handshake_failed) {
        return event.value_or(connection_event{connection_change::closed, {}, "nothing came"});
      }
    }
  }
};

}  // namespace

TEST_CASE("without a list, whoever knows the server's key may connect, and its messages arrive") {
  secured server;
  CHECK(server.connect({server.server_keys.public_key}).change == connection_change::ready);

  parley::socket push{server.owner, socket_kind::push, {.curve = {server.server_keys.public_key}}};
  push.connect(server.where);
  push.send(frame{"secret"});
  CHECK(server.pull.receive_for(patience) == message{frame{"secret"}});
}

TEST_CASE("a client with the wrong server key, or with none, is refused with a reason") {
  secured server;
  const auto wrong = server.connect({generate_curve_keys().public_key});
  CHECK(wrong.change == connection_change::handshake_failed);
  CHECK_FALSE(wrong.reason.empty());
  const auto none = server.connect({});
  CHECK(none.change == connection_change::handshake_failed);
  CHECK(none.reason == "one side asks for a security that the other does not offer");
}

TEST_CASE("with a list, only clients on it may connect, and the others are told") {
  secured server;
  const curve_keys friend_keys = generate_curve_keys();
  const allow_list list{server.owner, std::vector{friend_keys.public_key}};
  CHECK(server.connect({server.server_keys.public_key, friend_keys}).change ==
        connection_change::ready);
  const auto stranger = server.connect({server.server_keys.public_key});
  CHECK(stranger.change == connection_change::handshake_failed);
  CHECK(stranger.reason == "refused by the server's allow list, status 400");
  CHECK(list.allowed() == 1);
  CHECK(list.refused() >= 1);
}

TEST_CASE("a list in a file is obeyed as it is when a client comes") {
  secured server;
  const temporary_directory home;
  const curve_keys keys = generate_curve_keys();
  const auto file = home / "allowed";
  std::ofstream{file} << "# nobody yet\n";
  const allow_list list{server.owner, file};
  CHECK(server.connect({server.server_keys.public_key, keys}).change ==
        connection_change::handshake_failed);
  std::ofstream{file} << "# now there is one\n" << keys.public_key.z85() << "  the desk\n";
  CHECK(server.connect({server.server_keys.public_key, keys}).change == connection_change::ready);
  std::filesystem::remove(file);
  CHECK(server.connect({server.server_keys.public_key, keys}).change ==
        connection_change::handshake_failed);
}

TEST_CASE("a list may be a directory of certificates") {
  secured server;
  const temporary_directory home;
  const curve_keys keys = generate_curve_keys();
  const allow_list list{server.owner, home.path()};
  CHECK(server.connect({server.server_keys.public_key, keys}).change ==
        connection_change::handshake_failed);
  write_curve_keys(keys, home / "desk");
  CHECK(server.connect({server.server_keys.public_key, keys}).change == connection_change::ready);
}

TEST_CASE("a list that cannot be read at first is an error") {
  context owner;
  const temporary_directory home;
  CHECK_THROWS_AS(allow_list(owner, home / "absent"), config_error);
  std::ofstream{home / "odd"} << "not a key\n";
  CHECK_THROWS_WITH(allow_list(owner, home / "odd"), Catch::Contains("line 1"));
}

TEST_CASE("one context has one list") {
  context owner;
  const allow_list first{owner, std::vector<curve_key>{}};
  CHECK_THROWS_AS(allow_list(owner, std::vector<curve_key>{}), error);
}

TEST_CASE("a list that goes away answers who has asked before") {
  context owner;
  const temporary_directory home;
  const auto file = home / "allowed";
  {
    std::ofstream lines{file};
    const std::string key = generate_curve_keys().public_key.z85();
    for (int number = 0; number < 20'000; ++number) {  // reading it takes longer than asking
      lines << key << '\n';
    }
  }
  const auto key = generate_curve_keys().public_key.bytes();
  std::vector<parley::socket> askers;
  {
    const allow_list list{owner, file};
    for (int number = 0; number < 20; ++number) {
      askers.emplace_back(owner, socket_kind::req).connect("inproc://zeromq.zap.01");
      askers.back().send(
          message{"1.0", "1", "", "127.0.0.1", "", "CURVE", frame{key.data(), key.size()}});
    }
  }
  for (auto& asker : askers) {
    const auto answer = asker.receive_for(patience);
    REQUIRE(answer.has_value());
    CHECK((*answer)[2] == "400");
  }
}

TEST_CASE("shutting the context down ends the list's thread") {
  context owner;
  const allow_list list{owner, std::vector<curve_key>{}};
  owner.shutdown();
}

TEST_CASE("what is no ZAP request is known as such") {
  CHECK_FALSE(detail::parse_zap_request(message{}).has_value());
  CHECK_FALSE(detail::parse_zap_request(
                  message{frame{"2.0"}, frame{"1"}, frame{}, frame{}, frame{}, frame{"CURVE"}})
                  .has_value());
  const message plain{frame{"1.0"}, frame{"1"},     frame{},       frame{"127.0.0.1"},
                      frame{},      frame{"PLAIN"}, frame{"user"}, frame{"password"}};
  REQUIRE(detail::parse_zap_request(plain).has_value());
  CHECK_FALSE(detail::parse_zap_request(plain)->client.has_value());
}
