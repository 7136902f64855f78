// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/pipeline.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/await.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

const std::string carriers[] = {"pipe://pipeline-test", "inproc://pipeline-test", "ipc://*",
                                "tcp://127.0.0.1:*"};

struct resize {
  std::string file;
  int width = 0;
  MSGPACK_DEFINE(file, width)
};

struct name_tag {
  std::string name;
  operator std::string_view() const { return name; }
  MSGPACK_DEFINE(name)
};

}  // namespace

TEST_CASE("each task goes to one worker, whole and typed, and is done when that says so") {
  for (const std::string& where : carriers) {
    CAPTURE(where);
    context owner;
    source tasks{owner};
    const endpoint bound = tasks.bind(where);
    worker first{owner, bound};
    const task_id pushed = tasks.push(resize{"a.png", 640});
    auto received = first.receive_for(patience);
    REQUIRE(received.has_value());
    CHECK(received->id() == pushed);
    CHECK(received->attempt() == 1);
    CHECK(received->as<resize>().file == "a.png");
    CHECK(received->as<resize>().width == 640);
    CHECK_FALSE(tasks.wait_until_done(0ms));
    received->done();
    CHECK(tasks.wait_until_done(patience));
    CHECK(tasks.statistics().done == 1);
  }
}

TEST_CASE("what can be packed is packed, though it can be looked at as text") {
  context owner;
  source tasks{owner};
  worker one{owner, tasks.bind("inproc://name-tags")};
  const name_tag tag{"Ada"};
  tasks.push(tag);
  static_cast<void>(tasks.try_push(tag, {.priority = 1}));
  tasks.push_then(tag, [](task_outcome&&) {});
  for (int count = 0; count < 3; ++count) {
    auto received = one.receive_for(patience);
    REQUIRE(received.has_value());
    CHECK(received->body == encode(tag));
    received->done();
  }
}

TEST_CASE("tasks wait for a worker to come") {
  context owner;
  source tasks{owner};
  const endpoint bound = tasks.bind("tcp://127.0.0.1:0");
  tasks.push("early");
  worker late{owner, bound};
  auto received = late.receive_for(patience);
  REQUIRE(received.has_value());
  CHECK(received->body == "early");
  received->done();
  CHECK(tasks.wait_until_done(patience));
}

TEST_CASE("push refuses beyond the limit, until something is done") {
  context owner;
  source tasks{owner, {.limit = 5}};
  worker slow{owner, tasks.bind("inproc://limit")};
  for (int count = 0; count < 5; ++count) {
    REQUIRE(tasks.try_push("task"));
  }
  CHECK_FALSE(tasks.try_push("one too many"));
  CHECK_FALSE(tasks.push_for("one too many", 1ms));
  CHECK(tasks.statistics().refused == 2);
  auto received = slow.receive_for(patience);
  REQUIRE(received.has_value());
  std::thread answering{[&] { received->done(); }};
  CHECK(tasks.push_for("another", patience));
  answering.join();
}

TEST_CASE(
    "a task that is failed, let go or thrown at goes to a worker again, then to the dead letters") {
  context owner;
  source tasks{owner, {.attempts = 3, .retry_delay = 1ms}};
  worker one{owner, tasks.bind("inproc://failing")};
  const task_id id = tasks.push("task");
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    auto received = one.receive_for(patience);
    REQUIRE(received.has_value());
    CHECK(received->id() == id);
    CHECK(received->attempt() == attempt);
    if (attempt == 2) {
      received.reset();  // without a word
    } else {
      received->fail("no paper");
    }
  }
  REQUIRE(tasks.wait_until_done(patience));
  const auto dead = tasks.dead_letters();
  REQUIRE(dead.size() == 1);
  CHECK(dead[0].id == id);
  CHECK(dead[0].body == "task");
  CHECK(dead[0].attempts == 3);
  CHECK(dead[0].why == "no paper");
  CHECK(tasks.statistics().failed == 1);

  CHECK(tasks.retry(id.number));
  auto again = one.receive_for(patience);
  REQUIRE(again.has_value());
  CHECK(again->attempt() == 1);
  again->done();
  CHECK(tasks.wait_until_done(patience));
  CHECK(tasks.dead_letters().empty());
  CHECK_FALSE(tasks.drop(id.number));
}

