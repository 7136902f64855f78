// SPDX-License-Identifier: MPL-2.0
//
// ZRE without a network: what a node does when others behave as zyre and pyre do, and when they do
// not. "Trap n" is one of those in which programs of this kind are known to be caught.
#include "peers/peer_desk.hpp"
#include "peers/file_mark.hpp"
#include "peers/letter_mark.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using told = peer_event::kind;
using said = zre_message::kind;
using doing = peer_step::kind;

namespace {

constexpr std::uint16_t own_port = 1000;
constexpr const char* own_host = "10.0.0.1";

// Another node, as far as it is seen from here.
struct stranger {
  peer_id id = peer_id::random();
  std::string host = "10.0.0.2";
  std::uint16_t port = 5000;
  std::uint16_t last = 0;
  std::map<std::string, std::string> headers{};
  std::optional<curve_key> key{};
};

class network {
 public:
  explicit network(const peers_options& options = {})
      : desk{peer_id::random(), "own", own_port, options,
             [this](const curve_key& key) { return !unwanted.contains(key); }} {}

  peer_desk desk;
  peer_desk::time_point now{1h};
  std::set<curve_key> unwanted;

  void beacon_of(const stranger& who) { heard_beacon(who, who.host, who.port); }
  void heard_beacon(const stranger& who, const std::string& host, std::uint16_t port) {
    desk.heard_beacon({who.id, port, who.key}, host, now);
    carry_out();
  }
  void hello_of(stranger& who, std::vector<std::string> groups = {}, std::string endpoint = {}) {
    zre_message hello{.what = said::hello};
    hello.endpoint =
        endpoint.empty() ? "tcp://" + who.host + ':' + std::to_string(who.port) : endpoint;
    hello.groups = std::move(groups);
    hello.name = "stranger";
    hello.headers = who.headers;
    who.last = 0;
    hear(who, std::move(hello));
  }
  // With the next number.
  void hear(stranger& who, zre_message head, const std::string& content = {}) {
    head.sequence = ++who.last;
    message whole{frame{write_zre(head)}};
    if (!content.empty()) {
      whole.push_back(frame{content});
    }
    hear_bytes(who, std::move(whole));
  }
  void hear_bytes(const stranger& who, message&& whole) {
    desk.heard(who.id, who.host, std::move(whole), now, who.key);
    carry_out();
  }
  // It is greeted, and greets.
  void meet(stranger& who, std::vector<std::string> groups = {}) {
    beacon_of(who);
    answer(who);
    hello_of(who, std::move(groups));
    REQUIRE(desk.status(who.id).has_value());
    forget();
  }

  // What the probe of its address came to.
  void answer(const stranger& who, probe_answer how = probe_answer::answered) {
    answer_at({who.host, who.port}, how);
  }
  void answer_at(const peer_place& where, probe_answer how = probe_answer::answered) {
    const auto probe =
        std::ranges::find_if(probes, [&](const auto& each) { return each.second == where; });
    REQUIRE(probe != probes.end());
    const peer_link link = probe->first;
    probes.erase(probe);
    desk.probed(link, where, how, own_host, now);
    carry_out();
  }
  [[nodiscard]] bool is_probed(const peer_place& where) const {
    return std::ranges::any_of(probes, [&](const auto& each) { return each.second == where; });
  }

  // Time passes, looked at every 100 ms.
  void pass(peer_desk::duration time) {
    for (const auto end = now + time; now < end;) {
      now += 100ms;
      static_cast<void>(desk.tick(now));
      carry_out();
    }
  }

  void carry_out() {
    for (peer_step& each : desk.take_steps()) {
      switch (each.what) {
        case doing::probe:
          probes.emplace_back(each.link, each.where);
          break;
        case doing::open:
          opened.push_back(each.where);
          opened_for = each.key;
          break;
        case doing::send: {
          zre_message head;
          REQUIRE(read_zre(each.said.front().view(), head) == zre_reading::good);
          each.said.drop_front(1);
          sent.push_back({head, std::move(each.said)});
          break;
        }
        case doing::close:
        case doing::drop:
          ++closed;
      }
    }
    for (peer_event& each : desk.take_events()) {
      events.push_back(std::move(each));
    }
  }
  void forget() {
    sent.clear();
    events.clear();
    opened.clear();
    closed = 0;
  }

  // "enter, exit left, ...": what the program was told since it was asked last.
  std::string news() {
    std::string all;
    for (const peer_event& each : std::exchange(events, {})) {
      all += all.empty() ? "" : ", ";
      all += to_string(each.what);
      if (each.what == told::exit) {
        all += ' ' + std::string{to_string(each.reason)};
      }
      if (!each.group.empty()) {
        all += ' ' + each.group;
      }
    }
    return all;
  }
  // What it was sent since, without its content: "1 hello, 2 whisper".
  std::string words() {
    std::string all;
    for (const auto& each : std::exchange(sent, {})) {
      static constexpr const char* names[] = {"",      "hello",  "whisper", "shout",
                                              "join",  "leave",  "ping",    "ping_ok",
                                              "elect", "leader", "goodbye"};
      all += (all.empty() ? "" : ", ") + std::to_string(each.head.sequence) + ' ' +
             names[static_cast<int>(each.head.what)];
    }
    return all;
  }

  struct sending {
    zre_message head;
    message content;
  };
  std::vector<sending> sent;
  std::vector<peer_event> events;
  std::vector<std::pair<peer_link, peer_place>> probes;
  std::vector<peer_place> opened;
  std::optional<curve_key> opened_for;  // the last
  int closed = 0;
};

}  // namespace

