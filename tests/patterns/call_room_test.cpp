// SPDX-License-Identifier: MPL-2.0
//
// The threads of a client, in each other's way on purpose.
#include <parley/error.hpp>
#include <parley/request_reply.hpp>
#include <parley/socket.hpp>

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <optional>
#include <random>
#include <semaphore>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/connected.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::patience;

namespace {

const std::string carriers[] = {"pipe://call-room-test", "inproc://call-room-test", "ipc://*",
                                "tcp://127.0.0.1:*"};

// Ends no call by itself.
struct silent_server {
  silent_server(context& owner, const std::string& at)
      : native{owner, socket_kind::router}, where{native.bind(at)} {}
  parley::socket native;
  endpoint where;
};

template<class Result>
bool has_ended(const std::future<Result>& of) {
  return of.wait_for(patience) == std::future_status::ready;
}

}  // namespace

TEST_CASE("a call that is started after its context was shut down ends") {
  for (const std::string& carrier : carriers) {
    INFO(carrier);
    context owner;
    silent_server silent{owner, carrier};
    client caller{owner, silent.where};
    REQUIRE(caller.wait_for_servers(1, patience));
    // The client's own thread comes to rest, most likely; sooner, this tests less.
    std::this_thread::sleep_for(100ms);
    owner.shutdown();
    auto later = caller.async_call<int>({.timeout = 1h}, "add");
    REQUIRE(has_ended(later));
    CHECK_THROWS_AS(later.get(), closed);
    CHECK_THROWS_AS(caller.call<int>({.timeout = 1h}, "add"), closed);
  }
}

TEST_CASE("calls that are in flight when their context is shut down end") {
  for (const std::string& carrier : carriers) {
    INFO(carrier);
    for (int round = 0; round < 20; ++round) {
      context owner;
      silent_server silent{owner, carrier};
      client caller{owner, silent.where, {.timeout = 1h}};
      REQUIRE(caller.wait_for_servers(1, patience));
      std::atomic<int> closed_ones{0};
      std::vector<std::thread> threads;
      for (int count = 0; count < 3; ++count) {
        threads.emplace_back([&, count] {
          try {
            if (count == 0) {
              static_cast<void>(caller.stream<int>("count").next());
            } else {
              caller.call<int>("add");
            }
          } catch (const closed&) {
            ++closed_ones;
          }
        });
      }
      auto later = caller.async_call<int>("add");
      if (round % 2 == 0) {
        std::this_thread::yield();
      }
      owner.shutdown();
      for (std::thread& each : threads) {
        each.join();
      }
      CHECK(closed_ones == 3);
      REQUIRE(has_ended(later));
      CHECK_THROWS_AS(later.get(), closed);
    }
  }
}

TEST_CASE("a server's handlers end when their context is shut down") {
  for (const std::string& carrier : carriers) {
    INFO(carrier);
    context owner;
    std::promise<void> stopped;
    std::promise<void> wanted_no_more;
    server busy{owner, {.workers = 2}};
    std::counting_semaphore<2> begun{0};
    busy.handle("wait", [&](const call_context& about) {
      std::promise<void> asked;
      const std::stop_callback on_stop{about.stop_token(), [&] { asked.set_value(); }};
      begun.release();
      asked.get_future().wait();
      stopped.set_value();
    });
    busy.handle("count", [&](results<int>& out) {
      begun.release();
      for (int value = 0; out.send(value); ++value) {
      }
      wanted_no_more.set_value();
    });
    client caller{owner, busy.bind(carrier), {.timeout = 1h}};
    auto later = caller.async_call<void>("wait");
    auto counted = caller.stream<int>("count");
    CHECK(counted.next() == 0);
    begun.acquire();
    begun.acquire();
    owner.shutdown();
    CHECK(has_ended(stopped.get_future()));
    CHECK(has_ended(wanted_no_more.get_future()));
  }
}

