// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/socket.hpp>
#include <parley/worker.hpp>

#include "task_wire.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/await.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using parley::support::await;
using parley::support::patience;
using kind = task_entry::kind;
using ending = task_entry::ending;

namespace {

// A source made by hand: what it says is up to the test, and it keeps what it is told.
class hand_source {
 public:
  hand_source(context& owner, bool binds, const endpoint& where)
      : socket_{owner, binds ? socket_kind::router : socket_kind::dealer}, binds_{binds} {
    if (binds) {
      where_ = socket_.bind(where);
    } else {
      socket_.connect(where);
      greet();
    }
  }

  [[nodiscard]] const endpoint& where() const { return where_; }
  [[nodiscard]] std::size_t credit() const { return credit_; }
  [[nodiscard]] const std::map<task_ticket, std::string>& ends() const { return ends_; }
  [[nodiscard]] bool has_left() const { return has_left_; }

  void greet() {
    task_entry words;
    words.what = kind::source;
    words.id = 7;
    task_writer out;
    out.add(words);
    send(message{out.take()});
  }
  void send_tasks(std::size_t count, const std::string& body = "body") {
    task_writer out;
    for (; count > 0; --count) {
      out.add({.what = task_entry::kind::task, .ticket = next_, .id = next_, .body = body});
      ++next_;
    }
    send(message{out.take()});
  }
  // Together, bodies and all.
  void send_run(std::uint16_t count) {
    std::string bodies;
    for (std::uint16_t index = 0; index < count; ++index) {
      bodies += std::string{"\0\0\0\4body", 8};
    }
    task_writer out;
    out.add({.what = kind::task, .ticket = next_, .id = next_, .count = count, .body = bodies});
    next_ += count;
    send(message{out.take()});
  }
  void send_task(task_entry words) {
    words.what = kind::task;
    words.ticket = words.id = next_++;
    task_writer out;
    out.add(words);
    send(message{out.take()});
  }
  // The same task, by another ticket.
  void send_again(std::uint64_t number) {
    task_writer out;
    out.add({.what = task_entry::kind::task, .ticket = next_++, .id = number, .body = "again"});
    send(message{out.take()});
  }
  void cancel(task_ticket which) {
    task_entry words;
    words.what = kind::cancel;
    words.ticket = which;
    task_writer out;
    out.add(words);
    send(message{out.take()});
  }
  // Until it is so. False: it did not become so.
  template<class Condition>
  [[nodiscard]] bool hear_until(Condition&& is_so) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!is_so()) {
      auto incoming = socket_.receive_for(end - std::chrono::steady_clock::now());
      if (!incoming) {
        return false;
      }
      hear(std::move(*incoming));
    }
    return true;
  }
  [[nodiscard]] bool hear_worker() {
    return hear_until([this] { return credit_ > 0; });
  }
  [[nodiscard]] bool hear_ends(std::size_t count) {
    return hear_until([&] { return ends_.size() >= count; });
  }
  // Gives it that many tasks, as its credit allows, and hears how each ended.
  [[nodiscard]] bool deal(std::size_t count) {
    const std::size_t last = next_ + count - 1;
    return hear_until([&] {
      const std::size_t sent = next_ - 1;
      const std::size_t working = sent - ends_.size();
      if (working < credit_ && sent < last) {
        send_tasks(std::min(credit_ - working, last - sent));
      }
      return ends_.size() == last;
    });
  }

 private:
  void send(message&& outgoing) {
    if (!binds_) {
      socket_.send(std::move(outgoing));
      return;
    }
    message addressed{peer_};
    for (const frame& each : outgoing) {
      addressed.push_back(each);
    }
    REQUIRE(socket_.send_for(std::move(addressed), patience));
  }
  void hear(message&& incoming) {
    if (binds_) {
      peer_ = incoming.front();
      incoming.drop_front(1);
    }
    auto reader = task_reader::open(incoming.front().view());
    REQUIRE(reader);
    std::size_t next_body = 1;
    while (reader->has_more()) {
      const auto entry = reader->next();
      REQUIRE(entry);
      switch (entry->what) {
        case kind::worker:
          credit_ = entry->credit;
          if (binds_) {
            greet();
          }
          break;
        case kind::credit:
          credit_ = entry->credit;
          break;
        case kind::done:
          for (task_ticket each = 1; each < entry->count; ++each) {
            note(entry->ticket + each, "done ");
          }
          note(entry->ticket, "done " + (entry->body_follows ? incoming[next_body++].str()
                                                             : std::string{entry->body}));
          break;
        case kind::ended:
          note(entry->ticket, (entry->how == ending::failed       ? "failed "
                               : entry->how == ending::rejected   ? "rejected "
                               : entry->how == ending::given_back ? "given_back "
                                                                  : "expired ") +
                                  std::string{entry->text});
          break;
        case kind::leave:
          has_left_ = true;
          break;
        default:
          break;
      }
    }
  }
  void note(task_ticket which, std::string&& how) {
    CHECK(ends_.emplace(which, std::move(how)).second);
  }

  parley::socket socket_;
  const bool binds_;
  endpoint where_{"pipe://none"};
  frame peer_;
  std::size_t credit_ = 0;
  task_ticket next_ = 1;
  std::map<task_ticket, std::string> ends_;
  bool has_left_ = false;
};

