// SPDX-License-Identifier: MPL-2.0
//
// Tasks and calls for which there is no memory at the moment.
#include <parley/pipeline.hpp>
#include <parley/request_reply.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <new>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "call_book.hpp"
#include "call_header.hpp"
#include "support/catch.hpp"
#include "support/connected.hpp"
#include "support/operator_new.hpp"
#include "support/temporary_directory.hpp"
#include "task_desk.hpp"
#include "tray_at_work.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using support::patience;

namespace {

thread_local std::size_t too_much = SIZE_MAX;
thread_local std::size_t pieces_left = SIZE_MAX;
thread_local std::size_t refusals_left = SIZE_MAX;  // before there is memory again

// This thread gets no piece of so many bytes.
struct no_memory_for {
  explicit no_memory_for(std::size_t size) noexcept { too_much = size; }
  ~no_memory_for() { too_much = SIZE_MAX; }
  no_memory_for(const no_memory_for&) = delete;
  no_memory_for& operator=(const no_memory_for&) = delete;
};

// This thread gets so many pieces, and no more.
struct memory_for {
  explicit memory_for(std::size_t pieces) noexcept { pieces_left = pieces; }
  ~memory_for() { pieces_left = SIZE_MAX; }
  memory_for(const memory_for&) = delete;
  memory_for& operator=(const memory_for&) = delete;
};

// For a thread of others: it gets so many pieces, and then none so many times.
void run_short(std::size_t pieces, std::size_t times) noexcept {
  pieces_left = pieces;
  refusals_left = times;
}

}  // namespace

void* support::allocate(std::size_t size) noexcept {
  if (size >= too_much || pieces_left == 0) {
    if (pieces_left == 0 && refusals_left != SIZE_MAX && --refusals_left == 0) {
      pieces_left = refusals_left = SIZE_MAX;
    }
    return nullptr;
  }
  pieces_left -= pieces_left != SIZE_MAX ? 1 : 0;
  return std::malloc(size > 0 ? size : 1);
}

namespace {

// One that has a run of four of which two were taken.
struct serving : tray_at_work {
  serving() : tray_at_work{with_credit(100)} {
    join();
    learn();
    send_run(4);
    one = serve();
    other = serve();
    REQUIRE(one.run != nullptr);
    REQUIRE(other.run != nullptr);
  }
  served_task one;
  served_task other;
};

}  // namespace

TEST_CASE("a task of a run for whose body there is no memory still waits") {
  tray_at_work at{with_credit(100)};
  at.join();
  constexpr std::size_t size = std::size_t{1} << 20;
  std::string bodies;
  for (const char fill : {'a', 'b'}) {
    bodies += std::string{0, 0x10, 0, 0} + std::string(size, fill);
  }
  task_entry words = make_entry(task_entry::kind::task, 1);
  words.id = 1;
  words.count = 2;
  words.body_follows = true;
  task_writer out;
  out.add(words);
  message run{out.take()};
  run.push_back(frame{bodies});
  at.hear(std::move(run));
  for (const std::uint64_t number : {1U, 2U}) {
    {
      const no_memory_for bodies_so_long{size};
      CHECK_THROWS_AS(at.tray.take(at.now), std::bad_alloc);
    }
    CHECK(at.books().working == number - 1);
    CHECK(at.books().waiting == 3 - number);
    held_task* const taken = at.take();
    REQUIRE(taken != nullptr);
    CHECK(taken->id.number == number);
    CHECK(taken->body == std::string(size, number == 1 ? 'a' : 'b'));
  }
  CHECK(at.take() == nullptr);
}

TEST_CASE("a served task may be claimed again after there was no memory for it") {
  serving at;
  {
    const no_memory_for more{sizeof(held_task)};
    CHECK_THROWS_AS(at.tray.claim(at.one, at.now), std::bad_alloc);
  }
  at.check_books();
  CHECK(at.done(at.claim(at.one)));
}

TEST_CASE("a served run is called in as a whole, when there is memory for its answers") {
  tray_at_work at{with_credit(100)};
  at.join();
  at.learn();
  const task_ticket first = at.send_run(64);
  std::vector<served_task> taken;
  for (int count = 0; count < 64; ++count) {
    taken.push_back(at.serve());
    REQUIRE(taken.back().run != nullptr);
  }
  for (std::size_t index = 0; index < 64; index += 2) {
    CHECK(at.done(taken[index]));
  }
  at.now += 1ms;
  {
    const memory_for none{0};
    CHECK_THROWS_AS(at.tray.tick(at.now, at.stops), std::bad_alloc);
  }
  at.tray.tick(at.now, at.stops);
  CHECK(at.said().find("done(" + std::to_string(first + 62) + ")") != std::string::npos);
  for (std::size_t index = 1; index < 64; index += 2) {
    CHECK_FALSE(at.done(taken[index]));
  }
  at.pass(1ms);
  CHECK(at.said().find("done(" + std::to_string(first + 63) + ")") != std::string::npos);
  CHECK(at.books().done == 1 + 64);
}

