// SPDX-License-Identifier: MPL-2.0
#include <parley/proxy.hpp>

#include <parley/error.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

// Each carrier, at both sides of the proxy, and two that differ.
struct sides {
  std::string front;
  std::string back;
};
const std::vector<sides> everywhere{{"pipe://front", "pipe://back"},
                                    {"inproc://front", "inproc://back"},
                                    {"ipc://*", "ipc://*"},
                                    {"tcp://127.0.0.1:0", "tcp://127.0.0.1:0"},
                                    {"tcp://127.0.0.1:0", "pipe://back"},
                                    {"pipe://front", "inproc://back"}};

message numbered(int number) { return message{frame{std::to_string(number)}}; }

std::string text_of(const std::optional<message>& received) {
  return received ? received->back().str() : std::string{"nothing"};
}

// Until it is so, however slow the machine is.
template<class Condition>
bool comes_true(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

// A proxy between a source and a worker, all over pipes that hold few messages.
struct streamer {
  explicit streamer(proxy::capture capture = {}) {
    source.connect(front.bind("pipe://tasks"));
    back.bind("pipe://workers");
    middle = std::make_unique<proxy>(front, back, std::move(capture));
  }
  void add_worker() { worker.connect("pipe://workers"); }

  static socket_options small() {
    socket_options options;
    options.send_limit = options.receive_limit = 4;
    return options;
  }

  context owner;
  socket front{owner, socket_kind::pull, small()};
  socket back{owner, socket_kind::push, small()};
  socket source{owner, socket_kind::push, small()};
  socket worker{owner, socket_kind::pull, small()};
  std::unique_ptr<proxy> middle;
};

}  // namespace

TEST_CASE("requests and replies pass a proxy of router and dealer") {
  for (const auto& [front_at, back_at] : everywhere) {
    INFO(front_at << " " << back_at);
    context owner;
    socket front{owner, socket_kind::router};
    socket back{owner, socket_kind::dealer};
    const endpoint clients_at = front.bind(front_at);
    const endpoint servers_at = back.bind(back_at);
    proxy middle{front, back};
    middle.start();

    constexpr int rounds = 100;
    std::vector<std::jthread> servers;
    for (int index = 0; index < 2; ++index) {
      servers.emplace_back([&](const std::stop_token& stop) {
        socket rep{owner, socket_kind::rep};
        rep.connect(servers_at);
        while (!stop.stop_requested()) {
          if (auto request = rep.receive_for(10ms)) {
            rep.send(message{"re", request->back()});
          }
        }
      });
    }
    int right = 0;
    {
      std::jthread client{[&] {
        socket req{owner, socket_kind::req};
        req.connect(clients_at);
        for (int round = 0; round < rounds; ++round) {
          req.send(numbered(round));
          right += text_of(req.receive_for(patience)) == std::to_string(round) ? 1 : 0;
        }
      }};
    }
    CHECK(right == rounds);
    CHECK(comes_true([&] { return middle.statistics().to_front.messages == rounds; }));
    const proxy_statistics figures = middle.statistics();
    CHECK(figures.to_back.messages == rounds);
    CHECK(figures.to_back.bytes > rounds);
    CHECK(figures.to_back.dropped == 0);
    middle.stop();
  }
}

TEST_CASE("subscriptions pass a proxy one way and messages the other") {
  for (const auto& [front_at, back_at] : everywhere) {
    INFO(front_at << " " << back_at);
    context owner;
    socket front{owner, socket_kind::xsub};
    socket back{owner, socket_kind::xpub};
    // An xpub, since it tells when the subscription has arrived.
    socket publisher{owner, socket_kind::xpub};
    socket subscriber{owner, socket_kind::sub};
    publisher.connect(front.bind(front_at));
    subscriber.connect(back.bind(back_at));
    subscriber.subscribe("news.");
    proxy middle{front, back};
    middle.start();

    CHECK(text_of(publisher.receive_for(patience)) == "\1news.");
    publisher.send(message{"sport.today", "unwanted"});
    publisher.send(message{"news.today", "wanted"});
    CHECK(text_of(subscriber.receive_for(patience)) == "wanted");
    subscriber.unsubscribe("news.");
    CHECK(text_of(publisher.receive_for(patience)) == std::string{"\0news.", 6});
  }
}

