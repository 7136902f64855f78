// SPDX-License-Identifier: MPL-2.0
#include "task_desk.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "run_bodies.hpp"
#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using kind = task_entry::kind;
using ending = task_entry::ending;

namespace {

using words = std::vector<std::string>;
using peer = task_desk::link;

// A desk, and what it says to whom. Workers say what the test says for them.
struct office {
  explicit office(const source_options& wanted = {}) : options{wanted} {
    if (options.limit == 0) {
      options.limit = 10'000;
    }
  }

  // Tasks.

  std::uint64_t add(const std::string& body = "b", const task_options& how = {},
                    std::uint32_t attempts = 0) {
    task_draft draft;
    draft.number = ++last;
    draft.body = frame{body};
    draft.options = std::make_unique<task_options>(how);
    draft.attempts = attempts;
    draft.pushed = now;
    draft.when_ended = [](task_outcome&&) {};
    desk.add(std::move(draft), now);
    check();
    return last;
  }
  // Without options and without somebody who wants to hear.
  void add_usual(int count, const std::string& body = "b") {
    for (; count > 0; --count) {
      task_draft draft;
      draft.number = ++last;
      draft.body = frame{body};
      desk.add(std::move(draft), now);
    }
    check();
  }

  // As usual ones that were pushed together.
  void add_run(const words& bodies) {
    task_draft draft;
    draft.number = last + 1;
    last += bodies.size();
    draft.pack = task_pack_ref{new task_pack{0}};
    for (const std::string& each : bodies) {
      draft.pack->add(each);
    }
    desk.add(std::move(draft), now);
    check();
  }

  // Links.

  // A worker that connects to the source.
  peer worker(std::uint32_t credit = 100, const std::string& name = "",
              std::uint64_t bytes = 1'000'000) {
    const peer which = ++links;
    join(which, credit, name, bytes);
    CHECK(got(which).front() == "source 77");
    return which;
  }
  void join(peer which, std::uint32_t credit = 100, const std::string& name = "",
            std::uint64_t bytes = 1'000'000) {
    say(which, {.what = kind::worker,
                .id = 1000 + which,
                .credit = credit,
                .credit_bytes = bytes,
                .largest = UINT64_MAX,
                .text = name});
  }
  void say(peer from, const task_entry& entry) {
    task_writer writer;
    writer.add(entry);
    hear(from, message{writer.take()});
  }
  void hear(peer from, message&& said) {
    desk.receive(from, std::move(said), now);
    check();
  }
  void done(peer from, std::uint64_t number, const std::string& result = "") {
    say(from, {.what = kind::done, .ticket = ticket(from, number), .body = result});
  }
  void begun(peer from, std::uint64_t number) {
    say(from, {.what = kind::begun, .ticket = ticket(from, number)});
  }
  void end(peer from, std::uint64_t number, ending how, const std::string& why = "") {
    say(from, {.what = kind::ended, .how = how, .ticket = ticket(from, number), .text = why});
  }
  // Of the last attempt there that was sent.
  task_ticket ticket(peer at, std::uint64_t number) {
    REQUIRE(tickets.contains({at, number}));
    return tickets[{at, number}];
  }

  // All that the desk has for it: "number:body", with *attempt, /key and <time left behind it.
  words got(peer to) {
    words all;
    while (auto next = desk.next_message(to, now)) {
      ++messages;
      auto reader = task_reader::open((*next)[0].view());
      REQUIRE(reader.has_value());
      std::size_t following = 1;
      while (reader->has_more()) {
        const auto entry = reader->next();
        REQUIRE(entry.has_value());
        switch (entry->what) {
          case kind::source:
            all.push_back("source " + std::to_string(entry->id));
            break;
          case kind::beat:
            all.push_back("beat");
            break;
          case kind::task: {
            if (entry->count > 1) {
              const frame bodies = entry->body_follows ? (*next)[following++] : frame{entry->body};
              add_texts(all, to, *entry, bodies.view());
              break;
            }
            tickets[{to, entry->id}] = entry->ticket;
            std::string text = std::to_string(entry->id) + ":";
            if (entry->body_follows) {
              REQUIRE(following < next->size());
              text += std::to_string((*next)[following++].size());
            } else {
              text += entry->body;
            }
            text += entry->attempt > 1 ? "*" + std::to_string(entry->attempt) : "";
            text += entry->text.empty() ? "" : "/" + std::string{entry->text};
            text += entry->time_left > 0 ? "<" + std::to_string(entry->time_left) : "";
            all.push_back(text);
            break;
          }
          default:
            FAIL("a source does not say that");
        }
      }
      CHECK(following == next->size());
    }
    check();
    return all;
  }
  // Of a run: "[number:body number:body]".
  void add_texts(words& all, peer to, const task_entry& run, std::string_view bodies) {
    REQUIRE(is_run(bodies, run.count));
    std::string text;
    std::string_view body;
    for (std::uint32_t index = 0; next_body(bodies, body); ++index) {
      tickets[{to, run.id + index}] = run.ticket + index;
      text += (index > 0 ? " " : "") + std::to_string(run.id + index) + ":" + std::string{body};
    }
    all.push_back("[" + text + "]");
  }
  words got_plain(peer to, int most) {
    words all;
    for (; most > 0; --most) {
      const auto next = desk.next_message(to, now);
      if (!next) {
        break;
      }
      REQUIRE(next->size() == 1);
      all.push_back(next->front().str());
    }
    check();
    return all;
  }

  // Time.

  void pass(std::chrono::milliseconds time) {
    now += time;
    desk.tick(now);
    check();
  }

