// SPDX-License-Identifier: MPL-2.0
//
// Runs of short tasks, which threads take and answer without the tray's lock.
#include "tray_at_work.hpp"

#include <chrono>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using kind = task_entry::kind;
using ending = task_entry::ending;

namespace {

// One that has a run of which the first two tasks were taken.
struct serving : tray_at_work {
  explicit serving(const worker_options& chosen = with_credit(100)) : tray_at_work{chosen} {
    join();
    learn();
    first_ticket = send_run(4);
    one = serve();
    other = serve();
    REQUIRE(one.run != nullptr);
    REQUIRE(other.run != nullptr);
  }
  [[nodiscard]] std::string ticket(task_ticket index) const {
    return std::to_string(first_ticket + index);
  }

  task_ticket first_ticket = 0;
  served_task one;
  served_task other;
};

// Until its tasks need no more; as many wait for it then.
void have_much_credit(serving& at) {
  for (int round = 0; round < 60; ++round) {
    for (served_task next = at.serve(); next.run != nullptr; next = at.serve()) {
      at.now += 10us;
      CHECK(at.done(next));
    }
    static_cast<void>(at.said());
    for (std::size_t sent = 0; sent < at.credit[1]; sent += 64) {
      at.send_run(64);
    }
  }
}

}  // namespace

TEST_CASE("runs are served once tasks are known to be short") {
  tray_at_work at{with_credit(100)};
  at.join();
  at.send_run(2);
  CHECK(at.serve().run == nullptr);
  held_task* const first = at.take();
  held_task* const second = at.take();
  at.now += 5us;
  at.done(*first);
  at.send_run(2);
  CHECK(at.serve().run != nullptr);
  at.now += 10ms;
  at.done(*second);  // long ones again
  at.tray.tick(at.now, at.stops);
  at.send_run(2);
  CHECK(at.serve().run == nullptr);
  CHECK(at.take() != nullptr);
}

TEST_CASE("what is alone, or wants something special, is not served") {
  tray_at_work at{with_credit(100)};
  at.join();
  at.learn();
  at.send_task();
  at.send_run(2);
  CHECK(at.serve().run == nullptr);
  CHECK(at.take() != nullptr);
  CHECK(at.serve().run != nullptr);
}

TEST_CASE("served tasks are answered together when nothing is left of their run") {
  serving at;
  const served_task third = at.serve();
  const served_task last = at.serve();
  for (const served_task& each : {third, at.one, last, at.other}) {
    CHECK(at.done(each));
  }
  CHECK(at.said().empty());
  CHECK(at.books().done == 5);
  CHECK(at.serve().run == nullptr);
  CHECK(at.said() == "done(" + at.ticket(0) + "-" + at.ticket(3) + ")");
}

TEST_CASE("served tasks are answered after a millisecond, though some of the run are left") {
  serving at;
  CHECK(at.done(at.other));
  at.pass(1ms);
  CHECK(at.said().find("done(" + at.ticket(1) + ")") == 0);
  CHECK(at.books().waiting == 2);
  CHECK(at.books().working == 1);
}

TEST_CASE("while a handler takes long, what is left of its run is there for others") {
  serving at;
  at.pass(4s);
  std::vector<std::string> bodies;
  for (int count = 0; count < 2; ++count) {
    const served_task next = at.serve();
    held_task* const held = next.run == nullptr ? at.take() : nullptr;
    REQUIRE((held != nullptr || next.run != nullptr));
    bodies.push_back(held != nullptr ? held->body.str() : std::string{next.run->body(next.place)});
  }
  CHECK(bodies == std::vector{at.ticket(2), at.ticket(3)});
}

TEST_CASE("a source is told of a served task that has been worked on for long, once") {
  serving at;
  CHECK(at.done(at.one));
  at.pass(1ms);
  static_cast<void>(at.said());
  at.pass(11ms);
  CHECK(at.said() == "begun(" + at.ticket(1) + ")");
  CHECK_FALSE(at.done(at.other));
  at.pass(1ms);
  CHECK(at.said().find("done(" + at.ticket(1) + ")") != std::string::npos);
}

TEST_CASE("the lease of a served task ends, and its answer is late") {
  worker_options options = with_credit(100);
  options.lease = 30ms;
  serving at{options};
  CHECK(at.done(at.one));
  at.pass(32ms);
  CHECK(at.said().find("failed(" + at.ticket(1) + ",its lease ended)") != std::string::npos);
  CHECK(at.books().failed == 1);
  held_task& late = at.claim(at.other);
  CHECK_FALSE(at.done(late));
  CHECK(at.tray.stop_token(late).stop_requested());
  CHECK(at.books().late == 1);
}

