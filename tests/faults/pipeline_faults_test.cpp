// SPDX-License-Identifier: MPL-2.0
//
// Pipelines when processes die, sleep and come back, when the link between them is cut, when the
// disk is full, and when the other side is hostile. Every time each accepted task is done, or a
// dead letter if it deserves that, and the others do not notice.
#include <parley/error.hpp>
#include <parley/pipeline.hpp>
#include <parley/socket.hpp>

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/await.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/connected.hpp"
#include "support/error_code.hpp"
#include "support/fault_proxy.hpp"
#include "support/nothing_left.hpp"
#include "support/raw_peer.hpp"
#include "support/sanitizers.hpp"
#include "support/small_disk.hpp"
#include "support/temporary_directory.hpp"
#include "task_wire.hpp"

using namespace parley;
using namespace std::chrono_literals;
using parley::detail::task_entry;
using parley::detail::task_writer;
using support::await;
using support::child;
using support::code_of;
using support::fault_proxy;
using support::nothing_left;
using support::patience;
using support::raw_peer;
using kind = task_entry::kind;

namespace {

source_options quick_source(std::uint32_t attempts = 5) {
  return {.attempts = attempts,
          .retry_delay = 1ms,
          .retry_delay_max = 5ms,
          .heartbeat = 20ms,
          .heartbeat_timeout = 300ms,
          .linger = 0ms};
}

worker_options quick_worker() {
  return {.on_failure = [](const task&, const std::exception&) {},
          .heartbeat_timeout = 300ms,
          .linger = 0ms};
}

// A worker in a process of its own that does some tasks, so that it is trusted with many at once,
// and then holds one, and says so.
child do_some_and_hold(const std::string& where, int some) {
  return child{[where, some](child::line out) {
    context own;
    worker holding{own, quick_worker()};
    holding.connect(where);
    for (int count = 0; count < some; ++count) {
      holding.receive().done();
    }
    const task held = holding.receive();
    out.say("held");
    for (;;) {
      ::pause();
    }
  }};
}

// One that does its tasks, but dies of those that say so.
child work(const std::string& where) {
  return child{[where](child::line) {
    context own;
    worker working{own, quick_worker()};
    working.connect(where);
    working.run([](const frame& body) {
      if (body == "poison") {
        ::kill(::getpid(), SIGKILL);
      }
    });
  }};
}

// A worker in this process, with a thread, that remembers what it did.
class crew {
 public:
  explicit crew(context& owner) : working_{owner, quick_worker()} {
    thread_ = std::jthread{[this] {
      working_.run([this](task& job) {
        const std::lock_guard lock{mutex_};
        ++done_[job.body.str()];
        attempts_[job.body.str()] = job.attempt();
      });
    }};
  }
  ~crew() { working_.close(); }
  crew(const crew&) = delete;
  crew& operator=(const crew&) = delete;

  [[nodiscard]] worker& get() { return working_; }
  [[nodiscard]] std::size_t count() const {
    const std::lock_guard lock{mutex_};
    return done_.size();
  }
  [[nodiscard]] bool has_done(const std::string& body) const {
    const std::lock_guard lock{mutex_};
    return done_.contains(body);
  }
  // How many had so many attempts when they were done.
  [[nodiscard]] std::size_t with_attempt(std::uint32_t attempt) const {
    const std::lock_guard lock{mutex_};
    std::size_t count = 0;
    for (const auto& [body, which] : attempts_) {
      count += which == attempt ? 1 : 0;
    }
    return count;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int> done_;
  std::map<std::string, std::uint32_t> attempts_;
  worker working_;
  std::jthread thread_;
};

void push_some(source& to, int count, const task_options& how = {}) {
  static int last = 0;
  for (; count > 0; --count) {
    to.push("task " + std::to_string(++last), how);
  }
}

void check_balance(const source& of) {
  const source_statistics now = of.statistics();
  CHECK(now.accepted == now.done + now.failed + now.expired + now.dropped + now.waiting +
                            now.delayed + now.working);
}

}  // namespace

TEST_CASE("what a killed worker had is done by others, and counts only where it had begun") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  context owner;
  source tasks{owner, quick_source()};
  const endpoint where = tasks.bind("tcp://127.0.0.1:0");
  child doomed = do_some_and_hold(where.str(), 2000);
  push_some(tasks, 4000);
  CHECK(doomed.hear() == "held");
  REQUIRE(await([&] { return tasks.statistics().done == 2000; }));
  REQUIRE(await([&] { return tasks.statistics().working >= 10; }));
  doomed.kill();
  {
    crew others{owner};
    others.get().connect(where);
    CHECK(tasks.wait_until_done(patience));
    CHECK(others.count() == 2000);
    CHECK(others.with_attempt(1) >= 1999);  // all but the one that it held
  }
  const source_statistics end = tasks.statistics();
  CHECK(end.done == 4000);
  CHECK(end.failures <= 1);
  CHECK(end.given_back >= 9);
  check_balance(tasks);
}