TEST_CASE("a task for whose body a worker has no memory goes to a worker again") {
  context owner;
  source tasks{owner, {.attempts = 3, .retry_delay = 1ms}};
  worker one{owner, tasks.bind("inproc://no-memory")};
  const auto receive_and_do = [&] {
    auto received = one.receive_for(patience);
    REQUIRE(received.has_value());
    received->done();
  };
  for (int count = 0; count < 100; ++count) {
    tasks.push("short");
  }
  for (int count = 0; count < 100; ++count) {
    receive_and_do();
  }
  constexpr std::size_t size = 900;
  static_assert(size > sizeof(held_task));
  for (int count = 0; count < 20; ++count) {
    tasks.push(std::string(size, 'x'));
  }
  std::vector<task> kept;  // so that no memory is used again
  for (int count = 0; count < 3; ++count) {
    auto received = one.receive_for(patience);
    REQUIRE(received.has_value());
    kept.push_back(*std::move(received));
  }
  int failed = 0;
  for (int count = 0; count < 3; ++count) {
    const no_memory_for bodies_so_long{size};
    try {
      static_cast<void>(one.receive_for(patience));
    } catch (const std::bad_alloc&) {
      ++failed;
    }
  }
  CHECK(failed > 0);
  for (task& each : kept) {
    each.done();
  }
  for (int count = 3; count < 20; ++count) {
    receive_and_do();
  }
  CHECK(tasks.wait_until_done(patience));
  CHECK(tasks.statistics().failed == 0);
}

TEST_CASE("a task for which there was no memory takes no place of another") {
  bool is_pushed = false;
  for (std::size_t pieces = 0; !is_pushed; ++pieces) {
    INFO("memory for " << pieces << " pieces");
    REQUIRE(pieces < 100);
    context owner;
    source tasks{owner, {.limit = 1}};
    {
      const memory_for some{pieces};
      try {
        is_pushed = tasks.try_push("body", {.priority = 1}).has_value();
      } catch (const std::bad_alloc&) {
        // It was never pushed.
      }
    }
    CHECK(tasks.try_push("another", {.priority = 1}).has_value() != is_pushed);
  }
}

TEST_CASE("a task for which a desk has no memory is as it was, and so is the desk") {
  struct wish {
    const char* name;
    task_options how;
    full_policy when_full = full_policy::wait;
    std::size_t before = 1;  // as many like it are there
  };
  const std::string long_key(100, 'k');
  for (const wish& each :
       {wish{"usual", {}}, wish{"of a key", {.key = long_key}, full_policy::wait, 0},
        wish{"behind one of its key", {.key = long_key, .deadline = 1h}},
        wish{"for a worker", {.to = std::string(100, 'w')}}, wish{"delayed", {.delay = 1h}},
        wish{"makes one give way", {.priority = 1}, full_policy::drop_oldest},
        wish{"makes the first of its key give way",
             {.key = long_key},
             full_policy::drop_oldest,
             2}}) {
    bool is_added = false;
    for (std::size_t pieces = 0; !is_added; ++pieces) {
      INFO(each.name << ", memory for " << pieces << " pieces");
      REQUIRE(pieces < 100);
      source_options options;
      options.when_full = each.when_full;
      options.limit = each.before + (each.when_full == full_policy::wait ? 1 : 0);
      task_desk desk{options, 1, 1};
      const task_desk::time_point now{1h};
      const std::string body(1000, 'b');
      int ended = 0;
      const auto draft_of = [&](std::uint64_t number) {
        task_draft draft;
        draft.number = number;
        draft.body = frame{body};
        draft.options = std::make_unique<task_options>(each.how);
        draft.pushed = now;
        draft.when_ended = [](task_outcome&&) {};
        return draft;
      };
      for (std::uint64_t number = 1; number <= each.before; ++number) {
        desk.add(draft_of(number), now);
      }
      task_draft draft = draft_of(each.before + 1);
      {
        const memory_for some{pieces};
        try {
          desk.add(std::move(draft), now);
          is_added = true;
        } catch (const std::bad_alloc&) {
          // Once more, when there is some.
        }
      }
      if (!is_added) {
        CHECK(desk.held() == each.before);
        CHECK(desk.held_bytes() == each.before * body.size());
        CHECK(desk.statistics().accepted == each.before);
        CHECK(desk.statistics().waiting + desk.statistics().delayed == each.before);
        CHECK(draft.body == body);
        REQUIRE(draft.options != nullptr);
        CHECK(*draft.options == each.how);
        CHECK(draft.when_ended);
        desk.add(std::move(draft), now);
      }
      CHECK(desk.statistics().accepted == each.before + 1);
      if (each.when_full == full_policy::drop_oldest) {
        desk.add(draft_of(each.before + 2), now);  // and what there was no memory for before
        CHECK(desk.held() == each.before);
        CHECK(desk.statistics().dropped == 2);
        ended = 2;
      }
      desk.tick(now + 1h);
      desk.opened_plain(1);
      if (each.how.to.empty() && each.how.deadline.count() == 0) {
        for (; desk.next_message(1, now + 1h); ++ended) {
        }
        CHECK(desk.held() == 0);
      }
      for (const task_news& told : desk.take_news()) {
        CHECK(told.when_ended);
        --ended;
      }
      CHECK((each.how.deadline.count() > 0 || ended == 0));
    }
  }
}

