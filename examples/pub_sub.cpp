// SPDX-License-Identifier: MPL-2.0
//
// A price feed: one publisher, a subscriber who wants some of the topics.
//
// Run it: build/dev/examples/example_pub_sub
#include <parley/pub_sub.hpp>

#include <iostream>
#include <thread>

using namespace std::chrono_literals;

struct quote {
  double bid = 0;
  double ask = 0;
  MSGPACK_DEFINE(bid, ask)
};

int main() {
  parley::context context;
  parley::publisher prices{context};
  const parley::endpoint where = prices.bind("tcp://127.0.0.1:0");

  std::thread trader{[&] {
    parley::subscriber feed{context, where, {"prices.eur"}};
    while (auto received = feed.receive_for(2s)) {
      const auto price = received->as<quote>();
      std::cout << received->topic.view() << ": " << price.bid << " / " << price.ask << '\n';
      if (received->topic == "prices.eurjpy") {
        break;
      }
    }
  }};

  // No sleep: the first message is sent when somebody is there to receive it.
  if (prices.wait_for_subscribers(1, 5s, "prices.eurusd")) {
    prices.publish("prices.eurusd", quote{1.25, 1.5});
    prices.publish("prices.gbpusd", quote{1.75, 2});
    prices.publish("prices.eurjpy", quote{160.25, 160.5});
  }
  trader.join();
}
