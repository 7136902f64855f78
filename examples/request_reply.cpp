// SPDX-License-Identifier: MPL-2.0
//
// A calculator: a server with methods, and a client that calls them.
//
// Run it: build/dev/examples/example_request_reply
// The two sides are threads of one program here; put the server's half in one program and the
// client's in another, with the same endpoint, and it works between machines.
#include <parley/error.hpp>
#include <parley/request_reply.hpp>

#include <iostream>
#include <stdexcept>

using namespace std::chrono_literals;

int main() {
  parley::context context;

  parley::server calculator{context};
  calculator.handle("add", [](int a, int b) { return a + b; });
  calculator.handle("divide", [](double a, double b) {
    if (b == 0) {
      throw std::domain_error{"division by zero"};
    }
    return a / b;
  });
  const parley::endpoint where = calculator.bind("tcp://127.0.0.1:0");  // 0: any free port

  parley::client client{context, where};
  std::cout << "2 + 3 = " << client.call<int>("add", 2, 3) << '\n';

  // Many calls may be in flight at once.
  auto first = client.async_call<double>("divide", 1.0, 4.0);
  auto second = client.async_call<double>("divide", 1.0, 0.0);
  std::cout << "1 / 4 = " << first.get() << '\n';
  try {
    second.get();
  } catch (const parley::remote_error& failure) {
    std::cout << "1 / 0: " << failure.type() << ": " << failure.text() << '\n';
  }

  // No call hangs: this one's server never comes.
  parley::client lonely{context, "tcp://127.0.0.1:9"};
  try {
    lonely.call<int>({.timeout = 100ms}, "add", 2, 3);
  } catch (const parley::no_server&) {
    std::cout << "nobody was there in time\n";
  }
}
