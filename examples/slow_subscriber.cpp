// SPDX-License-Identifier: MPL-2.0
//
// A subscriber that is too slow: the publisher does not wait for it, the subscriber is told what
// it lost, and the publisher's ledger says what became of every message.
//
// Run it: build/dev/examples/example_slow_subscriber
#include <parley/pub_sub.hpp>

#include <iostream>
#include <thread>

using namespace std::chrono_literals;

int main() {
  constexpr std::uint64_t published = 1000;
  parley::context context;
  parley::publisher sensor{context, {.limit = 10}};  // kept for each subscriber that lags
  parley::subscriber slow{context, sensor.bind("tcp://127.0.0.1:0"), {"temperature"}};
  std::uint64_t lost = 0;
  slow.on_event([&](const parley::feed_event& event) {
    if (event.what == parley::feed_event::kind::lost) {
      lost += event.count;
      std::cout << "lost " << event.count << ", " << event.first << " to " << event.last << ": "
                << to_string(event.reason) << '\n';
    }
  });

  if (!sensor.wait_for_subscribers(1, 5s, "temperature")) {
    return 1;
  }
  for (std::uint64_t number = 1; number <= published; ++number) {
    sensor.publish("temperature", std::to_string(number));
  }
  // Nobody receives until all are in the publisher's books.
  while (sensor.statistics().published < published) {
    std::this_thread::yield();
  }

  for (std::uint64_t received = 0; received + lost < published;) {
    const auto next = slow.receive_for(5s);
    if (!next) {
      return 1;
    }
    ++received;
    std::cout << "received " << next->body.view() << '\n';
  }

  if (!sensor.wait_until_delivered(5s)) {
    return 1;
  }
  for (const parley::subscriber_ledger& subscriber : sensor.ledger()) {
    for (const parley::prefix_ledger& book : subscriber.prefixes) {
      std::cout << "'" << book.prefix << "': " << book.published
                << " published = " << book.delivered << " delivered + " << book.queued
                << " queued + " << book.dropped.total() << " dropped\n";
    }
  }
}
