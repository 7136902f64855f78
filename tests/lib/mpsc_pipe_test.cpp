// SPDX-License-Identifier: MPL-2.0
#include <parley/pipe/mpsc_pipe.hpp>

#include <poll.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace std::chrono_literals;

namespace {

constexpr std::array<wait_strategy, 3> strategies{
    {{.mode = wait_mode::adaptive}, {.mode = wait_mode::spin}, {.mode = wait_mode::sleep}}};

template<class T>
std::vector<T> drain(mpsc_pipe<T>& pipe) {
  std::vector<T> items;
  while (auto item = pipe.try_pop())
    items.push_back(std::move(*item));
  return items;
}

struct numbered {
  int writer;
  int number;
};

// Holds what comes out of several writers against what each of them counted up.
class checker {
 public:
  explicit checker(std::size_t writers) : next_(writers) {}
  void see(const numbered& item) {
    auto& next = next_[static_cast<std::size_t>(item.writer)];
    in_order_ = in_order_ && item.number == next;
    ++next;
  }
  [[nodiscard]] bool saw_all(int count) const {
    bool all = in_order_;
    for (const int next : next_)
      all = all && next == count;
    return all;
  }

 private:
  std::vector<int> next_;
  bool in_order_ = true;
};

std::vector<std::jthread> start_writers(mpsc_pipe<numbered>& pipe, int writers, int count) {
  std::vector<std::jthread> threads;
  for (int id = 0; id < writers; ++id) {
    threads.emplace_back([&pipe, id, count] {
      auto writer = pipe.add_writer();
      for (int i = 0; i < count; ++i)
        writer.push(numbered{id, i});
    });
  }
  return threads;
}

}  // namespace

TEST_CASE("each writer's order is kept") {
  mpsc_pipe<int> pipe{8};
  auto a = pipe.add_writer();
  auto b = pipe.add_writer();
  for (int i = 0; i < 3; ++i) {
    a.push(i);
    b.push(10 + i);
  }
  std::vector<int> from_a;
  std::vector<int> from_b;
  for (const int item : drain(pipe))
    (item < 10 ? from_a : from_b).push_back(item);
  CHECK(from_a == std::vector{0, 1, 2});
  CHECK(from_b == std::vector{10, 11, 12});
}

TEST_CASE("a busy writer does not keep others from being heard") {
  mpsc_pipe<int> pipe{1024};
  auto busy = pipe.add_writer();
  auto quiet = pipe.add_writer();
  while (busy.try_push(0) == push_result::pushed) {
  }
  quiet.push(1);
  int before = 0;
  while (pipe.try_pop() == 0)
    ++before;
  CHECK(before <= 64);
}

TEST_CASE("each writer has room of its own") {
  mpsc_pipe<int> pipe{2};
  auto a = pipe.add_writer();
  auto b = pipe.add_writer();
  CHECK(a.try_push(1) == push_result::pushed);
  CHECK(a.try_push(2) == push_result::pushed);
  CHECK(a.try_push(3) == push_result::full);
  CHECK(a.push_for(3, 1ms) == push_result::full);
  CHECK(b.try_push(4) == push_result::pushed);
  CHECK(pipe.approx_size() == 3);
}

TEST_CASE("what a writer pushed is delivered after it is gone, and counted") {
  mpsc_pipe<int> pipe{4};
  {
    auto writer = pipe.add_writer();
    writer.push(1);
    writer.push(2);
  }
  CHECK(pipe.pop() == 1);
  CHECK(pipe.pushed() == 2);
  CHECK(pipe.pop() == 2);
  CHECK_FALSE(pipe.try_pop());
  CHECK_FALSE(pipe.drained());
  CHECK_FALSE(pipe.readable());
  CHECK(pipe.pushed() == 2);
  CHECK(pipe.popped() == 2);
  CHECK(pipe.approx_size() == 0);
}

TEST_CASE("writers that come and go leave nothing behind") {
  mpsc_pipe<int> pipe{4};
  const bool batched = GENERATE(false, true);
  for (int i = 0; i < 100; ++i) {
    auto first = pipe.add_writer();
    auto second = pipe.add_writer();
    first.push(i);
    second.push(i);
    if (batched) {
      CHECK(pipe.try_pop_n([&](int&& item) { CHECK(item == i); }) == 2);
    } else {
      CHECK(drain(pipe) == std::vector{i, i});
    }
  }
  CHECK(pipe.try_pop_n([](int&&) {}) == 0);
  CHECK_FALSE(pipe.readable());  // no lane of theirs is left
  CHECK(pipe.popped() == 200);
}

TEST_CASE("close reaches all writers; what was pushed before is delivered") {
  mpsc_pipe<int> pipe{2};
  auto a = pipe.add_writer();
  auto b = pipe.add_writer();
  a.push(1);
  b.push(2);
  pipe.close();
  CHECK(a.push(3) == push_result::closed);
  CHECK(b.try_push(3) == push_result::closed);
  auto late = pipe.add_writer();
  CHECK(late.push(4) == push_result::closed);
  CHECK_FALSE(pipe.drained());
  CHECK(drain(pipe).size() == 2);
  CHECK(pipe.drained());
  CHECK_FALSE(pipe.pop());
  CHECK(pipe.pop_n([](int&&) {}) == 0);
}

