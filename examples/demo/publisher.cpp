// SPDX-License-Identifier: MPL-2.0
//
// A native publisher: a headline now and then, as soon as somebody listens. Part of ./dev demo.
#include <parley/pub_sub.hpp>

#include <iostream>
#include <string>
#include <thread>

using namespace std::chrono_literals;

int main() {
  parley::context context;
  parley::publisher news{context};
  std::cerr << "bound " << news.bind("tcp://127.0.0.1:0").str() << std::endl;

  for (int number = 1;; ++number) {
    if (!news.wait_for_subscribers(1, 1h, "demo.news")) {
      continue;
    }
    const std::string headline = "headline " + std::to_string(number);
    std::cout << "publishes on demo.news: " << headline << std::endl;
    news.publish("demo.news", headline);
    std::this_thread::sleep_for(number < 5 ? 300ms : 3s);  // so that a person can read along
  }
}