std::string fresh(const std::string& transport) {
  static std::atomic<int> count = 0;
  if (transport == "tcp") {
    return "tcp://127.0.0.1:*";
  }
  if (transport == "ipc") {
    return "ipc://*";
  }
  return transport + "://worker-test-" + std::to_string(++count);
}

worker_options quiet() {
  worker_options chosen;
  chosen.on_failure = [](const task&, const std::exception&) {};
  return chosen;
}

// One that is connected to a source made by hand.
struct worker_at_work {
  explicit worker_at_work(const worker_options& options = quiet(),
                          const std::string& transport = "inproc", bool source_binds = true)
      : here{owner, options} {
    if (source_binds) {
      there.emplace(owner, true, fresh(transport));
      here.connect(there->where());
    } else {
      there.emplace(owner, false, here.bind(fresh(transport)));
    }
    REQUIRE(there->hear_worker());
  }

  context owner;
  worker here;
  std::optional<hand_source> there;
};

}  // namespace

TEST_CASE("a task reaches the worker, and its answer the source, over every transport") {
  const std::string transport = GENERATE(as<std::string>{}, "pipe", "inproc", "ipc", "tcp");
  const bool source_binds = GENERATE(true, false);
  CAPTURE(transport, source_binds);
  worker_at_work at{quiet(), transport, source_binds};
  at.there->send_tasks(1, "question");
  auto got = at.here.receive_for(patience);
  REQUIRE(got);
  CHECK(got->body == "question");
  CHECK(got->id() == task_id{7, 1});
  CHECK(got->attempt() == 1);
  CHECK(got->key().empty());
  got->done(std::string{"answer"});
  CHECK(got->id() == task_id{7, 1});
  REQUIRE(at.there->hear_ends(1));
  CHECK(at.there->ends().at(1) == "done answer");
}

TEST_CASE("run calls the handler on several threads at once, and answers what it returns") {
  worker_at_work at;
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::atomic<int> inside = 0;
  const auto handle = [&](const frame& body) {
    ++inside;
    static_cast<void>(await([&] { return inside >= 3; }));  // none returns before all have begun
    const std::lock_guard lock{mutex};
    threads.insert(std::this_thread::get_id());
    return body.str() + "!";
  };
  std::vector<std::thread> running;
  for (int count = 0; count < 3; ++count) {
    running.emplace_back([&] { at.here.run(handle); });
  }
  CHECK(at.there->deal(3));
  CHECK(at.there->ends().at(2) == "done body!");
  at.here.close();
  for (std::thread& each : running) {
    each.join();
  }
  CHECK(threads.size() == 3);
  CHECK(at.here.statistics().done == 3);
}

TEST_CASE("a handler takes a task, a frame, or what the body is decoded to") {
  worker_at_work at;
  std::atomic<int> sum = 0;
  std::thread running;
  SECTION("a value") {
    running = std::thread{[&] { at.here.run([&](int value) { sum += value; }); }};
  }
  SECTION("a frame") {
    running =
        std::thread{[&] { at.here.run([&](const frame& body) { sum += decode<int>(body); }); }};
  }
  SECTION("a task") {
    running = std::thread{[&] { at.here.run([&](const task& next) { sum += next.as<int>(); }); }};
  }
  SECTION("a task to be answered") {
    running = std::thread{[&] {
      at.here.run([&](task& next) {
        sum += next.as<int>();
        next.done();
      });
    }};
  }
  at.there->send_tasks(1, encode(42).str());
  CHECK(at.there->hear_ends(1));
  CHECK(at.there->ends().at(1) == "done ");
  CHECK(sum == 42);
  at.here.close();
  running.join();
  CHECK(at.here.statistics().late == 0);
}

