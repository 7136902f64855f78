// SPDX-License-Identifier: MPL-2.0
//
// A publisher, two forwarders, and subscribers at these: the publisher sends each message twice,
// however many subscribers there are. Who joins late asks the forwarder next to it.
//
// Run it: build/dev/examples/example_forwarder_tree
#include <parley/forwarder.hpp>
#include <parley/pub_sub.hpp>

#include <iostream>
#include <list>

using namespace std::chrono_literals;

namespace {

void print(parley::subscriber& reader) {
  const auto received = reader.receive_for(5s);
  if (received) {
    std::cout << received->topic.view() << ' ' << received->sequence << ": "
              << received->body.view() << ", over " << int{received->hops} << " forwarder\n";
  }
}

}  // namespace

int main() {
  parley::context context;
  parley::publisher root{context};
  const parley::endpoint source = root.bind("tcp://127.0.0.1:0");

  std::list<parley::forwarder> leaves;
  std::list<parley::subscriber> readers;
  parley::endpoint nearest = source;
  for (int number = 0; number < 2; ++number) {
    parley::forwarder& leaf =
        leaves.emplace_back(context, parley::forwarder_options{.downstream = {.history = 100}});
    leaf.connect(source);
    nearest = leaf.bind("tcp://127.0.0.1:0");
    readers.emplace_back(context, nearest, std::vector<std::string>{"news."});
    readers.emplace_back(context, nearest, std::vector<std::string>{"news."});
    if (!leaf.downstream().wait_for_subscribers(2, 5s, "news.today")) {
      return 1;
    }
  }
  if (!root.wait_for_subscribers(2, 5s, "news.today")) {
    return 1;
  }
  std::cout << readers.size() << " subscribers, of whom the publisher knows " << root.subscribers()
            << '\n';

  root.publish("news.today", "it works");
  for (parley::subscriber& reader : readers) {
    print(reader);
  }

  std::cout << "and one who is late\n";
  parley::subscriber late{context, nearest, {"news."}, {.start = parley::feed_start::history()}};
  print(late);
}
