// SPDX-License-Identifier: MPL-2.0
//
// Request-reply when processes die, sleep and come back, when the link between them is cut, stalled
// and slow, and when the other side is hostile. Every time each call ends once, with nobody else's
// reply, and nothing is left behind.
#include <parley/error.hpp>
#include <parley/request_reply.hpp>
#include <parley/socket.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <semaphore>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "call_header.hpp"
#include "support/await.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/connected.hpp"
#include "support/fault_proxy.hpp"
#include "support/nothing_left.hpp"
#include "support/raw_peer.hpp"
#include "support/sanitizers.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace std::chrono_literals;
using parley::detail::call_header;
using parley::detail::carried_by;
using parley::detail::pack_header;
using parley::detail::parse_header;
using support::await;
using support::child;
using support::fault_proxy;
using support::nothing_left;
using support::patience;
using support::raw_peer;
using support::zmtp_greeting;
using support::zmtp_ready;
using kind = call_header::kind;

namespace {

// Calls of "same", and how each ended.
class calls {
 public:
  void start(client& by, const call_options& options, int value) {
    ++started_;
    by.call_then<int>(
        options,
        [this, value](const call_result<int>& came) {
          const std::lock_guard lock{mutex_};
          ++ends_[value];
          ++hows_[came.how()];
          if (came.how() == call_end::replied && came.get() != value) {
            ++foreign_;
          }
          ended_.release();
        },
        "same", value);
  }
  // Requires: all calls have different values.
  void await_all() {
    for (int count = 0; count < started_; ++count) {
      REQUIRE(ended_.try_acquire_for(patience));
    }
    const std::lock_guard lock{mutex_};
    for (const auto& [value, times] : ends_) {
      CHECK(times == 1);
    }
    CHECK(ends_.size() == static_cast<std::size_t>(started_));
    CHECK(foreign_ == 0);
  }
  int ended(call_end how) {
    const std::lock_guard lock{mutex_};
    return hows_[how];
  }

