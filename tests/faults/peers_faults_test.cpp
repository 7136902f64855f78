// SPDX-License-Identifier: MPL-2.0
//
// Peers among others that lie, flood, keep silent, die and stop: an honest pair does not notice,
// and neither memory nor descriptors grow.
#include <parley/peers.hpp>
#include <parley/socket.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "peers/beacon.hpp"
#include "peers/zre_wire.hpp"
#include "support/await.hpp"
#include "support/beacon_port.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/connected.hpp"
#include "support/raw_peer.hpp"
#include "support/sanitizers.hpp"

using namespace parley;
using namespace std::chrono_literals;
using detail::zre_message;
using kind = peer_event::kind;
using said = zre_message::kind;
using support::await;
using support::child;
using support::patience;

namespace {

constexpr bool sanitized = support::address_sanitizer || support::thread_sanitizer;

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

peers_options quick(std::uint16_t port, std::string name) {
  return {.name = std::move(name), .port = port, .interfaces = {"lo"}, .interval = 100ms};
}

// A peer whose events a thread of its own takes. Of its friend it wants every number, in order.
class honest {
 public:
  honest(context& owner, const peers_options& options) : node{owner, options} {
    reader_ = std::jthread{[this](const std::stop_token& stop) {
      node.run([this](const peer_event& event) { take(event); }, stop);
    }};
  }
  ~honest() {
    reader_.request_stop();
    reader_.join();
  }

  void befriend(const honest& other) {
    friend_ = other.node.id();
    has_friend_ = true;
    REQUIRE(await([&] { return node.find(other.node.id()).has_value(); }));
  }
  void say_next(const honest& to) { REQUIRE(node.whisper(to.node.id(), said_++)); }

  peers node;
  std::atomic<int> heard = 0;      // numbers of its friend
  std::atomic<int> surprises = 0;  // what it should not have heard of its friend

 private:
  void take(const peer_event& event) {
    if (!has_friend_ || event.peer != friend_) {
      return;
    }
    if (event.what == kind::whisper) {
      surprises += event.as<int>() == heard ? 0 : 1;
      ++heard;
    } else if (event.what != kind::enter) {
      ++surprises;
    }
  }

  peer_id friend_{};
  std::atomic<bool> has_friend_ = false;
  int said_ = 0;
  std::jthread reader_;
};

struct neighbourhood {
  support::beacon_port port;
  context owner;
  honest ada{owner, quick(port.number(), "ada")};
  honest bob{owner, quick(port.number(), "bob")};

  neighbourhood() {
    ada.befriend(bob);
    bob.befriend(ada);
  }

  // The two talk while the function is at work, and have heard it all afterwards.
  template<class Function>
  void talk_during(Function&& attack) {
    std::atomic<bool> is_over = false;
    int count = 0;
    std::thread talking{[&] {
      do {
        ada.say_next(bob);
        bob.say_next(ada);
        ++count;
        std::this_thread::sleep_for(100us);  // people do not talk without a pause
      } while (!is_over);
    }};
    attack();
    is_over = true;
    talking.join();
    CHECK(await([&] { return ada.heard == count && bob.heard == count; }));
    CHECK(ada.surprises == 0);
    CHECK(bob.surprises == 0);
    CHECK(ada.node.find(bob.node.id()).has_value());
    CHECK(bob.node.find(ada.node.id()).has_value());
  }
};

// Sends what it likes to the port of beacons, and knows the mailboxes behind it.
class stranger {
 public:
  explicit stranger(std::uint16_t port) : fd_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)} {
    const int yes = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    ::setsockopt(fd_, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes);
    address_.sin_family = AF_INET;
    address_.sin_port = htons(port);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0);
    address_.sin_addr.s_addr = htonl(0x7fffffff);
  }
  ~stranger() { ::close(fd_); }
  stranger(const stranger&) = delete;
  stranger& operator=(const stranger&) = delete;

  void send(std::string_view datagram) const {
    ::sendto(fd_, datagram.data(), datagram.size(), 0, reinterpret_cast<const sockaddr*>(&address_),
             sizeof address_);
  }
  void send_beacon(const peer_id& id, std::uint16_t port) const {
    send(detail::write_beacon({id, port, {}}));
  }
  // Where that peer's mailbox is.
  [[nodiscard]] endpoint mailbox_of(const honest& who) const {
    char bytes[64];
    for (;;) {
      const auto size = ::recv(fd_, bytes, sizeof bytes, 0);
      const auto heard = detail::read_beacon({bytes, static_cast<std::size_t>(size)});
      if (heard && heard->id == who.node.id()) {
        return endpoint{"tcp://127.0.0.1:" + std::to_string(heard->port)};
      }
    }
  }

 private:
  int fd_;
  sockaddr_in address_{};
};

