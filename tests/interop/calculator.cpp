// SPDX-License-Identifier: MPL-2.0
//
// A server with a few methods, for foreign clients to call. Ends when its stdin does.
#include <parley/context.hpp>
#include <parley/request_reply.hpp>

#include <iostream>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>

int main() {
  parley::context context;
  parley::server server{context, parley::server_options{.workers = 2}};
  server.handle("add", {"left", "right"}, [](int left, int right) { return left + right; });
  server.handle("count", [](parley::results<int>& out, int to) {
    for (int value = 0; value < to && out.send(value); ++value) {
    }
  });
  server.handle("refuse", [](const std::string& why) -> int { throw std::runtime_error{why}; });
  server.handle("describe", [](const std::string& name) {
    return std::map<std::string, std::string>{{"name", name}};
  });
  std::cerr << "bound " << server.bind("tcp://127.0.0.1:0").str() << std::endl;
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
}