 private:
  int started_ = 0;
  std::mutex mutex_;
  std::map<int, int> ends_;
  std::map<call_end, int> hows_;
  int foreign_ = 0;
  std::counting_semaphore<> ended_{0};
};

// A server in a process of its own. It says where it is bound, and its name comes with "name".
child serve(const std::string& where, int name) {
  return child{[where, name](child::line out) {
    context own;
    server answering{own, {.workers = 2}};
    answering.handle("same", [](int value) { return value; });
    answering.handle("name", [name] { return name; });
    out.say(answering.bind(where).str());
    for (;;) {
      ::pause();
    }
  }};
}

// Takes calls and answers none; says so when it has so many.
child collect(const std::string& where, int wanted) {
  return child{[where, wanted](child::line out) {
    context own;
    server silent{own};
    std::vector<reply<int>> held;
    silent.handle("same", [&](const reply<int>& to, int) {
      held.push_back(to);
      if (held.size() == static_cast<std::size_t>(wanted)) {
        out.say("all");
      }
    });
    out.say(silent.bind(where).str());
    for (;;) {
      ::pause();
    }
  }};
}

// Can keep the process from new descriptors. What was opened after this was made, and is closed
// while there are none, does not come back before `allow` either.
class descriptors {
 public:
  descriptors() {
    ::getrlimit(RLIMIT_NOFILE, &usual_);
    for (int& each : low_) {
      each = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
  }
  ~descriptors() {
    allow();
    for (const int each : low_) {
      ::close(each);
    }
  }
  descriptors(const descriptors&) = delete;
  descriptors& operator=(const descriptors&) = delete;

  void forbid() const { limit_to(static_cast<rlim_t>(low_.back()) + 1); }
  void allow() const { limit_to(usual_.rlim_cur); }

 private:
  void limit_to(rlim_t most) const {
    const rlimit wanted{most, usual_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &wanted);
  }

  rlimit usual_{};
  // What waits on several at once may wait on so many.
  std::array<int, 16> low_{};
};

}  // namespace

TEST_CASE("a client that finds no descriptor for a new link waits until there is one") {
  if (support::address_sanitizer) {
    // It comes with that for undefined behaviour, which looks at a type that it has not met yet
    // through a pipe, and without a descriptor calls it a wrong one.
    return;
  }
  const nothing_left afterwards;
  const descriptors few;
  context owner;
  context others;
  std::vector<reply<int>> held;
  std::atomic<int> taken{0};
  auto lost = std::make_unique<server>(others);
  lost->handle("same", [&](const reply<int>& to, int) {
    held.push_back(to);
    ++taken;
  });
  const endpoint where = lost->bind("tcp://127.0.0.1:0");
  calls all;
  // Without heartbeats it does not hear that the call has arrived, and needs a socket that will not
  // send it again.
  client caller{owner, where, {.timeout = 1h, .heartbeat = 0ms}};
  all.start(caller, {}, 1);
  REQUIRE(await([&] { return taken == 1; }));
  few.forbid();
  lost.reset();
  CHECK(await([&] { return all.ended(call_end::server_lost) == 1; }));
  all.start(caller, {.timeout = 20ms}, 2);
  CHECK(await([&] { return all.ended(call_end::no_server) == 1; }));
  all.start(caller, {}, 3);
  few.allow();
  server found{others};
  found.handle("same", [](int value) { return value; });
  found.bind(where);
  all.await_all();
  CHECK(all.ended(call_end::replied) == 1);
}

TEST_CASE("when a server is killed with 1,000 calls others take over what may be done again") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  for (const bool over_ipc : {false, true}) {
    const support::temporary_directory fresh;
    const std::string wanted =
        over_ipc ? "ipc://" + (fresh / "doomed").string() : "tcp://127.0.0.1:0";
    child doomed = collect(wanted, 1000);
    const endpoint first{doomed.hear()};
    child spare = serve("tcp://127.0.0.1:0", 2);
    const endpoint second{spare.hear()};

    context owner;
    calls all;
    client caller{owner, {first, second}, {.timeout = 1h, .choice = server_choice::in_turn}};
    REQUIRE(await([&] { return caller.servers()[0].live && caller.servers()[1].live; }));
    for (int value = 0; value < 1000; ++value) {
      all.start(caller, {.idempotent = value % 2 == 0}, value);
    }
    CHECK(doomed.hear() == "all");
    doomed.kill();
    all.await_all();
    CHECK(all.ended(call_end::replied) == 500);
    CHECK(all.ended(call_end::server_lost) == 500);
    CHECK(caller.statistics().moved == 500);
    CHECK(caller.call<int>("name") == 2);
  }
}

TEST_CASE("a server that is stopped is given up, and taken back when it goes on") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  child sleepy = serve("tcp://127.0.0.1:0", 1);
  const endpoint first{sleepy.hear()};
  child spare = serve("tcp://127.0.0.1:0", 2);
  const endpoint second{spare.hear()};
  context owner;
  calls all;
  client caller{owner,
                {first, second},
                {.timeout = 1h,
                 .choice = server_choice::in_turn,
                 .heartbeat = 20ms,
                 .heartbeat_timeout = 200ms}};
  for (int round = 0; round < 2; ++round) {
    REQUIRE(await([&] { return caller.servers()[0].live && caller.servers()[1].live; }));
    CHECK(caller.call<int>("name") == 1);
    sleepy.stop();
    for (int value = 0; value < 100; ++value) {
      all.start(caller, {.idempotent = value % 2 == 0}, round * 100 + value);
    }
    REQUIRE(await([&] { return !caller.servers()[0].live; }));
    CHECK(caller.call<int>("name") == 2);
    sleepy.resume();
  }
  all.await_all();
  CHECK(all.ended(call_end::replied) + all.ended(call_end::server_lost) == 200);
  CHECK(all.ended(call_end::replied) >= 100);
}

TEST_CASE("a call waits for a server that is stopped alone, and is executed once it goes on") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  child sleepy = serve("tcp://127.0.0.1:0", 1);
  const endpoint where{sleepy.hear()};
  context owner;
  calls all;
  client caller{owner, where, {.timeout = 1h, .heartbeat = 20ms, .heartbeat_timeout = 100ms}};
  REQUIRE(caller.call<int>("name") == 1);
  sleepy.stop();
  for (int value = 0; value < 100; ++value) {
    all.start(caller, {.idempotent = true}, value);
  }
  REQUIRE(await([&] { return !caller.servers()[0].live; }));
  sleepy.resume();
  all.await_all();
  CHECK(all.ended(call_end::replied) == 100);
}