// Says what it likes to one mailbox.
class voice {
 public:
  voice(context& owner, const endpoint& mailbox) : line_{owner, socket_kind::dealer, options()} {
    line_.connect(mailbox);
  }
  void say(zre_message head, const std::string& content = {}) {
    head.sequence = ++last_;
    say_bytes(write_zre(head), content);
  }
  void say_bytes(const std::string& head, const std::string& content = {}) {
    message whole{frame{head}};
    if (!content.empty()) {
      whole.push_back(frame{content});
    }
    line_.send(std::move(whole));
  }
  void greet(std::uint16_t port = 1, std::map<std::string, std::string> headers = {}) {
    last_ = 0;
    zre_message hello{.what = said::hello};
    hello.headers = std::move(headers);
    hello.endpoint = "tcp://127.0.0.1:" + std::to_string(port);
    hello.name = "stranger";
    say(hello);
  }

  const peer_id id = peer_id::random();
  std::uint16_t last_ = 0;

 private:
  socket_options options() const {
    socket_options made;
    made.routing_id = '\1' + std::string{id.view()};
    made.linger = 2s;
    return made;
  }
  parley::socket line_;
};

}  // namespace

TEST_CASE("an honest pair of peers does not notice beacons that somebody makes up") {
  neighbourhood lan;
  const stranger eve{lan.port.number()};
  const std::size_t before = open_descriptors();
  std::size_t most = 0;
  lan.talk_during([&] {
    // A port that nobody answers, one that takes connections and says nothing, and words.
    const auto mute = support::raw_peer::listening();
    std::mt19937 random{1};
    for (int count = 0; count < 10'000; ++count) {
      eve.send_beacon(peer_id::random(), count % 2 == 0 ? 1 : mute.where().port());
      std::string junk(random() % 100, '\0');
      std::ranges::generate(junk, [&] { return static_cast<char>(random()); });
      eve.send(count % 2 == 0 ? junk : "ZRE" + junk);
      eve.send_beacon(lan.bob.node.id(), 1);  // bob, elsewhere
      if (count % 100 == 0) {
        most = std::max(most, open_descriptors());
        std::this_thread::sleep_for(1ms);  // or the kernel throws the datagrams away
      }
    }
    CHECK(await([&] { return lan.ada.node.statistics().not_greeted > 1000; }));
    CHECK(lan.ada.node.statistics().nonsense > 1000);
  });
  CHECK(most < before + 300);
}

