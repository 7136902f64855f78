// SPDX-License-Identifier: MPL-2.0
//
// Ten thousand peers that come and go leave nothing behind: no descriptor, no memory.
#include <parley/monitor.hpp>
#include <parley/request_reply.hpp>
#include <parley/socket.hpp>

#include <malloc.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <thread>

#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/raw_peer.hpp"
#include "support/sanitizers.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

// Sanitizers are ten times slower, and keep what is freed for a while.
constexpr bool sanitized = support::address_sanitizer || support::thread_sanitizer;
constexpr int peers = sanitized ? 1'000 : 10'000;

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// What the allocator has given out. What it keeps for reuse depends on how many were there at once.
std::size_t bytes_in_use() {
  const struct mallinfo2 all = ::mallinfo2();
  return all.uordblks + all.hblkhd;
}

// libzmq closes in the background.
template<class Measure>
std::size_t once_settled(Measure measure, std::size_t expected) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (measure() > expected && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  return measure();
}

// Runs visit as often as there are peers; a tenth of them first, to fill what is kept for reuse.
template<class Visit>
void check_nothing_stays(Visit visit) {
  for (int count = 0; count < peers / 10; ++count) {
    visit(count);
  }
  const std::size_t descriptors = open_descriptors();
  const std::size_t bytes = bytes_in_use();
  for (int count = peers / 10; count < peers; ++count) {
    visit(count);
  }
  CHECK(once_settled(open_descriptors, descriptors) <= descriptors);
  if (!sanitized) {
    // 9,000 peers that left 256 bytes each; a socket or connection of libzmq takes some thousand.
    // On a busy machine many are closing at once, and the lists that libzmq keeps of them stay
    // long: 155 bytes each were seen.
    const std::size_t limit = bytes + 9'000 * 256;
    CHECK(once_settled(bytes_in_use, limit) <= limit);
  }
}

}  // namespace

TEST_CASE("ten thousand sockets that connect, send and go leave nothing behind") {
  for (const std::string wanted : {"tcp://127.0.0.1:0", "ipc://*", "pipe://many"}) {
    context owner;
    parley::socket router{owner, socket_kind::router};
    const endpoint where = router.bind(wanted);
    check_nothing_stays([&](int count) {
      parley::socket passing{owner, socket_kind::dealer, {.linger = 0ms}};
      passing.connect(where);
      passing.send(message(std::to_string(count)));
      const auto received = router.receive_for(patience);
      REQUIRE(received.has_value());
      REQUIRE((*received)[1] == std::to_string(count));
    });
  }
}

TEST_CASE("one socket that connects and disconnects ten thousand times keeps nothing") {
  for (const std::string wanted : {"tcp://127.0.0.1:0", "ipc://*", "pipe://again-and-again"}) {
    context owner;
    parley::socket pull{owner, socket_kind::pull};
    const endpoint where = pull.bind(wanted);
    parley::socket push{owner, socket_kind::push, {.linger = 0ms}};
    check_nothing_stays([&](int count) {
      push.connect(where);
      push.send(message(std::to_string(count)));
      REQUIRE(pull.receive_for(patience) == message(std::to_string(count)));
      push.disconnect(where);
    });
  }
}

TEST_CASE("thousands of strangers that are cut off leave nothing behind") {
  context owner;
  parley::socket pull{owner, socket_kind::pull};
  const endpoint where = pull.bind("tcp://127.0.0.1:0");
  check_nothing_stays([&](int count) {
    const auto stranger = support::raw_peer::connected(where);
    stranger.write(count % 2 == 0 ? "GET / HTTP/1.1\r\n\r\n" : std::string(80, '\xff'));
    stranger.await_hang_up();
  });
}

TEST_CASE("thousands of names that are bound and unbound leave nothing behind") {
  context owner;
  parley::socket pull{owner, socket_kind::pull};
  check_nothing_stays([&](int count) {
    const endpoint where{"pipe://name-" + std::to_string(count)};
    pull.bind(where);
    parley::socket push{owner, socket_kind::push};
    push.connect(where);
    push.send(message("hello"));
    REQUIRE(pull.receive_for(patience) == message("hello"));
    pull.unbind(where);
  });
}
