// SPDX-License-Identifier: MPL-2.0
//
// Orders that outlive everybody: a worker is killed in the middle of one, then the source. The next
// ones find what was not done in the journal.
//
// Run it: build/dev/examples/example_durable_orders
#include <parley/pipeline.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <set>
#include <string>

using namespace std::chrono_literals;

// Runs it in a process of its own, which ends by SIGKILL.
void run_and_kill(const std::function<void()>& program) {
  const pid_t child = ::fork();
  if (child == 0) {
    program();
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
}

int main() {
  std::string directory = std::filesystem::temp_directory_path() / "parley-orders-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) {
    return 1;
  }
  const std::string where = "ipc://" + directory + "/orders";
  const std::string ledger = directory + "/ledger";
  const parley::source_options options{.journal = directory + "/orders.db"};
  const auto carry_out = [&](parley::task order) {
    std::ofstream{ledger, std::ios::app} << order.body.view() << std::endl;
    order.done();
  };

  run_and_kill([&] {
    run_and_kill([&] {
      parley::context context;
      parley::source orders{context, options};
      for (int number = 1; number <= 5; ++number) {
        orders.push("order " + std::to_string(number));  // returns when it is on the disk
      }
    });
    parley::context context;
    parley::source orders{context, where, options};
    run_and_kill([&] {
      parley::context own;  // a child has nothing of its parent's
      parley::worker worker{own, where};
      carry_out(worker.receive());
      carry_out(worker.receive());
      static_cast<void>(worker.receive().body);  // begins the third, and is killed
    });
  });

  parley::context context;
  parley::source orders{context, where, options};
  parley::worker worker{context, where};
  while (!orders.wait_until_done(0s)) {
    if (auto order = worker.receive_for(100ms)) {
      carry_out(std::move(*order));
    }
  }
  std::set<std::string> done;
  std::ifstream lines{ledger};
  for (std::string line; std::getline(lines, line);) {
    done.insert(line);  // one may be there twice: it was done, and killed before anybody knew
  }
  for (const std::string& each : done) {
    std::cout << each << '\n';
  }
  std::filesystem::remove_all(directory);
}