TEST_CASE("a call without a waiting thread ends although the one that led has left") {
  context owner;
  client lonely{owner};
  std::atomic<bool> leads{false};
  std::thread other{[&] {
    leads = true;
    CHECK_FALSE(lonely.wait_for_servers(1, 50ms));
  }};
  while (!leads) {
    std::this_thread::yield();
  }
  std::this_thread::sleep_for(5ms);  // most likely it sleeps by now; else this tests nothing
  auto later = lonely.async_call<int>({.timeout = 100ms}, "add");
  other.join();
  REQUIRE(has_ended(later));
  CHECK_THROWS_AS(later.get(), no_server);
}

TEST_CASE("a client may be closed by a function of a call, while others close it") {
  for (int round = 0; round < 50; ++round) {
    context owner;
    silent_server silent{owner, "inproc://closed-inside"};
    client caller{owner, silent.where};
    std::promise<void> closed_inside;
    caller.call_then<int>(
        {.timeout = round % 2 == 0 ? std::chrono::microseconds{1} : std::chrono::seconds{10}},
        [&](const call_result<int>&) {
          caller.close();
          closed_inside.set_value();
        },
        "add");
    std::thread other{[&] { caller.close(); }};
    caller.close();
    other.join();
    REQUIRE(has_ended(closed_inside.get_future()));
  }
}

TEST_CASE("a client may go as soon as its last call has ended, whoever ended it") {
  for (int round = 0; round < 200; ++round) {
    context owner;
    silent_server silent{owner, "inproc://cancelled-last"};
    std::optional<client> caller{std::in_place, owner, silent.where};
    std::stop_source stop;
    auto later = caller->async_call<int>({.stop = stop.get_token()}, "add");
    std::thread other{[&] { stop.request_stop(); }};
    CHECK_THROWS_AS(later.get(), cancelled);
    caller.reset();
    other.join();
  }
}

TEST_CASE("a call's time is kept whatever the one that waits for another is about to do") {
  for (const std::string& carrier : carriers) {
    INFO(carrier);
    context owner;
    silent_server silent{owner, carrier};
    client caller{owner, silent.where, {.heartbeat = 0ms}};
    REQUIRE(caller.wait_for_servers(1, patience));
    for (int round = 0; round < 50; ++round) {
      std::atomic<bool> begins{false};
      std::stop_source enough;
      std::thread longer{[&] {
        begins = true;
        CHECK_THROWS_AS(caller.call<int>({.timeout = 1h, .stop = enough.get_token()}, "add"),
                        cancelled);
      }};
      while (!begins) {
        std::this_thread::yield();
      }
      const auto start = std::chrono::steady_clock::now();
      while (std::chrono::steady_clock::now() < start + round * 2us) {
      }
      auto first = caller.async_call<int>({.timeout = 1ms}, "add");
      CHECK(has_ended(first));
      enough.request_stop();
      longer.join();
    }
  }
}

TEST_CASE("a function of a call may wait for another call while a third one ends") {
  for (const std::string& carrier : carriers) {
    INFO(carrier);
    context owner;
    std::promise<int> waited;
    std::promise<void> third;
    std::optional<reply<int>> held;
    server answering{owner};
    answering.handle("begin", [] {});
    answering.handle("hold", [&](const reply<int>& to) { held = to; });
    answering.handle("release", [&] {
      held->send(3);
      std::this_thread::sleep_for(50ms);  // so that the client hears of the one before the other
      return 2;
    });
    client caller{owner, answering.bind(carrier), {.timeout = patience}};
    caller.call_then<int>(
        {}, [&](const auto&) { third.set_value(); }, "hold");
    caller.call_then<void>(
        {}, [&](const auto&) { waited.set_value(caller.call<int>("release")); }, "begin");
    auto result = waited.get_future();
    REQUIRE(result.wait_for(patience / 2) == std::future_status::ready);
    CHECK(result.get() == 2);
    CHECK(third.get_future().wait_for(patience) == std::future_status::ready);
  }
}

