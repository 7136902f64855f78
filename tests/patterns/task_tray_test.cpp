// SPDX-License-Identifier: MPL-2.0
#include "tray_at_work.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using kind = task_entry::kind;
using ending = task_entry::ending;

// Who is who.

TEST_CASE("a worker says first who it is where it connected") {
  worker_options options;
  options.name = "left";
  tray_at_work at{options};
  at.tray.opened(1, at.now);
  CHECK(at.tray.should_send());
  CHECK(at.said() == "worker(99,left,1)");
  at.greet();
  CHECK(at.said().empty());
  CHECK(at.books().sources == 1);
}

TEST_CASE("a worker answers a source that connected to it") {
  tray_at_work at;
  CHECK(at.said().empty());
  at.greet(5);
  CHECK(at.tray.should_send());
  CHECK(at.said(5) == "worker(99,,1)");
}

TEST_CASE("credit begins with one for each thread that waits") {
  tray_at_work at;
  at.tray.idle(3, at.now);
  at.greet();
  CHECK(at.said() == "worker(99,,3)");
}

TEST_CASE("a source that says again who it is has forgotten us") {
  tray_at_work at;
  at.join();
  at.send_task();
  at.send_task();
  held_task& begun = *at.take();
  const auto token = at.tray.stop_token(begun);
  at.greet();
  CHECK(at.said() == "worker(99,,1)");
  CHECK(at.books().given_back == 1);
  CHECK(at.books().waiting == 0);
  at.pass(0us);
  CHECK(at.stops.size() == 1);
  CHECK(at.done(begun));
  CHECK(at.said().empty());
}

// Tasks.

TEST_CASE("a task is taken as its source sent it, in its order") {
  tray_at_work at;
  at.join();
  task_entry words = make_entry(kind::task, 11);
  words.id = 5;
  words.attempt = 3;
  words.text = "key";
  words.body = "first";
  at.say(words);
  at.send_task("second");
  CHECK(at.books().waiting == 2);
  held_task& first = *at.take();
  CHECK(first.id == task_id{7, 5});
  CHECK(first.attempt == 3);
  CHECK(first.key == "key");
  CHECK(first.body == "first");
  CHECK(at.take()->body == "second");
  CHECK(at.take() == nullptr);
  CHECK(at.books().working == 2);
}

TEST_CASE("a large body comes in a frame of its own, and so does a large result") {
  tray_at_work at;
  at.join();
  task_writer out;
  task_entry words = make_entry(kind::task, 11);
  words.body_follows = true;
  out.add(words);
  words.ticket = 12;
  out.add(words);
  at.hear(message{out.take(), frame{std::string(5000, 'a')}, frame{std::string(6000, 'b')}});
  held_task& first = *at.take();
  CHECK(first.body.size() == 5000);
  held_task& second = *at.take();
  CHECK(second.body.size() == 6000);
  at.done(first, frame{"small"});
  at.done(second, frame{std::string(3000, 'c')});
  CHECK(at.said() == "done(11=small) done(12,3000)");
}

TEST_CASE("an object that was released is used again, as new") {
  tray_at_work at;
  at.join();
  task_entry words = make_entry(kind::task, 1);
  words.attempt = 4;
  words.text = "key";
  words.time_left = 1'000'000;
  at.say(words);
  held_task* const first = at.take();
  static_cast<void>(at.tray.stop_token(*first));
  at.done(*first);
  at.tray.release(*first);
  at.taken.clear();
  at.send_task("other");
  held_task* const second = at.take();
  CHECK(second == first);
  CHECK(second->attempt == 1);
  CHECK(second->key.empty());
  CHECK(second->body == "other");
  CHECK_FALSE(second->stop.stop_possible());
  CHECK_FALSE(second->is_answered);
}