  // "number ended how why=result" and so on.
  words news() {
    words all;
    for (task_news& each : desk.take_news()) {
      std::string text = std::to_string(each.number);
      if (each.what == task_news::kind::tried) {
        text += " tried " + std::to_string(each.attempts);
      } else if (each.what == task_news::kind::buried) {
        text += " buried " + std::to_string(each.attempts);
      } else {
        const words how = {"done", "failed", "expired", "dropped", "unfinished"};
        text += " " + how[static_cast<std::size_t>(each.outcome.how)];
      }
      text += each.outcome.why.empty() ? "" : " " + each.outcome.why;
      text += each.outcome.result.empty() ? "" : "=" + each.outcome.result.str();
      if (each.when_ended) {
        CHECK(each.what != task_news::kind::tried);
        CHECK(each.outcome.id == task_id{77, each.number});
      }
      all.push_back(text);
    }
    return all;
  }

  source_statistics counts() const { return desk.statistics(); }
  void check() const {
    const source_statistics all = counts();
    CHECK(all.accepted == all.done + all.failed + all.expired + all.dropped + all.waiting +
                              all.delayed + all.working);
    CHECK(desk.held() == all.waiting + all.delayed + all.working);
    CHECK(all.attempts <= all.done + all.failures + all.given_back + all.working);
    std::size_t working = 0;
    for (const worker_status& each : desk.workers()) {
      working += each.working;
    }
    CHECK(working == all.working);
  }

  source_options options;
  task_desk::time_point now{1h};
  task_desk desk{options, 77, 0xfffffff0};
  std::uint64_t last = 0;
  peer links = 0;
  int messages = 0;
  std::map<std::pair<peer, std::uint64_t>, task_ticket> tickets;
};

}  // namespace

// Who speaks first.

TEST_CASE("a worker that connects is told which source it is, and gets its tasks") {
  office all;
  all.add("a");
  all.add("b");
  all.join(1);
  CHECK(all.got(1) == words{"source 77", "1:a", "2:b"});
  CHECK(all.desk.worker_count() == 1);
  CHECK(all.desk.workers()[0].id == 1001);
}

TEST_CASE("a source that connects speaks first, once") {
  office all;
  all.add("a");
  all.desk.opened(1, all.now);
  CHECK(all.got(1) == words{"source 77"});
  all.join(1);
  CHECK(all.got(1) == words{"1:a"});
}

TEST_CASE("who connected anew is told again, and what it had comes again") {
  office all;
  all.desk.opened(1, all.now);
  CHECK(all.got(1) == words{"source 77"});
  all.join(1);
  all.add_usual(3);
  CHECK(all.got(1) == words{"1:b", "2:b", "3:b"});
  all.desk.opened(1, all.now);
  all.check();
  CHECK(all.desk.worker_count() == 0);
  CHECK(all.got(1) == words{"source 77"});
  all.join(1);
  // It is not known what became of the first: it is a suspect, and charged if it is one again.
  CHECK(all.got(1) == words{"1:b", "2:b", "3:b"});
  CHECK(all.counts().failures == 0);
  all.desk.opened(1, all.now);
  CHECK(all.got(1) == words{"source 77"});
  all.join(1);
  CHECK(all.got(1) == words{"2:b", "3:b"});
  CHECK(all.counts().failures == 1);
}

TEST_CASE("somebody unknown who says something else than that it is a worker is asked") {
  office all;
  all.say(1, {.what = kind::beat});
  CHECK(all.got(1) == words{"source 77"});
  all.say(1, {.what = kind::beat});
  CHECK(all.got(1) == words{});
  all.join(1);
  CHECK(all.got(1) == words{});
  CHECK(all.desk.worker_count() == 1);
}

// Dealing.

TEST_CASE("a task is done when its worker says so") {
  office all;
  const peer worker = all.worker();
  all.add("a");
  all.add("b");
  CHECK(all.got(worker) == words{"1:a", "2:b"});
  CHECK(all.counts().working == 2);
  all.done(worker, 2);
  CHECK(all.counts().done == 1);
  all.done(worker, 1, "result");
  CHECK(all.counts().done == 2);
  CHECK(all.desk.held() == 0);
  CHECK(all.desk.held_bytes() == 0);
  CHECK(all.news() == words{"2 done", "1 done=result"});
  CHECK(all.desk.workers()[0].done == 2);
}

TEST_CASE("of a usual task nobody wants to hear") {
  office all;
  const peer worker = all.worker();
  all.add_usual(1);
  CHECK(all.got(worker) == words{"1:b"});
  all.done(worker, 1);
  CHECK_FALSE(all.desk.has_news());
}

TEST_CASE("a worker has no more tasks than it has credit for") {
  office all;
  const peer worker = all.worker(2);
  all.add_usual(4);
  CHECK(all.got(worker) == words{"1:b", "2:b"});
  all.done(worker, 1);
  CHECK(all.got(worker) == words{"3:b"});
  all.say(worker, {.what = kind::credit, .credit = 3, .credit_bytes = 100});
  CHECK(all.got(worker) == words{"4:b"});
  all.add_usual(1);
  all.say(worker, {.what = kind::credit, .credit = 1, .credit_bytes = 100});
  all.done(worker, 2);
  CHECK(all.got(worker) == words{});
}

TEST_CASE("a worker has no more bytes than it has credit for, but any one task") {
  office all;
  const peer worker = all.worker(10, "", 100);
  all.add_usual(1, std::string(60, 'x'));
  all.add_usual(1, std::string(40, 'x'));
  all.add_usual(1, std::string(500, 'x'));
  all.add_usual(1, "b");
  CHECK(all.got(worker).size() == 2);
  all.done(worker, 1);
  CHECK(all.got(worker).empty());
  all.done(worker, 2);
  CHECK(all.got(worker).size() == 1);
  all.done(worker, 3);
  CHECK(all.got(worker) == words{"4:b"});
}

TEST_CASE("who has the least of its credit in use is dealt to") {
  office all;
  const peer large = all.worker(8);
  const peer small = all.worker(4);
  all.add_usual(3);
  CHECK(all.got(large).size() == 2);
  CHECK(all.got(small).size() == 1);
  all.add_usual(3);
  CHECK(all.got(large).size() == 2);
  CHECK(all.got(small).size() == 1);
  all.done(small, 2);
  all.add_usual(1);
  CHECK(all.got(large).empty());
  CHECK(all.got(small).size() == 1);
}