namespace {

constexpr int calls_a_round = 100;

// Makes rounds of calls of "hold" in a process of its own, each with another value, and one of each
// round is waited for. It says when it has a server, and then how each round ended.
child call_in_rounds(const endpoint& where, std::chrono::milliseconds timeout, int rounds,
                     std::chrono::milliseconds heartbeat,
                     std::chrono::milliseconds heartbeat_timeout) {
  return child{[=](child::line out) {
    context own;
    client caller{
        own,
        where,
        {.timeout = patience, .heartbeat = heartbeat, .heartbeat_timeout = heartbeat_timeout}};
    out.say(caller.call<int>("same", 7) == 7 ? "begins" : "cannot begin");
    for (int round = 0; round < rounds; ++round) {
      const int first = round * calls_a_round;
      std::mutex counting;
      std::map<int, int> ends;
      std::map<std::string, int> hows;
      std::counting_semaphore<> ended{0};
      const auto end = [&](int value, call_end how, bool is_its_own) {
        const std::lock_guard lock{counting};
        ++ends[value];
        ++hows[is_its_own ? std::string{to_string(how)} : "foreign"];
        ended.release();
      };
      for (int value = first + 1; value < first + calls_a_round; ++value) {
        caller.call_then<int>(
            {.timeout = timeout},
            [&end, value](const call_result<int>& came) {
              end(value, came.how(), came.how() != call_end::replied || came.get() == value);
            },
            "hold", value);
      }
      try {
        const int came = caller.call<int>({.timeout = timeout}, "hold", first);
        end(first, call_end::replied, came == first);
      } catch (const timed_out&) {
        end(first, call_end::timed_out, true);
      } catch (const server_lost&) {
        end(first, call_end::server_lost, true);
      }
      for (int count = 0; count < calls_a_round; ++count) {
        if (!ended.try_acquire_for(patience)) {
          throw std::runtime_error{"a call has not ended"};
        }
      }
      // What ended twice has done so before this.
      const bool goes_on = caller.call<int>("same", 7) == 7;
      const std::lock_guard lock{counting};
      if (!goes_on || ends.size() != std::size_t{calls_a_round}) {
        throw std::runtime_error{"a call has ended twice, or the client is of no more use"};
      }
      out.say(std::to_string(hows["replied"]) + " " + std::to_string(hows["timed out"]) + " " +
              std::to_string(hows["server lost"]));
    }
  }};
}

// How many ended so.
struct round_of_calls {
  explicit round_of_calls(const std::string& said) {
    std::istringstream{said} >> replied >> timed_out >> lost;
  }
  int replied = 0;
  int timed_out = 0;
  int lost = 0;
};

// Answers "same" at once, and "hold" when it is told to.
class holding {
 public:
  explicit holding(context& owner) : native_{owner, {.workers = 2}} {
    native_.handle("same", [](int value) { return value; });
    native_.handle("hold", [this](const reply<int>& to, int value) {
      const std::lock_guard lock{mutex_};
      held_.emplace(value, to);
    });
  }

  endpoint bind(const endpoint& where) { return native_.bind(where); }
  [[nodiscard]] server_statistics statistics() const { return native_.statistics(); }

  // Until it has so many, of those from that value on.
  [[nodiscard]] bool await_held(int first, std::ptrdiff_t count) {
    return await([&] {
      const std::lock_guard lock{mutex_};
      return std::distance(held_.lower_bound(first), held_.end()) >= count;
    });
  }
  // Those before that value.
  void answer(int last) {
    const std::lock_guard lock{mutex_};
    const auto end = held_.lower_bound(last);
    for (auto each = held_.begin(); each != end; each = held_.erase(each)) {
      each->second.send(each->first);
    }
  }

 private:
  std::mutex mutex_;
  std::map<int, reply<int>> held_;
  server native_;
};

}  // namespace