TEST_CASE("a paused proxy holds back what is sent, and lets all of it go when resumed") {
  for (const auto& [front_at, back_at] : everywhere) {
    INFO(front_at << " " << back_at);
    context owner;
    socket front{owner, socket_kind::pull};
    socket back{owner, socket_kind::push};
    socket source{owner, socket_kind::push};
    socket worker{owner, socket_kind::pull};
    source.connect(front.bind(front_at));
    worker.connect(back.bind(back_at));
    proxy middle{front, back};
    middle.start();
    source.send(numbered(-1));
    CHECK(text_of(worker.receive_for(patience)) == "-1");

    for (int round = 0; round < 3; ++round) {
      middle.pause();
      for (int number = 0; number < 100; ++number) {
        source.send(numbered(number));
      }
      CHECK_FALSE(worker.receive_for(5ms));  // time for a proxy that does not hold back
      middle.resume();
      for (int number = 0; number < 100; ++number) {
        REQUIRE(text_of(worker.receive_for(patience)) == std::to_string(number));
      }
    }
  }
}

TEST_CASE("nothing passes that was sent after a pause, however busy the proxy is") {
  streamer pipes;
  pipes.add_worker();
  pipes.middle->start();
  int number = 0;
  int seen = 0;
  for (int round = 0; round < 500; ++round) {
    pipes.source.send(numbered(number++));
    pipes.middle->pause();
    pipes.source.send(numbered(number++));
    // At most the one that was sent before.
    while (auto received = pipes.worker.try_receive()) {
      CHECK(text_of(received) == std::to_string(seen++));
    }
    REQUIRE(seen <= number - 1);
    pipes.middle->resume();
    while (seen < number) {
      REQUIRE(text_of(pipes.worker.receive_for(patience)) == std::to_string(seen++));
    }
  }
}

TEST_CASE("a proxy does not read what it cannot pass on") {
  streamer pipes;
  pipes.middle->start();
  int sent = 0;
  while (pipes.source.send_for(numbered(sent), 5ms)) {  // time for a proxy that reads
    ++sent;
  }
  CHECK(sent == 8);  // the limits of source and front
  CHECK(pipes.middle->statistics().to_back.in_hand == 0);
  pipes.add_worker();
  for (int number = 0; number < sent; ++number) {
    REQUIRE(text_of(pipes.worker.receive_for(patience)) == std::to_string(number));
  }
  CHECK(pipes.source.send_for(numbered(sent), patience));
  CHECK(text_of(pipes.worker.receive_for(patience)) == std::to_string(sent));
}

TEST_CASE("a slow worker holds up the source, and loses nothing") {
  streamer pipes;
  pipes.add_worker();
  pipes.middle->start();
  constexpr int count = 5000;
  std::jthread source{[&] {
    for (int number = 0; number < count; ++number) {
      pipes.source.send(numbered(number));
    }
  }};
  int right = 0;
  for (int number = 0; number < count; ++number) {
    right += text_of(pipes.worker.receive_for(patience)) == std::to_string(number) ? 1 : 0;
  }
  CHECK(right == count);
}

TEST_CASE("a proxy that is stopped leaves messages in the sockets, and goes on with them") {
  streamer pipes;
  pipes.add_worker();
  for (int round = 0; round < 100; ++round) {
    pipes.middle->start();
    pipes.middle->start();  // nothing happens
    pipes.source.send(numbered(1));
    pipes.middle->stop();
    pipes.middle->stop();
    pipes.source.send(numbered(2));
    const auto before = pipes.middle->statistics().to_back.messages;
    CHECK(before <= static_cast<std::uint64_t>(2 * round + 1));
    pipes.middle->start();
    CHECK(text_of(pipes.worker.receive_for(patience)) == "1");
    CHECK(text_of(pipes.worker.receive_for(patience)) == "2");
    pipes.middle->stop();
    const proxy_statistics figures = pipes.middle->statistics();
    CHECK(figures.to_back.messages == static_cast<std::uint64_t>(2 * round + 2));
    CHECK(figures.to_back.in_hand == 0);
    CHECK_FALSE(pipes.front.try_receive());  // the sockets are ours again
  }
}