TEST_CASE("as many tasks as workers go one to each") {
  office all;
  std::vector<peer> workers;
  for (int count = 0; count < 4; ++count) {
    workers.push_back(all.worker());
  }
  for (int round = 0; round < 3; ++round) {
    all.add_usual(4);
    for (const peer each : workers) {
      CHECK(all.got(each).size() == 1);
    }
  }
}

TEST_CASE("workers that are idle take turns") {
  office all;
  const peer first = all.worker();
  const peer second = all.worker();
  for (std::uint64_t task = 1; task <= 6; ++task) {
    all.add_usual(1);
    const peer turn = task % 2 == 1 ? first : second;
    CHECK(all.got(first).size() == (turn == first ? 1 : 0));
    CHECK(all.got(second).size() == (turn == second ? 1 : 0));
    all.done(turn, task);
  }
}

TEST_CASE("many tasks are dealt evenly and in few messages") {
  office all;
  const peer first = all.worker(1000);
  const peer second = all.worker(1000);
  all.messages = 0;
  all.add_usual(1000, std::string(64, 'x'));
  const std::size_t to_first = all.got(first).size();
  const std::size_t to_second = all.got(second).size();
  CHECK(to_first + to_second == 1000);
  CHECK(to_first > 450);
  CHECK(to_second > 450);
  CHECK(all.messages == 4);  // 86 octets each
}

TEST_CASE("a large body follows, and is not copied") {
  office all;
  const peer worker = all.worker();
  all.add("a");
  const frame large{std::string(5000, 'x')};
  task_draft draft;
  draft.number = ++all.last;
  draft.body = large;
  all.desk.add(std::move(draft), all.now);
  all.add("c");
  const auto next = all.desk.next_message(worker, all.now);
  REQUIRE(next.has_value());
  REQUIRE(next->size() == 2);
  CHECK((*next)[1].data() == large.data());
  CHECK((*next)[0].size() == 3 + 22 + 1 + 18 + 22 + 1);
}

// Waiting.

TEST_CASE("higher priorities are dealt first, and any number is a priority") {
  office all;
  all.add("a");
  all.add("b", {.priority = 9});
  all.add("c", {.priority = 12});
  all.add("d", {.priority = -3});
  all.add("e", {.priority = 4});
  all.join(1);
  CHECK(all.got(1) == words{"source 77", "2:b", "3:c", "5:e", "1:a", "4:d"});
}

TEST_CASE("tasks of a key are at one worker at a time, in their order") {
  office all;
  const peer first = all.worker();
  const peer second = all.worker();
  all.add("a", {.key = "k"});
  all.add("b", {.key = "k"});
  all.add("c", {.key = "other"});
  all.add("d");
  CHECK(all.got(first) == words{"1:a/k", "4:d"});
  CHECK(all.got(second) == words{"3:c/other"});
  all.done(first, 1);
  CHECK(all.got(first).empty());
  CHECK(all.got(second) == words{"2:b/k"});
}

TEST_CASE("a task that failed is tried again before the next of its key") {
  office all;
  const peer worker = all.worker();
  all.add("a", {.key = "k"});
  all.add("b", {.key = "k"});
  CHECK(all.got(worker) == words{"1:a/k"});
  all.end(worker, 1, ending::failed, "no disk");
  CHECK(all.got(worker).empty());
  all.pass(100ms);
  CHECK(all.got(worker) == words{"1:a*2/k"});
  all.end(worker, 1, ending::rejected, "never");
  CHECK(all.got(worker) == words{"2:b/k"});
}

TEST_CASE("a task for a name waits for the worker of that name") {
  office all;
  const peer other = all.worker();
  all.add("a", {.to = "ada"});
  all.add("b");
  CHECK(all.got(other) == words{"2:b"});
  const peer ada = ++all.links;
  all.join(ada, 10, "ada");
  CHECK(all.got(ada) == words{"source 77", "1:a"});
  CHECK(all.desk.workers()[1].name == "ada");
  all.desk.lost(ada, all.now);
  all.pass(100ms);
  CHECK(all.got(other).empty());
  CHECK(all.counts().waiting == 1);
}

TEST_CASE("a delayed task is dealt when its time has come") {
  office all;
  const peer worker = all.worker();
  all.add("a", {.delay = 50ms});
  CHECK(all.got(worker).empty());
  CHECK(all.counts().delayed == 1);
  CHECK(all.desk.next_tick() == all.now + 50ms);
  all.pass(49ms);
  CHECK(all.got(worker).empty());
  all.pass(1ms);
  CHECK(all.got(worker) == words{"1:a"});
}

TEST_CASE("a delay that is longer than time is for ever") {
  office all;
  const peer worker = all.worker();
  all.add("a", {.delay = std::chrono::milliseconds::max()});
  all.add("b", {.deadline = std::chrono::milliseconds::max()});
  CHECK(all.got(worker) == words{"2:b"});
  all.pass(1h);
  CHECK(all.counts().delayed == 1);
}

TEST_CASE("a task that waits past its deadline expires") {
  office all;
  all.add("a", {.deadline = 50ms});
  all.add("b");
  all.pass(50ms);
  CHECK(all.news() == words{"1 expired"});
  CHECK(all.counts().expired == 1);
  all.join(1);
  CHECK(all.got(1) == words{"source 77", "2:b"});
}

TEST_CASE("a worker is told how much time is left, and says if it was too little") {
  office all;
  const peer worker = all.worker();
  all.add("a", {.deadline = 50ms});
  all.now += 20ms;
  CHECK(all.got(worker) == words{"1:a<30000"});
  all.pass(40ms);
  CHECK(all.counts().expired == 0);
  all.end(worker, 1, ending::expired);
  CHECK(all.news() == words{"1 expired"});
  CHECK(all.counts().expired == 1);
}

TEST_CASE("a task without deadline that a worker says expired goes on") {
  office all;
  const peer worker = all.worker();
  all.add("a");
  CHECK(all.got(worker) == words{"1:a"});
  all.end(worker, 1, ending::expired);
  CHECK(all.counts().expired == 0);
  CHECK(all.got(worker) == words{"1:a"});
}

