// SPDX-License-Identifier: MPL-2.0
#include <parley/pipe/spsc_pipe.hpp>

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <parley/error.hpp>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace std::chrono_literals;

namespace {

constexpr std::array<wait_strategy, 4> strategies{{{.mode = wait_mode::adaptive},
                                                   {.mode = wait_mode::adaptive, .spin_limit = 0us},
                                                   {.mode = wait_mode::spin},
                                                   {.mode = wait_mode::sleep}}};

// Knows how many of its kind are alive.
struct counted {
  explicit counted(int n, int& alive) : value{n}, alive_{&alive} { ++*alive_; }
  counted(counted&& other) noexcept : value{other.value}, alive_{other.alive_} { ++*alive_; }
  ~counted() { --*alive_; }
  int value;

 private:
  int* alive_;
};

// Pushes as many as the pipe takes, counting up from first; returns how many.
int fill(spsc_pipe<int>& pipe, int first = 0) {
  int n = 0;
  while (pipe.try_push(first + n) == push_result::pushed)
    ++n;
  return n;
}

// All that can be popped at once.
std::vector<int> drain(spsc_pipe<int>& pipe) {
  std::vector<int> items;
  pipe.try_pop_n([&](int&& item) { items.push_back(item); });
  return items;
}

bool is_readable(int fd, int timeout_ms = 0) {
  pollfd polled{fd, POLLIN, 0};
  return ::poll(&polled, 1, timeout_ms) == 1;
}

// Waits until the owner of the bell sleeps, or is about to: a ring costs a wake from then on.
template<class Ring>
void ring_until_woken(doorbell& bell, Ring ring) {
  const auto before = bell.wakes();
  while (bell.wakes() == before) {
    ring();
    std::this_thread::yield();
  }
}

}  // namespace