TEST_CASE("a peer found by its beacon is probed, greeted, and enters when it greets") {
  network lan;
  lan.desk.join("lobby");
  stranger ada;
  lan.beacon_of(ada);
  CHECK(lan.sent.empty());
  lan.answer(ada);
  CHECK(lan.opened == std::vector<peer_place>{{ada.host, ada.port}});
  REQUIRE(lan.sent.size() == 1);
  const zre_message& hello = lan.sent.front().head;
  CHECK(hello.sequence == 1);
  CHECK(hello.endpoint == "tcp://10.0.0.1:1000");  // the address of ours that it answered
  CHECK(hello.groups == std::vector<std::string>{"lobby"});
  CHECK(hello.status == 1);
  CHECK(hello.headers.contains("X-PARLEY"));
  CHECK(lan.news().empty());
  CHECK(lan.desk.link_of(ada.id) == 0);

  lan.hello_of(ada, {"lobby", "office", "lobby", ""});
  CHECK(lan.news() == "enter, join lobby, join office");
  CHECK(lan.desk.here("office") == std::vector<peer_id>{ada.id});
}

TEST_CASE("a peer that greets first is dialled at the address that it came from") {
  network lan;
  stranger ada;
  lan.hello_of(ada);
  CHECK(lan.news() == "enter");
  lan.desk.whisper(ada.id, message{"kept"});
  CHECK(lan.desk.kept(lan.desk.link_of(ada.id)) == 1);
  CHECK(lan.desk.kept_bytes(lan.desk.link_of(ada.id)) == 4);
  lan.answer(ada);
  CHECK(lan.words() == "1 hello, 2 whisper");
  CHECK(lan.desk.kept_bytes(lan.desk.link_of(ada.id)) == 0);
}

