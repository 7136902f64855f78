// SPDX-License-Identifier: MPL-2.0
//
// Tasks that are acknowledged against tasks thrown at libzmq's PUSH and PULL by its C interface,
// which nobody acknowledges.
#include <parley/pipeline.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "benches.hpp"
#include "raw_socket.hpp"

namespace parley::bench {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto patience = 60s;

std::size_t count_for(std::size_t size) {
  return std::clamp<std::size_t>(400'000'000 / (size + 400), 1000, 600'000);
}

double rate(std::size_t tasks, double seconds) {
  return static_cast<double>(tasks) / seconds / 1e6;
}

// Tasks a second, from the first push until the source knows that the last one is done.
double ours(const std::string& where, std::size_t size) {
  context owner;
  source from{owner, {.limit = 50'000}};
  worker to{owner};
  to.connect(from.bind(endpoint{where}));
  require(from.wait_for_workers(1, patience), "no worker came");
  const std::size_t count = count_for(size);
  const frame body{std::string(size, 'x')};
  const double seconds = time_two_threads(
      [&] {
        for (std::size_t number = 0; number < count; ++number) {
          from.push(body);
        }
        require(from.wait_until_done(patience), "not all was done");
      },
      [&] {
        for (std::size_t number = 0; number < count; ++number) {
          task next = to.receive();
          require(next.body.size() == size, "a task changed its size");
          next.done();
        }
      });
  require(from.statistics().done == count, "the books are wrong");
  return rate(count, seconds);
}

double raw(const std::string& where, std::size_t size) {
  raw_context owner;
  raw_socket push{owner.handle, ZMQ_PUSH};
  raw_socket pull{owner.handle, ZMQ_PULL};
  pull.connect(push.bind(where));
  const std::size_t count = count_for(size);
  const std::string body(size, 'x');
  return rate(count, time_two_threads(
                         [&] {
                           for (std::size_t number = 0; number < count; ++number) {
                             push.send(body);
                           }
                         },
                         [&] {
                           zmq_msg_t task;
                           zmq_msg_init(&task);
                           for (std::size_t number = 0; number < count; ++number) {
                             pull.receive(task);
                             require(zmq_msg_size(&task) == size, "a task changed its size");
                           }
                           zmq_msg_close(&task);
                         }));
}

// One of four workers takes ten times as long as the others: how long until all is done, against
// the time if nobody ever waited.
constexpr std::size_t fair_workers = 4;
constexpr std::size_t fair_tasks = 1000;
constexpr auto quick = 1ms;

std::chrono::milliseconds cost_of(std::size_t which) { return which == 0 ? 10 * quick : quick; }

double fair_ideal() {
  double each_ms = 0;
  for (std::size_t which = 0; which < fair_workers; ++which) {
    each_ms += 1.0 / static_cast<double>(cost_of(which).count());
  }
  return fair_tasks / each_ms;
}

double ours_unfair() {
  context owner;
  source from{owner, {.limit = fair_tasks}};
  const endpoint bound = from.bind(endpoint{"tcp://127.0.0.1:0"});
  std::vector<std::unique_ptr<worker>> workers;
  std::vector<std::thread> threads;
  for (std::size_t which = 0; which < fair_workers; ++which) {
    workers.push_back(std::make_unique<worker>(owner, bound));
    threads.emplace_back([&to = *workers.back(), cost = cost_of(which)] {
      to.run([cost](const frame&) { std::this_thread::sleep_for(cost); });
    });
  }
  require(from.wait_for_workers(fair_workers, patience), "no workers came");
  const auto start = clock::now();
  for (std::size_t number = 0; number < fair_tasks; ++number) {
    from.push(frame{"task"});
  }
  require(from.wait_until_done(patience), "not all was done");
  const double taken = std::chrono::duration<double, std::milli>(clock::now() - start).count();
  for (auto& each : workers) {
    each->close();
  }
  for (std::thread& each : threads) {
    each.join();
  }
  return taken / fair_ideal();
}

double raw_unfair() {
  raw_context owner;
  raw_socket push{owner.handle, ZMQ_PUSH};
  const std::string bound = push.bind("tcp://127.0.0.1:*");
  std::latch here{fair_workers + 1};
  std::latch done{fair_tasks};
  std::vector<std::thread> threads;
  for (std::size_t which = 0; which < fair_workers; ++which) {
    threads.emplace_back([&, cost = cost_of(which)] {
      raw_socket pull{owner.handle, ZMQ_PULL};
      pull.connect(bound);
      std::this_thread::sleep_for(100ms);  // PUSH does not tell who is connected
      here.arrive_and_wait();
      while (pull.receive() > 1) {
        std::this_thread::sleep_for(cost);
        done.count_down();
      }
    });
  }
  here.arrive_and_wait();
  const auto start = clock::now();
  for (std::size_t number = 0; number < fair_tasks; ++number) {
    push.send("task");
  }
  done.wait();
  const double taken = std::chrono::duration<double, std::milli>(clock::now() - start).count();
  for (std::size_t which = 0; which < fair_workers; ++which) {
    push.send("q");  // in turn: one each
  }
  for (std::thread& each : threads) {
    each.join();
  }
  return taken / fair_ideal();
}

bench_case rates(const std::string& name, const std::string& where, const std::string& raw_where,
                 std::size_t size, std::optional<double> target) {
  return {name,
          "M/s",
          better::more,
          [=] { return ours(where, size); },
          {{"raw libzmq PUSH-PULL, unacknowledged", [=] { return raw(raw_where, size); }, target}}};
}

}  // namespace

std::vector<bench_case> pipeline() {
  const std::string tcp = "tcp://127.0.0.1:0";
  const std::string raw_tcp = "tcp://127.0.0.1:*";
  return {
      rates("tcp 64 B", tcp, raw_tcp, 64, 0.5),
      rates("tcp 1 KiB", tcp, raw_tcp, 1024, std::nullopt),
      rates("tcp 64 KiB", tcp, raw_tcp, std::size_t{64} << 10, std::nullopt),
      rates("pipe 64 B", "pipe://bench", "inproc://bench", 64, 4),
      {"a slow one among four workers, time over ideal",
       "x",
       better::less,
       ours_unfair,
       {{"raw libzmq PUSH-PULL", raw_unfair, std::nullopt}}},
  };
}

}  // namespace parley::bench