TEST_CASE("the oldest that waits is dropped for a new one, if so wished") {
  source_options options;
  options.limit = 3;
  options.when_full = full_policy::drop_oldest;
  office all{options};
  for (const char* body : {"a", "b", "c", "d"}) {
    all.add(body);
  }
  CHECK(all.news() == words{"1 dropped"});
  CHECK(all.desk.held() == 3);
  all.join(1, 2);
  CHECK(all.got(1) == words{"source 77", "2:b", "3:c"});
  all.add("e");
  CHECK(all.news() == words{"4 dropped"});
  all.say(1, {.what = kind::credit, .credit = 3, .credit_bytes = 100});
  CHECK(all.got(1) == words{"5:e"});
  // All are at workers: it is the new one itself.
  all.add("f");
  CHECK(all.news() == words{"6 dropped"});
  CHECK(all.counts().dropped == 3);
}

TEST_CASE("the oldest are dropped until the bytes fit, but not the only one") {
  source_options options;
  options.limit_bytes = 100;
  options.when_full = full_policy::drop_oldest;
  office all{options};
  all.add(std::string(50, 'x'));
  all.add(std::string(50, 'x'));
  CHECK(all.desk.held() == 2);
  all.add(std::string(90, 'x'));
  CHECK(all.desk.held() == 1);
  all.add(std::string(500, 'x'));
  CHECK(all.desk.held() == 1);
  CHECK(all.desk.held_bytes() == 500);
}

// Failing.

TEST_CASE("a task that fails is tried again, each time after twice the delay") {
  source_options options;
  options.retry_delay = 10ms;
  options.retry_delay_max = 35ms;
  options.attempts = 5;
  office all{options};
  const peer worker = all.worker();
  all.add("a");
  words expected{"1:a"};
  int attempt = 1;
  for (const auto delay : {10ms, 20ms, 35ms, 35ms}) {
    CHECK(all.got(worker) == expected);
    all.end(worker, 1, ending::failed, "no disk");
    all.pass(delay - 1ms);
    CHECK(all.got(worker).empty());
    CHECK(all.counts().delayed == 1);
    all.pass(1ms);
    expected = {"1:a*" + std::to_string(++attempt)};
  }
  CHECK(all.news().empty());
  CHECK(all.got(worker) == expected);
  all.end(worker, 1, ending::failed, "still no disk");
  CHECK(all.news() == words{"1 buried 5 still no disk"});
  CHECK(all.counts().failures == 5);
  CHECK(all.counts().failed == 1);
  CHECK(all.counts().dead_letters == 1);
  CHECK(all.desk.held() == 0);
}

TEST_CASE("a task that is rejected becomes a dead letter at once") {
  office all;
  const peer worker = all.worker();
  all.add("a", {.key = "k", .priority = 3});
  CHECK(all.got(worker) == words{"1:a/k"});
  all.end(worker, 1, ending::rejected, "no number");
  const auto dead = all.desk.dead_letters(10);
  REQUIRE(dead.size() == 1);
  CHECK(dead[0].id == task_id{77, 1});
  CHECK(dead[0].body == "a");
  CHECK(dead[0].options.key == "k");
  CHECK(dead[0].options.priority == 3);
  CHECK(dead[0].attempts == 1);
  CHECK(dead[0].why == "no number");
}

TEST_CASE("attempts before the source was restarted count") {
  source_options options;
  options.attempts = 3;
  office all{options};
  const peer worker = all.worker();
  all.add("a", {}, 2);
  CHECK(all.got(worker) == words{"1:a*3"});
  all.end(worker, 1, ending::failed, "no disk");
  CHECK(all.counts().dead_letters == 1);
}

TEST_CASE("of too many dead letters the oldest is dropped") {
  source_options options;
  options.dead_letters = 2;
  options.journal = "some";
  office all{options};
  const peer worker = all.worker();
  for (std::uint64_t number = 1; number <= 3; ++number) {
    all.add_usual(1);
    static_cast<void>(all.got(worker));
    all.end(worker, number, ending::rejected, "w");
  }
  CHECK(all.counts().dead_letters == 2);
  CHECK(all.counts().failed == 2);
  CHECK(all.counts().dropped == 1);
  CHECK(all.news() == words{"1 buried 1 w", "2 buried 1 w", "3 buried 1 w", "1 dropped"});
  CHECK(all.desk.dead_letters(1).size() == 1);
  CHECK(all.desk.dead_letters(1)[0].id.number == 2);
}

TEST_CASE("a dead letter is taken out to be tried again, and counts as a new task") {
  office all;
  const peer worker = all.worker();
  all.add("a");
  static_cast<void>(all.got(worker));
  all.end(worker, 1, ending::rejected, "w");
  CHECK_FALSE(all.desk.take_dead(2).has_value());
  auto letter = all.desk.take_dead(1);
  REQUIRE(letter.has_value());
  CHECK_FALSE(all.desk.take_dead(1).has_value());
  task_draft again;
  again.number = letter->id.number;
  again.body = letter->body;
  all.desk.add(std::move(again), all.now);
  all.check();
  CHECK(all.got(worker) == words{"1:a"});
  all.done(worker, 1);
  CHECK(all.counts().accepted == 2);
  CHECK(all.counts().done == 1);
  CHECK(all.counts().failed == 1);
}

TEST_CASE("dead letters of a journal are kept as if they had failed here") {
  office all;
  dead_letter letter;
  letter.id = {77, 5};
  letter.body = frame{"a"};
  all.desk.add_dead(std::move(letter));
  all.check();
  CHECK(all.counts().dead_letters == 1);
  CHECK(all.desk.take_dead(5).has_value());
}

