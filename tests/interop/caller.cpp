// SPDX-License-Identifier: MPL-2.0
//
// caller ENDPOINT COUNT: calls "add" of a foreign server, all calls in flight at once.
#include <parley/context.hpp>
#include <parley/request_reply.hpp>

#include <future>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) try {
  if (argc != 3) {
    return 1;
  }
  const int count = std::stoi(argv[2]);
  parley::context context;
  parley::client client{context, argv[1]};
  std::vector<std::future<int>> sums;
  for (int number = 0; number < count; ++number) {
    sums.push_back(client.async_call<int>("add", number, 1));
  }
  for (int number = 0; number < count; ++number) {
    if (sums[static_cast<std::size_t>(number)].get() != number + 1) {
      std::cout << "call " << number << " got the reply to another\n";
      return 1;
    }
  }
  std::cout << count << " calls, each with its own reply\n";
} catch (const std::exception& failure) {
  std::cerr << failure.what() << '\n';
  return 1;
}
