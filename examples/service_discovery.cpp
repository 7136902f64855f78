// SPDX-License-Identifier: MPL-2.0
//
// Names in place of addresses: a client finds the servers of "adder" on the network, and goes on
// with those that stay.
//
// Run it: build/dev/examples/example_service_discovery
#include <parley/peers.hpp>
#include <parley/request_reply.hpp>

#include <iostream>
#include <optional>
#include <string>

using namespace std::chrono_literals;

// As a program of its own would be: its own context, and a look at the network. On the loopback
// interface and a port that only this example uses; without options it is the whole network.
struct program {
  parley::context context;
  parley::peers lan{context, {.port = 25'670, .interfaces = {"lo"}, .interval = 100ms}};
};

struct adder : program {
  explicit adder(const std::string& name) {
    calculator.handle("add", [name](int a, int b) { return name + ": " + std::to_string(a + b); });
    calculator.bind("service:adder");
  }
  parley::server calculator{context};
};

int main() {
  program here;
  parley::client client{here.context,
                        "service:adder",
                        {.choice = parley::server_choice::in_turn}};  // nobody is there yet

  std::optional<adder> first{"first"};
  std::cout << client.call<std::string>("add", 2, 3) << '\n';

  adder second{"second"};
  if (!client.wait_for_servers(2, 5s)) {
    return 1;
  }
  first.reset();
  std::cout << client.call<std::string>({.idempotent = true}, "add", 3, 4) << '\n';
}