TEST_CASE("calls of a client that was stopped end once each, and it goes on with its server") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  constexpr auto heartbeat_timeout = 500ms;
  for (const bool is_far : {false, true}) {
    INFO((is_far ? "far" : "near"));
    context owner;
    holding answering{owner};
    fault_proxy proxy{answering.bind("tcp://127.0.0.1:0")};
    if (is_far) {  // then a heartbeat is always under way, and answered while the client is stopped
      proxy.delay(30ms, 30ms);
    }
    child sleepy = call_in_rounds(proxy.where(), 1h, 3, 20ms, heartbeat_timeout);
    REQUIRE(sleepy.hear() == "begins");
    for (int first = 0; first < 3 * calls_a_round; first += calls_a_round) {
      REQUIRE(answering.await_held(first, calls_a_round));
      sleepy.stop();
      answering.answer(first + calls_a_round / 2);
      // If the server were silent for so long, it would be given up.
      std::this_thread::sleep_for(2 * heartbeat_timeout);
      sleepy.resume();
      answering.answer(first + calls_a_round);
      // libzmq drops the connection if a heartbeat of its own was under way: then they are lost.
      const round_of_calls ended{sleepy.hear()};
      CHECK(ended.replied + ended.lost == calls_a_round);
    }
    CHECK(sleepy.finish() == 0);
  }
}

TEST_CASE("calls whose deadline passes while their client is stopped end once, when it goes on") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  constexpr auto timeout = 200ms;
  context owner;
  holding answering{owner};
  const endpoint where = answering.bind("tcp://127.0.0.1:0");
  child sleepy = call_in_rounds(where, timeout, 3, 0ms, 100ms);
  REQUIRE(sleepy.hear() == "begins");
  for (int first = 0; first < 3 * calls_a_round; first += calls_a_round) {
    REQUIRE(answering.await_held(first, 1));
    sleepy.stop();
    std::this_thread::sleep_for(2 * timeout);  // their deadlines pass
    sleepy.resume();
    CHECK(round_of_calls{sleepy.hear()}.timed_out == calls_a_round);
    answering.answer(first + calls_a_round);  // too late for any of them
  }
  CHECK(sleepy.finish() == 0);
}

TEST_CASE("a server comes back on its port, or on another, while calls wait for it") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  std::unique_ptr<child> serving{new child(serve("tcp://127.0.0.1:0", 0))};
  endpoint where{serving->hear()};
  context owner;
  calls all;
  client caller{owner, where, {.timeout = 1h}};
  CHECK(caller.call<int>("name") == 0);
  for (int round = 1; round <= 4; ++round) {
    serving->kill();
    // Before it is noticed, and after.
    all.start(caller, {.idempotent = true}, 2 * round);
    REQUIRE(await([&] { return !caller.servers()[0].live; }));
    all.start(caller, {}, 2 * round + 1);
    const bool moves = round % 2 == 0;
    serving.reset(new child(serve(moves ? "tcp://127.0.0.1:0" : where.str(), round)));
    const endpoint now{serving->hear()};
    if (moves) {
      caller.connect(now);
      caller.disconnect(where);
      where = now;
    }
    CHECK(caller.call<int>("name") == round);
    // Before the next one is killed: it may still work on those that go to one server only.
    REQUIRE(await([&] { return all.ended(call_end::replied) == 2 * round; }));
  }
  all.await_all();
  CHECK(all.ended(call_end::replied) == 8);
}