TEST_CASE("numbers go on after their end as zyre counts and as pyre counts (trap 2)") {
  const auto lasts = GENERATE(0xffff, 0xfffe);
  network lan;
  stranger ada;
  lan.meet(ada);
  for (int count = 0; count < 70'000; ++count) {
    if (ada.last == lasts) {
      ada.last = 0xffff;  // and then 0
    }
    lan.hear(ada, {.what = said::whisper}, "x");
  }
  CHECK(lan.events.size() == 70'000);
  CHECK(
      std::ranges::all_of(lan.events, [](const auto& each) { return each.what == told::whisper; }));
}

TEST_CASE("number 65,535 is a question, and what follows waits until it is answered (trap 2)") {
  network lan;
  stranger ada;
  lan.meet(ada);
  for (int count = 2; count < 65'535; ++count) {
    lan.desk.whisper(ada.id, message{"x"});
  }
  lan.carry_out();
  CHECK(lan.sent.back().head.sequence == 65'534);
  lan.forget();
  lan.desk.whisper(ada.id, message{"held"});
  lan.desk.join("lobby");
  lan.carry_out();
  CHECK(lan.words() == "65535 ping");
  CHECK_FALSE(lan.desk.is_open(lan.desk.link_of(ada.id)));

  SECTION("zyre answers") {
    lan.hear(ada, {.what = said::ping_ok});
    CHECK(lan.words() == "0 whisper, 1 join");
    CHECK(lan.desk.is_open(lan.desk.link_of(ada.id)));
    // It is not asked again.
    for (int count = 2; count <= 65'536; ++count) {
      lan.desk.whisper(ada.id, message{"x"});
    }
    lan.carry_out();
    CHECK(lan.sent.back().head.sequence == 0);
    CHECK(std::ranges::none_of(lan.sent,
                               [](const auto& each) { return each.head.what == said::ping; }));
  }
  SECTION("pyre greets anew, is greeted, and hears it all; from then on we count as it does") {
    lan.hello_of(ada);
    lan.answer(ada);
    CHECK(lan.words() == "1 hello, 2 whisper, 3 ping");
    CHECK(lan.news() == "exit restarted, enter");
    for (int count = 4; count <= 65'535; ++count) {
      lan.desk.whisper(ada.id, message{"x"});
    }
    lan.carry_out();
    CHECK(lan.sent[lan.sent.size() - 2].head.sequence == 65'534);
    CHECK(lan.sent.back().head.sequence == 0);
  }
  SECTION("one that does neither is greeted anew, and hears it all") {
    for (int count = 0; count < 31; ++count) {
      CHECK(lan.news().empty());
      lan.beacon_of(ada);
      lan.pass(1s);
    }
    CHECK(lan.news() == "exit out of step");
    lan.answer(ada);
    CHECK(lan.words() == "1 hello, 2 whisper");
  }
}

TEST_CASE("an answer to an earlier question does not answer that of number 65,535") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.pass(6s);
  CHECK(lan.words() == "2 ping");
  for (int count = 3; count <= 65'535; ++count) {
    lan.desk.whisper(ada.id, message{"x"});
  }
  lan.carry_out();
  lan.forget();
  lan.hear(ada, {.what = said::ping_ok});
  CHECK(lan.words().empty());
  lan.hear(ada, {.what = said::ping_ok});
  CHECK(lan.words() == "0 whisper");
}

TEST_CASE("peers of Parley count to 65,535 without a question") {
  network lan;
  stranger ada{.headers = {{"X-PARLEY", "1"}}};
  lan.meet(ada);
  for (int count = 2; count <= 65'536; ++count) {
    lan.desk.whisper(ada.id, message{"x"});
  }
  lan.carry_out();
  CHECK(lan.sent.size() == 65'535);
  CHECK(lan.sent.back().head.sequence == 0);
}

TEST_CASE("a peer that was heard to count as pyre does is answered in kind") {
  network lan;
  stranger ada;
  lan.meet(ada);
  for (int count = 2; count < 65'535; ++count) {
    lan.hear(ada, {.what = said::whisper}, "x");
  }
  ada.last = 0xffff;
  lan.hear(ada, {.what = said::whisper}, "x");
  for (int count = 2; count <= 65'535; ++count) {
    lan.desk.whisper(ada.id, message{"x"});
  }
  lan.carry_out();
  CHECK(lan.sent.back().head.sequence == 0);
}

TEST_CASE("a number that is missing ends what was, and the peer is greeted anew (trap 8)") {
  network lan;
  stranger ada;
  lan.meet(ada, {"lobby"});
  ++ada.last;
  lan.hear(ada, {.what = said::whisper}, "after the gap");
  CHECK(lan.news() == "exit out of step");
  CHECK(lan.closed == 1);
  CHECK(lan.desk.here().empty());
  lan.hear(ada, {.what = said::whisper}, "it does not know yet");
  CHECK(lan.desk.statistics().nonsense == 1);
  lan.answer(ada);
  CHECK(lan.words() == "1 hello");
  lan.hello_of(ada, {"lobby"});
  CHECK(lan.news() == "enter, join lobby");
  CHECK(lan.words().empty());  // that was its answer
  lan.hear(ada, {.what = said::whisper}, "hello");
  CHECK(lan.news() == "whisper");
}

TEST_CASE("a repeated number is as bad as a missing one") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.hear(ada, {.what = said::whisper}, "x");
  --ada.last;
  lan.hear(ada, {.what = said::whisper}, "x");
  CHECK(lan.news() == "whisper, exit out of step");
}

TEST_CASE("HELLO of a peer that is here means that it begins anew, and is answered (trap 8)") {
  network lan;
  stranger ada;
  lan.meet(ada, {"lobby"});
  lan.desk.whisper(ada.id, message{"x"});
  lan.pass(4s);
  lan.forget();
  lan.hello_of(ada);
  CHECK(lan.news() == "exit restarted, enter");
  CHECK(lan.desk.here("lobby").empty());
  CHECK(lan.closed == 1);
  lan.answer(ada);
  CHECK(lan.words() == "1 hello, 2 ping");
}

TEST_CASE("two greetings that cross are not answered for ever, but asked about") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.hello_of(ada);
  CHECK(lan.news() == "exit restarted, enter");
  CHECK(lan.closed == 0);
  CHECK(lan.words() == "2 ping");
  SECTION("it knows us") {
    lan.hear(ada, {.what = said::ping_ok});
    lan.pass(4s);
    CHECK(lan.news().empty());
  }
  SECTION("it does not") {
    lan.pass(4s);
    CHECK(lan.news() == "exit out of step");
    lan.answer(ada);
    CHECK(lan.words() == "1 hello");
  }
}

TEST_CASE("a greeting with another number than 1 is none") {
  network lan;
  stranger ada;
  ada.last = 7;
  zre_message hello{.what = said::hello};
  lan.hear(ada, hello);
  CHECK(lan.desk.here().empty());
  CHECK(lan.desk.statistics().nonsense == 1);
}

TEST_CASE("elections are counted and not heeded, and nobody is told of ours (trap 3)") {
  network lan;
  stranger ada;
  lan.meet(ada, {"lobby"});
  for (const char what : {'\10', '\11'}) {
    std::string bytes{"\xaa\xa1", 2};
    bytes += what;
    bytes += '\2';
    bytes += '\0';
    bytes += static_cast<char>(++ada.last);
    bytes += "\5lobby\3abc";
    lan.hear_bytes(ada, message{frame{bytes}});
  }
  lan.hear(ada, {.what = said::whisper}, "x");
  CHECK(lan.news() == "whisper");
  lan.desk.close();
  lan.carry_out();
  CHECK(lan.words().empty());  // GOODBYE is for those who know it
}

TEST_CASE("peers of Parley are told goodbye") {
  network lan;
  stranger ada{.headers = {{"X-PARLEY", "1"}}};
  lan.meet(ada);
  lan.desk.close();
  lan.carry_out();
  CHECK(lan.words() == "2 goodbye");
  CHECK(lan.news() == "exit closed");
}

TEST_CASE("who says goodbye has left") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.hear(ada, {.what = said::goodbye});
  CHECK(lan.news() == "exit left");
}

TEST_CASE("HELLO of another version, or cut short, is none (traps 5 and 11)") {
  network lan;
  stranger ada;
  std::string bytes = write_zre({.what = said::hello, .sequence = 1, .name = "ada"});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    lan.hear_bytes(ada, message{frame{bytes.substr(0, size)}});
  }
  CHECK(lan.desk.statistics().nonsense == bytes.size());
  bytes[3] = 1;
  lan.hear_bytes(ada, message{frame{bytes}});
  CHECK(lan.desk.statistics().other_version == 1);
  lan.hear_bytes(ada, message{});
  CHECK(lan.desk.here().empty());
}

TEST_CASE("a wrong status octet is counted, and what it says now is what counts (trap 6)") {
  network lan;
  stranger ada;
  lan.meet(ada);
  const auto join = [&](const char* group, std::uint8_t status) {
    zre_message head{.what = said::join, .status = status};
    head.group = group;
    lan.hear(ada, head);
  };
  join("one", 1);
  join("two", 9);
  join("three", 10);
  CHECK(lan.news() == "join one, join two, join three");
  CHECK(lan.desk.statistics().nonsense == 1);
  join("", 11);
  CHECK(lan.desk.statistics().nonsense == 2);
  CHECK(lan.news().empty());
}

