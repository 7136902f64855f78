// SPDX-License-Identifier: MPL-2.0
//
// The subscriber against a publisher that is made by hand, word by word.
#include <parley/error.hpp>
#include <parley/socket.hpp>
#include <parley/subscriber.hpp>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "feed_wire.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using support::patience;

namespace {

const std::string carriers[] = {"pipe://subscriber-test", "inproc://subscriber-test", "ipc://*",
                                "tcp://127.0.0.1:*"};

feed_entry word(feed_entry::kind what, std::string_view topic = {}) {
  feed_entry entry;
  entry.what = what;
  entry.topic = topic;
  return entry;
}

feed_entry text(std::uint64_t sequence, std::string_view body = "b") {
  feed_entry entry = word(feed_entry::kind::message, "t");
  entry.sequence = sequence;
  entry.body = body;
  return entry;
}

class hand_publisher {
 public:
  explicit hand_publisher(context& owner) : socket_{owner, socket_kind::xpub, options()} {}

  endpoint bind(const std::string& where) { return socket_.bind(where); }

  // What a subscriber said: its words, and as many prefixes as they name.
  std::vector<std::string> hear_subscriptions() {
    using kind = feed_subscription::kind;
    std::vector<std::string> all;
    std::size_t prefixes = 0;
    for (bool is_over = false; !is_over || prefixes > 0;) {
      const auto said = socket_.receive_for(patience);
      REQUIRE(said.has_value());
      all.push_back(said->front().str());
      if (const auto word = parse_subscription(all.back().substr(1))) {
        prefixes += word->what == kind::prefix ? 1 : 0;
        is_over = word->what == kind::inbox;
        subscriber_ = word->wishes.subscriber;
      } else {
        REQUIRE(is_over);
        --prefixes;
      }
    }
    return all;
  }
  feed_request hear_request() {
    for (;;) {
      const auto said = socket_.receive_for(patience);
      REQUIRE(said.has_value());
      const std::string_view topic = said->front().view().substr(1);
      if (const auto request = parse_feed_request(topic);
          request && said->front().view().front() == '\1') {
        return *request;
      }
    }
  }

  void join(std::uint64_t publisher = 9) {
    feed_entry entry = word(feed_entry::kind::joined);
    entry.publisher = publisher;
    entry.next = 1;
    entry.next_urgent = 1;
    send({entry, word(feed_entry::kind::active, "t")});
  }
  void send(const std::vector<feed_entry>& entries) {
    std::string bytes;
    for (const feed_entry& each : entries) {
      pack_entry(bytes, each);
    }
    socket_.send(message{pack_address({subscriber_, 1, position_}), frame{bytes}});
    position_ += entries.size();
  }

 private:
  static socket_options options() {
    socket_options chosen;
    chosen.all_subscriptions = true;
    chosen.private_topics = true;
    return chosen;
  }

  parley::socket socket_;
  std::uint64_t subscriber_ = 0;
  std::uint64_t position_ = 1;
};

// For threads, in which nothing can be asserted.
template<class Action>
bool ends_closed(Action&& action) {
  try {
    action();
  } catch (const closed&) {
    return true;
  }
  return false;
}

// The two, connected, and the publisher has begun to serve.
struct served {
  explicit served(const std::string& where = "inproc://served",
                  const subscriber_options& options = {})
      : publisher{owner}, feed{owner, publisher.bind(where), {"t"}, options} {
    publisher.hear_subscriptions();
    publisher.join();
  }
  context owner;
  hand_publisher publisher;
  subscriber feed;
};

}  // namespace

TEST_CASE(
    "a subscriber's words come in order: wishes, prefixes, inbox, and the prefixes themselves") {
  for (const std::string& where : carriers) {
    CAPTURE(where);
    context owner;
    hand_publisher publisher{owner};
    const subscriber feed{owner, publisher.bind(where), {"t", "u"}, {.limit = 5}};
    std::vector<feed_subscription::kind> kinds;
    std::vector<std::string> plain;
    for (const std::string& each : publisher.hear_subscriptions()) {
      REQUIRE(each.front() == '\1');
      const auto said = parse_subscription(std::string_view{each}.substr(1));
      if (!said) {
        plain.push_back(each.substr(1));
        continue;
      }
      kinds.push_back(said->what);
      CHECK(said->wishes.subscriber == feed.id());
      if (said->what == feed_subscription::kind::wishes) {
        CHECK(said->wishes.limit == 5);
      }
    }
    using kind = feed_subscription::kind;
    CHECK(kinds == std::vector{kind::wishes, kind::prefix, kind::prefix, kind::inbox});
    CHECK(plain == std::vector<std::string>{"t", "u"});
  }
}

