// SPDX-License-Identifier: MPL-2.0
//
// A native worker; its argument is where the source of tasks is. Part of ./dev demo.
#include <parley/pipeline.hpp>

#include <iostream>

int main(int argc, char* argv[]) {
  if (argc != 2) {
    std::cerr << "usage: demo_worker ENDPOINT\n";
    return 1;
  }
  parley::context context;
  parley::worker worker{context, argv[1]};
  std::cerr << "connected" << std::endl;
  worker.run([](const parley::frame& job) { std::cout << "does " << job.view() << std::endl; });
}