TEST_CASE("a task dealt to a worker that died before it could begin it is not charged for that") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  context owner;
  source tasks{owner, quick_source(1)};  // one failure would be the end of it
  const endpoint where = tasks.bind("tcp://127.0.0.1:0");
  child doomed = work(where.str());
  REQUIRE(tasks.wait_for_workers(1, patience));
  doomed.stop();
  push_some(tasks, 1);
  REQUIRE(await([&] { return tasks.statistics().working == 1; }));
  doomed.kill();
  {
    crew others{owner};
    others.get().connect(where);
    CHECK(tasks.wait_until_done(patience));
    CHECK(others.with_attempt(1) == 1);
  }
  CHECK(tasks.statistics().done == 1);
  CHECK(tasks.statistics().failures == 0);
  check_balance(tasks);
}

TEST_CASE("what a worker answers that slept too long is late, and all is done") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  context owner;
  source tasks{owner, quick_source()};
  const endpoint where = tasks.bind("tcp://127.0.0.1:0");
  child sleepy{[where](child::line out) {
    context own;
    worker slow{own, quick_worker()};
    slow.connect(where);
    {
      task first = slow.receive();
      out.say("held");
      // Work that goes on for longer than the sleep is noticed in.
      const auto end = std::chrono::steady_clock::now() + 50ms;
      while (std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(1ms);
      }
      first.done();
    }
    slow.run([](const frame&) {});
  }};
  push_some(tasks, 50);
  CHECK(sleepy.hear() == "held");
  sleepy.stop();
  {
    crew others{owner};
    others.get().connect(where);
    CHECK(tasks.wait_until_done(patience));
    sleepy.resume();
    // It is taken back, and helps.
    CHECK(await([&] { return tasks.worker_count() == 2; }));
    CHECK(await([&] { return tasks.statistics().late >= 1; }));
    push_some(tasks, 50);
    CHECK(tasks.wait_until_done(patience));
  }
  CHECK(tasks.statistics().done == 100);
  check_balance(tasks);
}

TEST_CASE("workers find a source with a journal again that was killed, and every task is done") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  const support::temporary_directory fresh;
  const auto pushing = [&](const std::string& where, int first) {
    return child{[&fresh, where, first](child::line out) {
      context own;
      source_options options = quick_source();
      options.journal = fresh / "tasks.db";
      options.survives = durability::kill;
      source tasks{own, options};
      out.say(tasks.bind(where).str());
      for (int number = first; number < first + 300; ++number) {
        tasks.push("task " + std::to_string(number));
        if (number == first + 200) {
          out.say("pushed");
        }
      }
      while (!tasks.wait_until_done(1s)) {
      }
      out.say("done");
      for (;;) {
        ::pause();
      }
    }};
  };
  auto tasks = std::unique_ptr<child>{new child(pushing("tcp://127.0.0.1:0", 0))};
  const std::string where = tasks->hear();
  context owner;
  crew workers{owner};
  workers.get().connect(where);
  for (int round = 0; round < 3; ++round) {
    CHECK(tasks->hear() == "pushed");
    tasks->kill();
    tasks.reset(new child(pushing(where, (round + 1) * 1000)));
    CHECK(tasks->hear() == where);
  }
  CHECK(tasks->hear() == "pushed");
  CHECK(tasks->hear() == "done");
  for (int round = 0; round < 4; ++round) {
    for (int number = 0; number <= 200; ++number) {
      const std::string body = "task " + std::to_string(round * 1000 + number);
      INFO(body);
      REQUIRE(workers.has_done(body));
    }
  }
}