TEST_CASE("a task that is given back does not count as tried, and goes to somebody else") {
  office all;
  const peer first = all.worker();
  all.add("a");
  CHECK(all.got(first) == words{"1:a"});
  const peer second = all.worker();
  all.add_usual(5);
  CHECK(all.got(first).size() == 2);
  CHECK(all.got(second).size() == 3);
  all.done(first, 3);
  all.done(first, 5);
  // Though the second has more to do.
  all.end(first, 1, ending::given_back);
  CHECK(all.got(first).empty());
  CHECK(all.got(second) == words{"1:a"});
  CHECK(all.counts().given_back == 1);
  CHECK(all.counts().failures == 0);
}

TEST_CASE("a task that is given back goes to the same worker if nobody else has room") {
  office all;
  const peer only = all.worker();
  const peer full = all.worker(0);
  all.add("a");
  CHECK(all.got(only) == words{"1:a"});
  all.end(only, 1, ending::given_back);
  CHECK(all.got(full).empty());
  CHECK(all.got(only) == words{"1:a"});
}

// Workers that go.

TEST_CASE("if a worker is lost, what it had begun counts as tried") {
  office all;
  const peer worker = all.worker();
  all.add_usual(5);
  CHECK(all.got(worker).size() == 5);
  all.done(worker, 1);
  all.begun(worker, 2);
  all.desk.lost(worker, all.now);
  all.check();
  CHECK(all.counts().failures == 1);
  CHECK(all.counts().given_back == 3);
  CHECK(all.desk.worker_count() == 0);
  all.join(9);
  CHECK(all.got(9) == words{"source 77", "3:b", "4:b", "5:b"});
  all.pass(100ms);
  CHECK(all.got(9) == words{"2:b*2"});
}

TEST_CASE("tasks that were dealt to a worker that was dead already do not count as tried") {
  office all;
  const peer dead = all.worker();
  all.add_usual(5);
  CHECK(all.got(dead).size() == 5);
  all.desk.lost(dead, all.now);
  CHECK(all.counts().failures == 0);
  CHECK(all.counts().given_back == 5);
  all.join(9);
  CHECK(all.got(9) == words{"source 77", "1:b", "2:b", "3:b", "4:b", "5:b"});
}

TEST_CASE("the first task that a worker may have begun counts as tried when the next one is lost") {
  office all;
  all.add_usual(3);
  const auto lose = [&](bool answers) {
    const peer worker = ++all.links;
    all.join(worker);
    CHECK(all.got(worker).size() == 4);
    if (answers) {
      all.end(worker, 1, ending::given_back, "");
      CHECK(all.got(worker).size() == 1);
    }
    all.desk.lost(worker, all.now);
    all.check();
  };
  lose(false);
  CHECK(all.counts().failures == 0);
  SECTION("at once") {
    lose(false);
    CHECK(all.counts().failures == 1);
    all.join(9);
    CHECK(all.got(9) == words{"source 77", "2:b", "3:b"});
    all.pass(100ms);
    CHECK(all.got(9) == words{"1:b*2"});
  }
  SECTION("but not if a worker has lived to answer for it") {
    lose(true);
    CHECK(all.counts().failures == 0);
  }
}

TEST_CASE(
    "of those that several threads do at the same time, the one that kills workers is found") {
  const std::uint64_t poison = GENERATE(as<std::uint64_t>{}, 1, 2, 3, 5, 8);
  constexpr std::size_t threads = 3;
  office all;
  all.add_usual(8);
  int killed = 0;
  while (all.counts().dead_letters == 0) {
    REQUIRE(++killed < 100);
    const peer worker = ++all.links;
    all.join(worker);
    std::vector<std::uint64_t> there;
    bool is_dead = false;
    for (int idle = 0; !is_dead && idle < 1000; ++idle) {
      for (const std::string& each : all.got(worker)) {
        if (each != "source 77" && each != "beat") {
          there.push_back(std::stoull(each));
        }
      }
      const auto at = std::find(there.begin(), there.end(), poison);
      is_dead = at != there.end() && at - there.begin() < std::ptrdiff_t{threads};
      if (!is_dead && !there.empty()) {
        all.done(worker, there.front());
        there.erase(there.begin());
      }
      all.pass(1ms);
    }
    all.desk.lost(worker, all.now);
    all.check();
  }
  CHECK(all.desk.dead_letters(9).front().id.number == poison);
  CHECK(all.counts().failed == 1);
}

TEST_CASE("what a lost worker had not begun goes first, in its order") {
  office all;
  const peer worker = all.worker(4);
  all.add_usual(6);
  CHECK(all.got(worker).size() == 4);
  all.desk.lost(worker, all.now);
  all.join(9);
  CHECK(all.got(9) == words{"source 77", "1:b", "2:b", "3:b", "4:b", "5:b", "6:b"});
}

TEST_CASE("what was not sent to a lost worker does not count as tried") {
  office all;
  const peer first = all.worker();
  const peer second = all.worker();
  all.add_usual(4);
  CHECK(all.got(first).size() == 2);
  // The second's are dealt, but it never asked for them.
  CHECK(all.counts().working == 4);
  all.desk.lost(second, all.now);
  all.check();
  CHECK(all.counts().failures == 0);
  CHECK(all.counts().given_back == 2);
  CHECK(all.got(first).size() == 2);
}

TEST_CASE("a task that kills its workers becomes a dead letter") {
  source_options options;
  options.attempts = 3;
  options.retry_delay = 0ms;
  office all{options};
  all.add("a");
  for (int killed = 1; killed <= 4; ++killed) {
    CHECK(all.counts().dead_letters == 0);
    const peer worker = ++all.links;
    all.join(worker);
    all.pass(0ms);
    CHECK(all.got(worker).size() == 2);
    all.desk.lost(worker, all.now);
    all.check();
  }
  CHECK(all.news() == words{"1 buried 3 its worker was lost"});
}

TEST_CASE("a worker that takes its leave gives back what it has") {
  office all;
  const peer worker = all.worker();
  all.add_usual(2);
  CHECK(all.got(worker).size() == 2);
  all.begun(worker, 1);
  all.say(worker, {.what = kind::leave});
  CHECK(all.counts().failures == 0);
  CHECK(all.counts().given_back == 2);
  CHECK(all.desk.worker_count() == 0);
  CHECK(all.got(worker).empty());
  all.join(worker);
  CHECK(all.got(worker) == words{"1:b", "2:b"});
}

