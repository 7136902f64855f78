// SPDX-License-Identifier: MPL-2.0
//
// A native service with one method. Part of ./dev demo.
#include <parley/request_reply.hpp>

#include <iostream>

#include <unistd.h>

int main() {
  parley::context context;
  parley::server calculator{context};
  calculator.handle("add", [](double a, double b) {
    std::cout << "is asked to add " << a << " and " << b << ", answers " << a + b << std::endl;
    return a + b;
  });
  std::cerr << "bound " << calculator.bind("tcp://127.0.0.1:0").str() << std::endl;
  ::pause();  // until it is told to end
}