TEST_CASE("who pushes and has no memory for what has gathered leaves all of it as it was") {
  bool is_pushed = false;
  for (std::size_t pieces = 0; !is_pushed; ++pieces) {
    INFO("memory for " << pieces << " pieces");
    REQUIRE(pieces < 200);
    context owner;
    std::promise<void> entered;
    std::promise<void> left;
    auto may_leave = left.get_future();
    bool is_held = false;
    constexpr std::size_t limit = 6;
    source tasks{owner,
                 {.limit = limit,
                  .when_full = full_policy::drop_oldest,
                  .marks = {1},
                  .on_mark = [&](std::size_t, bool) {  // holds the source's own thread
                    if (!std::exchange(is_held, true)) {
                      entered.set_value();
                      may_leave.wait_for(patience);
                    }
                  }}};
    std::vector<std::string> pushed;
    const auto push = [&](const task_options& how) {
      std::string body = std::to_string(pushed.size() + 1) + std::string(1000, 'b');
      const memory_for some{pieces};
      tasks.push(body, how);
      pushed.push_back(std::move(body));
    };
    pushed.reserve(100);
    tasks.push("0");
    REQUIRE(entered.get_future().wait_for(patience) == std::future_status::ready);
    const std::size_t wanted = pieces;
    pieces = SIZE_MAX;
    for (std::size_t count = 0; count < limit; ++count) {
      push({.key = std::string(50, count % 2 == 0 ? 'k' : 'l')});
    }
    pieces = wanted;
    try {
      push({.priority = 1});
      is_pushed = true;
    } catch (const std::bad_alloc&) {
      // It was never pushed.
    }
    CHECK(tasks.statistics().accepted == 1 + pushed.size());
    if (!is_pushed) {
      pieces = SIZE_MAX;
      push({.priority = 1});
      pieces = wanted;
    }
    left.set_value();
    worker one{owner, tasks.bind("inproc://no-memory-to-keep-up")};
    std::vector<std::string> received;
    for (const auto end = std::chrono::steady_clock::now() + patience;
         !tasks.wait_until_done(0s) && std::chrono::steady_clock::now() < end;) {
      if (auto next = one.receive_for(5ms)) {  // the last ones may have given way
        received.emplace_back(next->body.view());
        next->done();
      }
    }
    CHECK(tasks.wait_until_done(patience));
    const source_statistics books = tasks.statistics();
    CHECK(books.accepted == 1 + pushed.size());
    CHECK(books.done == received.size());
    CHECK(books.done + books.dropped == books.accepted);
    CHECK(books.waiting + books.working == 0);
    pushed.emplace_back("0");
    for (const std::string& each : received) {
      CHECK(std::count(pushed.begin(), pushed.end(), each) == 1);
    }
    CHECK(std::count(received.begin(), received.end(), *std::prev(pushed.end(), 2)) == 1);
  }
}

TEST_CASE("a served task that fails while there is no memory goes to a worker again") {
  context owner;
  source tasks{owner, {.retry_delay = 1ms}};
  worker one{owner, tasks.bind("inproc://no-memory-to-fail")};
  const auto receive = [&] {
    auto received = one.receive_for(patience);
    REQUIRE(received.has_value());
    return *std::move(received);
  };
  for (int count = 0; count < 100; ++count) {
    tasks.push("short");
  }
  for (int count = 0; count < 100; ++count) {
    receive().done();
  }
  constexpr int all = 40;
  for (int count = 0; count < all; ++count) {
    tasks.push("another");
  }
  std::vector<task> kept;  // so that no memory is used again
  for (int count = 0; count < 4; ++count) {
    kept.push_back(receive());
    CHECK(kept.back().stop_token().stop_possible());
  }
  std::vector<task> failing;
  for (int count = 0; count < 4; ++count) {
    failing.push_back(receive());
  }
  {
    const no_memory_for what_it_is_known_by{sizeof(held_task)};
    failing[0].fail("why");
    failing[1].reject("why");
    failing[2].done(1);
    failing.clear();
  }
  for (task& each : kept) {
    each.done();
  }
  // One was rejected, one has a result, and two come again.
  for (int done = 4; done < all - 2; ++done) {
    receive().done();
  }
  CHECK(tasks.wait_until_done(patience));
  CHECK(tasks.statistics().failed == 1);
  CHECK(tasks.statistics().failures == 3);
  CHECK(tasks.statistics().done == 100 + all - 1);
}

