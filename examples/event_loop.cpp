// SPDX-License-Identifier: MPL-2.0
//
// A socket in an event loop of one's own, here epoll's, edge-triggered: by the rules that
// docs/sockets.md gives under "In an event loop".
//
// Run it: build/dev/examples/example_event_loop
// It prints the sum of the numbers that another thread sent: 5050
#include <parley/socket.hpp>

#include <sys/epoll.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <thread>

int main() {
  parley::context context;
  parley::socket pull{context, parley::socket_kind::pull};
  pull.bind("pipe://numbers");

  const int loop = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event wanted{};
  wanted.events = EPOLLIN | EPOLLET;
  wanted.data.fd = pull.fd();
  ::epoll_ctl(loop, EPOLL_CTL_ADD, pull.fd(), &wanted);

  std::thread sender{[&context] {
    parley::socket push{context, parley::socket_kind::push};
    push.connect("pipe://numbers");
    for (int number = 1; number <= 100; ++number) {
      push.send(parley::frame{std::to_string(number)});
    }
  }};

  int sum = 0;
  for (int left = 100; left > 0;) {
    // The last look before each wait. It also says whether a send would have room.
    if (!pull.ready().receive) {
      epoll_event fired{};
      ::epoll_wait(loop, &fired, 1, -1);
      continue;
    }
    while (const auto received = pull.try_receive()) {
      sum += std::stoi(received->front().str());
      --left;
    }
  }
  std::cout << sum << '\n';
  sender.join();
  ::close(loop);
}