TEST_CASE("a connection that is cut is made again, whoever bound, and every task is done") {
  const nothing_left afterwards;
  const bool source_binds = GENERATE(true, false);
  CAPTURE(source_binds);
  context owner;
  source tasks{owner, quick_source(1000)};
  crew workers{owner};
  fault_proxy proxy{source_binds ? tasks.bind("tcp://127.0.0.1:0")
                                 : workers.get().bind("tcp://127.0.0.1:0")};
  if (source_binds) {
    workers.get().connect(proxy.where());
  } else {
    tasks.connect(proxy.where());
  }
  std::jthread pushing{[&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      push_some(tasks, 1);
    }
  }};
  for (int round = 0; round < 5; ++round) {
    const std::size_t before = workers.count();
    REQUIRE(await([&] { return workers.count() > before + 100; }));
    proxy.cut();
    proxy.restore();
  }
  proxy.stall();
  REQUIRE(await([&] { return tasks.worker_count() == 0; }));
  proxy.resume();
  pushing.request_stop();
  pushing.join();
  CHECK(tasks.wait_until_done(patience));
  const source_statistics end = tasks.statistics();
  CHECK(end.done == end.accepted);
  CHECK(workers.count() == end.accepted);
  check_balance(tasks);
}

TEST_CASE("a task that kills each worker becomes a dead letter, and its neighbours are done") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  context owner;
  source tasks{owner, quick_source(4)};
  const endpoint where = tasks.bind("tcp://127.0.0.1:0");
  push_some(tasks, 20);
  tasks.push("poison");
  push_some(tasks, 20);
  for (int round = 0; tasks.statistics().dead_letters == 0 && round < 20; ++round) {
    child next = work(where.str());
    CHECK(next.finish() == -1);
    REQUIRE(await([&] { return tasks.statistics().working == 0; }));
  }
  child last = work(where.str());
  CHECK(tasks.wait_until_done(patience));
  const auto dead = tasks.dead_letters();
  REQUIRE(dead.size() == 1);
  CHECK(dead.front().body == "poison");
  CHECK(dead.front().attempts == 4);
  CHECK(tasks.statistics().done == 40);
  check_balance(tasks);
}

namespace {

task_entry hello(std::uint32_t credit) {
  return {.what = kind::worker,
          .id = 666,
          .credit = credit,
          .credit_bytes = ~std::uint64_t{0},
          .largest = ~std::uint64_t{0},
          .text = "liar"};
}

// Frames that are nonsense in many ways, by a DEALER or ROUTER of its own.
std::vector<message> nonsense() {
  std::mt19937 random{7};
  std::vector<message> all;
  for (int count = 0; count < 300; ++count) {
    std::string bytes;
    for (std::size_t size = random() % 60; bytes.size() < size;) {
      bytes += static_cast<char>(random());
    }
    if (count % 2 == 0) {
      bytes = "PT\x01" + bytes;
    }
    all.emplace_back(frame{bytes});
  }
  task_writer writing;
  for (const kind what : {kind::worker, kind::credit, kind::begun, kind::done, kind::ended,
                          kind::source, kind::task, kind::cancel, kind::beat, kind::leave}) {
    task_entry entry{.what = what, .ticket = random(), .id = random(), .credit = 3};
    writing.add(entry);
    const frame whole = writing.take();
    for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
      all.emplace_back(frame{whole.view().substr(0, cut)});
    }
    entry.body_follows = what == kind::task || what == kind::done;
    writing.add(entry);
    all.emplace_back(writing.take());  // the frame that is to follow is missing
  }
  return all;
}

// Connects 1,000 times, or as often as there are descriptors for both ends, and says nothing.
std::vector<raw_peer> mutes(const endpoint& where) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  std::vector<raw_peer> all;
  for (rlim_t count = std::min<rlim_t>(1000, files.rlim_cur / 3); count > 0; --count) {
    all.push_back(raw_peer::connected(where));
  }
  return all;
}

}  // namespace