TEST_CASE("who pushed hears that a task is unfinished, whatever memory there was") {
  for (const std::size_t refusals : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
    for (std::size_t pieces = 0; pieces < 30; ++pieces) {
      INFO("memory for " << pieces << " pieces, " << refusals << " refusals");
      int pushed = 0;
      std::atomic<int> told{0};
      {
        context owner;
        source tasks{owner, {.linger = 0ms, .marks = {1}, .on_mark = [&](std::size_t, bool) {
                               run_short(pieces, refusals);
                             }}};
        try {
          for (; pushed < 100; ++pushed) {
            tasks.push_then("body", [&](task_outcome&& came) {
              told += came.how == task_end::unfinished ? 1 : 1000;
            });
          }
        } catch (const closed&) {
          // The source's thread could not go on.
        }
      }
      CHECK(told == pushed);
    }
  }
}

TEST_CASE("a dead letter for which there is no memory to try again is still there") {
  const support::temporary_directory place;
  for (const bool has_journal : {false, true}) {
    context owner;
    source_options options{.attempts = 1};
    options.journal = has_journal ? place.path() / "tasks.db" : "";
    source tasks{owner, options};
    worker one{owner, tasks.bind("inproc://no-memory-to-retry")};
    const task_id id = tasks.push(std::string(1000, 'b'), {.key = std::string(100, 'k')});
    const auto receive = [&] {
      auto received = one.receive_for(patience);
      REQUIRE(received.has_value());
      return *std::move(received);
    };
    receive().fail("why");
    while (tasks.dead_letters().empty()) {
      REQUIRE_FALSE(one.receive_for(1ms).has_value());
    }
    bool is_retried = false;
    for (std::size_t pieces = 0; !is_retried; ++pieces) {
      INFO("memory for " << pieces << " pieces" << (has_journal ? ", with a journal" : ""));
      REQUIRE(pieces < 100);
      {
        const memory_for some{pieces};
        try {
          is_retried = tasks.retry(id.number);
        } catch (const std::bad_alloc&) {
          // Once more, when there is some.
        }
      }
      if (!is_retried) {
        REQUIRE(tasks.dead_letters().size() == 1);
        CHECK(tasks.dead_letters().front().body == std::string(1000, 'b'));
      }
    }
    receive().done();
    CHECK(tasks.wait_until_done(patience));
    CHECK(tasks.dead_letters().empty());
  }
}

TEST_CASE("a task that is done is so, though there is no memory for its note") {
  const support::temporary_directory place;
  context owner;
  source tasks{owner};
  int told = 0;
  worker one{owner,
             tasks.bind("inproc://no-memory-for-a-note"),
             {.once = place.path() / "done.db",
              .on_failure = [&](const task&, const std::exception&) { ++told; }}};
  for (int count = 0; count < 3; ++count) {
    tasks.push("task");
    auto received = one.receive_for(patience);
    REQUIRE(received.has_value());
    const no_memory_for what_it_is_known_by{sizeof(held_task)};
    received->done();
  }
  CHECK(tasks.wait_until_done(patience));
  CHECK(tasks.statistics().done == 3);
  CHECK(told > 0);
}

// Calls.

namespace {

const call_book::time_point start{1h};

// A book that takes one call at a time, its servers, and the ends of its calls.
struct small_book : call_book::outbox, call_book::seat {
  explicit small_book(std::size_t servers)
      : book{*this, {.choice = server_choice::all_at_once, .limit = 1}}, servers_{servers} {
    for (std::size_t link = 0; link < servers; ++link) {
      book.add_link(false);
      book.set_ready(link, true, start);
      hear(link, {.what = call_header::kind::pong, .flags = call_header::bundles, .id = 1});
    }
  }
  void hear(std::size_t link, call_header header, const frame& payload = {}) {
    header.link = first_link + link;
    const std::size_t left = std::exchange(pieces_left, SIZE_MAX);  // those are for the book
    message incoming{pack_header(header)};
    if (!payload.empty()) {
      incoming.push_back(frame{});
      incoming.push_back(payload);
    }
    pieces_left = left;
    book.receive(link, std::move(incoming), start);
  }
  bool send(std::size_t, message&& outgoing) override {
    sent.push_back(std::move(outgoing));
    return true;
  }
  void take_end(call_outcome&&) override { ++ends; }
  void take_item(message&&) override {}
  void tell_ends() {
    for (call_book::ended& each : book.take_ended()) {
      each.when_done(std::move(each.how));
    }
    while (auto kept = book.take_kept()) {
      kept->when_done(std::move(kept->how));
    }
    CHECK_FALSE(book.has_ended());
  }
  std::uint64_t in_flight() const {
    std::uint64_t all = 0;
    for (std::size_t link = 0; link < servers_; ++link) {
      all += book.link(link).in_flight;
    }
    return all;
  }