TEST_CASE("messages arrive over every carrier, and the publisher hears of it") {
  for (const std::string& where : carriers) {
    CAPTURE(where);
    served both{where};
    both.publisher.send({text(1), text(2)});
    CHECK(both.feed.receive().sequence == 1);
    CHECK(both.feed.receive().sequence == 2);
    feed_request said = both.publisher.hear_request();
    while (said.position < 4) {
      said = both.publisher.hear_request();
    }
    CHECK(said.what == feed_request::kind::received);
    CHECK(said.subscriber == both.feed.id());
    CHECK(said.position == 4);
    CHECK_FALSE(both.feed.try_receive().has_value());
  }
}

TEST_CASE("who waits for the next message says meanwhile what it received") {
  served both;
  std::thread receiver{[&] {
    for (int count = 0; count < 3; ++count) {
      static_cast<void>(both.feed.receive_for(patience));
    }
  }};
  both.publisher.send({text(1)});
  while (both.publisher.hear_request().position < 3) {
  }
  both.publisher.send({text(2)});
  while (both.publisher.hear_request().position < 4) {
  }
  both.publisher.send({text(3)});
  receiver.join();
}

TEST_CASE("a wait for publishers ends when they serve, and keeps the messages that came") {
  for (const std::string& where : carriers) {
    CAPTURE(where);
    served both{where};
    both.publisher.send({text(1)});
    CHECK(both.feed.wait_for_publishers(1, patience));
    CHECK(both.feed.wait_for_publishers(1, 0ms, "t"));
    CHECK_FALSE(both.feed.wait_for_publishers(2, 1ms));
    CHECK_FALSE(both.feed.wait_for_publishers(1, 1ms, "other"));
    CHECK(both.feed.receive().sequence == 1);
  }
}

TEST_CASE("a thread that receives takes in what another one waits for") {
  served both;
  bool is_closed = false;
  std::thread receiver{
      [&] { is_closed = ends_closed([&] { static_cast<void>(both.feed.receive()); }); }};
  CHECK(both.feed.wait_for_publishers(1, patience, "t"));
  both.feed.close();
  receiver.join();
  CHECK(is_closed);
}

TEST_CASE("events are told between the messages where they happened") {
  served both;
  std::vector<feed_event::kind> told;
  both.feed.on_event([&](const feed_event& event) { told.push_back(event.what); });
  feed_entry lost = word(feed_entry::kind::lost, "t");
  lost.sequence = 2;
  lost.last = 3;
  lost.count = 2;
  both.publisher.send({text(1), lost, text(4)});
  CHECK(both.feed.receive().sequence == 1);
  using kind = feed_event::kind;
  CHECK(told == std::vector{kind::joined, kind::active});
  CHECK(both.feed.receive().sequence == 4);
  CHECK(told == std::vector{kind::joined, kind::active, kind::lost});
  REQUIRE(both.feed.ledger().size() == 1);
  CHECK(both.feed.ledger().front().received == 2);
  CHECK(both.feed.ledger().front().lost[loss_reason::lagged] == 2);
}

TEST_CASE("while an event is told, others may read the books, and nobody overtakes it") {
  served both;
  std::atomic<bool> is_told{false};
  std::atomic<bool> may_go{false};
  std::vector<std::uint64_t> order;  // 0: the event
  std::mutex mutex;
  const auto note = [&](std::uint64_t what) {
    const std::lock_guard lock{mutex};
    order.push_back(what);
  };
  both.feed.on_event([&](const feed_event& event) {
    if (event.what == feed_event::kind::resumed) {
      is_told = true;
      is_told.notify_all();
      may_go.wait(false);
      note(0);
    }
  });
  both.publisher.send({word(feed_entry::kind::resumed), text(1), text(2)});
  std::vector<std::thread> receivers;
  for (int count = 0; count < 2; ++count) {
    receivers.emplace_back([&] { note(both.feed.receive().sequence); });
  }
  is_told.wait(false);
  CHECK(both.feed.ledger().front().waiting == 2);
  may_go = true;
  may_go.notify_all();
  for (std::thread& each : receivers) {
    each.join();
  }
  REQUIRE(order.size() == 3);
  CHECK(order.front() == 0);
}

TEST_CASE("what a handler throws reaches who receives, and the next receive goes on") {
  served both;
  both.feed.on_event([](const feed_event& event) {
    if (event.what == feed_event::kind::joined) {
      throw std::runtime_error{"handler"};
    }
  });
  both.publisher.send({text(1)});
  CHECK_THROWS_AS(both.feed.receive(), std::runtime_error);
  CHECK(both.feed.receive().sequence == 1);
}

