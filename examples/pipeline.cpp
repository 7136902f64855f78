// SPDX-License-Identifier: MPL-2.0
//
// A source deals pictures out to three workers, who send their results to a collector.
//
// Run it: build/dev/examples/example_pipeline
#include <parley/pipeline.hpp>

#include <iostream>
#include <string>
#include <thread>
#include <vector>

struct resize {
  std::string file;
  int width = 0;
  MSGPACK_DEFINE(file, width)
};

int main() {
  constexpr int pictures = 12;
  parley::context context;
  parley::source tasks{context};
  parley::worker collector{context};
  const parley::endpoint task_address = tasks.bind("tcp://127.0.0.1:0");
  const parley::endpoint result_address = collector.bind("tcp://127.0.0.1:0");

  std::vector<parley::worker> workers;
  std::vector<std::thread> threads;
  for (int count = 0; count < 3; ++count) {
    workers.emplace_back(context, task_address);
  }
  for (parley::worker& worker : workers) {
    threads.emplace_back([&] {
      parley::source results{context};
      results.connect(result_address);
      worker.run([&](const resize& job) { results.push(job.width / 2); });
    });
  }

  std::thread sending{[&] {
    for (int number = 1; number <= pictures; ++number) {
      // Waits until there is a worker, and while all of them have enough to do.
      tasks.push(resize{std::to_string(number) + ".png", number * 10});
    }
  }};
  int sum = 0;
  for (int count = 0; count < pictures; ++count) {
    sum += collector.receive().as<int>();
  }
  std::cout << pictures << " pictures, " << sum << " pixels wide in all\n";

  sending.join();
  for (parley::worker& worker : workers) {
    worker.close();
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}
