// SPDX-License-Identifier: MPL-2.0
//
// Tasks for which there is no memory at the moment.
#include <parley/pipeline.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/temporary_directory.hpp"
#include "tray_at_work.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using support::patience;

namespace {

thread_local std::size_t too_much = SIZE_MAX;

// This thread gets no piece of so many bytes.
struct no_memory_for {
  explicit no_memory_for(std::size_t size) noexcept { too_much = size; }
  ~no_memory_for() { too_much = SIZE_MAX; }
  no_memory_for(const no_memory_for&) = delete;
  no_memory_for& operator=(const no_memory_for&) = delete;
};

void* allocate(std::size_t size) noexcept {
  return size < too_much ? std::malloc(size > 0 ? size : 1) : nullptr;
}

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

namespace {

// One that has a run of four of which two were taken.
struct serving : tray_at_work {
  serving() : tray_at_work{with_credit(100)} {
    join();
    learn();
    send_run(4);
    one = serve();
    other = serve();
    REQUIRE(one.run != nullptr);
    REQUIRE(other.run != nullptr);
  }
  served_task one;
  served_task other;
};

}  // namespace

TEST_CASE("a task of a run for whose body there is no memory still waits") {
  tray_at_work at{with_credit(100)};
  at.join();
  constexpr std::size_t size = std::size_t{1} << 20;
  std::string bodies;
  for (const char fill : {'a', 'b'}) {
    bodies += std::string{0, 0x10, 0, 0} + std::string(size, fill);
  }
  task_entry words = make_entry(task_entry::kind::task, 1);
  words.id = 1;
  words.count = 2;
  words.body_follows = true;
  task_writer out;
  out.add(words);
  message run{out.take()};
  run.push_back(frame{bodies});
  at.hear(std::move(run));
  for (const std::uint64_t number : {1U, 2U}) {
    {
      const no_memory_for bodies_so_long{size};
      CHECK_THROWS_AS(at.tray.take(at.now), std::bad_alloc);
    }
    CHECK(at.books().working == number - 1);
    CHECK(at.books().waiting == 3 - number);
    held_task* const taken = at.take();
    REQUIRE(taken != nullptr);
    CHECK(taken->id.number == number);
    CHECK(taken->body == std::string(size, number == 1 ? 'a' : 'b'));
  }
  CHECK(at.take() == nullptr);
}

TEST_CASE("a served task may be claimed again after there was no memory for it") {
  serving at;
  {
    const no_memory_for more{sizeof(held_task)};
    CHECK_THROWS_AS(at.tray.claim(at.one, at.now), std::bad_alloc);
  }
  at.check_books();
  CHECK(at.done(at.claim(at.one)));
}

TEST_CASE("a task for whose body a worker has no memory goes to a worker again") {
  context owner;
  source tasks{owner, {.attempts = 3, .retry_delay = 1ms}};
  worker one{owner, tasks.bind("inproc://no-memory")};
  const auto receive_and_do = [&] {
    auto received = one.receive_for(patience);
    REQUIRE(received.has_value());
    received->done();
  };
  for (int count = 0; count < 100; ++count) {
    tasks.push("short");
  }
  for (int count = 0; count < 100; ++count) {
    receive_and_do();
  }
  constexpr std::size_t size = 900;
  static_assert(size > sizeof(held_task));
  for (int count = 0; count < 20; ++count) {
    tasks.push(std::string(size, 'x'));
  }
  std::vector<task> kept;  // so that no memory is used again
  for (int count = 0; count < 3; ++count) {
    auto received = one.receive_for(patience);
    REQUIRE(received.has_value());
    kept.push_back(*std::move(received));
  }
  int failed = 0;
  for (int count = 0; count < 3; ++count) {
    const no_memory_for bodies_so_long{size};
    try {
      static_cast<void>(one.receive_for(patience));
    } catch (const std::bad_alloc&) {
      ++failed;
    }
  }
  CHECK(failed > 0);
  for (task& each : kept) {
    each.done();
  }
  for (int count = 3; count < 20; ++count) {
    receive_and_do();
  }
  CHECK(tasks.wait_until_done(patience));
  CHECK(tasks.statistics().failed == 0);
}

TEST_CASE("a served task that fails while there is no memory goes to a worker again") {
  context owner;
  source tasks{owner, {.retry_delay = 1ms}};
  worker one{owner, tasks.bind("inproc://no-memory-to-fail")};
  const auto receive = [&] {
    auto received = one.receive_for(patience);
    REQUIRE(received.has_value());
    return *std::move(received);
  };
  for (int count = 0; count < 100; ++count) {
    tasks.push("short");
  }
  for (int count = 0; count < 100; ++count) {
    receive().done();
  }
  constexpr int all = 40;
  for (int count = 0; count < all; ++count) {
    tasks.push("another");
  }
  std::vector<task> kept;  // so that no memory is used again
  for (int count = 0; count < 4; ++count) {
    kept.push_back(receive());
    CHECK(kept.back().stop_token().stop_possible());
  }
  std::vector<task> failing;
  for (int count = 0; count < 4; ++count) {
    failing.push_back(receive());
  }
  {
    const no_memory_for what_it_is_known_by{sizeof(held_task)};
    failing[0].fail("why");
    failing[1].reject("why");
    failing[2].done(1);
    failing.clear();
  }
  for (task& each : kept) {
    each.done();
  }
  // One was rejected, one has a result, and two come again.
  for (int done = 4; done < all - 2; ++done) {
    receive().done();
  }
  CHECK(tasks.wait_until_done(patience));
  CHECK(tasks.statistics().failed == 1);
  CHECK(tasks.statistics().failures == 3);
  CHECK(tasks.statistics().done == 100 + all - 1);
}

TEST_CASE("a task that is done is so, though there is no memory for its note") {
  const support::temporary_directory place;
  context owner;
  source tasks{owner};
  int told = 0;
  worker one{owner,
             tasks.bind("inproc://no-memory-for-a-note"),
             {.once = place.path() / "done.db",
              .on_failure = [&](const task&, const std::exception&) { ++told; }}};
  for (int count = 0; count < 3; ++count) {
    tasks.push("task");
    auto received = one.receive_for(patience);
    REQUIRE(received.has_value());
    const no_memory_for what_it_is_known_by{sizeof(held_task)};
    received->done();
  }
  CHECK(tasks.wait_until_done(patience));
  CHECK(tasks.statistics().done == 3);
  CHECK(told > 0);
}