  call_book book;
  std::vector<message> sent;
  int ends = 0;
  std::uint64_t first_link = 100;

 private:
  const std::size_t servers_;
};

// What becomes of a call that is started.
struct fate {
  const char* name;
  std::size_t servers = 2;
  bool is_held = false;
  bool is_attended = false;
  bool wants_reply = true;
  bool waits = true;
  std::chrono::milliseconds timeout{1000};
};

}  // namespace

TEST_CASE("a call for which there is no memory was never started") {
  for (const fate& each :
       {fate{"sent"}, fate{"held", 2, true}, fate{"waits in line", 0},
        fate{"attended", 2, false, true}, fate{"a notification", 2, false, false, false},
        fate{"finds no server", 0, false, false, true, false},
        fate{"late", 2, false, false, true, true, 0ms}}) {
    bool is_started = false;
    for (std::size_t pieces = 0; !is_started; ++pieces) {
      INFO(each.name << ", memory for " << pieces << " pieces");
      REQUIRE(pieces < 100);
      small_book at{each.servers};
      const auto order = [&] {
        call_book::order what{.payload = message{frame{"question"}},
                              .deadline = start + each.timeout,
                              .wait_for_server = each.waits,
                              .wants_reply = each.wants_reply};
        if (each.is_attended) {
          what.waiting = &at;
        } else {
          what.when_done = [&at](call_outcome&&) { ++at.ends; };
        }
        return what;
      };
      if (each.is_held) {
        at.book.hold();
      }
      std::uint64_t id = 0;
      {
        call_book::order first = order();
        const memory_for some{pieces};
        try {
          id = at.book.start(std::move(first), start);
          is_started = true;
        } catch (const std::bad_alloc&) {
          // Once more, when there is some.
        }
      }
      if (!is_started) {
        CHECK(at.book.unattended() == 0);
        CHECK_FALSE(at.book.has_ended());
        CHECK(at.in_flight() == 0);
        CHECK(at.book.statistics().no_server + at.book.statistics().timed_out == 0);
        id = at.book.start(order(), start);
        CHECK(at.book.statistics().overloaded == 0);
      }
      at.book.flush();
      for (std::size_t link = 0; link < each.servers; ++link) {
        at.hear(link, {.what = call_header::kind::reply, .id = id}, frame{"answer"});
      }
      at.book.tick(start + each.timeout);
      at.tell_ends();
      CHECK(at.ends == 1);
      CHECK(at.book.unattended() == 0);
      CHECK(at.in_flight() == 0);
    }
  }
}

TEST_CASE("a call ends whatever memory there is") {
  using what = std::function<void(small_book&, std::uint64_t)>;
  const frame answer{"answer"};
  const std::vector<std::pair<const char*, what>> ways{
      {"late", [](small_book& at, std::uint64_t) { at.book.tick(start + 1s); }},
      {"cancelled", [](small_book& at, std::uint64_t id) { at.book.cancel(id); }},
      {"closed", [](small_book& at, std::uint64_t) { at.book.close(); }},
      {"lost",
       [](small_book& at, std::uint64_t) {
         at.book.disconnected(0, start);
         at.book.disconnected(1, start);
       }},
      {"answered",
       [&](small_book& at, std::uint64_t id) {
         at.hear(0, {.what = call_header::kind::reply, .id = id}, answer);
       }},
      {"refused", [](small_book& at, std::uint64_t id) {
         at.hear(0, {.what = call_header::kind::refused, .id = id});
         at.hear(1, {.what = call_header::kind::refused, .id = id});
       }}};
  for (const bool is_attended : {false, true}) {
    for (const auto& [name, happens] : ways) {
      bool was_enough = false;
      for (std::size_t pieces = 0; !was_enough; ++pieces) {
        INFO(name << (is_attended ? ", attended" : "") << ", memory for " << pieces << " pieces");
        REQUIRE(pieces < 100);
        small_book at{2};
        call_book::order order{
            .payload = message{frame{"question"}}, .deadline = start + 1s, .when_done = {}};
        if (is_attended) {
          order.waiting = &at;
        } else {
          order.when_done = [&at](call_outcome&&) { ++at.ends; };
        }
        const std::uint64_t id = at.book.start(std::move(order), start);
        at.sent.shrink_to_fit();
        {
          const memory_for some{pieces};
          try {
            happens(at, id);
          } catch (const std::bad_alloc&) {
            // A ping could not leave, or the like: the call has ended.
          }
          was_enough = pieces_left > 0;
        }
        CHECK(at.book.unattended() == 0);
        at.tell_ends();
        CHECK(at.ends == 1);
        CHECK(at.in_flight() == 0);
        const client_statistics& books = at.book.statistics();
        CHECK(books.replied + books.timed_out + books.no_server + books.server_lost +
                  books.overloaded + books.cancelled + books.closed ==
              1);
      }
    }
  }
}