TEST_CASE("a writer that outlives the pipe is told that it is closed") {
  auto pipe = std::make_unique<mpsc_pipe<std::unique_ptr<int>>>(2u);
  auto writer = pipe->add_writer();
  writer.push(std::make_unique<int>(1));  // never popped, must not leak
  pipe.reset();
  CHECK(writer.push(std::make_unique<int>(2)) == push_result::closed);
}

TEST_CASE("a moved writer goes on where it was") {
  mpsc_pipe<int> pipe{2};
  auto writer = pipe.add_writer();
  writer.push(1);
  auto moved = std::move(writer);
  moved.push(2);
  moved = pipe.add_writer();
  moved.push(3);
  CHECK(drain(pipe).size() == 3);
}

TEST_CASE("waits of the reader of many end at the deadline or the stop") {
  const wait_strategy strategy = GENERATE(from_range(strategies));
  mpsc_pipe<int> pipe{2, strategy};
  auto writer = pipe.add_writer();
  CHECK_FALSE(pipe.pop_for(1ms));
  std::stop_source stop;
  std::jthread stopper{[&] { stop.request_stop(); }};
  CHECK_FALSE(pipe.pop(stop.get_token()));
  CHECK(pipe.pop_n([](int&&) {}, 1, stop.get_token()) == 0);
}

TEST_CASE("a reader that sleeps is woken by a writer it does not know yet") {
  mpsc_pipe<int> pipe{2, {.mode = wait_mode::sleep}};
  std::jthread thread{[&] {
    while (pipe.read_bell().wakes() == 0) {
      pipe.read_bell().ring();  // until it sleeps
      std::this_thread::yield();
    }
    pipe.add_writer().push(7);
  }};
  CHECK(pipe.pop() == 7);
}

TEST_CASE("close wakes the reader and every writer that waits") {
  const wait_strategy strategy = GENERATE(from_range(strategies));
  mpsc_pipe<int> pipe{1, strategy};
  std::array<push_result, 3> results{};
  std::atomic<std::uint64_t> accepted{0};
  {
    std::vector<std::jthread> threads;
    for (auto& result : results) {
      threads.emplace_back([&] {
        auto writer = pipe.add_writer();
        do {
          result = writer.push(1);
          if (result == push_result::pushed) ++accepted;
        } while (result == push_result::pushed);
      });
    }
    CHECK(pipe.pop() == 1);
    pipe.close();
  }
  CHECK(results == std::array{push_result::closed, push_result::closed, push_result::closed});
  while (pipe.pop()) {
  }
  CHECK(pipe.drained());
  CHECK(pipe.pushed() == accepted);
  CHECK(pipe.popped() == accepted);  // all writers have returned: no push overlaps the last pops
}

TEST_CASE("a reader of many is woken through one descriptor") {
  mpsc_pipe<int> pipe{4};
  auto a = pipe.add_writer();
  auto b = pipe.add_writer();
  CHECK_FALSE(pipe.try_pop());  // meets them
  doorbell& bell = pipe.read_bell();
  for (auto* writer : {&a, &b}) {
    REQUIRE(bell.arm([&] { return pipe.readable(); }));
    writer->push(1);
    pollfd polled{bell.fd(), POLLIN, 0};
    CHECK(::poll(&polled, 1, 0) == 1);
    bell.disarm();
    CHECK(pipe.try_pop() == 1);
  }
}

TEST_CASE("many threads: every item exactly once and in its writer's order") {
  const wait_strategy strategy = GENERATE(from_range(strategies));
  const std::size_t capacity = GENERATE(1u, 64u);
  constexpr int writers = 3;
  constexpr int count = 2'000;
  mpsc_pipe<numbered> pipe{capacity, strategy};
  checker seen{writers};
  const auto threads = start_writers(pipe, writers, count);
  for (int i = 0; i < writers * count; ++i)
    seen.see(*pipe.pop());
  CHECK(seen.saw_all(count));
  CHECK_FALSE(pipe.try_pop());
}

TEST_CASE("many threads in batches: every item exactly once and in its writer's order") {
  const wait_strategy strategy = GENERATE(from_range(strategies));
  constexpr int writers = 3;
  constexpr int count = 2'000;
  mpsc_pipe<numbered> pipe{16, strategy};
  checker seen{writers};
  const auto threads = start_writers(pipe, writers, count);
  std::size_t taken = 0;
  while (taken != std::size_t{writers} * count) {
    const std::size_t n = pipe.pop_n([&](numbered&& item) { seen.see(item); }, 1 + taken % 20);
    REQUIRE(n != 0);
    REQUIRE(n <= 1 + taken % 20);
    taken += n;
  }
  CHECK(seen.saw_all(count));
}