TEST_CASE("an honest pair of peers does not notice messages that are none") {
  neighbourhood lan;
  const stranger eve{lan.port.number()};
  const endpoint mailbox = eve.mailbox_of(lan.ada);
  lan.talk_during([&] {
    std::mt19937 random{2};
    const std::string hello = detail::write_zre(
        {.what = said::hello, .sequence = 1, .groups = {"a", "b"}, .name = "eve"});
    for (int round = 0; round < 20; ++round) {
      voice cut{lan.owner, mailbox};
      for (std::size_t size = 0; size < hello.size(); ++size) {
        cut.say_bytes(hello.substr(0, size));
      }
      std::string other = hello;
      other[3] = static_cast<char>(round);
      cut.say_bytes(other);
      voice wrong{lan.owner, mailbox};
      wrong.greet();
      for (int count = 0; count < 50; ++count) {
        zre_message join{.what = said::join, .status = static_cast<std::uint8_t>(random())};
        join.group = "lobby";
        wrong.say(join);
      }
      wrong.last_ = static_cast<std::uint16_t>(random());
      wrong.say({.what = said::whisper}, "out of step");
      std::string junk(random() % 300, '\0');
      std::ranges::generate(junk, [&] { return static_cast<char>(random()); });
      wrong.say_bytes(junk);
      wrong.say_bytes("\xaa\xa1" + junk);
    }
    CHECK(await([&] { return lan.ada.node.statistics().nonsense > 1000; }));
    CHECK(lan.ada.node.statistics().other_version > 0);
  });
}

TEST_CASE("a hundred thousand joins fill nobody's memory") {
  neighbourhood lan;
  const stranger eve{lan.port.number()};
  const endpoint mailbox = eve.mailbox_of(lan.ada);
  constexpr int joins = sanitized ? 10'000 : 100'000;
  lan.talk_during([&] {
    voice loud{lan.owner, mailbox};
    // An address that takes connections, so that it stays.
    const auto mute = support::raw_peer::listening();
    loud.greet(mute.where().port());
    zre_message join{.what = said::join};
    for (int count = 1; count <= joins; ++count) {
      join.group = std::string(200, 'g') + std::to_string(count);
      join.status = static_cast<std::uint8_t>(count);
      loud.say(join);
    }
    loud.say({.what = said::ping});
    CHECK(await([&] {
      const auto seen = lan.ada.node.find(loud.id);
      return seen && seen->groups.size() == 1000;
    }));
  });
}

TEST_CASE("greetings of a thousand peers that are none take a quarter of the places") {
  neighbourhood lan;
  const stranger eve{lan.port.number()};
  const endpoint mailbox = eve.mailbox_of(lan.ada);
  const std::size_t before = open_descriptors();
  constexpr int count = sanitized ? 400 : 1000;
  lan.talk_during([&] {
    std::vector<voice> many;
    many.reserve(count);
    for (int index = 1; index <= count; ++index) {
      many.emplace_back(lan.owner, mailbox).greet();
      // As many as may wait to be taken in: the kernel lets others try again seconds later.
      if (index % 100 == 0) {
        CHECK(await([&] {
          const auto books = lan.ada.node.statistics();
          return books.not_greeted + books.exited + lan.ada.node.here().size() >=
                 static_cast<std::size_t>(index);
        }));
      }
    }
    CHECK(await([&] { return lan.ada.node.statistics().not_greeted >= count - 250; }));
    CHECK(lan.ada.node.here().size() <= 251);
  });
  CHECK(await([&] { return open_descriptors() < before + 50; }));
}

TEST_CASE("a peer that greets again and again costs the others nothing") {
  neighbourhood lan;
  const stranger eve{lan.port.number()};
  const endpoint mailbox = eve.mailbox_of(lan.ada);
  const std::size_t before = open_descriptors();
  std::size_t most = 0;
  lan.talk_during([&] {
    const auto mute = support::raw_peer::listening();
    voice loud{lan.owner, mailbox};
    for (int count = 0; count < 5000; ++count) {
      loud.greet(mute.where().port());
      most = count % 100 == 0 ? std::max(most, open_descriptors()) : most;
    }
    CHECK(await([&] { return lan.ada.node.statistics().exited >= 4000; }));
  });
  CHECK(most < before + 50);
}