TEST_CASE("tasks of a run are taken one by one, and answered together") {
  tray_at_work at{with_credit(100)};
  at.join();
  at.send_run(3);
  CHECK(at.tray.waiting() == 3);
  for (task_ticket each = 1; each <= 3; ++each) {
    held_task* const got = at.take();
    REQUIRE(got != nullptr);
    CHECK(got->ticket == each);
    CHECK(got->id == task_id{7, each});
    CHECK(got->attempt == 1);
    CHECK(got->body == std::to_string(each));
  }
  CHECK(at.take() == nullptr);
  for (held_task* each : at.taken) {
    CHECK(at.done(*each));
  }
  CHECK(at.tray.statistics().done == 3);
  at.pass(1ms);
  const std::string said = at.said();
  CHECK(said.find("done(1-3)") != std::string::npos);
}

TEST_CASE("of a run that is cut short, the rest is nonsense, and not answered") {
  tray_at_work at{with_credit(100)};
  at.join();
  task_entry words = make_entry(kind::task, 1);
  words.id = 1;
  words.count = 2;
  words.body = std::string_view{"\0\0\0\1a\0\0\0\2b", 10};
  at.say(words);
  at.send_task("next");
  held_task* const first = at.take();
  REQUIRE(first != nullptr);
  CHECK(first->body == "a");
  held_task* const next = at.take();
  REQUIRE(next != nullptr);
  CHECK(next->body == "next");
  CHECK(at.take() == nullptr);
  CHECK(at.tray.statistics().nonsense == 1);
  CHECK(at.tray.statistics().given_back == 1);
  at.done(*first);
  CHECK(at.said() == "done(1)");
}

TEST_CASE("of a run those that are cancelled are left out") {
  tray_at_work at{with_credit(100)};
  at.join();
  at.send_run(5);
  CHECK(at.take()->body == "1");
  task_writer out;
  for (const task_ticket each : {2, 4}) {
    out.add(make_entry(kind::cancel, each));
  }
  at.hear(message{out.take()});
  CHECK(at.tray.waiting() == 2);
  CHECK(at.take()->body == "3");
  CHECK(at.take()->body == "5");
  CHECK(at.take() == nullptr);
  CHECK(at.tray.statistics().given_back == 2);
}

TEST_CASE("a run that is more than a source may send is ignored as a whole") {
  tray_at_work at{with_credit(2)};
  at.join();
  at.send_run(3);
  CHECK(at.tray.waiting() == 3);
  at.send_run(2);
  CHECK(at.tray.waiting() == 3);
  CHECK(at.tray.statistics().nonsense == 1);
}

TEST_CASE(
    "what is left of a run goes back when the worker closes, and all of one that comes later") {
  tray_at_work at{with_credit(100)};
  at.join();
  at.send_run(3);
  CHECK(at.take() != nullptr);
  at.tray.close(at.now);
  at.send_run(2);
  CHECK(at.tray.statistics().given_back == 4);
  const std::string said = at.said();
  for (const char* each : {"given_back(2", "given_back(3", "given_back(4", "given_back(5"}) {
    CHECK(said.find(each) != std::string::npos);
  }
}

TEST_CASE("what is left of a lost source's run is nobody's") {
  tray_at_work at{with_credit(100)};
  at.join();
  at.send_run(3);
  held_task* const begun = at.take();
  at.tray.lost(1, at.now);
  CHECK(at.tray.waiting() == 0);
  CHECK(at.tray.statistics().given_back == 2);
  CHECK(at.done(*begun));
}

// Answers.

TEST_CASE("each answer reaches the source in its words") {
  tray_at_work at;
  at.join();
  for (int count = 0; count < 4; ++count) {
    at.send_task();
  }
  at.done(*at.take());
  at.end(*at.take(), ending::failed, "no luck");
  at.end(*at.take(), ending::rejected, "nonsense");
  at.end(*at.take(), ending::given_back);
  CHECK(at.said() == "done(1) failed(2,no luck) rejected(3,nonsense) given_back(4)");
  const worker_statistics is = at.books();
  CHECK((is.done == 1 && is.failed == 1 && is.rejected == 1 && is.given_back == 1));
  CHECK(is.received == 4);
}

TEST_CASE("only the first answer counts") {
  tray_at_work at;
  at.join();
  at.send_task();
  held_task& only = *at.take();
  CHECK(at.done(only));
  CHECK_FALSE(at.done(only));
  CHECK_FALSE(at.end(only, ending::failed, "too late"));
  CHECK_FALSE(at.tray.renew(only, at.now));
  CHECK(at.said() == "done(1)");
  CHECK(at.books().late == 2);
}