TEST_CASE("a source whose port is visited by hostile peers goes on for its workers") {
  const nothing_left afterwards;
  context owner;
  source tasks{owner, quick_source(1000)};
  const endpoint where = tasks.bind("tcp://127.0.0.1:0");
  crew workers{owner};
  workers.get().connect(where);
  REQUIRE(tasks.wait_for_workers(1, patience));
  std::jthread pushing{[&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      push_some(tasks, 1);
    }
  }};
  const auto silent = mutes(where);
  parley::socket raving{owner, socket_kind::dealer};
  raving.connect(where);
  for (message& each : nonsense()) {
    REQUIRE(raving.send_for(std::move(each), patience));
  }
  REQUIRE(await([&] { return tasks.statistics().nonsense > 0; }));
  // It takes everything, and answers nothing, not even heartbeats.
  parley::socket lying{owner, socket_kind::dealer};
  lying.connect(where);
  task_writer writing;
  writing.add(hello(~std::uint32_t{0}));
  REQUIRE(lying.send_for(message{writing.take()}, patience));
  REQUIRE(lying.receive_for(patience));
  const std::size_t before = workers.count();
  CHECK(await([&] { return workers.count() > before + 1000; }));
  pushing.request_stop();
  pushing.join();
  CHECK(tasks.wait_until_done(patience));
  const source_statistics end = tasks.statistics();
  CHECK(end.done == end.accepted);
  CHECK(workers.count() == end.accepted);
  check_balance(tasks);
}

TEST_CASE("a worker whose port is visited by hostile peers goes on for its source") {
  const nothing_left afterwards;
  context owner;
  crew workers{owner};
  const endpoint where = workers.get().bind("tcp://127.0.0.1:0");
  source tasks{owner, quick_source(1000)};
  tasks.connect(where);
  std::jthread pushing{[&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      push_some(tasks, 1);
    }
  }};
  const auto silent = mutes(where);
  parley::socket raving{owner, socket_kind::dealer};
  raving.connect(where);
  task_writer writing;
  for (message& each : nonsense()) {
    REQUIRE(raving.send_for(std::move(each), patience));
  }
  REQUIRE(await([&] { return workers.get().statistics().nonsense > 0; }));
  const std::size_t before = tasks.statistics().done;
  CHECK(await([&] { return tasks.statistics().done > before + 1000; }));
  pushing.request_stop();
  pushing.join();
  CHECK(tasks.wait_until_done(patience));
  CHECK(tasks.statistics().done == tasks.statistics().accepted);
  check_balance(tasks);
}

TEST_CASE("a full disk refuses tasks until those that were accepted are done") {
  if (!support::may_fork) {
    return;
  }
  const support::temporary_directory fresh;
  child filling{[&fresh](child::line out) {
    if (!support::mount_small_disk(fresh.path(), 1 << 20)) {
      out.say("no disk");
      return;
    }
    std::ofstream{fresh / "of others"} << std::string(256 << 10, 'x');
    context own;
    source_options options = quick_source();
    options.journal = fresh / "tasks.db";
    source tasks{own, options};
    std::multiset<std::string> accepted;
    std::multiset<std::string> done;
    const auto push = [&](const std::string& body) {
      const errc how = code_of([&] { tasks.push(body); });
      if (how == errc{}) {
        accepted.insert(body);
      }
      return how;
    };
    errc refused{};
    for (int number = 0; number < 10'000 && refused == errc{}; ++number) {
      refused = push(std::to_string(number) + std::string(2000, 'x'));
    }
    out.say(refused == errc::disk_full && accepted.size() > 10 ? "refused" : "not refused");
    worker working{own, quick_worker()};
    working.connect(tasks.bind("inproc://tasks"));
    std::jthread one{[&] { working.run([&](const frame& body) { done.insert(body.str()); }); }};
    const bool is_drained = tasks.wait_until_done(patience);
    out.say(is_drained && await([&] { return push("again") == errc{}; }) ? "accepted"
                                                                         : "still full");
    const bool is_over = tasks.wait_until_done(patience);
    working.close();
    one.join();
    out.say(is_over && done == accepted ? "all done" : "something is missing");
  }};
  const std::string first = filling.hear();
  if (first == "no disk") {
    return;
  }
  CHECK(first == "refused");
  CHECK(filling.hear() == "accepted");
  CHECK(filling.hear() == "all done");
  CHECK(filling.finish() == 0);
}
