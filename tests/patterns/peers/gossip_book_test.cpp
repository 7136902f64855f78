// SPDX-License-Identifier: MPL-2.0
#include "peers/gossip_book.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using kind = gossip_message::kind;

namespace {

struct table {
  gossip_book book{peer_id::random(), 1, 4000};
  gossip_book::time_point now{1h};

  // "a: self, seed 0: publish": what was said since it was asked last.
  std::string said() {
    std::vector<std::string> words;
    for (const auto& each : book.take_steps()) {
      words.push_back((each.guest.empty() ? "seed " + std::to_string(each.seed) : each.guest) +
                      ": " +
                      (each.is_self                      ? "self"
                       : each.said.what == kind::hello   ? "hello"
                       : each.said.what == kind::publish ? "publish"
                       : each.said.what == kind::pong    ? "pong"
                                                         : "invalid"));
    }
    std::ranges::sort(words);
    std::string text;
    for (const auto& each : words) {
      text += (text.empty() ? "" : ", ") + each;
    }
    return text;
  }
  void hello(const std::string& guest) {
    book.hear_guest(guest, "10.0.0.2", write_gossip({.what = kind::hello}), now);
  }
  void publish(const std::string& guest, const gossip_fact& fact) {
    book.hear_guest(guest, "10.0.0.2", write_gossip(message_of(fact)), now);
  }
};

gossip_fact someone() { return {peer_id::random(), {"10.0.0.7", 5000}}; }

}  // namespace

TEST_CASE("a seed tells a guest where it is and whom it knows, and others of the guest") {
  table lan;
  lan.hello("a");
  CHECK(lan.said() == "a: self");
  lan.publish("a", someone());
  CHECK(lan.said() == "seed 0: publish");
  CHECK(lan.book.take_heard().size() == 1);
  lan.hello("b");
  CHECK(lan.said() == "b: publish, b: self");
  lan.publish("b", someone());
  CHECK(lan.said() == "a: publish, seed 0: publish");
}

TEST_CASE("what is known is passed on once, and never to where it came from") {
  table lan;
  lan.hello("a");
  lan.hello("b");
  static_cast<void>(lan.said());
  const auto fact = someone();
  lan.book.hear_seed(0, write_gossip(message_of(fact)), lan.now);
  CHECK(lan.said() == "a: publish, b: publish");
  lan.publish("a", fact);
  lan.book.know(fact, lan.now);
  CHECK(lan.said().empty());
}

TEST_CASE("a guest of before a seed was started anew need not say hello again") {
  table lan;
  lan.book.know(someone(), lan.now);
  static_cast<void>(lan.said());
  const auto guest = someone();
  lan.publish("a", guest);
  CHECK(lan.said() == "a: publish, a: self, seed 0: publish");
  lan.publish("a", guest);
  CHECK(lan.said().empty());
}

TEST_CASE("seeds are told every ten seconds what they cannot know, and not what they told") {
  table lan;
  CHECK(lan.book.tick(lan.now) == lan.now + 10s);
  CHECK(lan.said() == "seed 0: hello, seed 0: self");
  const auto met = someone();
  lan.book.know(met, lan.now);
  lan.book.hear_seed(0, write_gossip(message_of(someone())), lan.now);
  static_cast<void>(lan.said());
  lan.now += 10s;
  static_cast<void>(lan.book.tick(lan.now));
  const auto said = lan.said();
  CHECK(said.ends_with("seed 0: publish, seed 0: self"));
  lan.book.hear_seed(0, write_gossip(message_of(met)), lan.now);  // now it knows that, too
  lan.now += 10s;
  static_cast<void>(lan.book.tick(lan.now));
  CHECK_FALSE(lan.said().find("publish") != std::string::npos);
}

TEST_CASE("the more a seed knows, the more seldom it is asked for all of it") {
  table lan;
  for (int count = 0; count < 1000; ++count) {
    lan.book.hear_seed(0, write_gossip(message_of(someone())), lan.now);
  }
  int asked = 0;
  for (int seconds = 0; seconds < 600; seconds += 10) {
    lan.now += 10s;
    static_cast<void>(lan.book.tick(lan.now));
    for (const auto& each : lan.book.take_steps()) {
      asked += each.said.what == kind::hello ? 1 : 0;
    }
    for (int count = 0; seconds % 50 == 0 && count < 1000; ++count) {
      // Or they would be forgotten.
      lan.book.hear_seed(0, write_gossip(message_of(someone())), lan.now);
    }
  }
  CHECK(asked >= 3);
  CHECK(asked <= 21);
}

TEST_CASE("what nobody tells any more is forgotten after a minute") {
  table lan;
  static_cast<void>(lan.book.tick(lan.now));
  lan.book.know(someone(), lan.now);
  CHECK(lan.book.count_facts() == 1);
  lan.now += 61s;
  static_cast<void>(lan.book.tick(lan.now));
  CHECK(lan.book.count_facts() == 0);
}

TEST_CASE("guests and facts are bounded") {
  table lan;
  for (int count = 0; count < 2000; ++count) {
    lan.hello(std::to_string(count));
  }
  CHECK(lan.book.take_steps().size() == 1000);
  for (int count = 0; count < 5000; ++count) {
    lan.book.hear_seed(0, write_gossip(message_of(someone())), lan.now);
    static_cast<void>(lan.book.take_steps());
  }
  CHECK(lan.book.count_facts() == 4000);
  lan.book.lose_guest("0");
  lan.hello("late");
  CHECK(lan.book.take_steps().size() == 4001);
}

TEST_CASE("a guest's nonsense is answered as such, its pings with pongs") {
  table lan;
  lan.book.hear_guest("a", "10.0.0.2", "nonsense", lan.now);
  CHECK(lan.said() == "a: invalid");
  lan.book.hear_guest("a", "10.0.0.2", write_gossip({.what = kind::ping}), lan.now);
  CHECK(lan.said() == "a: pong");
  lan.book.hear_seed(0, "nonsense", lan.now);
  lan.book.hear_seed(0, write_gossip({.what = kind::publish, .key = "x", .value = "y"}), lan.now);
  CHECK(lan.said().empty());
}