TEST_CASE("a proxy stops while it waits, while it is paused and before it is started") {
  streamer pipes;
  pipes.middle->stop();
  pipes.middle->start();
  pipes.middle->stop();
  pipes.middle->pause();
  pipes.middle->start();
  pipes.source.send(numbered(1));
  pipes.middle->stop();
  pipes.middle->start();
  pipes.middle->resume();
  pipes.add_worker();
  CHECK(text_of(pipes.worker.receive_for(patience)) == "1");
}

TEST_CASE(
    "a proxy that was stopped while it waited wakes for what comes after it was started again") {
  streamer pipes;
  pipes.add_worker();
  for (int round = 0; round < 20; ++round) {
    pipes.middle->start();
    pipes.source.send(numbered(round));
    CHECK(text_of(pipes.worker.receive_for(patience)) == std::to_string(round));
    // It waits by then, most likely in some of the rounds; else this tests nothing.
    std::this_thread::sleep_for(1ms);
    pipes.middle->stop();
    pipes.middle->start();
    std::this_thread::sleep_for(1ms);
    pipes.source.send(numbered(-round));
    CHECK(text_of(pipes.worker.receive_for(patience)) == std::to_string(-round));
    pipes.middle->stop();
  }
}

TEST_CASE("a proxy runs on the calling thread until it is told to stop") {
  streamer pipes;
  pipes.add_worker();
  std::stop_source source;
  std::string received;
  std::jthread user{[&] {
    pipes.source.send(numbered(7));
    received = text_of(pipes.worker.receive_for(patience));
    source.request_stop();
  }};
  pipes.middle->run(source.get_token());
  user.join();
  CHECK(received == "7");
}

TEST_CASE("the capture sees each message once, and may stop the proxy") {
  std::vector<std::string> seen;
  proxy* self = nullptr;
  streamer pipes{[&](proxy_way way, const message& passing) {
    seen.push_back((way == proxy_way::to_back ? "> " : "< ") + passing.back().str());
    if (seen.size() == 3) {
      self->stop();
    }
  }};
  self = pipes.middle.get();
  pipes.add_worker();
  pipes.middle->start();
  for (int number = 0; number < 4; ++number) {
    pipes.source.send(numbered(number));
  }
  for (int number = 0; number < 3; ++number) {
    CHECK(text_of(pipes.worker.receive_for(patience)) == std::to_string(number));
  }
  pipes.middle->stop();
  CHECK(seen == std::vector<std::string>{"> 0", "> 1", "> 2"});
  CHECK(text_of(pipes.front.try_receive()) == "3");
}

TEST_CASE("a message in hand when the proxy is paused is seen once, waits, and goes on") {
  proxy* self = nullptr;
  std::atomic<int> seen = 0;
  streamer pipes{[&](proxy_way, const message&) {
    self->pause();
    ++seen;
  }};
  self = pipes.middle.get();
  pipes.add_worker();
  pipes.middle->start();
  const auto send_and_hold = [&](int number) {
    pipes.source.send(numbered(number));
    REQUIRE(comes_true([&] { return seen == number; }));
    CHECK(pipes.middle->statistics().to_back.in_hand == 1);
    CHECK_FALSE(pipes.worker.receive_for(2ms));  // time for a proxy that lets it go
  };

  send_and_hold(1);
  pipes.middle->resume();
  CHECK(text_of(pipes.worker.receive_for(patience)) == "1");
  send_and_hold(2);
  pipes.middle->stop();  // lets it go, too
  CHECK(text_of(pipes.worker.try_receive()) == "2");
  CHECK(pipes.middle->statistics().to_back.in_hand == 0);
  CHECK(seen == 2);
}