TEST_CASE("an answer to an attempt that was given up is late, and changes nothing") {
  office all;
  const peer first = all.worker();
  all.add("a");
  CHECK(all.got(first) == words{"1:a"});
  const task_ticket old = all.ticket(first, 1);
  all.end(first, 1, ending::failed, "w");
  all.say(first, {.what = kind::done, .ticket = old});
  CHECK(all.counts().late == 1);
  all.pass(100ms);
  CHECK(all.got(first) == words{"1:a*2"});
  all.say(first, {.what = kind::done, .ticket = old});
  CHECK(all.counts().late == 2);
  CHECK(all.counts().working == 1);
  all.done(first, 1);
  all.done(first, 1);
  CHECK(all.counts().late == 3);
  CHECK(all.counts().done == 1);
}

TEST_CASE("nobody can answer for another worker") {
  office all;
  const peer first = all.worker();
  all.add("a");
  CHECK(all.got(first) == words{"1:a"});
  const peer second = all.worker();
  all.say(second, {.what = kind::done, .ticket = all.ticket(first, 1)});
  all.say(second, {.what = kind::ended, .ticket = all.ticket(first, 1)});
  all.say(second, {.what = kind::begun, .ticket = UINT64_MAX});
  CHECK(all.counts().nonsense == 3);
  CHECK(all.counts().working == 1);
}

// Life.

TEST_CASE("a worker is asked whether it is alive, in regular intervals") {
  office all;
  const peer worker = all.worker();
  CHECK(all.desk.next_tick() <= all.now + all.options.heartbeat);
  for (int beats = 0; beats < 5; ++beats) {
    all.pass(500ms);
    CHECK(all.got(worker) == words{"beat"});
    all.say(worker, {.what = kind::beat});
  }
  // Who gets tasks and answers is not.
  all.add_usual(1);
  CHECK(all.got(worker).size() == 1);
  all.done(worker, 1);
  all.pass(500ms);
  CHECK(all.got(worker).empty());
  // Who gets tasks and says nothing is.
  all.add_usual(1);
  CHECK(all.got(worker).size() == 1);
  all.pass(500ms);
  CHECK(all.got(worker) == words{"beat"});
}

TEST_CASE("a worker that is silent for too long is given up, and asked when it is back") {
  office all;
  const peer worker = all.worker();
  all.add_usual(2);
  CHECK(all.got(worker).size() == 2);
  for (int half_seconds = 0; half_seconds < 10; ++half_seconds) {
    all.pass(500ms);
    CHECK(all.desk.worker_count() == 1);
    static_cast<void>(all.got(worker));
  }
  all.pass(500ms);
  all.pass(500ms);
  CHECK(all.desk.worker_count() == 0);
  CHECK(all.counts().failures == 0);
  CHECK(all.counts().waiting == 2);
  CHECK(all.got(worker).empty());
  all.done(worker, 1);
  CHECK(all.counts().late == 1);
  CHECK(all.got(worker) == words{"source 77"});
  all.done(worker, 2);
  CHECK(all.got(worker).empty());
  all.join(worker);
  all.pass(100ms);
  CHECK(all.got(worker) == words{"1:b", "2:b"});
}

TEST_CASE("a source that slept gives up nobody for that") {
  office all;
  const peer worker = all.worker();
  all.pass(500ms);
  CHECK(all.got(worker) == words{"beat"});
  all.say(worker, {.what = kind::beat});
  all.pass(1h);
  CHECK(all.desk.worker_count() == 1);
  CHECK(all.got(worker) == words{"beat"});
  for (int half_seconds = 0; half_seconds < 12; ++half_seconds) {
    all.pass(500ms);
  }
  CHECK(all.desk.worker_count() == 0);
}

TEST_CASE("a stranger who went silent is forgotten") {
  office all;
  all.say(1, {.what = kind::beat});
  CHECK(all.got(1) == words{"source 77"});
  for (int seconds = 0; seconds < 7; ++seconds) {
    all.pass(500ms);
    all.pass(500ms);
  }
  CHECK(all.desk.next_tick() == task_desk::time_point::max());
  all.say(1, {.what = kind::beat});
  CHECK(all.got(1) == words{"source 77"});
}

// Plain sockets.

TEST_CASE("a task that is handed to a plain socket is done") {
  office all;
  all.desk.opened_plain(1);
  all.add("a");
  all.add("b", {.to = "ada"});
  all.add("c", {.priority = 1});
  all.add("d", {.key = "k"});
  all.add("e", {.key = "k"});
  CHECK(all.got_plain(1, 1) == words{"c"});
  CHECK(all.news() == words{"3 done"});
  CHECK(all.got_plain(1, 9) == words{"a", "d", "e"});
  CHECK(all.counts().done == 4);
  CHECK(all.counts().waiting == 1);
  all.desk.lost(1, all.now);
  all.add("f");
  CHECK(all.got_plain(1, 9).empty());
}

// Nonsense.

TEST_CASE("what no worker says is counted, and changes nothing") {
  office all;
  const peer worker = all.worker();
  all.add_usual(1);
  CHECK(all.got(worker).size() == 1);
  all.hear(worker, message{});
  all.hear(worker, message{"hello"});
  all.hear(worker, message{std::string_view{"PT\1\xff", 4}});
  all.hear(worker, message{std::string_view{"PT\2", 3}});
  all.say(worker, {.what = kind::source, .id = 5});
  all.say(worker, {.what = kind::task, .ticket = 1, .id = 1});
  all.say(worker, {.what = kind::cancel, .ticket = 1});
  // A body that does not follow.
  all.say(worker, {.what = kind::done, .body_follows = true, .ticket = all.ticket(worker, 1)});
  CHECK(all.counts().nonsense == 8);
  CHECK(all.counts().working == 1);
  all.hear(99, message{"hello"});
  CHECK(all.got(99).empty());
  CHECK(all.counts().nonsense == 9);
  all.done(worker, 1);
  CHECK(all.counts().done == 1);
}