TEST_CASE("a server that came unnoticed is asked for calls when there is memory to ask") {
  small_book at{1};
  at.book.start({.payload = message{frame{"question"}}, .deadline = start + 1s, .waiting = &at},
                start);
  at.sent.clear();
  at.sent.shrink_to_fit();
  at.first_link = 200;
  {
    const memory_for none{0};
    at.hear(0, {.what = call_header::kind::pong, .id = 2});
    CHECK(at.book.next_tick() <= start);
    CHECK_THROWS_AS(at.book.tick(start), std::bad_alloc);
  }
  CHECK(at.sent.empty());
  at.book.tick(start);
  const auto asks = [](const message& each) {
    const auto header = parse_header(each.front().view());
    return header && header->what == call_header::kind::ask;
  };
  CHECK(std::count_if(at.sent.begin(), at.sent.end(), asks) == 1);
  CHECK(at.book.next_tick() > start);
}

TEST_CASE("calls that end without memory hold up no others") {
  small_book at{1};
  std::vector<std::uint64_t> started;
  for (int count = 0; count < 100; ++count) {
    const bool is_attended = count > 0;  // one more would be beyond the limit
    call_book::order order{
        .payload = message{frame{"question"}}, .deadline = start + 1s, .when_done = {}};
    if (is_attended) {
      order.waiting = &at;
    } else {
      order.when_done = [&at](call_outcome&&) { ++at.ends; };
    }
    at.book.start(std::move(order), start);
  }
  {
    const memory_for none{0};
    try {
      at.book.tick(start + 1s);
    } catch (const std::bad_alloc&) {
      // The rest when there is some.
    }
  }
  CHECK(at.ends == 99);
  at.tell_ends();
  CHECK(at.ends == 100);
}

// Clients and servers.

namespace {

// A server over a pipe, in this process, and its client. What is asked comes back.
struct talk {
  using answerer = std::function<message(message&&)>;