TEST_CASE("our own joins and leaves are counted modulo 256 (trap 6)") {
  network lan;
  stranger ada;
  lan.meet(ada);
  for (int count = 0; count < 150; ++count) {
    lan.desk.join("lobby");
    lan.desk.join("lobby");  // says nothing
    lan.desk.leave("lobby");
    lan.desk.leave("lobby");
  }
  lan.carry_out();
  REQUIRE(lan.sent.size() == 300);
  for (std::size_t index = 0; index < lan.sent.size(); ++index) {
    CHECK(lan.sent[index].head.status == (index + 1) % 256);
  }
}

TEST_CASE("a question is answered at once (trap 7)") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.hear(ada, {.what = said::ping});
  CHECK(lan.words() == "2 ping_ok");
}

TEST_CASE("who is heard by beacons is not asked, however long it says nothing (trap 7)") {
  network lan;
  stranger ada;
  lan.meet(ada);
  for (int count = 0; count < 100; ++count) {
    lan.pass(1s);
    lan.beacon_of(ada);
  }
  CHECK(lan.words().empty());
  CHECK(lan.news().empty());
}

TEST_CASE("who is silent is asked, then evasive, then gone") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.pass(4900ms);
  CHECK(lan.words().empty());
  lan.pass(200ms);
  CHECK(lan.words() == "2 ping");
  CHECK(lan.news().empty());
  lan.pass(2300ms);
  CHECK(lan.news().empty());
  lan.pass(200ms);
  CHECK(lan.news() == "evasive");
  CHECK(lan.desk.status(ada.id)->is_evasive);

  SECTION("it is heard again") {
    lan.hear(ada, {.what = said::ping_ok});
    CHECK(lan.news() == "returned");
    CHECK_FALSE(lan.desk.status(ada.id)->is_evasive);
  }
  SECTION("its beacon is heard again") {
    lan.beacon_of(ada);
    CHECK(lan.news() == "returned");
  }
  SECTION("it is not") {
    lan.pass(22s);
    CHECK(lan.news().empty());
    lan.pass(500ms);
    CHECK(lan.news() == "exit timed out");
  }
}

TEST_CASE("who was heard last by another address than its link has timed out all the same") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.heard_beacon(ada, "172.16.0.2", ada.port);
  lan.pass(1s);
  lan.heard_beacon(ada, "172.16.0.2", ada.port);
  lan.pass(30s);
  CHECK(lan.news() == "evasive, exit timed out");
}

TEST_CASE("a host name in HELLO is not looked up: where it came from is right (trap 9)") {
  network lan;
  stranger ada;
  lan.hello_of(ada, {}, "tcp://vm:5000");
  REQUIRE(lan.probes.size() == 1);
  CHECK(lan.probes.front().second == peer_place{ada.host, 5000});
}

TEST_CASE("an endpoint that is none harms nobody") {
  network lan;
  for (const char* endpoint : {"tcp://", "tcp://10.0.0.2", "tcp://10.0.0.2:", "tcp://:0", "ipc://x",
                               "tcp://10.0.0.2:99999", "tcp://[::1", ":5000"}) {
    stranger ada;
    lan.hello_of(ada, {}, endpoint);
  }
  for (const auto& each : lan.probes) {
    CHECK(each.second.port != 0);
  }
  // They are here, and cannot be reached.
  CHECK(lan.desk.here().size() == 8);
  lan.pass(11s);
  CHECK(lan.desk.here().empty());
}

TEST_CASE("of all addresses the first that answers is used (trap 9)") {
  network lan;
  stranger ada;
  lan.hello_of(ada, {}, "tcp://192.168.7.7:5000");
  lan.heard_beacon(ada, "172.16.0.2", 5000);
  CHECK(lan.is_probed({"10.0.0.2", 5000}));
  CHECK(lan.is_probed({"192.168.7.7", 5000}));
  lan.answer_at({"192.168.7.7", 5000}, probe_answer::refused);
  lan.answer_at({"172.16.0.2", 5000});
  lan.answer_at({"10.0.0.2", 5000});
  CHECK(lan.opened == std::vector<peer_place>{{"172.16.0.2", 5000}});
}

TEST_CASE("loopback in a HELLO from elsewhere is not ours") {
  network lan;
  stranger ada;
  lan.hello_of(ada, {}, "tcp://127.0.0.1:5000");
  CHECK(lan.is_probed({"10.0.0.2", 5000}));
  CHECK_FALSE(lan.is_probed({"127.0.0.1", 5000}));
}

TEST_CASE("who takes our HELLO and does not greet is not that peer: the next address is tried") {
  network lan;
  stranger ada;
  lan.beacon_of(ada);
  lan.heard_beacon(ada, "172.16.0.2", 5000);
  lan.answer(ada);
  lan.answer_at({"172.16.0.2", 5000}, probe_answer::silent);
  lan.pass(3100ms);
  CHECK(lan.closed == 1);
  CHECK_FALSE(lan.is_probed({ada.host, ada.port}));
  lan.answer_at({"172.16.0.2", 5000});
  CHECK(lan.opened.back() == peer_place{"172.16.0.2", 5000});
  lan.hello_of(ada);
  CHECK(lan.news() == "enter");
}

TEST_CASE("a peer that nothing of answers is forgotten, and its next beacon is another chance") {
  network lan;
  stranger ada;
  lan.beacon_of(ada);
  lan.answer(ada, probe_answer::refused);
  lan.beacon_of(ada);
  lan.answer(ada);
  CHECK(lan.words() == "1 hello");
  CHECK(lan.news().empty());
}