TEST_CASE("map returns the results in the order of the tasks, and tells of progress") {
  context owner;
  source tasks{owner};
  const endpoint bound = tasks.bind("tcp://127.0.0.1:0");
  std::vector<std::unique_ptr<worker>> pool;
  std::vector<std::thread> threads;
  for (int count = 0; count < 3; ++count) {
    pool.push_back(std::make_unique<worker>(owner, bound));
    threads.emplace_back([&to = *pool.back()] { to.run([](int number) { return 2 * number; }); });
  }
  std::vector<int> numbers(100);
  std::iota(numbers.begin(), numbers.end(), 0);
  std::vector<int> doubled = numbers;
  for (int& each : doubled) {
    each *= 2;
  }
  std::vector<std::size_t> told;
  CHECK(tasks.map<int>(numbers, {.progress = [&](std::size_t ended, std::size_t all) {
                         CHECK(all == numbers.size());
                         told.push_back(ended);
                       }}) == doubled);
  CHECK(std::is_sorted(told.begin(), told.end()));
  for (auto& each : pool) {
    each->close();
  }
  for (std::thread& each : threads) {
    each.join();
  }
}

TEST_CASE("map throws what a task that failed too often said last") {
  context owner;
  source tasks{owner, {.attempts = 2, .retry_delay = 1ms}};
  worker one{
      owner, tasks.bind("inproc://map"), {.on_failure = [](const task&, const std::exception&) {}}};
  std::thread running{
      [&] { one.run([](int) -> int { throw std::runtime_error{"no such number"}; }); }};
  try {
    static_cast<void>(tasks.map<int>(std::vector{1}));
    FAIL("it returned");
  } catch (const remote_error& failure) {
    CHECK(failure.type() == "failed");
    CHECK(failure.text() == "no such number");
  }
  one.close();
  running.join();
}

TEST_CASE("run decodes tasks, survives what the handler throws, and ends with close") {
  context owner;
  source tasks{owner, {.attempts = 1}};
  std::vector<std::string> failures;
  worker one{owner,
             tasks.bind("inproc://run"),
             {.on_failure = [&](const task& failed, const std::exception& thrown) {
               failures.push_back(failed.body.str().append(": ").append(thrown.what()));
             }}};
  std::vector<int> done;
  std::thread running{[&] {
    one.run([&](int number) {
      if (number == 2) {
        throw std::runtime_error{"two is refused"};
      }
      done.push_back(number);
    });
  }};
  tasks.push(1);
  tasks.push(2);
  tasks.push("not a number");
  tasks.push(3);
  CHECK(tasks.wait_until_done(patience));
  one.close();
  running.join();
  CHECK(done == std::vector<int>{1, 3});
  REQUIRE(failures.size() == 2);
  CHECK(failures[0] == "\2: two is refused");
  CHECK(failures[1].find("not a number: ") == 0);
  CHECK(tasks.dead_letters().size() == 2);
}

TEST_CASE("threads that push at the same time fill a source to its limit, and no further") {
  const support::temporary_directory place;
  constexpr std::size_t limit = 97;
  constexpr std::size_t threads = 4;
  for (const bool has_journal : {false, true}) {
    context owner;
    source_options options{.limit = limit};
    if (has_journal) {
      options.journal = place / "tasks.db";
    }
    source tasks{owner, options};
    std::atomic<std::size_t> accepted{0};
    std::vector<std::thread> all;
    for (std::size_t which = 0; which < threads; ++which) {
      all.emplace_back([&, which] {
        for (std::size_t count = 0; count < limit; ++count) {
          const std::string body(1 + 100 * which, 'x');  // of some of them, to be packed
          accepted += tasks.push_for(body, 0s, {.priority = which == 3 ? 1 : 0}) ? 1 : 0;
        }
      });
    }
    for (std::thread& each : all) {
      each.join();
    }
    CHECK(accepted == limit);
    const source_statistics books = tasks.statistics();
    CHECK(books.accepted == limit);
    CHECK(books.waiting == limit);
    CHECK(books.refused == limit * threads - limit);
  }
}

