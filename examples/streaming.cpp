// SPDX-License-Identifier: MPL-2.0
//
// A method with many results: they come as fast as they are taken, and no faster, and end when
// nobody wants more.
//
// Run it: build/dev/examples/example_streaming
#include <parley/request_reply.hpp>

#include <future>
#include <iostream>

int main() {
  parley::context context;
  parley::server primes{context};
  std::promise<void> stopped;
  primes.handle("primes", [&](parley::results<int>& out, int from) {
    for (int candidate = from;; ++candidate) {
      bool is_prime = candidate > 1;
      for (int divisor = 2; divisor * divisor <= candidate; ++divisor) {
        is_prime = is_prime && candidate % divisor != 0;
      }
      if (is_prime && !out.send(candidate)) {
        stopped.set_value();
        return;
      }
    }
  });

  parley::client client{context, primes.bind("tcp://127.0.0.1:0")};
  for (const int prime : client.stream<int>("primes", 1000)) {
    std::cout << prime << '\n';
    if (prime > 1020) {
      break;
    }
  }
  stopped.get_future().wait();
  std::cout << "nobody wants more, and the server knows\n";
}