TEST_CASE("what a capture throws ends the proxy, is thrown by stop, and loses no message") {
  int calls = 0;
  streamer pipes{[&](proxy_way, const message&) {
    if (++calls == 1) {
      throw std::runtime_error{"capture"};
    }
  }};
  pipes.add_worker();
  pipes.middle->start();
  pipes.source.send(numbered(1));
  CHECK(comes_true([&] { return pipes.middle->statistics().to_back.in_hand == 1; }));
  CHECK_THROWS_WITH(pipes.middle->stop(), "capture");
  CHECK_NOTHROW(pipes.middle->stop());
  pipes.middle->start();
  CHECK(text_of(pipes.worker.receive_for(patience)) == "1");
  pipes.middle->stop();
  CHECK(calls == 2);
}

TEST_CASE("a reply to a client that has gone is dropped and counted") {
  for (const auto& [front_at, back_at] : everywhere) {
    INFO(front_at << " " << back_at);
    context owner;
    socket front{owner, socket_kind::router};
    socket back{owner, socket_kind::dealer};
    socket server{owner, socket_kind::dealer};
    front.bind(front_at);
    server.connect(back.bind(back_at));
    proxy middle{front, back};
    middle.start();
    server.send(message{"nobody", "reply"});
    CHECK(comes_true([&] { return middle.statistics().to_front.dropped == 1; }));
    CHECK(middle.statistics().to_front.messages == 0);
    CHECK(middle.statistics().to_front.in_hand == 0);
  }
}

TEST_CASE("the end of the context ends a proxy") {
  for (const auto& [front_at, back_at] : everywhere) {
    INFO(front_at << " " << back_at);
    context owner;
    socket front{owner, socket_kind::pull};
    socket back{owner, socket_kind::push};
    front.bind(front_at);
    back.bind(back_at);
    proxy middle{front, back};
    middle.start();
    owner.shutdown();
    CHECK_NOTHROW(middle.stop());
    CHECK_THROWS_AS(middle.run({}), closed);
  }
}

TEST_CASE("a proxy needs two sockets that messages can pass") {
  context owner;
  socket pull{owner, socket_kind::pull};
  socket sub{owner, socket_kind::sub};
  CHECK_THROWS_WITH((proxy{pull, sub}), Catch::Contains("pull and sub"));
}

TEST_CASE("a proxy refuses to join a kind that takes turns with one that does not") {
  context owner;
  for (const socket_kind by_turns : {socket_kind::req, socket_kind::rep}) {
    for (const socket_kind kind : {socket_kind::dealer, socket_kind::router, socket_kind::push,
                                   socket_kind::pull, by_turns}) {
      socket one{owner, by_turns};
      socket other{owner, kind};
      CHECK_THROWS_AS((proxy{one, other}), error);
      CHECK_THROWS_AS((proxy{other, one}), error);
    }
  }
}

TEST_CASE("requests pass a proxy of rep and req, one at a time, also with a relaxed req") {
  for (const auto& [front_at, back_at] : everywhere) {
    for (const bool relaxed : {false, true}) {
      INFO(front_at << " " << back_at << " " << relaxed);
      context owner;
      socket front{owner, socket_kind::rep};
      socket back{owner, socket_kind::req, {.relaxed = relaxed}};
      socket client{owner, socket_kind::req};
      socket server{owner, socket_kind::rep};
      client.connect(front.bind(front_at));
      server.connect(back.bind(back_at));
      proxy middle{front, back};
      middle.start();
      for (int round = 0; round < 10; ++round) {
        client.send(numbered(round));
        CHECK(text_of(server.receive_for(patience)) == std::to_string(round));
        server.send(numbered(round + 100));
        CHECK(text_of(client.receive_for(patience)) == std::to_string(round + 100));
      }
      CHECK_NOTHROW(middle.stop());
    }
  }
}
