// SPDX-License-Identifier: MPL-2.0
//
// A burst of work meets a worker with a steady pace: the source takes what fits, refuses the rest
// at once, and says how full it is.
//
// Run it: build/dev/examples/example_rate_smoothing
#include <parley/pipeline.hpp>

#include <iostream>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

int main() {
  std::vector<std::string> told;
  int refused = 0;
  parley::context context;
  {
    parley::source tasks{
        context,
        "inproc://jobs",
        {.limit = 100, .marks = {80}, .on_mark = [&](std::size_t mark, bool is_above) {
           told.push_back((is_above ? "at least " : "fewer than ") + std::to_string(mark));
         }}};
    for (int number = 0; number < 130; ++number) {
      refused += tasks.try_push(number) ? 0 : 1;
    }
    parley::worker worker{context, "inproc://jobs"};
    std::thread working{[&] { worker.run([](int) { std::this_thread::sleep_for(1ms); }); }};
    if (!tasks.wait_until_done(10s)) {
      return 1;
    }
    std::cout << "done " << tasks.statistics().done << ", refused " << refused << '\n';
    worker.close();
    working.join();
  }
  for (const std::string& each : told) {
    std::cout << each << '\n';
  }
}
