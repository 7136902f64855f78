// SPDX-License-Identifier: MPL-2.0
//
// Sockets for which there is no memory at the moment.
#include <parley/socket.hpp>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

thread_local bool fails_next = false;

void* allocate(std::size_t size) noexcept {
  return std::exchange(fails_next, false) ? nullptr : std::malloc(size > 0 ? size : 1);
}

// Bound, and connected to where nobody is, with a message for him. A peer has come, and the socket
// has not heard of it.
struct dealer_with_news {
  dealer_with_news() {
    dealer.bind("pipe://here");
    dealer.connect("pipe://nobody");
    dealer.send(message("to nobody"));
    peer.connect("pipe://here");
    peer.send(message("hello"));
  }

  context owner;
  socket dealer{owner, socket_kind::dealer};
  socket peer{owner, socket_kind::dealer};
};

}  // namespace

// Not inline: the compiler would warn of a free of what new has made.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* const made = allocate(size)) {
    return made;
  }
  throw std::bad_alloc{};
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size);
}
[[gnu::noinline]] void operator delete(void* gone) noexcept { std::free(gone); }
[[gnu::noinline]] void operator delete(void* gone, std::size_t) noexcept { std::free(gone); }
[[gnu::noinline]] void operator delete(void* gone, const std::nothrow_t&) noexcept {
  std::free(gone);
}

TEST_CASE("a peer for whom there was no memory is there when there is") {
  dealer_with_news at;
  fails_next = true;
  CHECK_THROWS_AS(at.dealer.try_receive(), std::bad_alloc);
  CHECK(at.dealer.receive_for(patience) == message("hello"));
  at.peer.send(message("more"));
  CHECK(at.dealer.receive_for(patience) == message("more"));
}

TEST_CASE("a socket can be closed without memory, and its peers are told") {
  dealer_with_news at;
  fails_next = true;
  CHECK(at.dealer.close_for(patience).unsent == 1);
  CHECK_FALSE(fails_next);
  CHECK(at.dealer.statistics().dropped_gone == 1);
  const socket_statistics left = at.peer.statistics();
  CHECK(left.messages_sent == 1);
  CHECK(left.queued == 0);
  CHECK(left.dropped_gone == 1);
}