TEST_CASE("a peer that reaches us and answers nowhere is unreachable") {
  network lan;
  stranger ada;
  lan.hello_of(ada);
  for (int count = 0; count < 11; ++count) {
    if (lan.is_probed({ada.host, ada.port})) {
      lan.answer(ada, probe_answer::silent);
    }
    lan.pass(1s);
  }
  CHECK(lan.news() == "enter, exit unreachable");
}

TEST_CASE("a connection that ended and an address that refuses mean that the peer is gone") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.desk.hung_up(ada.id, lan.now);
  lan.carry_out();
  CHECK(lan.words() == "2 ping");
  SECTION("it refuses") {
    lan.answer(ada, probe_answer::refused);
    CHECK(lan.news() == "exit link lost");
  }
  SECTION("it answers: it dials us again") {
    lan.answer(ada);
    lan.hear(ada, {.what = said::ping_ok});
    CHECK(lan.news().empty());
  }
  SECTION("it answers while it dies") {
    lan.answer(ada);
    lan.pass(1s);
    lan.answer(ada, probe_answer::refused);
    CHECK(lan.news() == "exit link lost");
  }
  SECTION("it dials us again, and something was lost") {
    lan.answer(ada);
    ++ada.last;
    lan.hear(ada, {.what = said::ping_ok});
    CHECK(lan.news() == "exit out of step");
  }
  SECTION("it keeps silent: the network may be at fault") {
    lan.answer(ada, probe_answer::silent);
    CHECK(lan.news().empty());
  }
}

TEST_CASE(
    "of a peer that has just greeted us it is known where it says it is, then what answered") {
  network lan;
  stranger ada;
  lan.hello_of(ada, {}, "tcp://192.168.7.7:5000");
  CHECK(lan.desk.status(ada.id)->address == "tcp://192.168.7.7:5000");
  lan.answer(ada);
  CHECK(lan.desk.status(ada.id)->address == "tcp://10.0.0.2:5000");
}

TEST_CASE("a peer that is killed right after its greeting is gone at once, too") {
  network lan;
  stranger ada;
  lan.hello_of(ada);
  lan.desk.hung_up(ada.id, lan.now);
  lan.carry_out();
  lan.answer(ada, probe_answer::refused);
  CHECK(lan.news() == "enter, exit link lost");
}

TEST_CASE("a peer whose address keeps silent and that answers at another is greeted there") {
  network lan;
  stranger ada;
  lan.meet(ada);
  // Its other interface is heard all the time; what we say goes to the first.
  for (int count = 0; count < 6; ++count) {
    lan.pass(1s);
    lan.heard_beacon(ada, "172.16.0.2", ada.port);
  }
  CHECK(lan.words() == "2 ping");
  CHECK(lan.news().empty());
  lan.answer_at({"172.16.0.2", ada.port});
  CHECK(lan.news().empty());
  lan.answer(ada, probe_answer::silent);
  CHECK(lan.news() == "exit link lost");
  lan.answer_at({"172.16.0.2", ada.port});
  CHECK(lan.opened.back() == peer_place{"172.16.0.2", ada.port});
  lan.hello_of(ada);
  CHECK(lan.news() == "enter");
}

TEST_CASE(
    "of two without beacons who asks one another, the one that was asked need not ask for a "
    "while") {
  network lan;
  stranger ada;
  lan.meet(ada);
  for (int count = 0; count < 9; ++count) {
    lan.pass(1s);
    if (count % 4 == 3) {
      lan.hear(ada, {.what = said::ping});
    }
  }
  CHECK(lan.words() == "2 ping_ok, 3 ping_ok");
  lan.pass(1100ms);
  CHECK(lan.words() == "4 ping");  // whether what we say reaches it is to be known, too
}

TEST_CASE("who was heard and then is silent is gone no sooner than who said nothing before") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.pass(7s);
  lan.hear(ada, {.what = said::ping});
  lan.pass(29s);
  CHECK(lan.news() == "evasive");
  lan.pass(1100ms);
  CHECK(lan.news() == "exit timed out");
}

TEST_CASE("a peer that is heard and takes nothing is unreachable in the end") {
  network lan;
  stranger ada;
  lan.meet(ada);
  for (int count = 0; count < 31; ++count) {
    lan.hear(ada, {.what = said::whisper}, "x");
    lan.pass(1s);
  }
  lan.events.erase(lan.events.begin(), lan.events.begin() + 30);
  CHECK(lan.news() == "exit unreachable");
}

TEST_CASE("a stopped process keeps its link: its address still answers") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.heard_beacon(ada, "172.16.0.2", ada.port);
  lan.pass(6s);
  CHECK_FALSE(lan.is_probed({ada.host, ada.port}));  // it is only quiet, as far as is known
  lan.pass(5s);
  lan.answer(ada);
  lan.answer_at({"172.16.0.2", ada.port});
  lan.pass(3s);
  CHECK(lan.news() == "evasive");
  CHECK(lan.closed == 0);
}

TEST_CASE("a farewell beacon is believed from where the peer is, after what it said before") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.heard_beacon(ada, "10.6.6.6", 0);
  lan.pass(3s);
  CHECK(lan.news().empty());
  lan.heard_beacon(ada, ada.host, 0);
  CHECK(lan.news().empty());
  lan.hear(ada, {.what = said::whisper}, "so long");
  lan.pass(900ms);
  CHECK(lan.news() == "whisper");
  lan.pass(200ms);
  CHECK(lan.news() == "exit left");
}