TEST_CASE("when a client is killed its handlers end, and the server goes on for others") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  const support::temporary_directory fresh;
  const endpoint where{"ipc://" + (fresh / "server").string()};
  child doomed{[where](child::line) {
    context own;
    client caller{own, where, {.timeout = 1s}};
    auto counted = caller.stream<int>("count");
    static_cast<void>(counted.next());
    std::vector<std::future<void>> held;
    for (int count = 0; count < 20; ++count) {
      held.push_back(caller.async_call<void>("wait"));
    }
    for (;;) {
      ::pause();
    }
  }};
  {
    context owner;
    server busy{owner, {.workers = 4}};
    std::atomic<int> running{0};
    std::counting_semaphore<> begun{0};
    busy.handle("wait", [&](const call_context& about) {
      ++running;
      begun.release();
      while (about.time_left() > 0s && !about.stop_token().stop_requested()) {
        std::this_thread::sleep_for(1ms);  // work, which nothing in the test waits for
      }
      --running;
    });
    busy.handle("count", [&](results<int>& out) {
      ++running;
      begun.release();
      for (int value = 0; out.send(value); ++value) {
      }
      --running;
    });
    busy.handle("same", [](int value) { return value; });
    busy.bind(where);
    for (int count = 0; count < 4; ++count) {
      REQUIRE(begun.try_acquire_for(patience));
    }
    doomed.kill();
    CHECK(await([&] { return running == 0 && busy.statistics().open == 0; }));
    client other{owner, where};
    CHECK(other.call<int>("same", 5) == 5);
  }
}

TEST_CASE(
    "when a client is killed its handlers are asked to stop, by their deadline or as streams") {
  if (!support::may_fork) {
    return;
  }
  const nothing_left afterwards;
  const support::temporary_directory fresh;
  const endpoint where{"ipc://" + (fresh / "server").string()};
  child doomed{[where](child::line) {
    context own;
    client caller{own, where, {.timeout = 1s}};
    auto streams = caller.stream<int>({.timeout = 1h}, "stream");
    auto waits = caller.async_call<void>("wait");
    for (;;) {
      ::pause();
    }
  }};
  context owner;
  std::counting_semaphore<> begun{0};
  std::counting_semaphore<> stopped{0};
  server busy{owner, {.workers = 2}};
  // Neither sends anything, nor looks at the time.
  const auto wait = [&](const call_context& about) {
    std::promise<void> asked;
    const std::stop_callback on_stop{about.stop_token(), [&] { asked.set_value(); }};
    begun.release();
    if (asked.get_future().wait_for(patience) == std::future_status::ready) {
      stopped.release();
    }
  };
  busy.handle("wait", wait);
  busy.handle("stream", [&](results<int>& out) { wait(out.context()); });
  busy.bind(where);
  for (int count = 0; count < 2; ++count) {
    REQUIRE(begun.try_acquire_for(patience));
  }
  doomed.kill();
  CHECK(stopped.try_acquire_for(patience));
  CHECK(stopped.try_acquire_for(patience));
  CHECK(await([&] { return busy.statistics().open == 0; }));
}

TEST_CASE("calls over a link that is cut end, and new ones find it again") {
  const nothing_left afterwards;
  context owner;
  server answering{owner};
  std::atomic<int> taken{0};
  std::vector<reply<int>> held;
  answering.handle("same", [](int value) { return value; });
  answering.handle("hold", [&](const reply<int>& to) {
    held.push_back(to);
    ++taken;
  });
  fault_proxy proxy{answering.bind("tcp://127.0.0.1:0")};
  client caller{owner, proxy.where(), {.timeout = 1h}};
  calls all;
  for (int round = 0; round < 5; ++round) {
    auto lost = caller.async_call<int>("hold");
    REQUIRE(await([&] { return taken == round + 1; }));
    proxy.cut();
    CHECK_THROWS_AS(lost.get(), server_lost);
    all.start(caller, {}, round);  // waits
    proxy.restore();
    CHECK(caller.call<int>("same", 7) == 7);
  }
  all.await_all();
  CHECK(all.ended(call_end::replied) == 5);
  answering.close();
}

TEST_CASE("a link that was full when it was cut is lost too") {
  const nothing_left afterwards;
  context owner;
  server answering{owner, {.queue = 2000}};
  answering.handle("same", [](int value) { return value; });
  fault_proxy proxy{answering.bind("tcp://127.0.0.1:0")};
  // No heartbeat comes in time to tell it.
  client caller{owner,
                proxy.where(),
                {.timeout = 50ms, .limit = 1, .heartbeat = 1h, .heartbeat_timeout = 1h}};
  CHECK(caller.call<int>({.timeout = patience}, "same", 7) == 7);
  proxy.stall();
  auto lost = caller.async_call<int>({.timeout = 1h}, "same", 1);
  const auto fill = [&] {
    for (;;) {
      caller.notify("same", 2);
    }
  };
  CHECK_THROWS_AS(fill(), timed_out);
  proxy.cut();
  REQUIRE(lost.wait_for(patience) == std::future_status::ready);
  CHECK_THROWS_AS(lost.get(), server_lost);
}