TEST_CASE("a served task may fail, have a result, a stop token and another lease") {
  serving at;
  held_task& failing = at.claim(at.one);
  CHECK(failing.id == task_id{7, at.first_ticket});
  CHECK(failing.attempt == 1);
  CHECK(at.end(failing, ending::failed, "why"));
  CHECK(at.said() == "failed(" + at.ticket(0) + ",why)");
  held_task& other = at.claim(at.other);
  CHECK(at.tray.stop_token(other).stop_possible());
  CHECK(at.tray.renew(other, at.now));
  CHECK(at.said() == "begun(" + at.ticket(1) + ")");
  CHECK(at.done(other, frame{"result"}));
  at.pass(1ms);
  CHECK(at.said().find("done(" + at.ticket(1) + "=result)") == 0);
  CHECK(at.books().waiting == 2);
}

TEST_CASE("a worker that closes gives back what nobody has taken of a served run") {
  serving at;
  CHECK(at.done(at.one));
  at.tray.close(at.now);
  CHECK(at.serve().run == nullptr);
  const std::string said = at.said();
  CHECK(said.find("done(" + at.ticket(0) + ")") != std::string::npos);
  CHECK(said.find("given_back(" + at.ticket(1)) == std::string::npos);
  CHECK(said.find("given_back(" + at.ticket(2) + ")") != std::string::npos);
  CHECK(said.find("given_back(" + at.ticket(3) + ")") != std::string::npos);
  CHECK(at.books().working == 1);
  held_task& still = at.claim(at.other);
  CHECK(at.tray.stop_token(still).stop_requested());
  CHECK(at.done(still));
  CHECK(at.said() == "done(" + at.ticket(1) + ")");
}

TEST_CASE("a served task that is cancelled is dropped, asked to stop, or done already") {
  serving at;
  CHECK(at.done(at.one));
  task_writer out;
  for (task_ticket index = 0; index < 3; ++index) {
    out.add(make_entry(kind::cancel, at.first_ticket + index));
  }
  at.hear(message{out.take()});
  CHECK(at.books().waiting == 1);
  held_task& stopping = at.claim(at.other);
  CHECK(at.tray.stop_token(stopping).stop_requested());
  CHECK(at.done(stopping));
  CHECK(at.take()->body == at.ticket(3));
  at.pass(1ms);
  CHECK(at.said().find("done(" + at.ticket(0) + ")") == 0);
}

TEST_CASE("what is served of a source that is lost is nobody's") {
  serving at;
  at.tray.lost(1, at.now);
  at.check_books();
  CHECK(at.serve().run == nullptr);
  CHECK(at.take() == nullptr);
  CHECK_FALSE(at.done(at.one));
  CHECK(at.books().given_back == 2);
  CHECK(at.books().working == 1);
  at.join();
  at.send_run(3);
  CHECK(at.done(at.serve()));
  CHECK_FALSE(at.done(at.other));
  at.pass(1ms);
  CHECK(at.said().find("done(" + at.ticket(4) + ")") != std::string::npos);
}

TEST_CASE("a silent source gets back what nobody has taken of its served run") {
  serving at;
  at.pass(at.options.heartbeat_timeout + 1s);
  const std::string said = at.said();
  CHECK(said.find("given_back(" + at.ticket(2) + ")") != std::string::npos);
  CHECK(said.find("given_back(" + at.ticket(3) + ")") != std::string::npos);
  CHECK(at.books().waiting == 0);
  CHECK(at.books().working == 2);
}

TEST_CASE("what still works of a served run has failed when its worker leaves") {
  serving at;
  CHECK(at.done(at.other));
  at.tray.close(at.now);
  at.tray.leave(at.now);
  CHECK(at.said().find("failed(" + at.ticket(0) + ",its worker was closed)") != std::string::npos);
  CHECK_FALSE(at.done(at.one));
  CHECK(at.books().late == 1);
}

TEST_CASE("served tasks wait no longer than a millisecond for their answer, however few they are") {
  serving at{with_credit(1000)};
  have_much_credit(at);
  at.pass(1ms);
  static_cast<void>(at.said());
  const served_task last = at.serve();
  CHECK(at.said().empty());
  CHECK(at.done(last));
  at.pass(1ms);
  CHECK(at.said().find("done(" + std::to_string(last.run->ticket(last.place)) + ")") == 0);
}

TEST_CASE("threads have nothing to do from when all that was served is called in") {
  serving at{with_credit(100'000)};
  have_much_credit(at);
  const std::size_t before = at.credit[1];
  at.tray.idle(1, at.now);
  for (served_task next = at.serve(); next.run != nullptr; next = at.serve()) {
    at.now += 10us;
    CHECK(at.done(next));
    if (at.books().waiting == 0) {
      break;
    }
  }
  at.say(make_entry(kind::cancel, 1));  // calls in
  at.pass(5ms);
  static_cast<void>(at.said());
  CHECK(at.credit[1] >= 2 * before);
}

TEST_CASE("credit grows by what served tasks take") {
  serving at{with_credit(1000)};
  have_much_credit(at);
  CHECK(at.credit[1] == 1000);
}