TEST_CASE("a result that follows comes to who asked, uncopied") {
  office all;
  const peer worker = all.worker();
  all.add("a");
  CHECK(all.got(worker) == words{"1:a"});
  const frame result{std::string(5000, 'r')};
  task_writer writer;
  writer.add({.what = kind::done, .body_follows = true, .ticket = all.ticket(worker, 1)});
  all.hear(worker, message{writer.take(), result});
  const auto news = all.desk.take_news();
  REQUIRE(news.size() == 1);
  CHECK(news[0].outcome.result.data() == result.data());
}

TEST_CASE("a worker that says again that it is one begins anew") {
  office all;
  const peer worker = all.worker();
  all.add_usual(2);
  CHECK(all.got(worker).size() == 2);
  all.begun(worker, 2);
  all.join(worker, 1, "ada");
  CHECK(all.desk.worker_count() == 1);
  CHECK(all.counts().failures == 1);
  CHECK(all.counts().given_back == 1);
  CHECK(all.got(worker) == words{"1:b"});
}

// The journal, and the end.

TEST_CASE("a journal is told of each end and each failed attempt") {
  source_options options;
  options.journal = "some";
  options.attempts = 2;
  office all{options};
  const peer worker = all.worker();
  all.add_usual(2);
  CHECK(all.got(worker).size() == 2);
  all.done(worker, 1);
  all.end(worker, 2, ending::failed, "w");
  CHECK(all.news() == words{"1 done", "2 tried 1"});
  all.pass(100ms);
  CHECK(all.got(worker) == words{"2:b*2"});
  all.end(worker, 2, ending::failed, "w");
  CHECK(all.news() == words{"2 buried 2 w"});
}

TEST_CASE("what is held when all ends is unfinished, wherever it is") {
  office all;
  const peer worker = all.worker(1);
  all.add("a");
  all.add("b");
  all.add("c", {.delay = 1h});
  all.add_usual(1);
  CHECK(all.got(worker) == words{"1:a"});
  all.desk.close();
  all.desk.close();
  for (std::uint64_t number = 1; number <= 3; ++number) {
    const auto next = all.desk.next_unfinished();
    REQUIRE(next.has_value());
    CHECK(next->number == number);
    CHECK(next->outcome.how == task_end::unfinished);
    CHECK(next->when_ended);
  }
  CHECK_FALSE(all.desk.next_unfinished().has_value());
  all.check();
  all.done(worker, 1);
  all.desk.lost(worker, all.now);
  CHECK(all.got(worker).empty());
  CHECK_FALSE(all.desk.has_news());
  CHECK(all.desk.next_tick() == task_desk::time_point::max());
}

// Runs.

TEST_CASE("tasks that were pushed together travel together, and end together") {
  office all;
  const peer to = all.worker();
  all.add_run({"a", "b", "c", "d"});
  CHECK(all.got(to) == words{"[1:a 2:b 3:c 4:d]"});
  CHECK(all.messages == 2);
  CHECK(all.counts().working == 4);
  all.say(to, {.what = kind::done, .ticket = all.ticket(to, 1), .count = 4});
  CHECK(all.counts().done == 4);
  CHECK(all.counts().late == 0);
  CHECK(all.desk.held_bytes() == 0);
}

TEST_CASE("bodies of a run that are many octets follow, and are not copied") {
  office all;
  const peer to = all.worker();
  const std::string body(most_packed / 2, 'b');
  task_draft draft;
  draft.number = 1;
  draft.pack = task_pack_ref{new task_pack{0}};
  draft.pack->add(body);
  draft.pack->add(body);
  const char* const bytes = draft.pack->bytes.data();
  all.last = 2;
  all.desk.add(std::move(draft), all.now);
  const auto sent = all.desk.next_message(to, all.now);
  REQUIRE(sent.has_value());
  REQUIRE(sent->size() == 2);
  CHECK((*sent)[1].view().data() == bytes);
  CHECK(is_run((*sent)[1].view(), 2));
}

TEST_CASE("tasks of a run end in any order, each once") {
  office all;
  const peer to = all.worker();
  all.add_run({"a", "bb", "ccc", "dddd"});
  CHECK(all.got(to).size() == 1);
  all.done(to, 3);
  CHECK(all.desk.held_bytes() == 7);
  all.say(to, {.what = kind::done, .ticket = all.ticket(to, 2), .count = 2});
  CHECK(all.counts().done == 2);
  CHECK(all.counts().late == 1);
  CHECK(all.desk.held_bytes() == 5);
  all.say(to, {.what = kind::done, .ticket = all.ticket(to, 4), .count = 100});
  CHECK(all.counts().late == 100);
  all.done(to, 1);
  all.done(to, 1);
  CHECK(all.counts().done == 4);
  CHECK(all.counts().late == 101);
  CHECK(all.desk.held() == 0);
  CHECK(all.desk.held_bytes() == 0);
}

TEST_CASE("of a run a worker gets what it has room for, in tasks and in bytes") {
  office all;
  const peer few = all.worker(3);
  all.add_run({"a", "b", "c", "d", "e"});
  CHECK(all.got(few) == words{"[1:a 2:b 3:c]"});
  all.done(few, 2);
  CHECK(all.got(few) == words{"4:d"});
  const peer small = all.worker(100, "", 250);
  all.add_run({std::string(100, 'x'), std::string(100, 'y'), std::string(100, 'z')});
  CHECK(all.got(small).size() == 1);
  CHECK(all.tickets.contains({small, 5}));
  CHECK(all.tickets.contains({small, 7}));
  CHECK_FALSE(all.tickets.contains({small, 8}));
  all.done(small, 6);
  CHECK(all.got(small) == words{"8:" + std::string(100, 'z')});
}