TEST_CASE("a peer that never reads holds up who talks to it, for so long, and nobody else") {
  neighbourhood lan;
  const stranger eve{lan.port.number()};
  auto options = quick(lan.port.number(), "carol");
  options.limit = 100;
  options.limit_bytes = 1 << 20;
  options.max_wait = 100ms;
  // Nothing else ends a wait for it: neither that it is asked for a sign of life nor its silence.
  options.evasive = 1h;
  options.expired = 2h;
  peers carol{lan.owner, options};
  REQUIRE(carol.wait_for_peers(2, patience));
  const auto mute = support::raw_peer::listening();  // the kernel takes what it is sent, so far
  lan.talk_during([&] {
    REQUIRE(lan.ada.node.wait_for_peers(2, patience));
    voice deaf{lan.owner, endpoint{lan.ada.node.find(carol.id())->address}};
    deaf.greet(mute.where().port());
    deaf.say({.what = said::join, .status = 1, .group = "lobby"});
    CHECK(carol.wait_for_peers(1, patience, "lobby"));
    auto talking = std::async(std::launch::async, [&] {
      int taken = 0;
      while (taken < 10'000 && carol.whisper(deaf.id, std::string(1000, 'x'))) {
        ++taken;
      }
      return std::pair{taken, carol.shout("lobby", "anybody?")};
    });
    const bool is_over = talking.wait_for(patience) == std::future_status::ready;
    CHECK(is_over);
    if (!is_over) {
      carol.close();  // or it would wait for ever
      return;
    }
    const auto [taken, heard] = talking.get();
    CHECK(taken < 10'000);
    CHECK(heard == 0);
    CHECK(carol.find(deaf.id).has_value());
    CHECK(carol.whisper(lan.bob.node.id(), "still here"));
  });
}

TEST_CASE("a letter to a peer that takes nothing leaves when it does") {
  neighbourhood lan;
  const stranger eve{lan.port.number()};
  auto options = quick(lan.port.number(), "carol");
  options.limit_bytes = 1 << 20;
  options.max_wait = 100ms;
  options.evasive = 1h;
  options.expired = 2h;
  peers carol{lan.owner, options};
  REQUIRE(lan.ada.node.wait_for_peers(2, patience));
  socket_options few;
  few.receive_limit = 1;
  parley::socket mailbox{lan.owner, socket_kind::router, few};
  const endpoint where = mailbox.bind("tcp://127.0.0.1:*");
  voice deaf{lan.owner, endpoint{lan.ada.node.find(carol.id())->address}};
  deaf.greet(where.port(), {{"X-PARLEY", "1"}, {"X-PARLEY-IDENTITY", "deaf"}});
  REQUIRE(await([&] { return carol.find(deaf.id).has_value(); }));
  while (carol.whisper(deaf.id, std::string(100'000, 'x'))) {
  }
  carol.send_letter("deaf", "at last");
  bool has_come = false;
  while (!has_come) {
    const auto said = mailbox.receive_for(patience);
    REQUIRE(said.has_value());
    has_come = said->size() == 4 && (*said)[2].view() == "at last";
  }
}

TEST_CASE("a peer that floods another loses its own messages, not those of others") {
  neighbourhood lan;
  const stranger eve{lan.port.number()};
  const endpoint mailbox = eve.mailbox_of(lan.ada);
  constexpr int messages = sanitized ? 20'000 : 300'000;
  lan.talk_during([&] {
    voice loud{lan.owner, mailbox};
    const auto mute = support::raw_peer::listening();
    loud.greet(mute.where().port());
    for (int count = 0; count < messages; ++count) {
      loud.say({.what = said::whisper}, "spam");
    }
    // It was heard to its end.
    loud.say({.what = said::goodbye});
    CHECK(
        await([&] { return !lan.ada.node.find(loud.id) && lan.ada.node.statistics().exited > 0; }));
  });
}

TEST_CASE("connections that say nothing keep nobody from being heard") {
  neighbourhood lan;
  const stranger eve{lan.port.number()};
  const endpoint mailbox = eve.mailbox_of(lan.ada);
  lan.talk_during([&] {
    std::vector<support::raw_peer> mute;
    for (int count = 0; count < 300; ++count) {
      mute.push_back(support::raw_peer::connected(mailbox));
      static_cast<void>(mute.back().write(count % 2 == 0 ? "" : "GET / HTTP/1.1\r\n\r\n"));
    }
    const peers late{lan.owner, quick(lan.port.number(), "late")};
    CHECK(late.wait_for_peers(2, patience));
  });
}

namespace {

// Says each whisper that it hears.
child node_in_a_child(std::uint16_t port) {
  return child{[port](child::line out) {
    context own;
    auto options = quick(port, "child");
    options.evasive = 60s;
    options.expired = 120s;
    peers node{own, options};
    node.run([&](const peer_event& event) {
      if (event.what == kind::whisper) {
        out.say(event.content.front().str());
      } else if (event.what != kind::join) {
        out.say(std::string{to_string(event.what)});
      }
    });
  }};
}

peer_event await_event(peers& of, kind what) {
  for (;;) {
    auto event = of.receive_for(patience);
    INFO("waits for " << to_string(what));
    REQUIRE(event.has_value());
    if (event->what == what) {
      return std::move(*event);
    }
  }
}

}  // namespace

TEST_CASE("a peer that is killed is known to be gone at once, and its successor enters") {
  if (!support::may_fork) {
    return;
  }
  const support::beacon_port port;
  child first = node_in_a_child(port.number());
  child second = node_in_a_child(port.number());
  context owner;
  auto options = quick(port.number(), "ada");
  options.evasive = 60s;  // longer than anybody waits here
  options.expired = 120s;
  peers ada{owner, options};
  const auto entered = await_event(ada, kind::enter).peer;
  const auto other = await_event(ada, kind::enter).peer;
  first.kill();
  const auto gone = await_event(ada, kind::exit);
  CHECK(gone.reason == peer_exit::link_lost);
  CHECK((gone.peer == entered || gone.peer == other));
  const auto here = ada.here();
  REQUIRE(here.size() == 1);
  CHECK(here.front().id != gone.peer);

  child successor = node_in_a_child(port.number());
  CHECK(await_event(ada, kind::enter).peer != gone.peer);
}

TEST_CASE("a peer that is stopped is evasive, returns, and has heard everything in order") {
  if (!support::may_fork) {
    return;
  }
  const support::beacon_port port;
  child other = node_in_a_child(port.number());
  context owner;
  auto options = quick(port.number(), "ada");
  options.evasive = 500ms;
  options.expired = 60s;
  peers ada{owner, options};
  const auto who = await_event(ada, kind::enter).peer;
  CHECK(other.hear() == "enter");
  REQUIRE(ada.whisper(who, "0"));
  CHECK(other.hear() == "0");
  other.stop();
  CHECK(await_event(ada, kind::evasive).peer == who);
  CHECK(ada.find(who)->is_evasive);
  for (int number = 1; number <= 100; ++number) {
    REQUIRE(ada.whisper(who, std::to_string(number)));
  }
  other.resume();
  CHECK(await_event(ada, kind::returned).peer == who);
  for (int number = 1; number <= 100; ++number) {
    REQUIRE(other.hear() == std::to_string(number));
  }
  CHECK(ada.statistics().exited == 0);
}

TEST_CASE("a peer that is stopped for too long has timed out, and enters again when it goes on") {
  if (!support::may_fork) {
    return;
  }
  const support::beacon_port port;
  child other = node_in_a_child(port.number());
  context owner;
  auto options = quick(port.number(), "ada");
  options.evasive = 1s;
  options.expired = 4s;  // longer than two greetings may cross
  peers ada{owner, options};
  const auto who = await_event(ada, kind::enter).peer;
  CHECK(other.hear() == "enter");
  other.stop();
  const auto gone = await_event(ada, kind::exit);
  CHECK(gone.reason == peer_exit::timed_out);
  other.resume();
  CHECK(await_event(ada, kind::enter).peer == who);
  CHECK(other.hear() == "exit");
  CHECK(other.hear() == "enter");
  REQUIRE(ada.whisper(who, "again"));
  CHECK(other.hear() == "again");
}
