// SPDX-License-Identifier: MPL-2.0
#include "served_run.hpp"

#include <parley/borrowed_frame.hpp>

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "task_hatch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;

namespace {

constexpr served_run::time_point now{1h};

// Tasks whose bodies are their numbers.
task_run make_run(std::uint32_t count, std::uint64_t number = 1) {
  task_run made;
  std::string bodies;
  for (std::uint32_t index = 0; index < count; ++index) {
    const std::string body = std::to_string(number + index);
    bodies += std::string(3, '\0') + static_cast<char>(body.size()) + body;
  }
  made.bodies = frame{bodies};
  made.count = count;
  made.left = first_tasks(count);
  made.id = {7, number};
  made.ticket = 100 + number;
  return made;
}

}  // namespace

TEST_CASE("a run that is set out is taken task by task, in its order, until nothing is left") {
  served_run run;
  CHECK(run.take() == served_run::nothing);
  REQUIRE(run.set_out(make_run(3), now));
  for (std::uint64_t number = 1; number <= 3; ++number) {
    const std::uint32_t place = run.take();
    REQUIRE(place != served_run::nothing);
    CHECK(run.id(place) == task_id{7, number});
    CHECK(run.ticket(place) == 100 + number);
    CHECK(run.body(place) == std::to_string(number));
    CHECK(run.done(place, now));
  }
  CHECK(run.take() == served_run::nothing);
  CHECK(run.call_in() == 3);
  CHECK(size_of(run.done()) == 3);
  CHECK(run.is_over());
}

TEST_CASE("of a run only what is left is set out") {
  served_run run;
  task_run some = make_run(64);
  some.left = ~first_tasks(60);
  REQUIRE(run.set_out(some, now));
  const std::uint32_t place = run.take();
  CHECK(run.body(place) == "61");
  CHECK(run.call_in() == 1);
  CHECK(run.take() == served_run::nothing);
}

TEST_CASE("a run that is not as long as its source said is not set out") {
  served_run run;
  task_run cut = make_run(3);
  cut.count = 4;
  CHECK_FALSE(run.set_out(cut, now));
  CHECK(run.take() == served_run::nothing);
  CHECK(run.is_over());
}

TEST_CASE("a task that is not done when its run is called in is known, and cannot be done") {
  served_run run;
  REQUIRE(run.set_out(make_run(3), now));
  const std::uint32_t first = run.take();
  const std::uint32_t second = run.take();
  CHECK(run.done(second, now));
  CHECK(run.count().in_hand == 1);
  CHECK(run.count().done == 1);
  CHECK(run.call_in() == 2);
  CHECK(run.done() == one_task(second));
  CHECK(run.known() == one_task(first));
  CHECK_FALSE(run.done(first, now));
  CHECK(run.body(first) == "1");
  CHECK_FALSE(run.is_over());
  held_task held;
  run.know_by(first, held);
  CHECK(&run.claim(first) == &held);
  CHECK(run.is_over());
}

TEST_CASE("an object is not used again before all of its tasks are claimed") {
  task_hatch hatch;
  task_run one = make_run(2);
  task_run other = make_run(2, 11);
  REQUIRE(hatch.set_out(one, nullptr, now));
  const served_task held_up = hatch.take();
  CHECK(hatch.call_in() == 1);
  held_task known;
  held_up.run->know_by(held_up.place, known);
  REQUIRE(hatch.set_out(other, nullptr, now));
  CHECK(&hatch.served() != held_up.run);
  CHECK(held_up.run->body(held_up.place) == "1");
  CHECK(hatch.call_in() == 0);
  CHECK(&hatch.claim(held_up) == &known);
  // Now either may be.
  REQUIRE(hatch.set_out(one, nullptr, now));
  CHECK(hatch.take().run->body(served_run::nothing - 2) == "1");
}

TEST_CASE("tasks that are parked for long do not make each pass need another object") {
  task_hatch hatch;
  task_run run = make_run(2);
  held_task known;
  std::set<const served_run*> objects;
  std::vector<served_task> parked;
  const auto pass = [&] {
    REQUIRE(hatch.set_out(run, nullptr, now));
    objects.insert(&hatch.served());
    const served_task taken = hatch.take();
    CHECK(hatch.call_in() == 1);
    taken.run->know_by(taken.place, known);
    return taken;
  };
  for (int count = 0; count < 8; ++count) {
    parked.push_back(pass());
  }
  served_task before = pass();
  for (int count = 0; count < 1000; ++count) {
    const served_task next = pass();
    static_cast<void>(hatch.claim(before));
    before = next;
  }
  CHECK(objects.size() == parked.size() + 2);
}

