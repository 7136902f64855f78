// SPDX-License-Identifier: MPL-2.0
#include <parley/body_pool.hpp>

#include <parley/frame.hpp>

#include <cstring>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "support/catch.hpp"
#include "support/sanitizers.hpp"

namespace {

using parley::frame;
using parley::detail::body_pool;
namespace support = parley::support;

std::vector<void*> take(std::size_t count, std::size_t bytes) {
  std::vector<void*> taken;
  for (; count > 0; --count) {
    taken.push_back(body_pool::take(bytes));
    std::memset(taken.back(), 'x', bytes);
  }
  return taken;
}

void give(const std::vector<void*>& taken) {
  for (void* each : taken) {
    body_pool::give(each);
  }
}

// Each test in a thread of its own: what a thread keeps is its own.
template<class Body>
void in_new_thread(Body body) {
  std::thread{body}.join();
}

// The address sanitizer gets every block back, or it would not see the use of one that is gone.
constexpr bool recycles = !parley::support::address_sanitizer;

TEST_CASE("A body pool gives blocks of the size asked for", "[body_pool]") {
  in_new_thread([] {
    std::vector<void*> taken;
    const std::size_t sizes[]{0, 1, 111, 112, 113, 176, 1000, 65536, 98288, 98289, 1 << 20};
    for (const std::size_t bytes : sizes) {
      taken.push_back(body_pool::take(bytes));
      std::memset(taken.back(), 'x', bytes);  // the sanitizers look at this
    }
    CHECK(std::set<void*>(taken.begin(), taken.end()).size() == taken.size());
    give(taken);
  });
}

TEST_CASE("A block that another thread gave back is used again by the one that took it",
          "[body_pool]") {
  in_new_thread([] {
    if (!recycles) {
      return;
    }
    const std::vector<void*> first = take(100, 1000);
    std::thread{[&] {
      give(first);
      CHECK(body_pool::kept() == 0);
    }}.join();
    const std::vector<void*> second = take(100, 1000);
    CHECK(std::set<void*>(first.begin(), first.end()) ==
          std::set<void*>(second.begin(), second.end()));
    give(second);
  });
}

TEST_CASE("Blocks come back to their thread however much went before", "[body_pool]") {
  in_new_thread([] {
    if (!recycles) {
      return;
    }
    const std::vector<void*> first = take(30, 65000);
    std::thread{[&] { give(first); }}.join();
    for (std::size_t bytes = 0; bytes < 3 * body_pool::most_kept; bytes += 30 * 65000) {
      const std::vector<void*> again = take(30, 65000);
      CHECK(std::set<void*>(first.begin(), first.end()) ==
            std::set<void*>(again.begin(), again.end()));
      std::thread{[&] { give(again); }}.join();
    }
  });
}

TEST_CASE("A thread keeps no more than its bound", "[body_pool]") {
  in_new_thread([] {
    const std::size_t count = 3 * body_pool::most_kept / 65536;
    SECTION("of what it gives back itself") { give(take(count, 65000)); }
    SECTION("of what others give back") {
      const std::vector<void*> taken = take(count, 65000);
      std::thread{[&] { give(taken); }}.join();
      CHECK(body_pool::kept() <= body_pool::most_kept);  // what waits to be taken
      give(take(1, 65000));
    }
    CHECK(body_pool::kept() <= body_pool::most_kept);
  });
}

TEST_CASE("A block outlives the thread that took it", "[body_pool]") {
  std::vector<void*> taken;
  std::thread{[&] { taken = take(100, 1000); }}.join();
  for (void* each : taken) {
    CHECK(static_cast<char*>(each)[999] == 'x');
  }
  give(taken);
}

#ifdef __GLIBC__
TEST_CASE("Nothing stays of threads that have ended", "[body_pool]") {
  if (support::address_sanitizer || support::thread_sanitizer) {
    return;  // the allocator is theirs
  }
  // Kept by the thread itself, on the way back to it when it ends, and given back afterwards.
  const auto round = [] {
    std::vector<void*> late;
    std::thread{[&] {
      give(take(10, 10'000));
      const std::vector<void*> waiting = take(10, 20'000);
      late = take(10, 30'000);
      std::thread{[&] { give(waiting); }}.join();
    }}.join();
    give(late);
  };
  round();
  const std::size_t before = ::mallinfo2().uordblks + ::mallinfo2().hblkhd;
  for (int count = 0; count < 400; ++count) {
    round();
  }
  CHECK(::mallinfo2().uordblks + ::mallinfo2().hblkhd < before + 50'000);
}
#endif

TEST_CASE("Blocks may come back while their thread ends", "[body_pool]") {
  for (int round = 0; round < 500; ++round) {
    std::promise<std::vector<frame>> made;
    std::thread maker{[&] {
      made.set_value(
          std::vector<frame>{frame{std::string(500, 'x')}, frame{std::string(600, 'y')}});
    }};
    std::thread giver{[&] { made.get_future().get().clear(); }};
    maker.join();
    giver.join();
  }
}

}  // namespace