TEST_CASE("a call that a function waits for does not wait for the functions that follow") {
  context owner;
  std::promise<int> waited;
  std::promise<void> both_sent;
  const auto sent = both_sent.get_future().share();
  std::vector<reply<int>> held;
  server answering{owner};
  answering.handle("add", [](int a, int b) { return a + b; });
  answering.handle("hold", [&](const reply<int>& to) {
    held.push_back(to);
    if (held.size() == 2) {
      held[0].send(0);
      held[1].send(0);
      both_sent.set_value();
    }
  });
  // No heartbeat, which would send what was kept back.
  client caller{
      owner, answering.bind("inproc://goes-out"), {.timeout = patience, .heartbeat = 0ms}};
  CHECK(caller.call<int>("add", 1, 1) == 2);
  // Keeps the client's thread, so that it finds both replies at once.
  caller.call_then<int>(
      {}, [&](const auto&) { sent.wait_for(patience); }, "add", 0, 0);
  caller.call_then<int>(
      {},
      [&](const auto&) {
        caller.call_then<int>(
            {}, [](const auto&) {}, "add", 3, 3);
        waited.set_value(caller.call<int>("add", 2, 2));
      },
      "hold");
  caller.call_then<int>(
      {}, [](const auto&) {}, "hold");
  auto result = waited.get_future();
  REQUIRE(result.wait_for(patience / 2) == std::future_status::ready);
  CHECK(result.get() == 4);
}

TEST_CASE("servers may come and go as often as they like") {
  context owner;
  client caller{owner};
  for (int round = 0; round < 200; ++round) {
    server passing{owner};
    passing.handle("name", [round] { return round; });
    const endpoint where = passing.bind("inproc://passing-" + std::to_string(round));
    caller.connect(where);
    CHECK(caller.call<int>("name") == round);
    caller.disconnect(where);
  }
}

TEST_CASE("a client has at most 64 endpoints, and may exchange them") {
  context owner;
  client caller{owner};
  const auto where = [](int number) { return endpoint{"inproc://many-" + std::to_string(number)}; };
  for (int number = 0; number < 64; ++number) {
    caller.connect(where(number));
  }
  for (int count = 0; count < 2; ++count) {
    CHECK_THROWS_AS(caller.connect(where(64)), error);
    CHECK(caller.servers().size() == 64);
  }
  caller.disconnect(where(10));
  caller.connect(where(64));
  CHECK(caller.servers().size() == 64);
}

namespace {

// Every way to use a client, at random.
class crowd {
 public:
  crowd(context& owner, const std::string& carrier, unsigned seed) : seed_{seed} {
    for (std::size_t index = 0; index < servers_.size(); ++index) {
      server& made = servers_[index].emplace(owner, server_options{.workers = 2, .queue = 50});
      made.handle("same", [](int value) { return value; });
      made.handle("later", [](const reply<int>& to, int value) {
        std::thread{[to, value] { to.send(value); }}.detach();
      });
      made.handle("until stopped", [](const call_context& about) {
        while (!about.stop_token().stop_requested() && about.time_left() > 0s) {
          std::this_thread::yield();
        }
      });
      made.handle("count", [](results<int>& out, int most) {
        for (int value = 0; value < most && out.send(value); ++value) {
        }
      });
      const auto kind = endpoint{carrier}.kind();
      const bool named = kind == transport::pipe || kind == transport::inproc;
      where_.push_back(made.bind(named ? carrier + std::to_string(index) : carrier));
    }
    caller_.emplace(owner, where_, client_options{.timeout = 2s, .heartbeat = 5ms});
  }

  void run(int threads, int rounds) {
    std::vector<std::thread> all;
    for (int thread = 0; thread < threads; ++thread) {
      all.emplace_back([this, thread, rounds] {
        std::minstd_rand random{seed_ + static_cast<unsigned>(thread)};
        for (int round = 0; round < rounds; ++round) {
          try {
            step(random, round);
          } catch (const closed&) {
          } catch (const no_server&) {
          } catch (const server_lost&) {
          } catch (const timed_out&) {
          } catch (const cancelled&) {
          } catch (const overloaded&) {
          }
        }
      });
    }
    for (std::thread& each : all) {
      each.join();
    }
    has_run_ = true;
  }

  // Or until all have run.
  void await_replies(std::uint64_t count) const {
    while (replied() < count && !has_run_) {
      std::this_thread::yield();
    }
  }

  void finish() {
    caller_->close();
    const client_statistics counted = caller_->statistics();
    CHECK(counted.replied + counted.timed_out + counted.no_server + counted.server_lost +
              counted.overloaded + counted.cancelled + counted.closed ==
          started_);
    caller_.reset();
    CHECK(ended_ == wanted_);
    CHECK(wrong_ == 0);
  }