TEST_CASE("a run lets go of its bodies when the last of its tasks is claimed") {
  bool are_gone = false;
  task_run long_ones = make_run(64);
  const std::string bytes = long_ones.bodies.str();
  long_ones.bodies = borrow(std::as_bytes(std::span{bytes}), [&] { are_gone = true; });
  served_run run;
  REQUIRE(run.set_out(long_ones, now));
  long_ones.bodies = frame{};
  const std::uint32_t first = run.take();
  const std::uint32_t second = run.take();
  CHECK(run.call_in() == 2);
  held_task held;
  run.know_by(first, held);
  run.know_by(second, held);
  static_cast<void>(run.claim(second));
  CHECK_FALSE(are_gone);
  static_cast<void>(run.claim(first));
  CHECK(are_gone);
}

TEST_CASE("what a task is known by is of its own run, not of one before") {
  served_run run;
  held_task held;
  for (int round = 0; round < 2; ++round) {
    REQUIRE(run.set_out(make_run(1), now));
    const std::uint32_t only = run.take();
    CHECK(run.call_in() == 1);
    CHECK_FALSE(run.is_held(only));
    run.know_by(only, held);
    CHECK(run.is_held(only));
    static_cast<void>(run.claim(only));
  }
}

TEST_CASE("a run whose bodies are longer than 4 GiB is not set out") {
  constexpr std::size_t size = (std::size_t{4} << 30) + 4096;
  void* const zeros = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(zeros != MAP_FAILED);
  {
    task_run huge = make_run(2);  // empty ones
    huge.bodies = borrow({static_cast<const std::byte*>(zeros), size}, [] {});
    served_run run;
    CHECK_FALSE(run.set_out(huge, now));
  }
  ::munmap(zeros, size);
}

TEST_CASE("threads that take, and one that calls in and sets out again, settle each task once") {
  constexpr std::uint64_t rounds = 4000;
  constexpr std::uint32_t length = 5;
  task_hatch hatch;
  std::atomic<bool> is_over = false;
  std::array<std::vector<std::uint64_t>, 3> done_by;
  std::array<std::vector<served_task>, 3> known_by;
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> known_by_them = 0;
  for (std::size_t which = 0; which < done_by.size(); ++which) {
    threads.emplace_back([&, which] {
      while (!is_over) {
        const served_task mine = hatch.take();
        if (mine.run == nullptr) {
          std::this_thread::yield();
          continue;
        }
        const std::uint64_t number = mine.run->id(mine.place).number;
        const bool is_right = mine.run->body(mine.place) == std::to_string(number);
        if (mine.run->done(mine.place, now)) {
          done_by[which].push_back(is_right ? number : 0);
        } else {
          known_by[which].push_back(mine);
          ++known_by_them;
        }
      }
    });
  }
  std::vector<int> settled(rounds * length + 1, 0);
  std::uint64_t known = 0;
  std::uint64_t done_here = 0;
  std::vector<task_run> runs;
  runs.reserve(rounds);
  held_task held;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    runs.push_back(make_run(length, 1 + round * length));
    REQUIRE(hatch.set_out(runs.back(), nullptr, now));
    if (round % 3 == 0) {
      std::this_thread::yield();
    }
    served_run& run = hatch.served();
    const std::uint32_t taken = hatch.call_in();
    CHECK(taken == size_of(run.done()) + size_of(run.known()));
    const auto note = [&](std::uint32_t place) { ++settled[run.id(place).number]; };
    for_each(run.done(), note);
    done_here += size_of(run.done());
    for_each(run.known(), [&](std::uint32_t place) {
      note(place);
      run.know_by(place, held);
      ++known;
    });
    for (std::uint32_t left = taken; left < length; ++left) {
      ++settled[1 + round * length + left];
    }
  }
  while (known_by_them < known) {
    std::this_thread::yield();
  }
  is_over = true;
  for (std::thread& each : threads) {
    each.join();
  }
  for (std::uint64_t number = 1; number < settled.size(); ++number) {
    if (settled[number] != 1) {
      FAIL("task " << number << " was settled " << settled[number] << " times");
    }
  }
  std::vector<int> done(settled.size(), 0);
  for (const auto& each : done_by) {
    for (const std::uint64_t number : each) {
      ++done[number];
    }
  }
  CHECK(done[0] == 0);
  CHECK(done_by[0].size() + done_by[1].size() + done_by[2].size() == done_here);
  for (std::uint64_t number = 1; number < done.size(); ++number) {
    if (done[number] > 1) {
      FAIL("task " << number << " was done " << done[number] << " times");
    }
  }
}