TEST_CASE("what a handler throws is a failure, and goes to on_failure") {
  std::vector<std::string> told;
  worker_options options;
  options.on_failure = [&](const task& which, const std::exception& failure) {
    told.push_back(std::to_string(which.id().number) + " " + failure.what());
  };
  worker_at_work at{options};
  std::thread running{[&] {
    int count = 0;
    at.here.run([&](const frame&) {
      if (++count == 1) {
        throw std::runtime_error{"no luck"};
      }
      throw count;
    });
  }};
  CHECK(at.there->deal(2));
  CHECK(at.there->ends().at(1) == "failed no luck");
  CHECK(at.there->ends().at(2) == "failed it threw something that is no std::exception");
  at.here.close();
  running.join();
  CHECK(told ==
        std::vector<std::string>{"1 no luck", "2 it threw something that is no std::exception"});
  CHECK(at.here.statistics().failed == 2);
}

TEST_CASE("a body that is no such value is a failure") {
  worker_at_work at;
  std::thread running{[&] { at.here.run([](const std::vector<int>&) {}); }};
  CHECK(at.there->deal(1));
  CHECK(at.there->ends().at(1).starts_with("failed "));
  at.here.close();
  running.join();
}

TEST_CASE("a task is answered by hand: once") {
  worker_at_work at;
  at.there->send_tasks(1);
  auto got = at.here.receive_for(patience);
  REQUIRE(got);
  std::string expected;
  SECTION("done") {
    got->done();
    expected = "done ";
  }
  SECTION("done, with a large result") {
    got->done(std::string(100'000, 'r'));
    expected = "done " + std::string(100'000, 'r');
  }
  SECTION("failed") {
    got->fail("why");
    expected = "failed why";
  }
  SECTION("rejected") {
    got->reject("never");
    expected = "rejected never";
  }
  SECTION("given back") {
    got->give_back();
    expected = "given_back ";
  }
  SECTION("let go without a word") {
    got.reset();
    expected = "failed it was let go without an answer";
  }
  SECTION("overwritten") {
    *got = task{};
    expected = "failed it was let go without an answer";
  }
  if (got) {
    got->fail("too late");
  }
  REQUIRE(at.there->hear_ends(1));
  CHECK(at.there->ends().at(1) == expected);
}

TEST_CASE("a task that was moved away is answered later, from another thread") {
  worker_at_work at;
  std::promise<task> moved;
  std::thread running{[&] { at.here.run([&](task& next) { moved.set_value(std::move(next)); }); }};
  at.there->send_tasks(1);
  task mine = moved.get_future().get();
  CHECK(mine.body == "body");
  std::thread answers{[&] { mine.done(std::string{"later"}); }};
  answers.join();
  REQUIRE(at.there->hear_ends(1));
  CHECK(at.there->ends().at(1) == "done later");
  at.here.close();
  running.join();
}

TEST_CASE("a moved task is empty, and says so") {
  worker_at_work at;
  at.there->send_tasks(1);
  task first = at.here.receive();
  task second{std::move(first)};
  CHECK(first.id() == task_id{});  // NOLINT: what it is then is promised
  first.fail("nothing happens");
  CHECK_FALSE(first.renew());
  CHECK_FALSE(first.stop_token().stop_possible());
  CHECK(second.id() == task_id{7, 1});
  CHECK(second.renew());
  second.done();
  CHECK_FALSE(second.renew());
  CHECK(at.there->hear_ends(1));
  CHECK(at.there->ends().at(1) == "done ");
}

TEST_CASE("try_receive and receive_for return nothing when there is nothing") {
  worker_at_work at;
  CHECK_FALSE(at.here.try_receive());
  CHECK_FALSE(at.here.receive_for(1ms));
}

TEST_CASE("close ends waits, and gives back what nobody has begun") {
  auto options = quiet();
  options.credit = 10;
  worker_at_work at{options};
  at.there->send_tasks(3);
  REQUIRE(await([&] { return at.here.statistics().waiting == 3; }));
  task begun = at.here.receive();
  at.here.close();
  CHECK_THROWS_AS(at.here.receive(), closed);
  CHECK_THROWS_AS(at.here.try_receive(), closed);
  REQUIRE(at.there->hear_ends(2));
  CHECK(at.there->ends().at(2) == "given_back ");
  CHECK(at.there->ends().at(3) == "given_back ");
  CHECK(begun.stop_token().stop_requested());
  CHECK_FALSE(at.there->has_left());
  begun.done();
  REQUIRE(at.there->hear_until([&] { return at.there->has_left(); }));
  CHECK(at.there->ends().at(1) == "done ");
  CHECK_THROWS_AS(at.here.bind("inproc://after-close"), closed);
}

TEST_CASE("close wakes threads that wait for a task") {
  worker_at_work at;
  std::vector<std::thread> waiting;
  waiting.emplace_back([&] { CHECK_THROWS_AS(at.here.receive(), closed); });
  waiting.emplace_back([&] { at.here.run([](const frame&) {}); });
  at.here.close();
  for (std::thread& each : waiting) {
    each.join();
  }
}

TEST_CASE("a handler may close its own worker, and its task is done all the same") {
  worker_at_work at;
  at.there->send_tasks(1);
  at.here.run([&](const frame&) { at.here.close(); });
  REQUIRE(at.there->hear_until([&] { return at.there->has_left(); }));
  CHECK(at.there->ends().at(1) == "done ");
}

TEST_CASE("a worker may go while other threads wait in it") {
  context owner;
  auto going = std::make_unique<worker>(owner, quiet());
  hand_source source{owner, true, fresh("inproc")};
  going->connect(source.where());
  REQUIRE(source.hear_worker());
  std::promise<void> has_begun;
  std::thread running{[&, at = going.get()] {
    at->run([&](const task& next) {
      has_begun.set_value();
      const auto stop = next.stop_token();
      static_cast<void>(await([&] { return stop.stop_requested(); }));
      throw std::runtime_error{"asked to stop"};
    });
  }};
  source.send_tasks(1);
  has_begun.get_future().wait();
  going.reset();
  running.join();
  REQUIRE(source.hear_until([&] { return source.has_left(); }));
  CHECK(source.ends().at(1) == "failed asked to stop");
}

TEST_CASE("a task may outlive its worker, and its answer is ignored") {
  context owner;
  hand_source source{owner, true, fresh("inproc")};
  task outlives;
  std::stop_token stop;
  {
    auto options = quiet();
    options.linger = 0ms;
    worker short_lived{owner, source.where(), options};
    REQUIRE(source.hear_worker());
    source.send_tasks(1, "orphan");
    outlives = short_lived.receive();
    stop = outlives.stop_token();
  }
  CHECK(stop.stop_requested());
  CHECK(outlives.body == "orphan");
  CHECK(outlives.id().number == 1);
  CHECK_FALSE(outlives.renew());
  outlives.done();
  REQUIRE(source.hear_until([&] { return source.has_left(); }));
  CHECK(source.ends().at(1) == "failed its worker was closed");
}

TEST_CASE("a worker's endpoints are free when it is gone, though a task outlives it") {
  context owner;
  task outlives;
  const std::string where = fresh("inproc");
  {
    auto options = quiet();
    options.linger = 0ms;
    worker short_lived{owner, options};
    short_lived.bind(where);
    hand_source source{owner, false, where};
    REQUIRE(source.hear_worker());
    source.send_tasks(1);
    outlives = short_lived.receive();
  }
  worker next{owner, quiet()};
  CHECK(await([&] {  // libzmq takes a moment
    try {
      next.bind(where);
      return true;
    } catch (const error&) {
      return false;
    }
  }));
}

TEST_CASE("the end of the context ends a worker's waits") {
  worker_at_work at;
  std::thread waits{[&] { CHECK_THROWS_AS(at.here.receive(), closed); }};
  at.owner.shutdown();
  waits.join();
}

TEST_CASE("a lease that ends asks the handler to stop, and its answer is late") {
  auto options = quiet();
  options.lease = 20ms;
  worker_at_work at{options};
  at.there->send_tasks(1);
  task slow = at.here.receive();
  const auto stop = slow.stop_token();
  REQUIRE(at.there->hear_ends(1));
  CHECK(at.there->ends().at(1) == "failed its lease ended");
  CHECK(await([&] { return stop.stop_requested(); }));
  slow.done();
  CHECK(at.here.statistics().late == 1);
  CHECK(at.here.statistics().failed == 1);
}

TEST_CASE("a cancelled task is asked to stop") {
  worker_at_work at;
  at.there->send_tasks(1);
  task begun = at.here.receive();
  const auto stop = begun.stop_token();
  at.there->cancel(1);
  CHECK(await([&] { return stop.stop_requested(); }));
  begun.done();
  CHECK(at.here.statistics().done == 1);
}

TEST_CASE("a task comes with its attempt and its key") {
  worker_at_work at;
  task_entry words;
  words.attempt = 3;
  words.text = "customer 5";
  at.there->send_task(words);
  task got = at.here.receive();
  CHECK(got.attempt() == 3);
  CHECK(got.key() == "customer 5");
  got.done();
}

TEST_CASE("many tasks are done on several threads, each once") {
  const std::string transport = GENERATE(as<std::string>{}, "pipe", "tcp");
  CAPTURE(transport);
  worker_at_work at{quiet(), transport};
  std::atomic<std::size_t> calls = 0;
  std::vector<std::thread> running;
  for (int count = 0; count < 3; ++count) {
    running.emplace_back([&] { at.here.run([&](const frame&) { ++calls; }); });
  }
  CHECK(at.there->deal(20'000));
  CHECK(calls == 20'000);
  at.here.close();
  for (std::thread& each : running) {
    each.join();
  }
  const worker_statistics is = at.here.statistics();
  CHECK(is.done == 20'000);
  CHECK(is.received == 20'000);
  CHECK((is.waiting == 0 && is.working == 0 && is.late == 0 && is.nonsense == 0));
}

TEST_CASE("while a handler hangs or throws, other threads do the rest of its run, each task once") {
  constexpr std::uint64_t count = 200;
  worker_at_work at;
  std::promise<void> goes_on;
  auto may_go_on = goes_on.get_future().share();
  std::atomic<int> hanging = 0;
  std::vector<std::thread> threads;
  for (int which = 0; which < 3; ++which) {
    threads.emplace_back([&] {
      at.here.run([&](const task& next) {
        const std::uint64_t number = next.id().number;
        if (number == 70 || number == 71) {
          ++hanging;
          may_go_on.wait();
        } else if (number % 50 == 0) {
          throw std::runtime_error{"not this one"};
        }
      });
    });
  }
  REQUIRE(at.there->deal(30));  // it learns that tasks are short
  for (std::uint64_t sent = 30; sent < count; sent += 34) {
    at.there->send_run(34);
  }
  CHECK(at.there->hear_ends(count - 2));
  CHECK(hanging == 2);
  CHECK(at.there->ends().count(70) == 0);
  CHECK(at.here.statistics().waiting == 0);
  CHECK(at.here.statistics().working == 2);
  goes_on.set_value();
  REQUIRE(at.there->hear_ends(count));
  for (const auto& [ticket, how] : at.there->ends()) {
    CHECK(how == (ticket % 50 == 0 ? "failed not this one" : "done "));
  }
  CHECK(at.here.statistics().late == 0);
  at.here.close();
  for (std::thread& each : threads) {
    each.join();
  }
}

TEST_CASE("tasks of a run are answered in all ways, and may outlive their worker") {
  std::optional<worker_at_work> at{std::in_place};
  const auto receive = [&] { return at->here.receive(); };
  at->there->send_tasks(20);
  for (int count = 0; count < 20; ++count) {
    receive().done();  // it learns that tasks are short
  }
  at->there->send_run(10);
  std::vector<task> kept;
  while (kept.size() < 8) {
    kept.push_back(receive());
    CHECK(kept.back().body == "body");
    CHECK(kept.back().id() == task_id{7, 20 + kept.size()});
    CHECK(kept.back().attempt() == 1);
    CHECK(kept.back().key().empty());
  }
  kept[0].done();
  kept[0].fail("too late");
  CHECK(kept[0].id() == task_id{7, 21});
  CHECK(kept[0].attempt() == 1);
  CHECK_FALSE(kept[0].renew());
  kept[1].fail("why");
  kept[2].done(std::string{"result"});
  kept[3].reject("never");
  kept[4].give_back();
  kept[5] = task{};
  CHECK(kept[6].stop_token().stop_possible());
  CHECK(kept[6].renew());
  kept[6].done();
  REQUIRE(at->there->hear_ends(27));
  const auto& ends = at->there->ends();
  CHECK(ends.at(21) == "done ");
  CHECK(ends.at(22) == "failed why");
  CHECK(ends.at(23) == "done result");
  CHECK(ends.at(24) == "rejected never");
  CHECK(ends.at(25) == "given_back ");
  CHECK(ends.at(26) == "failed it was let go without an answer");
  CHECK(ends.at(27) == "done ");
  CHECK(at->here.statistics().late == 0);
  CHECK(at->here.statistics().waiting == 2);
  CHECK(at->here.statistics().working == 1);
  SECTION("and be answered before") {
    kept[7].done();
    CHECK(at->here.statistics().working == 0);
    REQUIRE(at->there->hear_ends(28));
  }
  SECTION("and never be answered") {}
  at.reset();
  kept[7].done();
}

TEST_CASE("a worker serves several sources") {
  context owner;
  worker here{owner, quiet()};
  const endpoint where = here.bind(fresh("inproc"));
  hand_source first{owner, false, where};
  hand_source second{owner, true, fresh("inproc")};
  here.connect(second.where());
  std::thread running{[&] { here.run([](const frame& body) { return body; }); }};
  REQUIRE((first.hear_worker() && second.hear_worker()));
  CHECK(first.deal(100));
  CHECK(second.deal(100));
  CHECK(here.statistics().sources == 2);
  here.close();
  running.join();
}

TEST_CASE("plain PUSH sockets give tasks that nobody hears of") {
  const std::string transport = GENERATE(as<std::string>{}, "pipe", "inproc", "tcp");
  const bool worker_binds = GENERATE(true, false);
  CAPTURE(transport, worker_binds);
  context owner;
  auto options = quiet();
  options.credit = 10;  // more come at once
  worker here{owner, options};
  parley::socket plain{owner, socket_kind::push};
  if (worker_binds) {
    plain.connect(here.bind_plain(fresh(transport)));
  } else {
    here.connect_plain(plain.bind(fresh(transport)));
  }
  for (int count = 0; count < 500; ++count) {
    plain.send(message{std::to_string(count)});
  }
  for (int count = 0; count < 500; ++count) {
    auto got = here.receive_for(patience);
    REQUIRE(got);
    CHECK(got->body.str() == std::to_string(count));
    CHECK(got->id().source == 0);
    CHECK(here.statistics().waiting <= 10 + 64);
    got->done();
  }
  CHECK(here.statistics().done == 500);
}

TEST_CASE("what a plain PUSH socket sent before it went is received") {
  context owner;
  for (int round = 0; round < 50; ++round) {
    worker here{owner, quiet()};
    {
      parley::socket plain{owner, socket_kind::push};
      here.connect_plain(plain.bind(fresh("tcp")));
      for (int count = 0; count < 3; ++count) {
        plain.send(message{"task"});
      }
    }
    for (int count = 0; count < 3; ++count) {
      auto got = here.receive_for(patience);
      REQUIRE(got);
      got->done();
    }
  }
}

TEST_CASE("with once a task that was done is not done again, by any worker that shares the file") {
  const support::temporary_directory place;
  auto options = quiet();
  options.once = place.path() / "done.db";
  std::atomic<int> calls = 0;
  {
    worker_at_work at{options};
    std::thread running{[&] {
      at.here.run([&](const frame& body) {
        ++calls;
        return body;
      });
    }};
    CHECK(at.there->deal(1));
    CHECK(at.there->ends().at(1) == "done body");
    at.there->send_again(1);
    CHECK(at.there->hear_ends(2));
    CHECK(at.there->ends().at(2) == "done ");
    CHECK(at.here.statistics().repeated == 1);
    at.here.close();
    running.join();
    CHECK(calls == 1);
  }
  worker_at_work other{options};
  other.there->send_again(1);
  CHECK_FALSE(other.here.receive_for(1ms));
  CHECK(await([&] { return other.here.try_receive() || other.here.statistics().repeated == 1; }));
  CHECK(other.here.statistics().repeated == 1);
}

TEST_CASE("with once a task that failed is done again") {
  const support::temporary_directory place;
  auto options = quiet();
  options.once = place.path() / "done.db";
  worker_at_work at{options};
  at.there->send_tasks(1);
  at.here.receive().fail("not now");
  REQUIRE(at.there->hear_ends(1));
  at.there->send_again(1);
  auto again = at.here.receive_for(patience);
  REQUIRE(again);
  std::thread elsewhere{[&] { again->done(std::string{"by hand"}); }};
  elsewhere.join();
  again->fail("too late");
  REQUIRE(at.there->hear_ends(2));
  CHECK(at.there->ends().at(2) == "done by hand");
  at.there->send_again(1);
  CHECK_FALSE(at.here.receive_for(1ms));
  CHECK(await([&] { return at.here.try_receive() || at.here.statistics().repeated == 1; }));
}

TEST_CASE("with once many tasks are done on several threads, each once") {
  const support::temporary_directory place;
  auto options = quiet();
  options.once = place.path() / "done.db";
  worker_at_work at{options};
  std::atomic<std::size_t> calls = 0;
  std::vector<std::thread> running;
  for (int count = 0; count < 3; ++count) {
    running.emplace_back([&] { at.here.run([&](const frame&) { ++calls; }); });
  }
  CHECK(at.there->deal(2000));
  at.here.close();
  for (std::thread& each : running) {
    each.join();
  }
  CHECK(calls == 2000);
  CHECK(at.here.statistics().done == 2000);
}

namespace {

// What handlers do besides, in the file of once.
void write_effect(done_transaction& together, const std::string& effect) {
  together.file().execute("CREATE TABLE IF NOT EXISTS effect (text TEXT)");
  together.file().prepare("INSERT INTO effect VALUES (?)").run(effect);
}

std::vector<std::string> effects_in(const std::filesystem::path& file) {
  database looked_at{file, database::access::write};
  looked_at.execute("CREATE TABLE IF NOT EXISTS effect (text TEXT)");
  std::vector<std::string> all;
  auto select = looked_at.prepare("SELECT text FROM effect ORDER BY rowid");
  auto row = select.query();
  while (row.next()) {
    all.emplace_back(row.bytes(0));
  }
  return all;
}

using words = std::vector<std::string>;

}  // namespace

TEST_CASE("what a handler writes together with its note is there, or gone when it throws") {
  const support::temporary_directory place;
  auto options = quiet();
  options.once = place.path() / "done.db";
  worker_at_work at{options};
  std::thread running{[&] {
    at.here.run([](const task& next, done_transaction& together) {
      write_effect(together, next.body.str());
      if (next.id().number == 1 && next.body == "body") {
        throw std::runtime_error{"not yet"};
      }
      return next.id().number;
    });
  }};
  CHECK(at.there->deal(2));
  CHECK(at.there->ends().at(1) == "failed not yet");
  CHECK(at.there->ends().at(2) == "done \x02");
  CHECK(effects_in(options.once) == words{"body"});
  at.there->send_again(1);
  at.there->send_again(2);
  CHECK(at.there->hear_ends(4));
  CHECK(at.there->ends().at(3) == "done \x01");
  CHECK(at.there->ends().at(4) == "done ");
  CHECK(effects_in(options.once) == words{"body", "again"});
  CHECK(at.here.statistics().repeated == 1);
  at.here.close();
  running.join();
}

TEST_CASE("a handler that writes nothing is done once all the same") {
  const support::temporary_directory place;
  auto options = quiet();
  options.once = place.path() / "done.db";
  worker_at_work at{options};
  std::atomic<int> calls = 0;
  std::thread running{[&] { at.here.run([&](const frame&, done_transaction&) { ++calls; }); }};
  CHECK(at.there->deal(1));
  at.there->send_again(1);
  CHECK(at.there->hear_ends(2));
  CHECK(calls == 1);
  at.here.close();
  running.join();
}

TEST_CASE("of two workers that do the same task at once, one has its effects written") {
  const support::temporary_directory place;
  auto options = quiet();
  options.once = place.path() / "done.db";
  worker_at_work slow{options};
  worker_at_work quick{options};
  std::atomic<bool> has_begun = false;
  std::atomic<bool> may_write = false;
  const bool catches = GENERATE(false, true);
  std::thread first{[&] {
    slow.here.run([&](const frame&, done_transaction& together) {
      has_begun = true;
      static_cast<void>(await([&] { return may_write.load(); }));
      try {
        write_effect(together, "slow");
      } catch (const std::exception&) {
        if (!catches) {
          throw;
        }
      }
    });
  }};
  std::thread second{[&] {
    quick.here.run(
        [](const frame&, done_transaction& together) { write_effect(together, "quick"); });
  }};
  slow.there->send_tasks(1);
  REQUIRE(await([&] { return has_begun.load(); }));
  CHECK(quick.there->deal(1));
  may_write = true;
  CHECK(slow.there->hear_ends(1));
  CHECK(slow.there->ends().at(1) == "done ");
  CHECK(slow.here.statistics().repeated == 1);
  CHECK(effects_in(options.once) == words{"quick"});
  slow.here.close();
  quick.here.close();
  first.join();
  second.join();
}

TEST_CASE("handlers of several threads and workers write their effects, each once") {
  const support::temporary_directory place;
  auto options = quiet();
  options.once = place.path() / "done.db";
  worker_at_work one{options};
  worker_at_work other{options};
  const auto handle = [](const task& next, done_transaction& together) {
    write_effect(together, std::to_string(next.id().number));
  };
  std::vector<std::thread> running;
  for (worker* const each : {&one.here, &one.here, &other.here, &other.here}) {
    running.emplace_back([&handle, each] { each->run(handle); });
  }
  CHECK(one.there->deal(200));
  CHECK(other.there->deal(300));  // of the same source
  one.here.close();
  other.here.close();
  for (std::thread& each : running) {
    each.join();
  }
  CHECK(effects_in(options.once).size() == 300);
  CHECK(other.here.statistics().repeated == 200);
}

TEST_CASE("a plain task has effects, but can come again") {
  const support::temporary_directory place;
  context owner;
  auto options = quiet();
  options.once = place.path() / "done.db";
  worker here{owner, options};
  parley::socket plain{owner, socket_kind::push};
  plain.connect(here.bind_plain(fresh("inproc")));
  std::thread running{[&] {
    here.run(
        [](const frame& body, done_transaction& together) { write_effect(together, body.str()); });
  }};
  plain.send(message{"same"});
  plain.send(message{"same"});
  CHECK(await([&] { return here.statistics().done == 2; }));
  CHECK(effects_in(options.once) == words{"same", "same"});
  here.close();
  running.join();
}

TEST_CASE("effects cannot be written together with notes that nobody keeps") {
  context owner;
  worker here{owner, quiet()};
  CHECK_THROWS_AS(here.run([](const frame&, done_transaction&) {}), config_error);
}

TEST_CASE("a file for once that is none is refused") {
  context owner;
  auto options = quiet();
  options.once = "/dev/null/done.db";
  CHECK_THROWS_AS((worker{owner, options}), error);
}

TEST_CASE("options that make no sense are refused") {
  context owner;
  worker_options options;
  SECTION("no credit") { options.credit = 0; }
  SECTION("more credit than can be told") { options.credit = std::size_t{1} << 32; }
  SECTION("no bytes") { options.credit_bytes = 0; }
  SECTION("a name that is too long") { options.name = std::string(65'536, 'n'); }
  SECTION("a lease in the past") { options.lease = -1ms; }
  SECTION("a linger in the past") { options.linger = -1ms; }
  SECTION("no time for heartbeats") { options.heartbeat_timeout = 0ms; }
  SECTION("nothing remembered") { options.once_limit = 0; }
  CHECK_THROWS_AS((worker{owner, options}), config_error);
}

TEST_CASE("in a forked process a worker cannot be used, and its tasks do nothing") {
  worker_at_work at;
  at.there->send_tasks(1);
  task mine = at.here.receive();
  const pid_t child = ::fork();
  if (child == 0) {
    int failures = 0;
    try {
      static_cast<void>(at.here.statistics());
      ++failures;
    } catch (const error&) {
    }
    mine.done();
    failures += mine.renew() ? 1 : 0;
    mine = task{};
    at.here.close();
    ::_exit(failures);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  mine.done();
  CHECK(at.there->hear_ends(1));
  CHECK(at.there->ends().at(1) == "done ");
}

TEST_CASE("each kind of end has a name") {
  CHECK(to_string(task_end::done) == "done");
  CHECK(to_string(task_end::failed) == "failed");
  CHECK(to_string(task_end::expired) == "expired");
  CHECK(to_string(task_end::dropped) == "dropped");
  CHECK(to_string(task_end::unfinished) == "unfinished");
}