TEST_CASE("a link that is stalled is given up and taken back, one that is slow is waited for") {
  const nothing_left afterwards;
  context owner;
  server answering{owner};
  answering.handle("same", [](int value) { return value; });
  fault_proxy proxy{answering.bind("tcp://127.0.0.1:0")};
  client caller{
      owner, proxy.where(), {.timeout = 1h, .heartbeat = 20ms, .heartbeat_timeout = 200ms}};
  calls all;
  for (int round = 0; round < 3; ++round) {
    CHECK(caller.call<int>("same", 7) == 7);
    proxy.stall();
    all.start(caller, {}, 2 * round);
    all.start(caller, {.idempotent = true}, 2 * round + 1);
    REQUIRE(await([&] { return !caller.servers()[0].live; }));
    proxy.resume();
    REQUIRE(await([&] { return caller.servers()[0].live; }));
  }
  all.await_all();
  CHECK(all.ended(call_end::server_lost) == 3);
  CHECK(all.ended(call_end::replied) == 3);

  proxy.delay(20ms, 20ms);
  for (int value = 0; value < 10; ++value) {
    CHECK_THROWS_AS(caller.call<int>({.timeout = 5ms}, "same", -value), timed_out);
    CHECK(caller.call<int>("same", value) == value);  // not the late one
  }
  CHECK(await([&] {
    static_cast<void>(caller.servers());
    return caller.statistics().late + answering.statistics().expired +
               answering.statistics().cancelled >=
           10;
  }));
}

TEST_CASE("calls over links that fail at random end once each, with nobody else's reply") {
  const nothing_left afterwards;
  for (unsigned seed = 1; seed <= 3; ++seed) {
    INFO("seed " << seed);
    std::minstd_rand random{seed};
    context owner;
    server first{owner, {.workers = 2}};
    server second{owner, {.workers = 2}};
    std::mutex executing;
    std::map<int, int> executed;
    for (server* const each : {&first, &second}) {
      each->handle("same", [&, each](int value) {
        if (each == &first && value % 2 == 0) {
          const std::lock_guard lock{executing};
          ++executed[value];
        }
        return value;
      });
    }
    fault_proxy left{first.bind("tcp://127.0.0.1:0")};
    fault_proxy right{second.bind("tcp://127.0.0.1:0")};
    client caller{owner,
                  {left.where(), right.where()},
                  {.timeout = 500ms, .heartbeat = 10ms, .heartbeat_timeout = 50ms}};
    calls all;
    for (int value = 0; value < 600; ++value) {
      all.start(caller, {.idempotent = value % 2 == 0}, value);
      fault_proxy& which = random() % 2 == 0 ? left : right;
      switch (random() % 30) {
        case 0:
          which.cut();
          break;
        case 1:
          which.stall();
          break;
        case 2:
          which.delay(1ms * (random() % 20), 1ms * (random() % 20));
          break;
        case 3:
        case 4:
          which.restore();
          which.resume();
          break;
        default:
          break;
      }
      if (value % 4 == 0) {
        std::this_thread::sleep_for(1ms);  // so that faults meet calls under way
      }
    }
    left.restore();
    left.resume();
    right.restore();
    right.resume();
    all.await_all();
    CHECK(all.ended(call_end::replied) > 0);
    caller.close();
    first.close();
    for (const auto& [value, times] : executed) {
      CHECK(times == 1);
    }
  }
}

namespace {

// Reads requests of our client by hand, for a server that misbehaves.
class hostile_server {
 public:
  explicit hostile_server(context& owner)
      : native_{owner, socket_kind::router}, where{native_.bind("tcp://127.0.0.1:0")} {}
  ~hostile_server() {
    is_over_ = true;
    thread_.join();
  }