  client& caller() { return *caller_; }
  [[nodiscard]] std::uint64_t replied() const { return caller_->statistics().replied; }

 private:
  void step(std::minstd_rand& random, int round) {
    client& to = *caller_;
    switch (random() % 12) {
      case 0:
        to.disconnect(where_[random() % where_.size()]);
        return;
      case 1:
      case 2:
        to.connect(where_[random() % where_.size()]);
        return;
      case 3: {
        std::stop_source stop;
        ++started_;
        std::jthread other{[&] { stop.request_stop(); }};
        to.call<void>({.timeout = 1s, .stop = stop.get_token()}, "until stopped");
        return;
      }
      case 4: {
        std::stop_source stop;
        ++started_;
        ++wanted_;
        to.call_then<int>({.idempotent = true, .stop = stop.get_token()}, count_end(round), "later",
                          round);
        if (random() % 2 == 0) {
          stop.request_stop();
        }
        return;
      }
      case 5: {
        ++started_;
        const auto most = static_cast<int>(random() % 300);
        int next = 0;
        auto counted = to.stream<int>("count", 200);
        while (next < most) {
          const auto item = counted.next();
          if (!item) {
            wrong_ += next == 200 ? 0 : 1;
            break;
          }
          wrong_ += *item == next++ ? 0 : 1;
        }
        return;
      }
      case 6:
        static_cast<void>(to.servers());
        static_cast<void>(to.statistics());
        return;
      case 7: {
        ++started_;
        auto later = to.async_call<int>({.idempotent = true}, "same", round);
        wrong_ += later.get() == round ? 0 : 1;
        return;
      }
      case 8:
        ++started_;
        static_cast<void>(
            to.call<int>({.timeout = std::chrono::microseconds{random() % 500}}, "same", round));
        return;
      case 9: {
        ++started_;
        ++wanted_;
        to.call_then<int>(
            {},
            [this, end = count_end(round)](const call_result<int>& came) mutable {
              end(came);
              ++started_;
              ++wanted_;
              caller_->call_then<int>({.timeout = 1ms}, count_end(3), "same", 3);
            },
            "same", round);
        return;
      }
      default:
        ++started_;
        wrong_ += to.call<int>({.idempotent = true}, "same", round) == round ? 0 : 1;
        return;
    }
  }

  std::function<void(const call_result<int>&)> count_end(int expected) {
    return [this, expected](const call_result<int>& came) {
      ++ended_;
      if (came.how() == call_end::replied) {
        wrong_ += came.get() == expected ? 0 : 1;
      }
    };
  }

  const unsigned seed_;
  std::atomic<bool> has_run_{false};
  std::atomic<std::uint64_t> started_{0};
  std::atomic<int> wanted_{0};
  std::atomic<int> ended_{0};
  std::atomic<int> wrong_{0};
  std::vector<endpoint> where_;
  std::array<std::optional<server>, 2> servers_;
  std::optional<client> caller_;
};

}  // namespace

TEST_CASE("many threads use one client in every way, and each call ends once with its own reply") {
  for (const std::string& carrier : carriers) {
    INFO(carrier);
    context owner;
    crowd all{owner, carrier, 1};
    all.run(6, 60);
    CHECK(all.replied() > 0);
    all.finish();
  }
}

TEST_CASE("a client may be closed while many threads use it") {
  for (const std::string& carrier : carriers) {
    INFO(carrier);
    for (unsigned round = 0; round < 8; ++round) {
      context owner;
      crowd all{owner, carrier, round};
      std::thread closing{[&] {
        all.await_replies(3 * round);
        all.caller().close();
      }};
      all.run(4, 30);
      closing.join();
      all.finish();
    }
  }
}

TEST_CASE("a context may be shut down while many threads use its client and its servers") {
  for (const std::string& carrier : carriers) {
    INFO(carrier);
    for (unsigned round = 0; round < 8; ++round) {
      context owner;
      crowd all{owner, carrier, round};
      std::thread closing{[&] {
        all.await_replies(3 * round);
        owner.shutdown();
      }};
      all.run(4, 30);
      closing.join();
      all.finish();
    }
  }
}
