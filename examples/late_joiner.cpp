// SPDX-License-Identifier: MPL-2.0
//
// A ticker that remembers: who joins late asks for the last price of each share, or for what was
// published since some number, and goes on from there.
//
// Run it: build/dev/examples/example_late_joiner
#include <parley/pub_sub.hpp>

#include <iostream>
#include <thread>

using namespace std::chrono_literals;

namespace {

void print(parley::subscriber& feed, const char* who, int count) {
  std::cout << who << '\n';
  while (count-- > 0) {
    const auto received = feed.receive_for(5s);
    if (!received) {
      std::cout << "  nothing came\n";
      return;
    }
    std::cout << "  " << received->sequence << ": " << received->topic.view() << ' '
              << received->body.view() << '\n';
  }
}

}  // namespace

int main() {
  using parley::feed_start;
  parley::context context;
  parley::publisher ticker{context, {.history = 4, .last_value = true}};
  const parley::endpoint where = ticker.bind("tcp://127.0.0.1:0");

  // Nobody is there yet, until all of them are in the memory.
  for (const char* price : {"100", "101", "102"}) {
    ticker.publish("shares.abc", price);
    ticker.publish("shares.xyz", price);
  }
  while (ticker.statistics().published < 6) {
    std::this_thread::yield();
  }

  parley::subscriber board{context, where, {"shares."}, {.start = feed_start::last_values()}};
  print(board, "the last price of each share:", 2);

  parley::subscriber chart{context, where, {"shares.abc"}, {.start = feed_start::history()}};
  print(chart, "what is remembered of one:", 2);

  // It asks for more than there is.
  parley::subscriber audit{context, where, {"shares."}, {.start = feed_start::since(1)}};
  audit.on_event([](const parley::feed_event& event) {
    if (event.what == parley::feed_event::kind::lost) {
      std::cout << "  " << event.first << '-' << event.last << ": " << to_string(event.reason)
                << '\n';
    }
  });
  print(audit, "everything since the first:", 4);

  ticker.publish("shares.abc", "103");
  print(board, "and then, for the first of them:", 1);
}
