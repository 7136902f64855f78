// SPDX-License-Identifier: MPL-2.0
//
// Deals numbers out to three workers, and has the answers together again, in order. Then the same
// with a sink: the results go somewhere else than where the tasks came from.
//
// Run it: build/dev/examples/example_fork_and_join
#include <parley/pipeline.hpp>

#include <iostream>
#include <numeric>
#include <thread>
#include <vector>

int square(int number) { return number * number; }

int main() {
  parley::context context;
  parley::source tasks{context};
  parley::sink collector{context};
  const parley::endpoint task_address = tasks.bind("tcp://127.0.0.1:0");
  const parley::endpoint result_address = collector.bind("tcp://127.0.0.1:0");

  std::vector<parley::worker> workers;
  std::vector<std::thread> threads;
  for (int count = 0; count < 3; ++count) {
    workers.emplace_back(context, task_address);
  }
  for (parley::worker& worker : workers) {
    threads.emplace_back([&worker] { worker.run(square); });
  }
  std::vector<int> numbers(10);
  std::iota(numbers.begin(), numbers.end(), 1);
  for (const int each : tasks.map<int>(numbers)) {
    std::cout << each << ' ';
  }
  std::cout << '\n';
  for (parley::worker& worker : workers) {
    worker.close();
  }
  for (std::thread& thread : threads) {
    thread.join();
  }

  parley::worker other{context, task_address};
  std::thread working{[&] {
    parley::source results{context};
    results.connect(result_address);
    other.run_into(results, square);
  }};
  for (const int each : numbers) {
    tasks.push(each);
  }
  int sum = 0;
  for (std::size_t count = 0; count < numbers.size(); ++count) {
    sum += collector.receive().as<int>();
  }
  collector.close();
  std::cout << "sum " << sum << '\n';
  other.close();
  working.join();
}