TEST_CASE("what is pushed in any way has numbers in the order of push") {
  context owner;
  source tasks{owner, {.limit = 2000}};
  worker one{owner, tasks.bind("pipe://in-order")};
  std::uint64_t last = 0;
  const auto check = [&](const std::optional<task_id>& pushed) {
    REQUIRE(pushed.has_value());
    CHECK(pushed->number == ++last);
  };
  for (std::size_t round = 0; round < 200; ++round) {
    check(tasks.push("short"));
    check(tasks.try_push(std::string(round, 'a')));
    check(tasks.push(std::string(20 * round, 'b')));
    check(tasks.push("with a key", {.key = "key"}));
    check(tasks.push(frame{std::string(round % 80, 'c')}));
  }
  for (std::size_t round = 0; round < 5 * 200; ++round) {
    auto received = one.receive_for(patience);
    REQUIRE(received.has_value());
    received->done();
  }
  CHECK(tasks.wait_until_done(patience));
  CHECK(tasks.statistics().done == last);
}

TEST_CASE("a task that was pushed is in the books, wherever it is on its way") {
  context owner;
  constexpr std::uint64_t all = 20'000;
  source tasks{owner, {.limit = all, .linger = 0ms}};
  std::atomic<std::uint64_t> pushed{0};
  std::thread pushing{[&] {
    for (std::uint64_t count = 1; count <= all; ++count) {
      tasks.push("task");
      pushed = count;
    }
  }};
  int missing = 0;
  for (std::uint64_t known = 0; known < all;) {
    known = pushed;
    missing += tasks.statistics().accepted < known ? 1 : 0;
  }
  pushing.join();
  CHECK(missing == 0);
}

TEST_CASE("either side may bind, and every worker gets a share") {
  context owner;
  worker first{owner};
  worker second{owner};
  source tasks{owner};
  tasks.connect(first.bind("tcp://127.0.0.1:0"));
  tasks.connect(second.bind("tcp://127.0.0.1:0"));
  REQUIRE(tasks.wait_for_workers(2, patience));
  tasks.push("task");
  tasks.push("task");
  auto one = first.receive_for(patience);
  auto other = second.receive_for(patience);
  REQUIRE(one.has_value());
  REQUIRE(other.has_value());
  one->done();
  other->done();
  CHECK(tasks.wait_until_done(patience));
}

TEST_CASE("many threads push, many receive, no task is lost or doubled") {
  context owner;
  source tasks{owner};
  worker pool{owner, tasks.bind("tcp://127.0.0.1:0")};
  constexpr int count = 3000;
  std::vector<std::atomic<int>> seen(count);
  std::atomic<int> next{0};
  std::atomic<int> received{0};
  std::vector<std::thread> threads;
  for (int index = 0; index < 3; ++index) {
    threads.emplace_back([&] {
      for (int number = next++; number < count; number = next++) {
        tasks.push(number);
      }
    });
    threads.emplace_back([&] {
      try {
        for (;;) {
          task received_now = pool.receive();
          ++seen.at(received_now.as<std::size_t>());
          ++received;
          received_now.done();
        }
      } catch (const closed&) {
      }
    });
  }
  CHECK(support::await([&] { return tasks.statistics().done == count; }));
  pool.close();
  for (std::thread& each : threads) {
    each.join();
  }
  CHECK(received == count);
  CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& times) { return times == 1; }));
}

TEST_CASE("where the oldest gives way no more than the limit is kept, however fast tasks come") {
  context owner;
  constexpr std::size_t limit = 100;
  source tasks{owner, {.limit = limit, .when_full = full_policy::drop_oldest}};
  std::vector<std::thread> pushing;
  std::atomic<std::size_t> most = 0;
  constexpr int rounds = 200;
  for (int thread = 0; thread < 2; ++thread) {
    pushing.emplace_back([&] {
      for (int round = 0; round < rounds; ++round) {
        for (int count = 0; count < 1000; ++count) {
          tasks.push("usual");
        }
        tasks.push("urgent", {.priority = 1});
        most = std::max<std::size_t>(most, tasks.statistics().waiting);
      }
    });
  }
  for (std::thread& each : pushing) {
    each.join();
  }
  // What the desk has, as much again that was just pushed, and the packs that were open.
  CHECK(most <= 2 * limit + 4 * 64);
  const auto all = tasks.statistics();
  CHECK(all.accepted == 2 * rounds * 1001);
  CHECK(all.accepted == all.dropped + all.waiting);
  tasks.close();
}
