// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/pipeline.hpp>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"

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

}  // namespace

TEST_CASE("each task goes to one worker, whole and typed") {
  for (const std::string& where : carriers) {
    context owner;
    source tasks{owner};
    const endpoint bound = tasks.bind(where);
    worker first{owner, bound};
    tasks.push(resize{"a.png", 640});
    const auto received = first.receive_for(patience);
    REQUIRE(received.has_value());
    CHECK(received->as<resize>().file == "a.png");
    CHECK(received->as<resize>().width == 640);
  }
}

TEST_CASE("push waits until there is a worker") {
  context owner;
  source tasks{owner};
  const endpoint bound = tasks.bind("tcp://127.0.0.1:0");
  CHECK_FALSE(tasks.try_push("early"));
  CHECK_FALSE(tasks.push_for("early", 1ms));
  std::thread late{[&] {
    worker one{owner, bound};
    CHECK(one.receive_for(patience)->body == "task");
  }};
  CHECK(tasks.push_for("task", patience));
  late.join();
}

TEST_CASE("push refuses beyond the limit while the worker does not receive") {
  context owner;
  source tasks{owner, {.limit = 5}};
  worker slow{owner, tasks.bind("inproc://limit"), {.limit = 5}};
  int accepted = 0;
  while (tasks.try_push("task")) {
    ++accepted;
  }
  CHECK(accepted == 10);
  CHECK(slow.receive_for(patience).has_value());
}

TEST_CASE("run decodes tasks, survives what the handler throws, and ends with close") {
  context owner;
  source tasks{owner};
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
      if (number == 3) {
        one.close();
      }
    });
  }};
  tasks.push(1);
  tasks.push(2);
  tasks.push("not a number");
  tasks.push(3);
  running.join();
  CHECK(done == std::vector<int>{1, 3});
  REQUIRE(failures.size() == 2);
  CHECK(failures[0] == "\2: two is refused");
  CHECK(failures[1].find("not a number: ") == 0);
}

TEST_CASE("either side may bind, and every worker gets a share") {
  context owner;
  worker first{owner};
  worker second{owner};
  source tasks{owner};
  tasks.connect(first.bind("tcp://127.0.0.1:0"));
  tasks.connect(second.bind("tcp://127.0.0.1:0"));
  bool first_had = false;
  bool second_had = false;
  // Until both connections stand, all tasks go to the one that does.
  while (!first_had || !second_had) {
    REQUIRE(tasks.push_for("task", patience));
    first_had = first.try_receive().has_value() || first_had;
    second_had = second.try_receive().has_value() || second_had;
  }
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
          ++seen.at(pool.receive().as<std::size_t>());
          if (++received == count) {
            pool.close();
          }
        }
      } catch (const closed&) {
      }
    });
  }
  for (std::thread& each : threads) {
    each.join();
  }
  CHECK(received == count);
  CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& times) { return times == 1; }));
}