TEST_CASE("a task that was done before is answered done, and counted as repeated") {
  tray_at_work at;
  at.join();
  at.send_task();
  at.tray.repeat(*at.take(), at.now);
  at.check_books();
  CHECK(at.said() == "done(1)");
  CHECK(at.books().repeated == 1);
  CHECK(at.books().done == 0);
}

TEST_CASE("the words of a failure are cut where they are too many") {
  tray_at_work at;
  at.join();
  at.send_task();
  at.end(*at.take(), ending::failed, std::string(100'000, 'w'));
  CHECK(at.said() == "failed(1," + std::string(4096, 'w') + ")");
}

TEST_CASE("answers leave when nothing waits any more") {
  tray_at_work at{with_credit(100)};
  at.tray.idle(100, at.now);
  at.join();
  for (int count = 0; count < 3; ++count) {
    at.send_task();
  }
  at.tray.begin_sending();
  at.done(*at.take());
  CHECK_FALSE(at.tray.should_send());
  at.done(*at.take());
  CHECK_FALSE(at.tray.should_send());
  at.done(*at.take());
  CHECK(at.tray.should_send());
  CHECK(at.said() == "done(1-3)");
  CHECK_FALSE(at.tray.should_send());
  CHECK_FALSE(at.tray.owes());
}

TEST_CASE("answers leave when half of the credit is answered") {
  tray_at_work at{with_credit(10)};
  at.tray.idle(10, at.now);
  at.join();
  for (int count = 0; count < 10; ++count) {
    at.send_task();
  }
  at.tray.begin_sending();
  for (int count = 0; count < 4; ++count) {
    at.done(*at.take());
    CHECK_FALSE(at.tray.should_send());
  }
  at.done(*at.take());
  CHECK(at.tray.should_send());
}

TEST_CASE("answers leave after a millisecond, by the clock or by the next answer") {
  tray_at_work at{with_credit(100)};
  at.tray.idle(100, at.now);
  at.join();
  for (int count = 0; count < 10; ++count) {
    at.send_task();
  }
  at.tray.begin_sending();
  at.done(*at.take());
  CHECK(at.tray.next_tick() == at.now + 1ms);
  at.pass(1ms);
  CHECK(at.tray.should_send());
  CHECK(at.said() == "done(1)");
  at.done(*at.take());
  at.now += 1ms;
  at.done(*at.take());
  CHECK(at.tray.should_send());
  CHECK(at.said() == "done(2-3)");
}

TEST_CASE("a failure leaves at once") {
  tray_at_work at{with_credit(100)};
  at.tray.idle(100, at.now);
  at.join();
  for (int count = 0; count < 10; ++count) {
    at.send_task();
  }
  at.tray.begin_sending();
  at.end(*at.take(), ending::failed, "why");
  CHECK(at.tray.should_send());
  CHECK(at.said() == "failed(1,why)");
}

TEST_CASE("each source gets the answers to its own tasks") {
  tray_at_work at;
  at.join(1);
  at.join(2);
  at.send_task("", 1);
  at.send_task("", 2);
  at.done(*at.take());
  at.done(*at.take());
  CHECK(at.said(2) == "done(2)");
  at.pass(1ms);
  CHECK(at.said(1) == "done(1)");
}

TEST_CASE("many answers go in several messages") {
  tray_at_work at{with_credit(20'000)};
  at.join();
  for (int count = 0; count < 10; ++count) {
    at.send_task();
    at.done(*at.take(), frame{std::string(20'000, 'r')});
  }
  std::size_t messages = 0;
  while (const auto outgoing = at.tray.next_message(1, at.now)) {
    CHECK(outgoing->bytes() < 64'000);
    ++messages;
  }
  CHECK(messages == 5);
}

// Time.

TEST_CASE("a source is told of a task that has been worked on for 10 ms, once") {
  tray_at_work at;
  at.join();
  at.send_task();
  held_task& only = *at.take();
  at.pass(9ms);
  CHECK(at.said().empty());
  at.pass(1ms);
  CHECK(at.said() == "begun(1)");
  at.pass(100ms);
  CHECK(at.said().empty());
  at.done(only);
  CHECK(at.said() == "done(1)");
}

TEST_CASE("a task whose lease ended has failed, is asked to stop, and its answer is late") {
  worker_options options;
  options.lease = 50ms;
  options.credit = 1;
  tray_at_work at{options};
  at.join();
  at.send_task();
  held_task& only = *at.take();
  const auto token = at.tray.stop_token(only);
  at.pass(49ms);
  CHECK(at.stops.empty());
  CHECK(at.said() == "begun(1)");
  at.pass(1ms);
  CHECK(at.said() == "failed(1,its lease ended)");
  REQUIRE(at.stops.size() == 1);
  at.stops.front().request_stop();
  CHECK(token.stop_requested());
  CHECK(at.books().failed == 1);
  CHECK_FALSE(at.done(only));
  CHECK(at.books().late == 1);
}

TEST_CASE("a lease shorter than 10 ms ends in time") {
  worker_options options;
  options.lease = 3ms;
  options.credit = 1;
  tray_at_work at{options};
  at.join();
  at.send_task();
  at.take();
  at.pass(3ms);
  CHECK(at.said() == "failed(1,its lease ended)");
}

TEST_CASE("who renews has another lease from then on, and tells that the task has begun") {
  worker_options options;
  options.lease = 50ms;
  options.credit = 2;
  tray_at_work at{options};
  at.tray.idle(2, at.now);
  at.join();
  at.send_task();
  at.send_task();
  held_task& first = *at.take();
  at.take();
  at.pass(5ms);
  CHECK(at.tray.renew(first, at.now));
  CHECK(at.said() == "begun(1)");
  at.pass(45ms);
  CHECK(at.said() == "begun(2) failed(2,its lease ended)");
  at.pass(4ms);
  CHECK(at.tray.renew(first, at.now));
  at.pass(49ms);
  CHECK(at.books().failed == 1);
  at.pass(1ms);
  CHECK(at.said() == "failed(1,its lease ended)");
}

TEST_CASE("without a lease a task may take however long") {
  worker_options options;
  options.lease = 0ms;
  options.heartbeat_timeout = 100h;
  tray_at_work at{options};
  at.join();
  at.send_task();
  held_task& only = *at.take();
  at.pass(1h);
  CHECK(at.tray.renew(only, at.now));
  CHECK(at.done(only));
}

TEST_CASE("a task whose deadline passes before it is begun has expired") {
  tray_at_work at;
  at.join();
  task_entry words = make_entry(kind::task, 1);
  words.time_left = 5000;
  at.say(words);
  words.ticket = 2;
  words.time_left = 9000;
  at.say(words);
  words.ticket = 3;
  at.say(words);
  at.now += 4ms;
  CHECK(at.take()->ticket == 1);
  at.pass(5ms);
  CHECK(at.said() == "expired(2) expired(3)");
  CHECK(at.take() == nullptr);
  CHECK(at.books().given_back == 2);
}

TEST_CASE("a deadline that nobody looked at in time counts when the task is to be taken") {
  tray_at_work at;
  at.join();
  task_entry words = make_entry(kind::task, 1);
  words.time_left = 5000;
  at.say(words);
  at.now += 5ms;
  CHECK(at.take() == nullptr);
  CHECK(at.said() == "expired(1)");
}

TEST_CASE("a beat is answered at once") {
  tray_at_work at;
  at.join();
  at.say(make_entry(kind::beat));
  CHECK(at.tray.should_send());
  CHECK(at.said() == "beat");
}

TEST_CASE("a silent source gets back what has not begun, and what has may end") {
  worker_options options;
  options.heartbeat_timeout = 100ms;
  tray_at_work at{options};
  at.join();
  at.send_task();
  at.send_task();
  held_task& begun = *at.take();
  const auto token = at.tray.stop_token(begun);
  at.pass(99ms);
  CHECK(at.books().sources == 1);
  static_cast<void>(at.said());
  at.pass(1ms);
  CHECK(at.books().sources == 0);
  CHECK(at.books().waiting == 0);
  CHECK(at.stops.empty());
  CHECK(at.said() == "given_back(2)");
  at.done(begun);
  CHECK(at.said() == "done(1)");
  at.say(make_entry(kind::beat));
  CHECK(at.books().sources == 1);
}

TEST_CASE("a source that beats is not given up") {
  worker_options options;
  options.heartbeat_timeout = 100ms;
  tray_at_work at{options};
  at.join();
  at.send_task();
  for (int count = 0; count < 10; ++count) {
    at.pass(90ms);
    at.say(make_entry(kind::beat));
  }
  CHECK(at.books().sources == 1);
  CHECK(at.books().waiting == 1);
}

// Losing.

TEST_CASE("tasks of a source that is lost are dropped if nobody has begun them") {
  tray_at_work at;
  at.join(1);
  at.join(2);
  at.send_task("a", 1);
  at.send_task("b", 2);
  at.send_task("c", 1);
  held_task& begun = *at.take();
  const auto token = at.tray.stop_token(begun);
  at.tray.lost(1, at.now);
  at.check_books();
  CHECK(at.books().given_back == 1);
  CHECK(at.books().sources == 1);
  at.pass(0us);
  CHECK(at.stops.size() == 1);
  CHECK(at.take()->body == "b");
  CHECK(at.take() == nullptr);
  CHECK(at.done(begun));  // nobody hears it
  CHECK(at.said(1).empty());
}

TEST_CASE("a stop token that is asked for after the reason to stop has stopped already") {
  tray_at_work at;
  at.join();
  at.send_task();
  held_task& begun = *at.take();
  at.tray.lost(1, at.now);
  CHECK(at.tray.stop_token(begun).stop_requested());
}

TEST_CASE("a link that is made again begins anew") {
  tray_at_work at;
  at.join();
  at.send_task();
  at.tray.opened(1, at.now);
  at.check_books();
  CHECK(at.books().given_back == 1);
  CHECK(at.said() == "worker(99,,1)");
  CHECK(at.books().sources == 0);
}

TEST_CASE("a cancelled task is dropped, or asked to stop, and is not answered") {
  tray_at_work at{with_credit(3)};
  at.tray.idle(3, at.now);
  at.join();
  at.send_task();
  at.send_task();
  at.send_task();
  held_task& begun = *at.take();
  const auto token = at.tray.stop_token(begun);
  task_writer out;
  out.add(make_entry(kind::cancel, 3));
  out.add(make_entry(kind::cancel, 1));
  out.add(make_entry(kind::cancel, 1000));
  at.hear(message{out.take()});
  CHECK(at.books().given_back == 1);
  at.pass(0us);
  CHECK(at.stops.size() == 1);
  CHECK(at.done(begun));
  CHECK(at.take()->ticket == 2);
  CHECK(at.take() == nullptr);
  at.pass(1ms);
  CHECK(at.said().empty());
}

TEST_CASE(
    "who closes gives back what has not begun, wants nothing more, and asks the rest to stop") {
  tray_at_work at;
  at.join();
  at.send_task();
  at.send_task();
  held_task& begun = *at.take();
  const auto token = at.tray.stop_token(begun);
  at.tray.close(at.now);
  at.check_books();
  CHECK(at.said() == "credit(0) given_back(2)");
  at.pass(0us);
  CHECK(at.stops.size() == 1);
  at.send_task();  // on the way while it closed
  CHECK(at.said() == "given_back(3)");
  CHECK(at.done(begun));
  CHECK(at.said() == "done(1)");
  CHECK_FALSE(at.tray.owes());
  at.tray.leave(at.now);
  CHECK(at.said() == "leave");
}

TEST_CASE("what still works when the worker leaves has failed") {
  tray_at_work at;
  at.join();
  at.send_task();
  held_task& begun = *at.take();
  at.tray.close(at.now);
  at.tray.leave(at.now);
  at.check_books();
  CHECK(at.said() == "credit(0) failed(1,its worker was closed) leave");
  CHECK_FALSE(at.done(begun));
  at.send_task();
  CHECK(at.said().empty());
  CHECK(at.books().received == 1);
}

// Credit.

TEST_CASE("credit grows to what is done in 20 ms") {
  tray_at_work at;
  at.tray.idle(1, at.now);
  at.join();
  for (int round = 0; round < 200; ++round) {
    while (at.books().waiting < at.credit[1]) {
      at.send_task();
    }
    at.tray.idle(0, at.now);
    while (held_task* const next = at.take()) {
      at.now += 100us;
      at.done(*next);
      at.tray.tick(at.now, at.stops);
    }
    at.tray.idle(1, at.now);
    static_cast<void>(at.said());
  }
  CHECK(at.credit[1] >= 150);
  CHECK(at.credit[1] <= 250);
}

TEST_CASE("credit grows beyond that when tasks are long on their way") {
  tray_at_work at;
  at.tray.idle(1, at.now);
  at.join();
  for (int round = 0; round < 20; ++round) {
    for (std::size_t count = at.credit[1]; count > 0; --count) {
      at.send_task();
    }
    at.tray.idle(0, at.now);
    while (held_task* const next = at.take()) {
      at.now += 10ms;
      at.done(*next);
    }
    at.tray.idle(1, at.now);
    static_cast<void>(at.said());
    at.now += 200ms;  // until the next ones come
  }
  CHECK(at.credit[1] >= 16);
  CHECK(at.credit[1] <= 1000);
}

TEST_CASE("credit stays at one for a thread whose tasks take long") {
  tray_at_work at;
  at.tray.idle(1, at.now);
  at.join();
  for (int round = 0; round < 20; ++round) {
    at.send_task();
    at.tray.idle(0, at.now);
    held_task& next = *at.take();
    at.pass(100ms);
    at.done(next);
    at.tray.idle(1, at.now);
    at.now += 200us;
    static_cast<void>(at.said());
    at.say(make_entry(kind::beat));
  }
  CHECK(at.credit[1] == 1);
}

TEST_CASE("credit grows to one for each thread though no task has ended") {
  tray_at_work at;
  at.join();
  at.tray.idle(4, at.now);
  for (int round = 0; round < 20; ++round) {
    while (at.books().working < at.credit[1] && at.books().working < 4) {
      at.send_task();
      at.take();
      at.tray.idle(4 - at.books().working, at.now);
    }
    at.pass(10ms);
    static_cast<void>(at.said());
  }
  CHECK(at.books().working == 4);
  CHECK(at.credit[1] == 4);
}

TEST_CASE("credit shrinks when tasks take longer than they did") {
  tray_at_work at;
  at.tray.idle(1, at.now);
  at.join();
  for (int round = 0; round < 30; ++round) {
    while (at.books().waiting < at.credit[1]) {
      at.send_task();
    }
    at.tray.idle(0, at.now);
    while (held_task* const next = at.take()) {
      at.now += round < 20 ? 10us : 5ms;
      at.done(*next);
      at.tray.tick(at.now, at.stops);
      if (round >= 20) {
        static_cast<void>(at.said());
      }
    }
    at.tray.idle(1, at.now);
    static_cast<void>(at.said());
    if (round == 19) {
      CHECK(at.credit[1] > 1000);
    }
  }
  CHECK(at.credit[1] <= 8);
}

TEST_CASE("credit is never more than worker_options::credit") {
  tray_at_work at{with_credit(50)};
  at.tray.idle(1, at.now);
  at.join();
  for (int round = 0; round < 50; ++round) {
    for (std::size_t count = at.credit[1]; count > 0; --count) {
      at.send_task();
    }
    while (held_task* const next = at.take()) {
      at.now += 1us;
      at.done(*next);
    }
    at.now += 50us;
    static_cast<void>(at.said());
  }
  CHECK(at.credit[1] == 50);
}

// Plain sources.

TEST_CASE("messages of a PUSH socket are tasks without a source, and nobody hears of them") {
  tray_at_work at;
  at.tray.opened_plain(3);
  at.hear(message{"one"}, 3);
  at.hear(message{"two"}, 3);
  held_task& first = *at.take();
  CHECK(first.id == task_id{0, 1});
  CHECK(first.body == "one");
  CHECK(at.done(first));
  CHECK(at.end(*at.take(), ending::failed, "why"));
  at.pass(100ms);
  CHECK(at.said(3).empty());
  CHECK_FALSE(at.tray.owes());
  CHECK(at.books().sources == 0);
}

TEST_CASE("a message of several frames from a PUSH socket is nonsense") {
  tray_at_work at;
  at.tray.opened_plain(3);
  at.hear(message{frame{"one"}, frame{"two"}}, 3);
  CHECK(at.books().nonsense == 1);
  CHECK(at.books().received == 0);
}

TEST_CASE("plain tasks fill a worker up") {
  tray_at_work at{with_credit(2)};
  at.tray.opened_plain(3);
  at.hear(message{"one"}, 3);
  CHECK_FALSE(at.tray.is_full_of_plain());
  at.hear(message{"two"}, 3);
  CHECK(at.tray.is_full_of_plain());
  for (int count = 0; count < 4; ++count) {
    at.hear(message{"taken from the socket before it was told"}, 3);
  }
  CHECK(at.books().waiting == 6);  // who cannot give them back keeps them
  for (int count = 0; count < 5; ++count) {
    at.take();
  }
  CHECK_FALSE(at.tray.is_full_of_plain());
}

// Nonsense.

TEST_CASE("what is no word of a source is ignored, and counted") {
  tray_at_work at;
  SECTION("no frame of entries") {
    at.hear(message{"hello"});
    CHECK(at.books().nonsense == 1);
  }
  SECTION("no frame at all") {
    at.hear(message{});
    CHECK(at.books().nonsense == 0);
  }
  SECTION("a task of who did not say who it is") {
    at.send_task();
    CHECK(at.books().nonsense == 1);
    CHECK(at.books().received == 0);
  }
  SECTION("a source without an id") {
    at.greet(1, 0);
    CHECK(at.books().nonsense == 1);
    CHECK(at.books().sources == 0);
  }
  SECTION("another worker") {
    at.tray.opened(1, at.now);
    at.say(make_entry(kind::worker));
    at.greet();
    CHECK(at.books().nonsense == 2);
    CHECK(at.books().sources == 0);
  }
  SECTION("words of workers") {
    at.join();
    for (const kind each : {kind::credit, kind::begun, kind::done, kind::ended, kind::leave}) {
      at.say(make_entry(each));
    }
    CHECK(at.books().nonsense == 5);
    CHECK(at.books().sources == 1);
  }
  SECTION("a body that does not follow") {
    at.join();
    task_writer out;
    task_entry words = make_entry(kind::task, 1);
    words.body_follows = true;
    out.add(words);
    at.hear(message{out.take()});
    CHECK(at.books().nonsense == 1);
    CHECK(at.books().received == 0);
  }
  SECTION("frames that belong to nothing") {
    at.join();
    task_writer out;
    out.add(make_entry(kind::beat));
    at.hear(message{out.take(), frame{"what"}});
    CHECK(at.books().nonsense == 1);
    CHECK(at.said() == "beat");
  }
  SECTION("what comes after a malformed entry") {
    at.join();
    task_writer out;
    out.add(make_entry(kind::beat));
    at.hear(message{frame{out.take().str() + "\x63"}});
    CHECK(at.books().nonsense == 1);
    CHECK(at.said() == "beat");
  }
}

TEST_CASE("tasks far beyond all credit are ignored") {
  tray_at_work at{with_credit(10)};
  at.join();
  for (int count = 0; count < 100; ++count) {
    at.send_task();
  }
  CHECK(at.books().received == 20);
  CHECK(at.books().nonsense == 80);
  for (int count = 0; count < 20; ++count) {
    at.done(*at.take());
  }
  at.send_task();
  CHECK(at.books().nonsense == 81);  // its answers were not sent yet
  static_cast<void>(at.said());
  at.send_task();
  CHECK(at.books().received == 21);
}

TEST_CASE("whatever happens in whatever order, each task is accounted for and answered once") {
  const auto seed = static_cast<unsigned>(GENERATE(range(1, 40)));
  CAPTURE(seed);
  std::mt19937 random{seed};
  const auto below = [&](unsigned limit) { return random() % limit; };
  worker_options options;
  options.lease = 30ms;
  options.credit = 1 + below(40);
  options.heartbeat_timeout = 200ms;
  tray_at_work at{options};
  std::map<task_ticket, int> answers;
  std::map<task_ticket, bool> is_cancelled;
  bool was_lost = false;
  at.join();
  const auto hear_answers = [&] {
    at.tray.begin_sending();
    while (const auto outgoing = at.tray.next_message(1, at.now)) {
      auto reader = task_reader::open(outgoing->front().view());
      REQUIRE(reader);
      while (reader->has_more()) {
        const auto entry = reader->next();
        REQUIRE(entry);
        if (entry->what == kind::done || entry->what == kind::ended) {
          for (task_ticket each = 0; each < entry->count; ++each) {
            ++answers[entry->ticket + each];
          }
        }
      }
    }
  };
  std::vector<held_task*> open;
  std::vector<served_task> served;
  const bool is_quick = below(2) == 0;
  if (is_quick) {
    at.learn();
  }
  for (int step = 0; step < 600; ++step) {
    switch (below(9)) {
      case 0: {
        const auto before = at.books().received;
        const auto count = static_cast<std::uint16_t>(2 + below(below(4) == 0 ? 63 : 5));
        const task_ticket first = at.send_run(count);
        for (std::uint16_t index = 0; at.books().received > before && index < count; ++index) {
          answers[first + index] = 0;
        }
        break;
      }
      case 1: {
        task_entry words = make_entry(kind::task, at.next_ticket++);
        words.time_left = below(4) == 0 ? below(20'000) : 0;
        const std::string body(below(10) == 0 ? 3000 : below(100), 'x');
        words.body_follows = body.size() > most_packed;
        if (!words.body_follows) {
          words.body = body;
        }
        task_writer out;
        out.add(words);
        message outgoing{out.take()};
        if (words.body_follows) {
          outgoing.push_back(frame{body});
        }
        const auto before = at.books().received;
        at.hear(std::move(outgoing));
        if (at.books().received > before) {
          answers[words.ticket] = 0;
        }
        break;
      }
      case 2:
        if (const served_task next = is_quick ? at.serve() : served_task{}; next.run != nullptr) {
          served.push_back(next);
        } else if (held_task* const taken = at.take()) {
          open.push_back(taken);
        }
        break;
      case 3:
      case 4:
        if (!served.empty()) {
          const std::size_t which = below(static_cast<unsigned>(served.size()));
          const served_task next = served[which];
          served.erase(served.begin() + static_cast<std::ptrdiff_t>(which));
          if (below(4) > 0) {
            at.done(next);
          } else {
            open.push_back(&at.claim(next));
          }
        } else if (!open.empty()) {
          held_task* const next = open[below(static_cast<unsigned>(open.size()))];
          std::erase(open, next);
          const std::size_t size = below(2) == 0 ? 0 : below(5000);
          below(3) > 0 ? at.done(*next, frame{std::string(size, 'r')})
                       : at.end(*next, below(2) == 0 ? ending::failed : ending::rejected, "why");
        }
        break;
      case 5:
        if (!open.empty()) {
          static_cast<void>(at.tray.renew(*open.front(), at.now));
        }
        break;
      case 6:
        at.pass(std::chrono::microseconds{below(is_quick && below(10) > 0 ? 10 : 8000)});
        break;
      case 7:
        hear_answers();
        break;
      case 8:
        if (below(30) == 0) {
          was_lost = true;
          at.tray.lost(1, at.now);
          at.check_books();
          at.join();
        } else if (below(4) == 0 && at.next_ticket > 1) {
          const task_ticket which = 1 + below(static_cast<unsigned>(at.next_ticket));
          is_cancelled[which] = true;
          at.say(make_entry(kind::cancel, which));
        }
        break;
    }
  }
  at.tray.close(at.now);
  at.check_books();
  at.tray.leave(at.now);
  at.check_books();
  for (const served_task& each : served) {
    CHECK_FALSE(at.done(each));
  }
  hear_answers();
  CHECK(at.books().waiting == 0);
  CHECK(at.books().working == 0);
  for (const auto& [ticket, count] : answers) {
    CAPTURE(ticket);
    CHECK(count <= 1);
    if (!was_lost && !is_cancelled[ticket]) {
      CHECK(count == 1);
    }
  }
}