TEST_CASE("many threads receive each message once") {
  constexpr std::uint64_t count = 5000;
  served both;
  std::vector<std::atomic<int>> seen(count);
  std::atomic<std::uint64_t> received{0};
  std::vector<std::thread> receivers;
  for (int each = 0; each < 4; ++each) {
    receivers.emplace_back([&] {
      try {
        for (;;) {
          ++seen.at(both.feed.receive().sequence);
          if (++received == count) {
            both.feed.close();
          }
        }
      } catch (const closed&) {
      }
    });
  }
  for (std::uint64_t sequence = 0; sequence < count; sequence += 10) {
    std::vector<feed_entry> entries;
    for (std::uint64_t each = sequence; each < sequence + 10; ++each) {
      entries.push_back(text(each));
    }
    both.publisher.send(entries);
  }
  for (std::thread& each : receivers) {
    each.join();
  }
  CHECK(received == count);
  CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& each) { return each == 1; }));
}

TEST_CASE("run hands out messages until it is told to stop, from inside or outside") {
  served both;
  both.publisher.send({text(1), text(2), text(3)});
  std::stop_source inside;
  std::vector<std::uint64_t> got;
  both.feed.run(
      [&](const publication& each) {
        got.push_back(each.sequence);
        if (got.size() == 2) {
          inside.request_stop();
        }
      },
      inside.get_token());
  CHECK(got == std::vector<std::uint64_t>{1, 2});

  std::stop_source outside;
  std::atomic<bool> is_running{false};
  std::thread running{[&] {
    both.feed.run(
        [&](const publication&) {
          is_running = true;
          is_running.notify_all();
        },
        outside.get_token());
  }};
  is_running.wait(false);
  outside.request_stop();
  running.join();
  both.publisher.send({text(4)});
  const auto next = both.feed.receive_for(patience);
  REQUIRE(next.has_value());
  CHECK(next->sequence == 4);
}

TEST_CASE("close ends all waits, and tells the publisher what was received") {
  for (const std::string& where : carriers) {
    CAPTURE(where);
    served both{where};
    both.publisher.send({text(1), text(2)});
    CHECK(both.feed.receive().sequence == 1);
    bool is_closed = false;
    std::thread waiting{[&] {
      is_closed =
          ends_closed([&] { static_cast<void>(both.feed.wait_for_publishers(2, patience)); });
    }};
    both.feed.close();
    waiting.join();
    CHECK(is_closed);
    CHECK_THROWS_AS(both.feed.receive(), closed);
    CHECK_THROWS_AS(both.feed.try_receive(), closed);
    CHECK_THROWS_AS(both.feed.subscribe("u"), closed);
    feed_request said = both.publisher.hear_request();
    while (said.what != feed_request::kind::leave) {
      said = both.publisher.hear_request();
    }
    CHECK(said.position == 3);
  }
}

TEST_CASE("a wait ends when the context is shut down") {
  served both;
  std::atomic<int> ended{0};
  std::vector<std::thread> waiting;
  for (int count = 0; count < 3; ++count) {
    waiting.emplace_back(
        [&] { ended += ends_closed([&] { static_cast<void>(both.feed.receive()); }) ? 1 : 0; });
  }
  both.owner.shutdown();
  for (std::thread& each : waiting) {
    each.join();
  }
  CHECK(ended == 3);
}

TEST_CASE("a receive gives up at its limit") {
  context owner;
  subscriber lonely{owner};
  CHECK_FALSE(lonely.receive_for(1ms).has_value());
  CHECK_FALSE(lonely.try_receive().has_value());
  CHECK_FALSE(lonely.wait_for_publishers(1, 1ms));
  CHECK(lonely.wait_for_publishers(0, 0ms));
}

TEST_CASE("a prefix that no topic can have is refused") {
  context owner;
  subscriber feed{owner};
  CHECK_THROWS_AS(feed.subscribe("\1"), config_error);
  CHECK_THROWS_AS(feed.subscribe(std::string(65'536, 'x')), config_error);
}

TEST_CASE("plain publishers feed a subscriber too") {
  for (const std::string& where : carriers) {
    CAPTURE(where);
    context owner;
    parley::socket plain{owner, socket_kind::xpub};
    subscriber feed{owner, plain.bind(where), {"t"}};
    while (plain.receive_for(patience)->front() != std::string_view{"\1t"}) {
    }
    plain.send(message{frame{"topic"}, frame{"body"}});
    const auto received = feed.receive_for(patience);
    REQUIRE(received.has_value());
    CHECK(received->topic == "topic");
    CHECK(received->body == "body");
    CHECK(received->publisher == 0);
  }
}
