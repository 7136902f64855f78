// SPDX-License-Identifier: MPL-2.0
//
// What a stranger writes first: a server and a client.
#include <parley/context.hpp>
#include <parley/request_reply.hpp>

#include <iostream>

int main() {
  parley::context context;
  parley::server calculator{context};
  calculator.handle("add", [](int left, int right) { return left + right; });
  const parley::endpoint bound = calculator.bind("tcp://127.0.0.1:0");

  parley::client client{context, bound};
  const int sum = client.call<int>("add", 2, 3);
  std::cout << "2 + 3 = " << sum << '\n';
  return sum == 5 ? 0 : 1;
}
