// SPDX-License-Identifier: MPL-2.0
//
// One thread hands work to another over a lock-free pipe.
//
// Run it: build/dev/examples/example_pipe
// It prints the sum of the numbers that were sent: 500000500000
#include <parley/pipe/spsc_pipe.hpp>

#include <cstdint>
#include <iostream>
#include <thread>

int main() {
  parley::spsc_pipe<std::uint64_t> numbers{1024};

  std::thread reader{[&] {
    std::uint64_t sum = 0;
    while (auto number = numbers.pop()) {  // nothing more once the pipe is closed and empty
      sum += *number;
    }
    std::cout << sum << '\n';
  }};

  for (std::uint64_t number = 1; number <= 1'000'000; ++number) {
    numbers.push(std::uint64_t{number});  // waits while 1024 numbers are unread
  }
  numbers.close();
  reader.join();
}
