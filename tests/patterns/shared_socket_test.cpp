// SPDX-License-Identifier: MPL-2.0
#include "shared_socket.hpp"

#include <parley/error.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using detail::deadline_after;
using detail::shared_socket;
using support::patience;

namespace {

constexpr auto never = shared_socket::time_point::max();

struct linked {
  explicit linked(context& owner, const socket_options& options = {})
      : pull{owner, socket_kind::pull, options}, push{owner, socket_kind::push, options} {
    push.connect(pull.bind("tcp://127.0.0.1:0"));
  }
  shared_socket pull;
  shared_socket push;
};

}  // namespace

TEST_CASE("many threads send and receive on two shared sockets, each message once") {
  constexpr int threads = 4;
  constexpr int each = 2000;
  context owner;
  linked sockets{owner};
  std::vector<std::atomic<int>> seen(threads * each);
  std::atomic<int> received{0};
  std::vector<std::thread> running;
  for (int sender = 0; sender < threads; ++sender) {
    running.emplace_back([&, sender] {
      for (int index = 0; index < each; ++index) {
        const int value = sender * each + index;
        if (!sockets.push.send_until(frame{&value, sizeof value}, never)) {
          std::abort();
        }
      }
    });
    running.emplace_back([&] {
      try {
        while (auto incoming = sockets.pull.receive_until(deadline_after(patience))) {
          int value = 0;
          std::memcpy(&value, incoming->front().data(), sizeof value);
          ++seen.at(static_cast<std::size_t>(value));
          if (++received == threads * each) {
            sockets.pull.close();  // the other receivers still wait
          }
        }
      } catch (const closed&) {
      }
    });
  }
  for (std::thread& thread : running) {
    thread.join();
  }
  CHECK(received == threads * each);
  CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& count) { return count == 1; }));
}

TEST_CASE("a thread that uses the socket wakes the one that sleeps on it") {
  // The second thread's look at the socket consumes libzmq's only signal for the message.
  context owner;
  linked sockets{owner};
  for (int round = 0; round < 200; ++round) {
    std::optional<message> received;
    std::thread sleeper{[&] { received = sockets.pull.receive_until(deadline_after(patience)); }};
    REQUIRE(sockets.push.send_until(frame{"x"}, never));
    while (sockets.pull.with([](socket& native) { return native.can_receive(); })) {
    }
    sleeper.join();
    REQUIRE(received.has_value());
  }
}

TEST_CASE("receivers in line behind the leader are served when messages come") {
  context owner;
  linked sockets{owner};
  std::atomic<int> served{0};
  std::vector<std::thread> receivers;
  for (int count = 0; count < 8; ++count) {
    receivers.emplace_back([&] {
      if (sockets.pull.receive_until(deadline_after(patience))) {
        ++served;
      }
    });
  }
  for (int count = 0; count < 8; ++count) {
    REQUIRE(sockets.push.send_until(frame{"x"}, never));
  }
  for (std::thread& each : receivers) {
    each.join();
  }
  CHECK(served == 8);
}

TEST_CASE("waits end at their deadline") {
  context owner;
  linked sockets{owner};
  CHECK_FALSE(sockets.pull.receive_until(deadline_after(1ms)).has_value());
  CHECK_FALSE(sockets.pull.wait_until_readable(deadline_after(1ms)));
  shared_socket lonely{owner, socket_kind::push, {}};
  message kept{frame{"x"}};
  CHECK_FALSE(lonely.send_until(std::move(kept), deadline_after(1ms)));
  CHECK(kept.size() == 1);  // NOLINT(bugprone-use-after-move): unchanged when refused
}

TEST_CASE("a sender that waits for room goes on when the peer reads") {
  context owner;
  socket_options tight;
  tight.send_limit = 1;
  tight.receive_limit = 1;
  tight.send_buffer_bytes = 4096;
  tight.receive_buffer_bytes = 4096;
  linked sockets{owner, tight};
  constexpr int count = 100;
  std::thread sender{[&] {
    for (int index = 0; index < count; ++index) {
      if (!sockets.push.send_until(frame{std::string(10'000, 'x')}, never)) {
        std::abort();
      }
    }
  }};
  int received = 0;
  while (received < count && sockets.pull.receive_until(deadline_after(patience))) {
    ++received;
  }
  sender.join();
  CHECK(received == count);
}

TEST_CASE("close ends waits in both directions and later use") {
  context owner;
  shared_socket pull{owner, socket_kind::pull, {}};
  shared_socket push{owner, socket_kind::push, {}};
  std::atomic<int> ended{0};
  std::vector<std::thread> waiting;
  for (int count = 0; count < 3; ++count) {
    waiting.emplace_back([&] {
      try {
        static_cast<void>(pull.receive_until(never));
      } catch (const closed&) {
        ++ended;
      }
    });
    waiting.emplace_back([&] {
      try {
        static_cast<void>(push.send_until(frame{"x"}, never));
      } catch (const closed&) {
        ++ended;
      }
    });
  }
  pull.close();
  push.close();
  for (std::thread& each : waiting) {
    each.join();
  }
  CHECK(ended == 6);
  CHECK_THROWS_AS(pull.receive_until(never), closed);
  CHECK_THROWS_AS(pull.with([](socket&) {}), closed);
}

TEST_CASE("shutting the context down ends waits with closed") {
  context owner;
  shared_socket pull{owner, socket_kind::pull, {}};
  std::atomic<int> ended{0};
  std::vector<std::thread> waiting;
  for (int count = 0; count < 3; ++count) {
    waiting.emplace_back([&] {
      try {
        static_cast<void>(pull.receive_until(never));
      } catch (const closed&) {
        ++ended;
      }
    });
  }
  owner.shutdown();
  for (std::thread& each : waiting) {
    each.join();
  }
  CHECK(ended == 3);
}

TEST_CASE("interrupt makes one wait return nothing") {
  context owner;
  shared_socket pull{owner, socket_kind::pull, {}};
  std::thread other{[&] { pull.interrupt(); }};
  CHECK_FALSE(pull.receive_until(never).has_value());
  other.join();
}