TEST_CASE("a peer whose connection ends after its farewell has left") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.heard_beacon(ada, ada.host, 0);
  lan.desk.hung_up(ada.id, lan.now);
  lan.carry_out();
  CHECK(lan.news() == "exit left");
}

TEST_CASE("made-up beacons are greeted so many at a time, of one host and altogether (trap 12)") {
  network lan;
  for (int count = 0; count < 1000; ++count) {
    lan.beacon_of({});
  }
  CHECK(lan.probes.size() == 32);
  for (int host = 0; host < 100; ++host) {
    for (int count = 0; count < 100; ++count) {
      lan.beacon_of({.host = "10.1.0." + std::to_string(host)});
    }
  }
  CHECK(lan.probes.size() == 256);
  CHECK(lan.desk.statistics().not_greeted == 1000 - 32 + 10'000 - (256 - 32));
  // Who greets is known to be there.
  stranger ada;
  lan.hello_of(ada);
  CHECK(lan.news() == "enter");
  // And the others are forgotten.
  lan.pass(11s);
  lan.probes.clear();
  lan.beacon_of({});
  CHECK(lan.probes.size() == 1);
}

TEST_CASE("one host has a quarter of all peers at most, found by beacons or greetings") {
  network lan{{.most_peers = 40}};
  const bool by_beacons = GENERATE(false, true);
  for (std::uint16_t port = 1; port <= 100; ++port) {
    stranger one{.port = port};
    if (by_beacons) {
      lan.beacon_of(one);
    }
    lan.hello_of(one);
  }
  CHECK(lan.desk.here().size() == 10);
  CHECK(lan.desk.statistics().not_greeted >= 90);
  for (int host = 0; host < 100; ++host) {
    stranger one{.host = "10.1.0." + std::to_string(host)};
    lan.hello_of(one);
  }
  CHECK(lan.desk.here().size() == 40);
}

TEST_CASE("made-up beacons take no place of peers that are there") {
  network lan{{.most_peers = 8}};
  for (int count = 0; count < 100; ++count) {
    lan.beacon_of({.host = "10.6.6.6"});
  }
  stranger ada;
  lan.meet(ada);
}

TEST_CASE("so many groups of one peer, and no more") {
  network lan;
  stranger ada;
  lan.meet(ada);
  zre_message head{.what = said::join};
  for (int count = 1; count <= 100'000; ++count) {
    head.group = std::to_string(count);
    head.status = static_cast<std::uint8_t>(count);
    lan.hear(ada, head);
  }
  CHECK(lan.events.size() == 1000);
  CHECK(lan.desk.status(ada.id)->groups.size() == 1000);
  lan.pass(4s);
  std::vector<std::string> many;
  for (int count = 0; count < 2000; ++count) {
    many.push_back(std::to_string(count));
  }
  lan.hello_of(ada, many);
  CHECK(lan.desk.status(ada.id)->groups.size() == 1000);
  CHECK(lan.desk.statistics().nonsense == 0);
}

TEST_CASE("a shout to a group that we are not in is not heard; without content it is empty") {
  network lan;
  stranger ada;
  lan.meet(ada);
  zre_message shout{.what = said::shout};
  shout.group = "lobby";
  lan.hear(ada, shout, "early");
  CHECK(lan.news().empty());
  lan.desk.join("lobby");
  lan.hear(ada, shout);
  REQUIRE(lan.events.size() == 1);
  CHECK(lan.events.front().content.size() == 1);
  CHECK(lan.events.front().content.front().view().empty());
}

TEST_CASE("what is said has a frame of content at least (trap 13)") {
  network lan;
  stranger ada;
  lan.meet(ada);
  lan.desk.whisper(ada.id, {});
  lan.desk.shout(ada.id, "lobby", {});
  lan.carry_out();
  for (const auto& each : lan.sent) {
    CHECK(each.content == message{frame{}});
  }
  CHECK(lan.sent.size() == 2);
}

TEST_CASE("our own beacon and messages under our own name are not heard") {
  const auto own = peer_id::random();
  peer_desk desk{own, "own", own_port, {}};
  desk.heard_beacon({own, 7, {}}, "10.0.0.9", {});
  desk.heard(own, "10.0.0.9", message{frame{write_zre({.what = said::hello, .sequence = 1})}}, {});
  CHECK(desk.take_steps().empty());
  CHECK(desk.take_events().empty());
}

namespace {

const curve_keys own_keys = generate_curve_keys();

peers_options secured() {
  peers_options options;
  options.curve = own_keys;
  return options;
}

stranger with_key() {
  stranger made;
  made.key = generate_curve_keys().public_key;
  return made;
}

}  // namespace

TEST_CASE("in a secured network a peer is dialled with the key of its beacon, and told of ours") {
  network lan{secured()};
  const stranger ada = with_key();
  lan.beacon_of(ada);
  lan.answer(ada);
  CHECK(lan.opened_for == ada.key);
  REQUIRE(lan.sent.size() == 1);
  CHECK(lan.sent.front().head.headers.at("X-PUBLICKEY") == own_keys.public_key.z85());
}

TEST_CASE("who a peer is in a secured network, its key tells") {
  network lan{secured()};
  stranger ada = with_key();
  lan.beacon_of(ada);
  lan.answer(ada);
  lan.hello_of(ada);
  REQUIRE(lan.events.size() == 1);
  CHECK(lan.events.front().key == ada.key);
  CHECK(lan.desk.status(ada.id)->key == ada.key);
}

TEST_CASE("with keys and without are two networks") {
  network lan{secured()};
  stranger plain;
  lan.beacon_of(plain);
  lan.desk.heard_of(plain.id, {plain.host, plain.port}, lan.now);
  lan.hello_of(plain);
  CHECK(lan.probes.empty());
  CHECK(lan.news().empty());
  CHECK(lan.desk.statistics().other_version == 3);

  network open;
  stranger ada = with_key();
  open.beacon_of(ada);
  open.desk.heard_of(ada.id, {ada.host, ada.port}, open.now, ada.key);
  open.hello_of(ada);
  CHECK(open.probes.empty());
  CHECK(open.news().empty());
  CHECK(open.desk.statistics().other_version == 3);
}

TEST_CASE("who is not on the list is not dialled") {
  network lan{secured()};
  const stranger eve = with_key();
  lan.unwanted = {*eve.key};
  lan.beacon_of(eve);
  lan.desk.heard_of(eve.id, {eve.host, eve.port}, lan.now, eve.key);
  lan.carry_out();
  CHECK(lan.probes.empty());
  CHECK(lan.desk.statistics().not_allowed == 2);
}

TEST_CASE("a peer that was taken off the list is gone with its connection") {
  network lan{secured()};
  stranger ada = with_key();
  lan.meet(ada);
  lan.unwanted = {*ada.key};
  lan.beacon_of(ada);
  CHECK(lan.news().empty());
  lan.desk.hung_up(ada.id, lan.now);
  lan.carry_out();
  CHECK(lan.news() == "exit link lost");
  lan.beacon_of(ada);
  lan.pass(1s);
  CHECK(lan.probes.empty());
}

TEST_CASE("the id of a peer belongs to the key that greeted with it") {
  network lan{secured()};
  stranger ada = with_key();
  lan.meet(ada);
  stranger eve = ada;
  eve.key = generate_curve_keys().public_key;
  eve.host = "10.0.0.66";
  SECTION("a beacon with another key changes nothing") {
    lan.beacon_of(eve);
    lan.pass(2s);
    CHECK_FALSE(lan.is_probed({eve.host, eve.port}));
  }
  SECTION("nor does a farewell") {
    eve.host = ada.host;
    lan.heard_beacon(eve, eve.host, 0);
    lan.desk.hung_up(ada.id, lan.now);
    lan.carry_out();
  }
  SECTION("nor does what a third one says") {
    lan.desk.heard_of(eve.id, {eve.host, eve.port}, lan.now, eve.key);
    lan.carry_out();
    CHECK_FALSE(lan.is_probed({eve.host, eve.port}));
  }
  CHECK(lan.news().empty());
  CHECK(lan.desk.status(ada.id)->key == ada.key);
}

TEST_CASE("what an impostor says in a peer's name is not heard, and the peer is greeted anew") {
  network lan{secured()};
  stranger ada = with_key();
  lan.meet(ada);
  stranger eve = ada;
  eve.key = generate_curve_keys().public_key;
  lan.hear(eve, {.what = said::whisper}, "give me the money");
  CHECK(lan.news() == "exit out of step");
  CHECK(lan.desk.statistics().not_allowed == 1);
  // And the id stays the peer's.
  lan.hello_of(eve);
  CHECK(lan.news().empty());
  CHECK(lan.desk.statistics().not_allowed == 2);
  lan.answer(ada);
  CHECK(lan.opened_for == ada.key);
  CHECK(lan.words() == "1 hello");
  lan.hello_of(ada);
  CHECK(lan.news() == "enter");
}

TEST_CASE("who names somebody's id first, and cannot prove a key, does not keep him away") {
  network lan{secured()};
  stranger ada = with_key();
  stranger eve = ada;
  eve.key = generate_curve_keys().public_key;
  eve.host = "10.0.0.66";
  lan.beacon_of(eve);
  SECTION("if nobody answers there, the next beacon counts") {
    lan.beacon_of(ada);
    lan.answer(ada);
    CHECK(lan.opened_for == ada.key);
    lan.hello_of(ada);
  }
  SECTION("if somebody does, the greeting counts") {
    lan.answer(eve);
    CHECK(lan.opened_for == eve.key);
    lan.beacon_of(ada);
    CHECK_FALSE(lan.is_probed({ada.host, ada.port}));
    lan.hello_of(ada);
    lan.answer(ada);
    CHECK(lan.opened_for == ada.key);
  }
  CHECK(lan.news() == "enter");
  CHECK(lan.desk.status(ada.id)->key == ada.key);
}

TEST_CASE("a secured peer that does not let us in is not here for long, whatever its beacons say") {
  network lan{secured()};
  stranger ada = with_key();
  lan.beacon_of(ada);
  lan.answer(ada);
  lan.hello_of(ada);
  CHECK(lan.words() == "1 hello, 2 ping");
  const auto pass_with_beacons = [&] {
    for (int count = 0; count < 31; ++count) {
      lan.beacon_of(ada);
      lan.pass(1s);
    }
  };
  SECTION("it does not answer") {
    pass_with_beacons();
    CHECK(lan.news() == "enter, exit unreachable");
  }
  SECTION("it does") {
    lan.hear(ada, {.what = said::ping_ok});
    pass_with_beacons();
    CHECK(lan.news() == "enter");
    CHECK(lan.words().empty());
  }
}

TEST_CASE("a greeting that names another key than its connection's is nonsense") {
  network lan{secured()};
  stranger ada = with_key();
  ada.headers["X-PUBLICKEY"] = generate_curve_keys().public_key.z85();
  lan.hello_of(ada);
  CHECK(lan.news().empty());
  CHECK(lan.desk.statistics().nonsense == 1);
}

TEST_CASE("in a secured network a farewell counts only with the end of the connection") {
  network lan{secured()};
  stranger ada = with_key();
  lan.meet(ada);
  lan.heard_beacon(ada, ada.host, 0);
  lan.pass(3s);
  CHECK(lan.news().empty());
  lan.heard_beacon(ada, ada.host, 0);
  lan.desk.hung_up(ada.id, lan.now);
  lan.carry_out();
  CHECK(lan.news() == "exit left");
}

namespace {

peers_options with_rate() {
  peers_options options;
  options.rate = {.messages = 3, .within = 10s};
  options.evasive = 60s;
  options.expired = 120s;
  return options;
}

stranger of_parley() {
  stranger made;
  made.headers["X-PARLEY"] = "1";
  return made;
}

}  // namespace

TEST_CASE(
    "a peer that says too much is muted and told so once, and heard again when it was quiet") {
  network lan{with_rate()};
  stranger ada = of_parley();
  lan.meet(ada);
  for (int count = 0; count < 6; ++count) {
    lan.hear(ada, {.what = said::whisper}, "spam");
  }
  CHECK(lan.news() == "whisper, whisper, whisper, muted");
  REQUIRE(lan.sent.size() == 1);
  const auto told_it = read_letter_mark(lan.sent.front().content.back().view());
  REQUIRE(told_it.has_value());
  CHECK(told_it->what == letter_mark::kind::muted);
  CHECK(told_it->number == 10'000);
  CHECK(lan.desk.statistics().muted == 3);

  lan.pass(9s);
  CHECK(lan.news().empty());
  lan.pass(1s);
  REQUIRE(lan.events.size() == 1);
  CHECK(lan.events.front().count == 3);
  CHECK(lan.news() == "unmuted");
  lan.hear(ada, {.what = said::whisper}, "sorry");
  CHECK(lan.news() == "whisper");
}

TEST_CASE("a program that is not of Parley is not told that it is muted") {
  network lan{with_rate()};
  stranger ada;
  lan.meet(ada);
  for (int count = 0; count < 4; ++count) {
    lan.hear(ada, {.what = said::whisper}, "spam");
  }
  CHECK(lan.news() == "whisper, whisper, whisper, muted");
  CHECK(lan.sent.empty());
}

TEST_CASE("who leaves is not muted when it comes back") {
  network lan{with_rate()};
  stranger ada = of_parley();
  lan.meet(ada);
  for (int count = 0; count < 4; ++count) {
    lan.hear(ada, {.what = said::whisper}, "spam");
  }
  lan.hear(ada, {.what = said::goodbye});
  lan.meet(ada);
  lan.hear(ada, {.what = said::whisper}, "hello");
  CHECK(lan.news() == "whisper");
}

TEST_CASE("joins and leaves count, and are told all the same; the groups of a greeting do not") {
  network lan{with_rate()};
  stranger ada;
  lan.meet(ada, {"a", "b", "c", "d", "e"});
  CHECK(lan.news().empty());
  for (int count = 0; count < 2; ++count) {
    lan.hear(ada, {.what = said::join, .group = "x"});
    lan.hear(ada, {.what = said::leave, .group = "x"});
  }
  CHECK(lan.news() == "join x, leave x, join x, muted, leave x");
  CHECK(lan.desk.statistics().muted == 0);
}

TEST_CASE("letters and files, which have bounds of their own, do not count") {
  network lan{with_rate()};
  stranger ada = of_parley();
  lan.meet(ada);
  const auto say = [&](message content) {
    message whole{frame{write_zre({.what = said::whisper, .sequence = ++ada.last})}};
    for (const frame& each : content) {
      whole.push_back(each);
    }
    lan.hear_bytes(ada, std::move(whole));
  };
  for (int count = 0; count < 10; ++count) {
    say(message{frame{"dear bob"}, frame{write_letter_mark({.session = 1, .number = 1})}});
    say(message{frame{write_file_mark({.what = file_mark::kind::have, .number = 1})}});
    say(message{frame{"piece"}, frame{write_file_mark({.what = file_mark::kind::piece})}});
  }
  CHECK(lan.events.size() == 30);
  CHECK(lan.desk.statistics().muted == 0);
  lan.forget();
  // An offer does, and is told all the same.
  for (int count = 0; count < 4; ++count) {
    say(message{
        frame{write_file_mark({.what = file_mark::kind::offer, .number = 1, .name = "a"})}});
  }
  CHECK(lan.news() == "whisper, whisper, whisper, muted, whisper");
  lan.pass(10s);
  lan.forget();
  // Nor does a mark make a word of what is none.
  for (int count = 0; count < 4; ++count) {
    say(message{frame{"a"}, frame{"b"}, frame{write_file_mark({.what = file_mark::kind::piece})}});
  }
  CHECK(lan.news() == "whisper, whisper, whisper, muted");
}

TEST_CASE("who is muted by a peer hears of it, and no more often than the rate has it") {
  network lan{with_rate()};
  stranger ada = of_parley();
  lan.meet(ada);
  for (int count = 0; count < 5; ++count) {
    message whole{frame{write_zre({.what = said::whisper, .sequence = ++ada.last})}};
    whole.push_back(frame{});
    whole.push_back(frame{write_letter_mark({.what = letter_mark::kind::muted, .number = 700})});
    lan.hear_bytes(ada, std::move(whole));
  }
  REQUIRE(!lan.events.empty());
  CHECK(lan.events.front().count == 700);
  CHECK(lan.news() == "muted by, muted by, muted by, muted");
}