  struct request {
    frame from;
    call_header header;
    frame payload;
  };
  void run(std::function<void(hostile_server&, const request&)> answer) {
    thread_ = std::thread{[this, answer = std::move(answer)] {
      while (!is_over_) {
        const auto incoming = native_.receive_for(10ms);
        if (!incoming || incoming->size() < 2) {
          continue;
        }
        const auto header = parse_header((*incoming)[1].view());
        if (header && header->what == kind::request) {
          const bool carries = (header->flags & call_header::carries) != 0;
          answer(*this, {incoming->front(), *header,
                         carries ? carried_by((*incoming)[1].view()) : incoming->back()});
        }
      }
    }};
  }

  void say(const request& to, const std::vector<frame>& what) {
    message said{to.from};
    for (const frame& each : what) {
      said.push_back(each);
    }
    static_cast<void>(native_.try_send(std::move(said)));
  }
  void reply(const request& to, const std::string& text) {
    say(to, {pack_header({.what = kind::reply, .id = to.header.id, .link = 9}), frame{}, text});
  }

 private:
  parley::socket native_;
  std::atomic<bool> is_over_{false};
  std::thread thread_;

 public:
  const endpoint where;
};

}  // namespace

TEST_CASE("replies that come twice, late, or for other calls change nothing") {
  const nothing_left afterwards;
  context owner;
  std::vector<hostile_server::request> before;
  hostile_server lying{owner};
  lying.run([&](hostile_server& at, const hostile_server::request& request) {
    for (const auto& each : before) {
      at.reply(each, "late");
    }
    hostile_server::request other = request;
    other.header.id ^= std::uint64_t{1} << 50;
    at.reply(other, "another's");
    at.reply(request, "to " + request.payload.str());
    at.reply(request, "twice");
    before.push_back(request);
    if (before.size() > 5) {
      before.erase(before.begin());
    }
  });
  client caller{owner, lying.where, {.timeout = patience}};
  for (int count = 0; count < 200; ++count) {
    const std::string text = std::to_string(count);
    CHECK(caller.request(frame{text}).front() == "to " + text);
  }
  CHECK(caller.statistics().replied == 200);
  CHECK(caller.statistics().late > 200);
}

TEST_CASE("a client takes any frames of a hostile server, and its calls still end") {
  const nothing_left afterwards;
  context owner;
  std::minstd_rand random{1};
  hostile_server mad{owner};
  mad.run([&](hostile_server& at, const hostile_server::request& request) {
    for (int count = 0; count < 20; ++count) {
      call_header header{.id = random() % 2 == 0 ? request.header.id : random(),
                         .time = random(),
                         .amount = static_cast<std::uint32_t>(random()),
                         .link = random() % 3,
                         .load = static_cast<std::uint32_t>(random())};
      // All but what ends the call by rights.
      const kind kinds[] = {kind::item,   kind::pong, kind::cancel,
                            kind::credit, kind::ask,  kind::ping};
      header.what = kinds[random() % std::size(kinds)];
      header.flags = static_cast<std::uint8_t>(random());
      std::string bytes = pack_header(header).str();
      if (random() % 3 == 0) {
        bytes.resize(random() % bytes.size());
      }
      std::vector<frame> said{frame{bytes}};
      for (auto frames = random() % 3; frames > 0; --frames) {
        said.push_back(random() % 2 == 0 ? frame{} : frame{"garbage"});
      }
      at.say(request, said);
    }
    at.reply(request, "to " + request.payload.str());
  });
  client caller{owner, mad.where, {.timeout = patience}};
  for (int count = 0; count < 200; ++count) {
    const std::string text = std::to_string(count);
    CHECK(caller.request(frame{text}).front() == "to " + text);
  }
  CHECK(caller.statistics().nonsense > 0);
}

TEST_CASE("a stream takes no more than it asked for, and ends however the server lies") {
  const nothing_left afterwards;
  context owner;
  hostile_server flooding{owner};
  flooding.run([&](hostile_server& at, const hostile_server::request& request) {
    for (int count = 0; count < 500; ++count) {
      at.say(request, {pack_header({.what = kind::item, .id = request.header.id, .link = 9}),
                       frame{}, encode(count)});
    }
    at.reply(request, "no MessagePack-RPC");
  });
  client caller{owner, flooding.where, {.timeout = patience}};
  auto counted = caller.stream<int>("count");
  REQUIRE(await([&] {
    static_cast<void>(caller.servers());  // takes in what is there
    return caller.statistics().nonsense > 0;
  }));
  int count = 0;
  CHECK_THROWS_AS(
      [&] {
        while (counted.next()) {
          ++count;
        }
      }(),
      protocol_error);
  CHECK(count < 500);
}

