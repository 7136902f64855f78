// SPDX-License-Identifier: MPL-2.0
//
// Two servers, one of which goes away in the middle of a call: an idempotent call goes on to the
// other, one that may be executed only once says so.
//
// Run it: build/dev/examples/example_failover
#include <parley/error.hpp>
#include <parley/request_reply.hpp>

#include <future>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;

int main() {
  parley::context context;
  std::optional<parley::server> first{std::in_place, context};
  parley::server second{context};
  std::promise<void> both_taken;
  int taken = 0;
  // It takes calls, and never answers.
  first->handle("greet", [&](parley::reply<std::string> later, const std::string&) {
    static std::vector<parley::reply<std::string>> kept;
    kept.push_back(later);
    if (++taken == 2) {
      both_taken.set_value();
    }
  });
  second.handle("greet", [](const std::string& name) { return "Hello " + name + ", from two"; });

  parley::client client{context,
                        {first->bind("tcp://127.0.0.1:0"), second.bind("tcp://127.0.0.1:0")},
                        {.choice = parley::server_choice::in_turn}};
  if (!client.wait_for_servers(2, 5s)) {
    return 1;
  }

  auto again = client.async_call<std::string>({.idempotent = true}, "greet", "Ada");
  auto once = client.async_call<std::string>("greet", "Bob");
  both_taken.get_future().wait();
  first.reset();  // gone, with two calls

  std::cout << again.get() << '\n';
  try {
    once.get();
  } catch (const parley::server_lost& lost) {
    std::cout << "Bob: " << lost.what() << '\n';
  }
  std::cout << client.call<std::string>("greet", "Cleo") << '\n';
}