TEST_CASE("a pipe delivers in order") {
  spsc_pipe<int> pipe{8};
  fill(pipe);
  CHECK(drain(pipe) == std::vector{0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("capacity is the next power of two") {
  CHECK(spsc_pipe<int>{1}.capacity() == 1);
  CHECK(spsc_pipe<int>{5}.capacity() == 8);
  CHECK(spsc_pipe<int>{64}.capacity() == 64);
}

TEST_CASE("order survives the wrap-around, whatever the fill") {
  const std::size_t capacity = GENERATE(1u, 2u, 8u);
  spsc_pipe<int> pipe{capacity};
  int next_in = 0;
  int next_out = 0;
  for (int round = 0; round < 50; ++round) {
    const int wanted = round % static_cast<int>(capacity) + 1;
    for (int i = 0; i < wanted; ++i)
      REQUIRE(pipe.try_push(next_in++) == push_result::pushed);
    for (int i = 0; i < wanted; ++i)
      REQUIRE(pipe.try_pop() == next_out++);
  }
  CHECK(pipe.pushed() == pipe.popped());
  CHECK(pipe.popped() == static_cast<std::uint64_t>(next_out));
}

TEST_CASE("a push touches no item that waits to be popped, whatever the fill") {
  using item = std::array<int, 16>;  // a cache line
  for (int waiting = 0; waiting < 32; ++waiting) {
    spsc_pipe<item> pipe{32};
    int next = 0, expected = 0;
    const auto pop = [&] {
      item all;
      all.fill(expected++);
      REQUIRE(pipe.try_pop() == all);
    };
    for (int i = 0; i < 200; ++i) {
      item all;
      all.fill(next++);
      REQUIRE(pipe.try_push(all) == push_result::pushed);
      if (next - expected > waiting) pop();
    }
    while (expected != next)
      pop();
  }
}

TEST_CASE("try_push refuses when full and leaves the item with the caller") {
  spsc_pipe<std::unique_ptr<int>> pipe{1};
  REQUIRE(pipe.try_push(std::make_unique<int>(1)) == push_result::pushed);
  auto second = std::make_unique<int>(2);
  CHECK(pipe.try_push(std::move(second)) == push_result::full);
  REQUIRE(second);
  CHECK(**pipe.try_pop() == 1);
  CHECK(pipe.try_push(std::move(second)) == push_result::pushed);
  CHECK(**pipe.try_pop() == 2);
}

TEST_CASE("try_pop of an empty pipe returns nothing") {
  spsc_pipe<int> pipe{2};
  CHECK_FALSE(pipe.try_pop());
  CHECK_FALSE(pipe.readable());
  CHECK_FALSE(pipe.drained());
}

TEST_CASE("approx_size is exact while nobody works") {
  spsc_pipe<int> pipe{4};
  CHECK(pipe.approx_size() == 0);
  fill(pipe);
  CHECK(pipe.approx_size() == 4);
  static_cast<void>(pipe.try_pop());
  CHECK(pipe.approx_size() == 3);
}

TEST_CASE("what was never popped is destroyed with the pipe, once") {
  int alive = 0;
  {
    spsc_pipe<counted> pipe{4};
    for (int i = 0; i < 6; ++i)
      static_cast<void>(pipe.try_push(counted{i, alive}));
    CHECK(alive == 4);
    CHECK(pipe.try_pop()->value == 0);
    CHECK(alive == 3);
    CHECK(pipe.try_push(counted{6, alive}) == push_result::pushed);  // wraps
    CHECK(alive == 4);
  }
  CHECK(alive == 0);
}

TEST_CASE("an item whose constructor throws is not pushed") {
  struct fussy {
    explicit fussy(int n) : value{n} {
      if (n < 0) throw std::runtime_error{"negative"};
    }
    int value;
  };
  spsc_pipe<fussy> pipe{2};
  CHECK_THROWS_AS(pipe.try_push(-1), std::runtime_error);
  CHECK(pipe.approx_size() == 0);
  CHECK(pipe.try_push(1) == push_result::pushed);
  CHECK(pipe.try_pop()->value == 1);
}

TEST_CASE("try_push_n moves what there is room for, from the front") {
  spsc_pipe<std::unique_ptr<int>> pipe{4};
  std::vector<std::unique_ptr<int>> items;
  for (int i = 0; i < 6; ++i)
    items.push_back(std::make_unique<int>(i));
  CHECK(pipe.try_push_n(items) == 4);
  CHECK_FALSE(items[3]);
  CHECK(*items[4] == 4);
  CHECK(pipe.try_push_n(std::span{items}.subspan(4)) == 0);
  CHECK(**pipe.try_pop() == 0);
  CHECK(pipe.try_push_n(std::span{items}.subspan(4)) == 1);
}

TEST_CASE("try_pop_n takes at most what it is told, in order") {
  spsc_pipe<int> pipe{8};
  fill(pipe);
  std::vector<int> items;
  CHECK(pipe.try_pop_n([&](int&& item) { items.push_back(item); }, 3) == 3);
  CHECK(items == std::vector{0, 1, 2});
  CHECK(drain(pipe) == std::vector{3, 4, 5, 6, 7});
  CHECK(pipe.try_pop_n([](int&&) {}) == 0);
}

TEST_CASE("an item whose take throws is popped, the next ones stay") {
  int alive = 0;
  spsc_pipe<counted> pipe{4};
  for (int i = 0; i < 3; ++i)
    static_cast<void>(pipe.try_push(counted{i, alive}));
  const auto refuse_1 = [](counted&& item) {
    if (item.value == 1) throw std::runtime_error{"refused"};
  };
  CHECK_THROWS_AS(pipe.try_pop_n(refuse_1), std::runtime_error);
  CHECK(alive == 1);
  CHECK(pipe.approx_size() == 1);
  CHECK(pipe.try_pop()->value == 2);
}

TEST_CASE("what was pushed before close is delivered, then pop says closed") {
  spsc_pipe<int> pipe{4};
  REQUIRE(pipe.push(1) == push_result::pushed);
  REQUIRE(pipe.push(2) == push_result::pushed);
  pipe.close();
  CHECK_FALSE(pipe.drained());
  CHECK(pipe.pop() == 1);
  CHECK(pipe.pop() == 2);
  CHECK_FALSE(pipe.pop());
  CHECK(pipe.pop_n([](int&&) {}) == 0);
  CHECK(pipe.drained());
}

TEST_CASE("after close every push says closed, full or not") {
  spsc_pipe<int> pipe{2};
  const bool full = GENERATE(false, true);
  if (full) fill(pipe);
  pipe.close();
  std::array items{1, 2};
  CHECK(pipe.try_push(1) == push_result::closed);
  CHECK(pipe.push(1) == push_result::closed);
  CHECK(pipe.push_for(1, 1h) == push_result::closed);
  CHECK(pipe.try_push_n(items) == 0);
  CHECK(pipe.push_n(items) == 0);
}

TEST_CASE("pop_for and push_for give up at the deadline") {
  const wait_strategy strategy = GENERATE(from_range(strategies));
  spsc_pipe<int> pipe{1, strategy};
  CHECK_FALSE(pipe.pop_for(1ms));
  CHECK_FALSE(pipe.pop_for(0ms));
  CHECK_FALSE(pipe.pop_for(-1ms));
  CHECK_FALSE(pipe.drained());
  fill(pipe);
  CHECK(pipe.push_for(1, 1ms) == push_result::full);
  CHECK(pipe.push_for(1, -1ms) == push_result::full);
}

TEST_CASE("a time longer than the clock can count is forever") {
  spsc_pipe<int> pipe{1, {wait_mode::sleep}};
  std::jthread writer{[&] {
    ring_until_woken(pipe.read_bell(), [&] { pipe.read_bell().ring(); });
    pipe.push(7);
  }};
  CHECK(pipe.pop_for(std::chrono::hours::max()) == 7);
}

TEST_CASE("a reader that waits is woken by close") {
  const wait_strategy strategy = GENERATE(from_range(strategies));
  spsc_pipe<int> pipe{1, strategy};
  std::jthread closer{[&] { pipe.close(); }};
  CHECK_FALSE(pipe.pop());
}

TEST_CASE("a writer that waits for room is woken by close") {
  const wait_strategy strategy = GENERATE(from_range(strategies));
  spsc_pipe<int> pipe{1, strategy};
  fill(pipe);
  std::jthread closer{[&] { pipe.close(); }};
  CHECK(pipe.push(1) == push_result::closed);
}

TEST_CASE("a stop ends a wait, asleep or not, and the pipe lives on") {
  const wait_strategy strategy = GENERATE(from_range(strategies));
  spsc_pipe<int> pipe{1, strategy};
  {
    std::stop_source stop;
    std::jthread stopper{[&] { stop.request_stop(); }};
    CHECK_FALSE(pipe.pop(stop.get_token()));
    CHECK_FALSE(pipe.pop(stop.get_token()));  // stopped before
    CHECK(pipe.pop_n([](int&&) {}, 1, stop.get_token()) == 0);
  }
  fill(pipe);
  {
    std::stop_source stop;
    std::jthread stopper{[&] { stop.request_stop(); }};
    CHECK(pipe.push(1, stop.get_token()) == push_result::full);
    std::array items{1, 2};
    CHECK(pipe.push_n(items, stop.get_token()) == 0);
  }
  CHECK(pipe.pop() == 0);
  CHECK_FALSE(pipe.closed());
}

TEST_CASE("a sleeping reader is woken by a push, a sleeping writer by a pop") {
  spsc_pipe<int> pipe{1, {wait_mode::sleep}};
  std::jthread writer{[&] {
    // Ringing without news does not end the reader's wait; it only shows that it sleeps.
    ring_until_woken(pipe.read_bell(), [&] { pipe.read_bell().ring(); });
    pipe.push(1);
    pipe.push(2);
    pipe.push(3);
  }};
  CHECK(pipe.pop() == 1);
  ring_until_woken(pipe.write_bell(), [&] { pipe.write_bell().ring(); });
  CHECK(pipe.pop() == 2);
  CHECK(pipe.pop() == 3);
}

TEST_CASE("while nobody sleeps nothing costs a system call") {
  spsc_pipe<int> pipe{4};
  fill(pipe);
  drain(pipe);
  pipe.close();
  CHECK(pipe.read_bell().wakes() == 0);
  CHECK(pipe.write_bell().wakes() == 0);
}

TEST_CASE("two threads: every item exactly once and in order") {
  const wait_strategy strategy = GENERATE(from_range(strategies));
  const std::size_t capacity = GENERATE(1u, 2u, 64u);
  constexpr std::uint64_t count = 5'000;
  spsc_pipe<std::uint64_t> pipe{capacity, strategy};
  std::jthread writer{[&] {
    for (std::uint64_t i = 0; i < count; ++i)
      pipe.push(i);
    pipe.close();
  }};
  std::uint64_t expected = 0;
  bool in_order = true;
  while (const auto item = pipe.pop())
    in_order = in_order && *item == expected++;
  CHECK(in_order);
  CHECK(expected == count);
  CHECK(pipe.pushed() == count);
  CHECK(pipe.popped() == count);
}

TEST_CASE("two threads in batches: every item exactly once and in order") {
  const wait_strategy strategy = GENERATE(from_range(strategies));
  constexpr std::size_t count = 20'000;
  spsc_pipe<std::unique_ptr<std::size_t>> pipe{16, strategy};
  std::jthread writer{[&] {
    std::size_t next = 0;
    while (next != count) {
      std::vector<std::unique_ptr<std::size_t>> batch;
      for (std::size_t i = 0; i < 1 + next % 40 && next != count; ++i) {
        batch.push_back(std::make_unique<std::size_t>(next++));
      }
      pipe.push_n(batch);
    }
    pipe.close();
  }};
  std::size_t expected = 0;
  bool in_order = true;
  const auto take = [&](std::unique_ptr<std::size_t>&& item) {
    const auto mine = std::move(item);
    in_order = in_order && *mine == expected++;
  };
  while (pipe.pop_n(take, 1 + expected % 7) != 0) {
  }
  CHECK(in_order);
  CHECK(expected == count);
}

TEST_CASE("a reader that closes stops a writer at work, and nothing leaks") {
  const wait_strategy strategy = GENERATE(from_range(strategies));
  spsc_pipe<std::unique_ptr<int>> pipe{4, strategy};
  std::uint64_t accepted = 0;
  std::uint64_t delivered = 0;
  {
    std::jthread writer{[&] {
      while (pipe.push(std::make_unique<int>(1)) == push_result::pushed)
        ++accepted;
    }};
    for (; delivered < 1'000; ++delivered)
      static_cast<void>(pipe.pop());
    pipe.close();
  }
  while (pipe.pop())
    ++delivered;
  CHECK(delivered == accepted);
}

TEST_CASE("a pipe is polled beside a socket") {
  std::array<int, 2> sockets{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets.data()) == 0);
  spsc_pipe<int> pipe{16};
  constexpr int count = 2'000;
  std::jthread writer{[&] {
    for (int i = 0; i < count; ++i) {
      if (i % 2 == 0) {
        pipe.push(i);
      } else {
        const char byte = 'x';
        if (::write(sockets[1], &byte, 1) != 1) return;
      }
    }
    pipe.close();
    ::close(sockets[1]);
  }};
  int expected = 0;
  int bytes = 0;
  bool in_order = true;
  bool socket_open = true;
  doorbell& bell = pipe.read_bell();
  while (socket_open || !pipe.drained()) {
    const bool sleep = bell.arm([&] { return pipe.readable(); });
    std::array<pollfd, 2> polled{
        {{bell.fd(), POLLIN, 0}, {socket_open ? sockets[0] : -1, POLLIN, 0}}};
    ::poll(polled.data(), 2, sleep ? -1 : 0);
    bell.disarm();
    while (const auto item = pipe.try_pop()) {
      in_order = in_order && *item == expected;
      expected += 2;
    }
    if (polled[1].revents != 0) {
      char byte = 0;
      socket_open = ::read(sockets[0], &byte, 1) == 1;
      bytes += socket_open ? 1 : 0;
    }
  }
  ::close(sockets[0]);
  CHECK(in_order);
  CHECK(expected == count);
  CHECK(bytes == count / 2);
}

TEST_CASE(
    "an armed bell turns its descriptor readable at the next push, and disarm takes it back") {
  spsc_pipe<int> pipe{4};
  doorbell& bell = pipe.read_bell();
  const auto readable = [&] { return pipe.readable(); };

  REQUIRE(bell.arm(readable));
  CHECK_FALSE(is_readable(bell.fd()));
  pipe.push(1);
  pipe.push(2);  // one wake for both
  CHECK(is_readable(bell.fd()));
  CHECK(bell.wakes() == 1);
  bell.disarm();
  CHECK_FALSE(is_readable(bell.fd()));

  CHECK_FALSE(bell.arm(readable));  // there is news, nothing to disarm
  bell.disarm();                    // harmless
  drain(pipe);
  REQUIRE(bell.arm(readable));
  bell.disarm();  // nobody rang
  pipe.push(3);
  CHECK_FALSE(is_readable(bell.fd()));
  CHECK(bell.wakes() == 1);
}

TEST_CASE("an armed writer's descriptor tells of room, and both of close") {
  spsc_pipe<int> pipe{1};
  CHECK_FALSE(pipe.write_bell().arm([&] { return pipe.writable(); }));
  fill(pipe);
  REQUIRE(pipe.write_bell().arm([&] { return pipe.writable(); }));
  drain(pipe);
  CHECK(is_readable(pipe.write_bell().fd()));
  pipe.write_bell().disarm();

  REQUIRE(pipe.read_bell().arm([&] { return pipe.readable(); }));
  pipe.close();
  CHECK(is_readable(pipe.read_bell().fd()));
  pipe.read_bell().disarm();
  CHECK_FALSE(pipe.read_bell().arm([&] { return pipe.readable(); }));
}

TEST_CASE("one bell serves all pipes of a thread") {
  const auto bell = std::make_shared<doorbell>(wait_strategy{wait_mode::sleep});
  spsc_pipe<int> a{4, bell, std::make_shared<doorbell>()};
  spsc_pipe<int> b{4, bell, std::make_shared<doorbell>()};
  std::jthread writer{[&] {
    for (int i = 0; i < 1'000; ++i)
      (i % 3 == 0 ? a : b).push(i);
    a.close();
    b.close();
  }};
  int items = 0;
  while (!a.drained() || !b.drained()) {
    bell->wait(
        [&] {
          return (a.readable() && !a.drained()) || (b.readable() && !b.drained()) ||
                 (a.drained() && b.drained());
        },
        detail::never, {});
    items += static_cast<int>(drain(a).size() + drain(b).size());
  }
  CHECK(items == 1'000);
}

TEST_CASE("no descriptor left is an error, and the pipe still works without sleeping") {
  // The sanitizer for undefined behaviour needs descriptors to look at the first object of a type.
  REQUIRE(error{errc::out_of_resources, "an error"}.code() == errc::out_of_resources);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  spsc_pipe<int> pipe{2};
  // The sanitizer for undefined behaviour needs a descriptor when it first meets a type.
  CHECK(error{errc::closed, "no descriptor needed yet"}.code() == errc::closed);
  const rlimit none{0, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  std::error_code code;
  try {
    static_cast<void>(pipe.pop_for(1h));
  } catch (const error& caught) {
    code = caught.code();
  }
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(code == errc::out_of_resources);
  pipe.push(1);
  CHECK(pipe.pop() == 1);
  CHECK_FALSE(pipe.pop_for(1ms));  // sleeps again
}

namespace {

// Cannot be made without a value, and is copied as its bytes.
template<class Word>
struct ticket {
  explicit ticket(Word value) : number{value} {}
  Word number;
};

template<class Word>
void check_word() {
  spsc_pipe<ticket<Word>> pipe{4};
  CHECK_FALSE(pipe.try_pop());
  const auto first = static_cast<Word>(0xf1f2f3f4f5f6f7f8);
  const auto second = static_cast<Word>(0x0102030405060708);
  for (const Word each : {first, second, first}) {
    REQUIRE(pipe.try_push(ticket<Word>{each}) == push_result::pushed);
  }
  pipe.close();
  CHECK(pipe.try_pop()->number == first);
  CHECK(pipe.pop()->number == second);
  CHECK(pipe.pop_for(std::chrono::seconds{1})->number == first);
  CHECK_FALSE(pipe.try_pop());
  CHECK_FALSE(pipe.pop());
  CHECK_FALSE(pipe.pop_for(std::chrono::seconds{1}));
}

}  // namespace

TEST_CASE("items as long as a word come out as they went in, then nothing") {
  check_word<std::uint8_t>();
  check_word<std::uint16_t>();
  check_word<std::uint32_t>();
  check_word<std::uint64_t>();
}