TEST_CASE("a server takes any frames of hostile clients, and goes on for others") {
  // Under sanitizers, results are ten times slower and more, and the honest caller waits for them.
  constexpr bool sanitized = support::address_sanitizer || support::thread_sanitizer;
  constexpr int endless = sanitized ? 1'000 : 1'000'000'000;
  const nothing_left afterwards;
  context owner;
  // The queue takes all that is sent: a full one would refuse the honest caller as well.
  server answering{owner, {.workers = 2, .queue = 10'000}};
  answering.handle("same", [](int value) { return value; });
  answering.handle("count", [](results<int>& out, int most) {
    for (int value = 0; value < most && out.send(value); ++value) {
    }
  });
  const endpoint where = answering.bind("tcp://127.0.0.1:0");
  client caller{owner, where, {.timeout = patience}};
  std::minstd_rand random{1};
  for (int round = 0; round < 20; ++round) {
    parley::socket dealer{owner, socket_kind::dealer, {.linger = 0ms}};
    parley::socket req{owner, socket_kind::req, {.linger = 0ms}};
    dealer.connect(where);
    req.connect(where);
    static_cast<void>(req.send_for(frame{"\x93\x01garbage"}, patience));
    for (int count = 0; count < 200; ++count) {
      call_header header{.flags = static_cast<std::uint8_t>(random()),
                         .id = random() % 5,
                         .time = random() % 50'000,
                         .amount = random() % 2 == 0 ? call_header::any_amount : 1};
      header.what = static_cast<kind>(1 + random() % 5);
      std::string bytes = pack_header(header).str();
      if (random() % 4 == 0) {
        bytes.resize(random() % bytes.size());
      }
      message said{frame{bytes}};
      if (random() % 2 == 0) {
        said.push_back(frame{});
        said.push_back(random() % 2 == 0 ? encode(std::tuple{0, 1, "count", std::tuple{endless}})
                                         : frame{"garbage"});
      }
      static_cast<void>(dealer.send_for(std::move(said), patience));
    }
    CHECK(caller.call<int>({.idempotent = true}, "same", round) == round);
  }
  CHECK(await([&] { return answering.statistics().open == 0; }));
}

TEST_CASE("a server that never stops talking keeps no call beyond its deadline") {
  const nothing_left afterwards;
  for (const bool in_bundles : {false, true}) {
    const raw_peer port = raw_peer::listening();
    std::string each{"\0\1x", 3};  // a frame of one byte
    if (in_bundles) {
      std::string entries;
      while (entries.size() < 60'000) {
        entries += std::string{"\0\2xx", 4};
      }
      const std::string bundle = "\xffPRC\1\x20" + entries;
      each = std::string{"\2\0\0\0\0\0\0", 7};
      each += static_cast<char>(bundle.size() >> 8);
      each += static_cast<char>(bundle.size());
      each += bundle;
    }
    std::string block;
    while (block.size() < 65'536) {
      block += each;
    }
    std::jthread talks{[&] {
      const raw_peer caller = port.accept();
      caller.write(zmtp_greeting());
      static_cast<void>(caller.read(64));
      caller.write(zmtp_ready("ROUTER"));
      while (caller.write(block)) {
      }
    }};
    {
      context owner;
      client caller{owner, port.where(), {.timeout = 100ms, .heartbeat = 0ms}};
      REQUIRE(await([&] { return caller.statistics().nonsense > 1000; }));
      auto waits =
          std::async(std::launch::async, [&] { CHECK_THROWS(caller.call<int>("same", 1)); });
      auto later = caller.async_call<int>("same", 2);
      CHECK(waits.wait_for(patience) == std::future_status::ready);
      CHECK(later.wait_for(patience) == std::future_status::ready);
    }
  }
}