TEST_CASE("a run is dealt evenly") {
  office all;
  std::map<peer, std::size_t> dealt;
  for (int count = 0; count < 4; ++count) {
    dealt[all.worker()];
  }
  all.add_run(words(64, "b"));
  for (auto& [to, count] : dealt) {
    all.got(to);
  }
  for (const auto& [key, ticket] : all.tickets) {
    ++dealt[key.first];
  }
  for (const auto& [to, count] : dealt) {
    CHECK(count >= 14);
    CHECK(count <= 18);
  }
}

TEST_CASE("a task of a run that fails is tried again by itself") {
  office all{{.attempts = 2, .retry_delay = 10ms}};
  const peer to = all.worker();
  all.add_run({"a", "b", "c"});
  CHECK(all.got(to) == words{"[1:a 2:b 3:c]"});
  all.end(to, 2, ending::failed, "why");
  all.end(to, 2, ending::failed, "why");
  CHECK(all.counts().late == 1);
  CHECK(all.counts().delayed == 1);
  all.say(to, {.what = kind::done, .ticket = all.ticket(to, 1), .count = 3});
  CHECK(all.counts().done == 2);
  all.pass(10ms);
  CHECK(all.got(to) == words{"2:b*2"});
  all.end(to, 2, ending::failed, "again");
  REQUIRE(all.desk.dead_letters(9).size() == 1);
  CHECK(all.desk.dead_letters(9)[0].body == "b");
  CHECK(all.desk.dead_letters(9)[0].id.number == 2);
  CHECK(all.desk.held() == 0);
}

TEST_CASE(
    "of a lost worker's run what began fails, and the next; the rest goes back in its order") {
  office all{{.attempts = 3, .retry_delay = 10ms}};
  const peer lost = all.worker();
  all.add_run({"a", "b", "c", "d", "e", "f"});
  CHECK(all.got(lost).size() == 1);
  all.begun(lost, 4);
  all.done(lost, 1);
  all.done(lost, 5);
  all.desk.lost(lost, all.now);
  all.check();
  CHECK(all.counts().failures == 1);
  CHECK(all.counts().given_back == 3);
  const peer to = ++all.links;
  all.join(to);
  CHECK(all.got(to) == words{"source 77", "2:b", "3:c", "6:f"});
  all.pass(10ms);
  CHECK(all.got(to) == words{"4:d*2"});
}

TEST_CASE("of a run too, the first task may be the one that kills workers") {
  office all{{.attempts = 1}};
  all.add_run({"a", "b", "c"});
  for (const std::uint64_t failures : {0, 1}) {
    const peer lost = ++all.links;
    all.join(lost);
    CHECK(all.got(lost).size() >= 2);
    all.desk.lost(lost, all.now);
    all.check();
    CHECK(all.counts().failures == failures);
  }
  REQUIRE(all.desk.dead_letters(9).size() == 1);
  CHECK(all.desk.dead_letters(9)[0].body == "a");
  const peer to = ++all.links;
  all.join(to);
  CHECK(all.got(to) == words{"source 77", "[2:b 3:c]"});
}

TEST_CASE("a run that a worker gave back as a whole is a run again") {
  office all;
  const peer gone = all.worker();
  all.add_run({"a", "b", "c"});
  CHECK(all.got(gone).size() == 1);
  all.begun(gone, 1);
  all.say(gone, {.what = kind::leave});
  CHECK(all.counts().given_back == 3);
  CHECK(all.counts().failures == 0);
  const peer to = ++all.links;
  all.join(to);
  CHECK(all.got(to) == words{"source 77", "[1:a 2:b 3:c]"});
  all.say(gone, {.what = kind::done, .ticket = all.ticket(gone, 1), .count = 3});
  CHECK(all.counts().late == 3);
}

TEST_CASE("of a run the oldest tasks are dropped one by one, if so wished") {
  office all{{.limit = 4, .when_full = full_policy::drop_oldest}};
  all.add_run({"a", "b", "c", "d"});
  all.add();
  all.add();
  CHECK(all.counts().dropped == 2);
  const peer to = ++all.links;
  all.join(to);
  CHECK(all.got(to) == words{"source 77", "[3:c 4:d]", "5:b", "6:b"});
  CHECK(all.desk.held_bytes() == 4);
}

TEST_CASE("of a run too, what is larger than the worker takes fails") {
  office all{{.attempts = 1}};
  const peer to = ++all.links;
  all.say(to, {.what = kind::worker, .id = 1, .credit = 100, .credit_bytes = 1000, .largest = 3});
  all.add_run({"abc", "abcd", "ab"});
  CHECK(all.got(to) == words{"source 77", "1:abc", "3:ab"});
  CHECK(all.counts().failed == 1);
  REQUIRE(all.desk.dead_letters(9).size() == 1);
  CHECK(all.desk.dead_letters(9)[0].body == "abcd");
}

TEST_CASE("a plain socket gets the tasks of a run one by one") {
  office all;
  const peer plain = ++all.links;
  all.desk.opened_plain(plain);
  all.add_run({"a", "b", "c"});
  CHECK(all.got_plain(plain, 2) == words{"a", "b"});
  CHECK(all.counts().done == 2);
  CHECK(all.counts().waiting == 1);
  CHECK(all.got_plain(plain, 9) == words{"c"});
  CHECK(all.desk.held_bytes() == 0);
}

TEST_CASE("a journal is told of each task of a run") {
  office all{{.journal = "somewhere"}};
  const peer to = all.worker();
  all.add_run({"a", "b", "c"});
  CHECK(all.got(to).size() == 1);
  all.say(to, {.what = kind::done, .ticket = all.ticket(to, 2), .count = 2});
  CHECK(all.news() == words{"2 done", "3 done"});
  all.done(to, 1);
  CHECK(all.news() == words{"1 done"});
}

TEST_CASE("a result of a task of a run ends that one alone") {
  office all;
  const peer to = all.worker();
  all.add_run({"a", "b"});
  CHECK(all.got(to).size() == 1);
  all.done(to, 1, "result");
  CHECK(all.counts().done == 1);
  CHECK(all.counts().working == 1);
}