  explicit talk(
      answerer answer = [](message&& asked) { return std::move(asked); },
      const std::string& where = "pipe://no-memory", std::size_t frames = 1)
      : server{owner, {.workers = 1}},
        answers{std::move(answer)},
        client{owner},
        asks{frame{"question"}} {
    while (asks.size() < frames) {
      asks.push_back(frame{std::string(200, 'q')});
    }
    server.handle_raw([this](message&& asked) { return answers(std::move(asked)); });
    client.connect(server.bind(endpoint{where}));
    ask();
  }
  // Throws what a call does.
  void ask(std::chrono::milliseconds timeout = patience) {
    CHECK(client.request({.timeout = timeout}, asks) == asks);
  }
  // The same; false: there was none, in time.
  bool try_to_ask(std::chrono::milliseconds timeout) {
    try {
      static_cast<void>(client.request({.timeout = timeout}, asks));
      return true;
    } catch (const error&) {
      return false;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  // With a function.
  std::future<call_end> ask_then(
      std::chrono::milliseconds timeout, std::function<void()> finally = [] {},
      std::stop_token stop = {}) {
    auto told = std::make_shared<std::promise<call_end>>();
    auto end = told->get_future();
    client.request_then({.timeout = timeout, .stop = std::move(stop)}, asks,
                        [told, finally = std::move(finally)](call_outcome&& came) {
                          finally();
                          told->set_value(came.how);
                        });
    return end;
  }
  void check_books() {
    ask();
    for (const server_status& each : client.servers()) {
      CHECK(each.live);
      CHECK(each.in_flight == 0);
    }
  }

  context owner;
  parley::server server;
  answerer answers;
  parley::client client;
  message asks;
};

// Tells the failures of threads that wait for ever.
template<class Result>
void check_ready(const std::future<Result>& what) {
  if (what.wait_for(patience) != std::future_status::ready) {
    std::fputs("a call did not end\n", stderr);
    std::abort();
  }
}

}  // namespace

TEST_CASE("who calls and has no memory hears of it, and others call on") {
  const std::string where = GENERATE("pipe://no-memory", "inproc://no-memory", "tcp://127.0.0.1:*");
  for (const std::size_t refusals : {std::size_t{1}, SIZE_MAX}) {
    bool was_enough = false;
    for (std::size_t pieces = 0; !was_enough; ++pieces) {
      INFO(where << ", memory for " << pieces << " pieces, " << refusals << " refusals");
      REQUIRE(pieces < 300);
      talk at{[](message&& asked) { return std::move(asked); }, where, 5};
      {
        const memory_for some{pieces};
        refusals_left = refusals;
        static_cast<void>(at.try_to_ask(30ms));
        was_enough = pieces_left > 0 && pieces_left != SIZE_MAX;
        refusals_left = SIZE_MAX;
      }
      at.check_books();
    }
  }
}

TEST_CASE("calls of others end in time when who receives for them has no memory") {
  bool was_enough = false;
  for (std::size_t pieces = 0; !was_enough; ++pieces) {
    INFO("memory for " << pieces << " pieces");
    REQUIRE(pieces < 300);
    std::promise<void> came;
    std::promise<void> may_answer;
    auto answered = may_answer.get_future().share();
    bool is_held = false;
    talk at{[&](message&& asked) {
      if (asked.front() == "held" && !std::exchange(is_held, true)) {
        came.set_value();
        answered.wait_for(patience);
      }
      return std::move(asked);
    }};
    auto has_come = came.get_future();
    auto other = std::async(std::launch::async, [&] {
      static_cast<void>(has_come.wait_for(patience));
      auto with_function = at.ask_then(20ms);
      static_cast<void>(at.try_to_ask(20ms));
      check_ready(with_function);
    });
    message held{frame{"held"}};
    {
      const memory_for some{pieces};
      try {
        static_cast<void>(at.client.request({.timeout = 60ms}, std::move(held)));
      } catch (const error&) {
        // Late.
      } catch (const std::bad_alloc&) {
        // Never started, or given up.
      }
      was_enough = pieces_left > 0;
    }
    if (!is_held) {
      came.set_value();
    }
    check_ready(other);
    may_answer.set_value();
    at.check_books();
  }
}

TEST_CASE("a client's own thread goes on when there is memory again") {
  for (const std::size_t refusals : {std::size_t{1}, std::size_t{3}, std::size_t{30}}) {
    for (std::size_t pieces = 0; pieces < 30; ++pieces) {
      INFO("memory for " << pieces << " pieces, " << refusals << " refusals");
      talk at;
      auto first = at.ask_then(patience, [=] { run_short(pieces, refusals); });
      check_ready(first);
      for (int count = 0; count < 3; ++count) {
        check_ready(at.ask_then(100ms));
      }
      check_ready(at.ask_then(patience, [] { run_short(SIZE_MAX, SIZE_MAX); }));
      at.check_books();
    }
  }
}

TEST_CASE("a reply for which a server has no memory leaves when there is some") {
  for (const bool is_held : {false, true}) {
    for (const std::size_t refusals : {std::size_t{1}, std::size_t{3}, std::size_t{30}}) {
      for (std::size_t pieces = 0; pieces < 12; ++pieces) {
        INFO("memory for " << pieces << " pieces, " << refusals << " refusals"
                           << (is_held ? ", others wait" : ""));
        bool is_short = false;
        talk at{[&](message&& asked) {
          message reply = std::move(asked);
          if (reply.front() == "short" && !std::exchange(is_short, true)) {
            run_short(pieces, refusals);
          }
          return reply;
        }};
        std::vector<std::future<call_end>> others;
        for (int count = 0; is_held && count < 5; ++count) {
          others.push_back(at.ask_then(100ms));
        }
        const message reply =
            at.client.request({.timeout = patience, .idempotent = true}, message{frame{"short"}});
        CHECK(reply.front() == "short");
        for (const auto& each : others) {
          check_ready(each);
        }
        while (!at.try_to_ask(100ms)) {
        }
        at.check_books();
        CHECK(at.server.statistics().open == 0);
      }
    }
  }
}

TEST_CASE("calls are let go without any memory") {
  small_book at{1};
  std::vector<std::uint64_t> started;
  for (int count = 0; count < 100; ++count) {
    started.push_back(at.book.start(
        {.payload = message{frame{"question"}}, .deadline = start + 1s, .waiting = &at}, start));
  }
  CHECK(at.in_flight() == 100);
  {
    const memory_for none{0};
    for (const std::uint64_t id : started) {
      at.book.forget(id);
    }
  }
  CHECK(at.in_flight() == 0);
  CHECK(at.ends == 0);
}

TEST_CASE("calls are cancelled, and clients and servers closed, without any memory") {
  std::promise<void> came;
  std::promise<void> may_answer;
  auto answered = may_answer.get_future().share();
  auto has_come = came.get_future();
  int asked_before = 0;
  talk at{[&](message&& asked) {
    if (++asked_before == 2) {
      came.set_value();
      answered.wait_for(patience);
    }
    return std::move(asked);
  }};
  std::stop_source stop;
  auto cancelled = at.ask_then(
      patience, [] {}, stop.get_token());
  auto closed = at.ask_then(patience);
  REQUIRE(has_come.wait_for(patience) == std::future_status::ready);
  {
    const memory_for none{0};
    stop.request_stop();
  }
  check_ready(cancelled);
  CHECK(cancelled.get() == call_end::cancelled);
  {
    const memory_for none{0};
    at.client.close();
  }
  check_ready(closed);
  CHECK(closed.get() == call_end::closed);
  may_answer.set_value();
  const memory_for none{0};
  at.server.close();
}

TEST_CASE("handlers are asked to stop when a server closes without any memory") {
  context owner;
  server quiet{owner, {.workers = 2}};
  std::promise<void> came;
  std::promise<bool> heard;
  auto has_come = came.get_future();
  auto has_heard = heard.get_future();
  quiet.handle("wait", [&](const call_context& about) {
    std::promise<void> stopped;
    auto is_stopped = stopped.get_future();
    const std::stop_callback on_stop{about.stop_token(), [&] {
                                       run_short(SIZE_MAX, SIZE_MAX);  // by who closes
                                       stopped.set_value();
                                     }};
    came.set_value();
    heard.set_value(is_stopped.wait_for(patience) == std::future_status::ready);
  });
  client caller{owner, quiet.bind(endpoint{"pipe://no-memory-to-stop"})};
  auto call = caller.async_call<void>("wait");
  REQUIRE(has_come.wait_for(patience) == std::future_status::ready);
  {
    const memory_for none{0};
    quiet.close();
  }
  check_ready(has_heard);
  CHECK(has_heard.get());
  caller.close();
  check_ready(call);
}

TEST_CASE("a client disconnects whatever memory there is") {
  const std::string where = GENERATE("pipe://no-memory", "tcp://127.0.0.1:*");
  for (std::size_t pieces = 0; pieces < 20; ++pieces) {
    INFO(where << ", memory for " << pieces << " pieces");
    context owner;
    server quiet{owner};
    const endpoint bound = quiet.bind(endpoint{where});
    client caller{owner, bound};
    REQUIRE(caller.wait_for_servers(1, patience));
    {
      const memory_for some{pieces};
      caller.disconnect(bound);
    }
    CHECK(caller.servers().empty());
    caller.connect(bound);
    CHECK(caller.wait_for_servers(1, patience));
  }
}

TEST_CASE("a stream in which a result was lost for want of memory is not taken for a whole one") {
  constexpr int all = 200;
  constexpr int window = 64;
  for (std::size_t pieces = 0; pieces < 4; ++pieces) {
    INFO("memory for " << pieces << " pieces");
    std::promise<void> sent;
    auto is_sent = sent.get_future();
    int lost = 0;
    context owner;
    server counting{owner};
    counting.handle("count", [&](results<int>& out) {
      for (int number = 0; number < all; ++number) {
        if (number == window) {
          sent.set_value();
          run_short(pieces, 1);
        }
        try {
          static_cast<void>(out.send(number));
        } catch (const std::bad_alloc&) {
          ++lost;
        }
        run_short(SIZE_MAX, SIZE_MAX);
      }
    });
    client caller{owner, counting.bind(endpoint{"pipe://no-memory"})};
    auto numbers = caller.stream<int>("count");
    int next = 0;
    bool is_whole = false;
    try {
      for (const int each : numbers) {
        if (next == 0) {
          REQUIRE(is_sent.wait_for(patience) == std::future_status::ready);
        }
        CHECK(each == next);
        ++next;
      }
      is_whole = true;
    } catch (const remote_error&) {
      // It says so.
    }
    caller.close();
    counting.close();
    CHECK(is_whole == (lost == 0));
    CHECK((!is_whole || next == all));
  }
}

TEST_CASE("no result of a stream is missed for want of memory") {
  constexpr int all = 200;
  context owner;
  server counting{owner};
  counting.handle("count", [](results<std::string>& out) {
    for (int number = 0; number < all; ++number) {
      static_cast<void>(out.send(std::to_string(number) + std::string(100, 'x')));
    }
  });
  client caller{owner, counting.bind(endpoint{GENERATE("pipe://no-memory", "tcp://127.0.0.1:*")})};
  for (const std::size_t refusals : {std::size_t{1}, std::size_t{5}}) {
    bool was_enough = false;
    for (std::size_t pieces = 0; !was_enough; pieces += 1 + pieces / 10) {
      INFO("memory for " << pieces << " pieces, " << refusals << " refusals");
      REQUIRE(pieces < 10'000);
      int next = 0;
      bool is_whole = false;
      bool is_in_order = true;
      {
        auto numbers = caller.stream<std::string>({.timeout = 100ms}, "count");
        run_short(pieces, refusals);
        try {
          for (const std::string& each : numbers) {
            is_in_order = is_in_order && each.starts_with(std::to_string(next) + "x");
            ++next;
          }
          is_whole = true;
        } catch (const std::bad_alloc&) {
          // It says so.
        } catch (const error&) {
          // So does that.
        }
        was_enough = pieces_left > 0 && pieces_left != SIZE_MAX;
        run_short(SIZE_MAX, SIZE_MAX);
      }
      CHECK(is_in_order);
      CHECK((!is_whole || next == all));
    }
    CHECK(caller.servers().front().in_flight == 0);
  }
}
