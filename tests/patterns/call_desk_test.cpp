// SPDX-License-Identifier: MPL-2.0
#include "call_desk.hpp"

#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "rpc.hpp"
#include "support/catch.hpp"

using namespace parley;
using namespace std::chrono_literals;
using parley::detail::call_desk;
using parley::detail::call_header;
using parley::detail::carried_by;
using parley::detail::pack_header;
using parley::detail::parse_header;
using kind = call_header::kind;

namespace {

const call_desk::time_point start{1h};
constexpr std::uint64_t micros_of_start = 3'600'000'000;

// A desk, and what it says.
class counter {
 public:
  explicit counter(const server_options& options = {}) : desk{options, 1, 2} {}

  void take(message incoming) { desk.receive(std::move(incoming), now, out, stops); }
  // A request of a client of ours.
  void request(std::uint64_t id, std::uint8_t flags = 0, std::uint64_t time = 0,
               const char* from = "client", std::uint32_t amount = 0) {
    take(message{frame{from},
                 pack_header({.flags = flags, .id = id, .time = time, .amount = amount}), frame{},
                 frame{"question"}});
  }
  void control(kind what, std::uint64_t id, const char* from = "client", std::uint32_t amount = 0) {
    take(message{frame{from}, pack_header({.what = what, .id = id, .amount = amount})});
  }
  void answer(const call_desk::call& which, const std::string& text = "answer") {
    REQUIRE(which != nullptr);
    desk.answer(*which, message{frame{text}}, now, out);
  }
  // Executes all that waits.
  std::size_t work() {
    std::size_t count = 0;
    while (const auto next = desk.next(now)) {
      answer(next);
      ++count;
    }
    return count;
  }
  // The next call, which somebody watches.
  call_desk::call watched() {
    const auto runs = desk.next(now);
    REQUIRE(runs != nullptr);
    desk.make_stop(runs, now);
    return runs;
  }
  // Looks, and asks to stop what is to be asked.
  void look() {
    desk.look(now, out, stops);
    stop();
  }
  void close() {
    desk.close();
    while (auto next = desk.next_to_stop()) {
      next->request_stop();
    }
  }
  void stop() {
    for (std::stop_source& each : stops) {
      each.request_stop();
    }
    stops.clear();
  }
  // What was said since this was asked last, if it is one message.
  message take_said() {
    REQUIRE(out.size() == 1);
    message said = std::move(out.front());
    out.clear();
    return said;
  }
  // That a call, which somebody asked for, was cut short.
  void check_cut_short(std::uint64_t id, const char* to = "client") {
    const message said = take_said();
    CHECK(said.size() == 2);
    CHECK(said[0] == to);
    const auto header = parse_header(said[1].view());
    REQUIRE(header.has_value());
    CHECK(header->what == kind::refused);
    CHECK((header->flags & call_header::cut_short) != 0);
    CHECK(header->id == id);
    CHECK(header->amount == 0);
  }
  call_header take_header() {
    const auto header = parse_header(take_said()[1].view());
    REQUIRE(header.has_value());
    return *header;
  }

  call_desk::time_point now = start;
  call_desk desk;
  std::vector<message> out;
  std::vector<std::stop_source> stops;
};

constexpr std::uint8_t idempotent = call_header::idempotent;

}  // namespace

TEST_CASE("a request is executed and its reply goes where it came from, with its id") {
  counter at;
  at.request(7);
  const auto next = at.desk.next(at.now);
  REQUIRE(next != nullptr);
  CHECK(next->payload == message{frame{"question"}});
  CHECK(at.desk.next(at.now) == nullptr);
  CHECK(at.desk.statistics().open == 1);
  at.answer(next);
  const message said = at.take_said();
  REQUIRE(said.size() == 4);
  CHECK(said[0] == "client");
  const auto header = parse_header(said[1].view());
  CHECK(header->what == kind::reply);
  CHECK(header->id == 7);
  CHECK(said[2].empty());
  CHECK(said[3] == "answer");
  CHECK(at.desk.statistics().open == 0);
}

TEST_CASE("the second answer to a call is dropped") {
  counter at;
  at.request(7);
  const auto next = at.desk.next(at.now);
  at.answer(next, "first");
  at.answer(next, "second");
  CHECK(at.take_said()[3] == "first");
  CHECK(at.desk.statistics().answered == 1);
}

TEST_CASE("a small payload in the header's frame is answered so, a large one beside it") {
  counter at;
  for (const std::size_t size : {std::size_t{3}, call_header::most_carried + 1}) {
    at.take(message{frame{"client"}, pack_header({.id = 7}, frame{"question"})});
    const auto next = at.desk.next(at.now);
    REQUIRE(next != nullptr);
    CHECK(next->payload == message{frame{"question"}});
    at.answer(next, std::string(size, 'x'));
    const message said = at.take_said();
    if (size == 3) {
      REQUIRE(said.size() == 2);
      CHECK(carried_by(said[1].view()) == "xxx");
    } else {
      REQUIRE(said.size() == 4);
      CHECK(said[3].size() == size);
    }
  }
}

TEST_CASE("plain peers are answered as they asked, with and without a delimiter") {
  counter at;
  at.take(message{frame{"req"}, frame{}, frame{"a"}, frame{"b"}});
  at.work();
  CHECK(at.take_said() == message{frame{"req"}, frame{}, frame{"answer"}});
  at.take(message{frame{"dealer"}, frame{"a"}});
  at.work();
  CHECK(at.take_said() == message{frame{"dealer"}, frame{"answer"}});
  at.take(message{frame{"proxy"}, frame{"req"}, frame{}, frame{"a"}});
  at.work();
  CHECK(at.take_said() == message{frame{"proxy"}, frame{"req"}, frame{}, frame{"answer"}});
}

TEST_CASE("an empty payload is no reply, as for a notification") {
  counter at;
  at.request(7);
  at.desk.answer(*at.desk.next(at.now), {}, at.now, at.out);
  CHECK(at.out.empty());
  CHECK(at.desk.statistics().open == 0);
}

TEST_CASE("what is beyond the queue is refused at once, with a hint") {
  counter at{{.workers = 1, .queue = 2}};
  for (std::uint64_t id = 1; id <= 3; ++id) {
    at.request(id);
  }
  CHECK(at.out.empty());
  at.request(4);
  const call_header header = at.take_header();
  CHECK(header.what == kind::refused);
  CHECK(header.id == 4);
  CHECK(header.amount >= 1);
  CHECK(header.load == 3);
  CHECK(at.desk.statistics().refused == 1);
  CHECK(at.work() == 3);  // and what was refused is not executed
  at.out.clear();
  at.request(4);
  CHECK(at.work() == 1);
}

TEST_CASE("who is late or cancelled gives up its place when another needs it") {
  counter at{{.workers = 1, .queue = 2}};
  at.request(1);
  const auto runs = at.desk.next(at.now);
  at.request(2, 0, 1000);
  at.request(3);
  at.request(4);
  CHECK(at.take_header().what == kind::refused);
  at.now += 1ms;
  at.request(5);
  CHECK(at.out.empty());
  at.control(kind::cancel, 3);
  at.now += 1ms;
  at.request(6);
  CHECK(at.out.empty());
  at.request(7);
  CHECK(at.take_header().what == kind::refused);
  const auto counts = at.desk.statistics();
  CHECK(counts.expired == 1);
  CHECK(counts.cancelled == 1);
  CHECK(counts.open == 3);
  at.answer(runs);
  CHECK(at.work() == 2);  // 5 and 6
  CHECK(at.desk.statistics().open == 0);
}

TEST_CASE("the hint says how long those in front will take") {
  counter at{{.workers = 1, .queue = 10}};
  for (std::uint64_t id = 1; id <= 200; ++id) {
    at.request(id);
    const auto next = at.desk.next(at.now);
    at.now += 100ms;
    at.answer(next);
  }
  at.out.clear();
  for (std::uint64_t id = 1; id <= 11; ++id) {
    at.request(id);
  }
  at.request(12);
  const auto hint = at.take_header().amount;
  CHECK(hint > 1000);
  CHECK(hint <= 1100);
}

TEST_CASE("a plain peer is refused in words, a notification without any") {
  counter at{{.workers = 1, .queue = 1}};
  at.request(1);
  at.request(2);
  at.take(message{frame{"req"}, frame{}, encode(std::tuple{0, 9, "add", std::tuple{1, 2}})});
  const message said = at.take_said();
  CHECK(said[2].view().find("overloaded") != std::string_view::npos);
  at.take(message{frame{"req"}, frame{}, encode(std::tuple{2, "add", std::tuple{1, 2}})});
  CHECK(at.out.empty());
  at.take(message{frame{"req"}, frame{}, frame{"garbage"}});
  CHECK(at.out.size() == 1);  // a REQ socket would wait for ever
}

TEST_CASE("a call whose time has passed leaves the line unseen") {
  counter at;
  at.request(1, 0, 1000);  // a millisecond from now
  at.request(2, call_header::absolute_time, micros_of_start + 1000);
  at.request(3, 0, 1001);
  at.request(4);
  at.now += 1ms;
  CHECK(at.desk.next(at.now)->header->id == 3);
  CHECK(at.desk.next(at.now)->header->id == 4);
  CHECK(at.desk.statistics().expired == 2);
  CHECK(at.desk.statistics().open == 2);
}

TEST_CASE("a cancelled call never reaches its handler, one that runs is asked to stop") {
  counter at;
  at.request(1);
  at.request(2);
  const auto runs = at.desk.next(at.now);
  runs->stop = std::stop_source{};
  at.control(kind::cancel, 2);
  at.control(kind::cancel, 1);
  CHECK(at.desk.next(at.now) == nullptr);
  for (std::stop_source& each : at.stops) {
    each.request_stop();
  }
  CHECK(runs->stop.stop_requested());
  at.answer(runs);
  CHECK(at.out.empty());  // nobody waits for it
  CHECK(at.desk.statistics().cancelled == 2);
  CHECK(at.desk.statistics().open == 0);
}

TEST_CASE("a call that is watched is asked to stop when its deadline passes, and not before") {
  counter at;
  at.request(1, 0, 3000);
  at.request(2, 0, 1000);
  at.request(3, call_header::absolute_time, micros_of_start + 2000);
  const auto last = at.watched();
  const auto first = at.watched();
  const auto second = at.watched();
  CHECK(at.desk.next_look() == start + 1ms);
  at.now = start + 999us;
  at.look();
  CHECK_FALSE(first->stop.stop_requested());
  at.now = start + 1ms;
  at.look();
  CHECK(first->stop.stop_requested());
  CHECK_FALSE(second->stop.stop_requested());
  CHECK(at.desk.next_look() == start + 2ms);
  at.now = start + 3ms;
  at.look();
  CHECK(second->stop.stop_requested());
  CHECK(last->stop.stop_requested());
  CHECK(at.desk.next_look() == call_desk::time_point::max());
  // What they reply now may be but part of it.
  at.answer(first);
  CHECK(at.out.empty());
  CHECK(at.desk.statistics().expired == 3);
  CHECK(at.desk.statistics().open == 2);
}

TEST_CASE("a call without a deadline, or whose reply was given, is not asked to stop by the time") {
  counter at;
  at.request(1);
  const auto endless = at.watched();
  CHECK(at.desk.next_look() == call_desk::time_point::max());
  at.request(2, 0, 1000);
  const auto quick = at.watched();
  at.answer(quick);
  at.request(3, 0, 1000);
  const auto quicker = at.desk.next(at.now);
  at.answer(quicker);
  quicker->stop = std::stop_source{};
  at.desk.watch(quicker, at.now);
  at.now += 1h;
  at.look();
  CHECK_FALSE(endless->stop.stop_requested());
  CHECK_FALSE(quick->stop.stop_requested());
  CHECK_FALSE(quicker->stop.stop_requested());
}

TEST_CASE("a call that nobody watches is not kept in mind, nor one that was answered for long") {
  counter at;
  at.request(1, 0, 1000);
  const auto unwatched = at.desk.next(at.now);
  CHECK(at.desk.next_look() == call_desk::time_point::max());
  at.request(2, 0, 1'000'000);
  at.answer(at.watched());
  for (std::uint64_t id = 3; id < 1000; ++id) {
    at.request(id, 0, 2'000'000);
    at.answer(at.watched());
  }
  CHECK(at.desk.next_look() == start + 2s);  // that of 2 has gone
}

TEST_CASE("the client of a stream is called up, and the stream stopped when it is gone") {
  counter at;
  at.request(7, call_header::streamed, 1000, "doomed", 1);
  at.request(8, call_header::streamed, 1000, "other", 1);
  at.request(9, 0, 1'000'000'000, "doomed");
  const auto doomed = at.watched();
  at.now += 10ms;
  const auto other = at.watched();
  const auto plain = at.watched();
  CHECK(at.desk.next_look() == start + 500ms);
  at.now = start + 500ms;
  at.look();
  message said = at.take_said();
  REQUIRE(said.size() == 2);
  CHECK(said[0] == "doomed");
  CHECK(parse_header(said[1].view())->what == kind::pong);
  CHECK(parse_header(said[1].view())->id == 0);
  CHECK_FALSE(doomed->stop.stop_requested());
  // It could be delivered; the next one cannot.
  at.now = start + 1s;
  at.look();
  REQUIRE(at.out.size() == 2);
  CHECK(at.out[0][0] == "other");
  CHECK(at.out[1][0] == "doomed");
  at.desk.undelivered(std::move(at.out[1]), at.stops);
  at.out.clear();
  at.stop();
  CHECK(doomed->stop.stop_requested());
  CHECK(doomed->is_dropped);
  CHECK_FALSE(other->stop.stop_requested());
  CHECK_FALSE(plain->stop.stop_requested());
  CHECK(at.desk.statistics().cancelled == 1);
  CHECK(at.desk.statistics().undelivered == 0);  // it was no reply
  // Then it is left alone, as one that has ended is.
  at.answer(other);
  at.out.clear();
  at.now = start + 2s;
  at.look();
  CHECK(at.out.empty());
  CHECK(at.desk.next_look() == start + 1000s);  // the plain one's
}

TEST_CASE("who asks again for an idempotent call that was done gets the same reply") {
  counter at;
  at.request(7, idempotent);
  CHECK(at.work() == 1);
  at.out.clear();
  at.request(7, idempotent, 0, "client, back again");
  CHECK(at.work() == 0);
  const message said = at.take_said();
  CHECK(said[0] == "client, back again");
  CHECK(said[3] == "answer");
  CHECK(at.desk.statistics().remembered == 1);
}

TEST_CASE("a call that is not idempotent is not remembered") {
  counter at;
  at.request(7);
  at.work();
  at.request(7);
  CHECK(at.work() == 1);
}

TEST_CASE("who asks for a call that runs shares its reply, once for each way it came") {
  counter at;
  at.request(7, idempotent);
  const auto runs = at.desk.next(at.now);
  at.request(7, idempotent, 0, "other");
  at.request(7, idempotent, 0, "other");
  at.request(7, idempotent);
  CHECK(at.desk.next(at.now) == nullptr);
  at.answer(runs);
  REQUIRE(at.out.size() == 2);
  CHECK(at.out[0][0] == "client");
  CHECK(at.out[1][0] == "other");
}

TEST_CASE("the ways to share a reply are bounded") {
  counter at;
  at.request(7, idempotent);
  for (int count = 0; count < 1000; ++count) {
    at.request(7, idempotent, 0, std::to_string(count).c_str());
  }
  CHECK(at.work() == 1);
  CHECK(at.out.size() < 100);
}

TEST_CASE("an idempotent call that was cancelled while it ran is not executed again") {
  counter at;
  at.request(7, idempotent);
  const auto runs = at.desk.next(at.now);
  at.control(kind::cancel, 7);
  at.control(kind::cancel, 7);
  at.request(7, idempotent);
  CHECK(at.desk.next(at.now) == nullptr);
  at.answer(runs);
  CHECK(at.take_said()[3] == "answer");
  CHECK(at.desk.statistics().cancelled == 1);
}

TEST_CASE("an idempotent call that was cancelled before it began may come again") {
  counter at;
  at.request(7, idempotent);
  at.control(kind::cancel, 7);
  at.request(7, idempotent);
  CHECK(at.work() == 1);
  CHECK(at.out.size() == 1);
}

TEST_CASE("what a handler leaves that was asked to stop is given to nobody who asks again") {
  counter at;
  at.request(7, idempotent);
  const auto runs = at.watched();
  at.control(kind::cancel, 7);
  at.request(7, idempotent, 0, "while it ends");
  at.check_cut_short(7, "while it ends");
  at.control(kind::ask, 7);
  at.check_cut_short(7);
  at.answer(runs, "a part");
  CHECK(at.out.empty());
  at.request(7, idempotent);
  at.check_cut_short(7);
  at.control(kind::ask, 7);
  at.check_cut_short(7);
  CHECK(at.desk.next(at.now) == nullptr);
  CHECK(at.desk.statistics().open == 0);
  at.now += server_options{}.remembered_for;
  at.request(7, idempotent);
  CHECK(at.work() == 1);
}

TEST_CASE("a handler that was not asked to stop leaves all of it, though its caller had left") {
  counter at;
  at.request(7, idempotent);
  at.request(8, idempotent);
  const auto unaware = at.desk.next(at.now);
  const auto back_in_time = at.desk.next(at.now);
  at.control(kind::cancel, 7);
  at.control(kind::cancel, 8);
  at.request(8, idempotent);
  at.desk.make_stop(back_in_time, at.now);
  CHECK_FALSE(back_in_time->stop.stop_requested());
  at.answer(unaware);
  CHECK(at.out.empty());
  at.answer(back_in_time);
  CHECK(at.take_said()[3] == "answer");
  at.request(7, idempotent);
  CHECK(at.take_said()[3] == "answer");
}

TEST_CASE("a handler that asks for its stop token too late is asked to stop at once") {
  counter at;
  at.request(7, idempotent);
  at.request(8, idempotent, 1000);
  const auto cancelled = at.desk.next(at.now);
  const auto late = at.desk.next(at.now);
  at.control(kind::cancel, 7);
  at.now += 1ms;
  for (const auto& each : {cancelled, late}) {
    at.desk.make_stop(each, at.now);
    CHECK(each->stop.stop_requested());
  }
  at.request(7, idempotent);
  at.check_cut_short(7);
  at.answer(cancelled, "a part");
  CHECK(at.out.empty());
  at.answer(late, "a part");
  at.check_cut_short(8);  // of this one nobody said that it waits no more
}

TEST_CASE("what comes after the deadline is given to nobody if the handler knew, else to all") {
  for (const bool knows : {false, true}) {
    for (const bool is_watched : {false, true}) {
      counter at;
      at.request(7, idempotent, 1000);
      const auto runs = is_watched ? at.watched() : at.desk.next(at.now);
      runs->told_deadline = knows;
      at.now += 1ms;
      at.look();
      at.answer(runs);
      at.out.clear();
      at.request(7, idempotent);
      if (knows || is_watched) {
        at.check_cut_short(7);
      } else {
        CHECK(at.take_said()[3] == "answer");
      }
    }
  }
}

TEST_CASE("a call that waits is asked for again with a later deadline, and has that") {
  counter at;
  at.request(7, idempotent, 1000);
  at.request(7, idempotent, 3000);
  at.request(7, idempotent, 2000);
  at.now += 2ms;
  CHECK(at.work() == 1);
}

TEST_CASE("a call whose handler had no memory for a reply was executed all the same") {
  counter at;
  at.request(7, idempotent);
  at.desk.answer(*at.desk.next(at.now), {}, at.now, at.out);
  CHECK(at.out.empty());
  at.request(7, idempotent);
  at.check_cut_short(7);
  CHECK(at.work() == 0);
}

TEST_CASE("a cancel that was overtaken by another connection's request stops nothing") {
  counter at;
  at.request(7, idempotent, 0, "stalled");
  const auto runs = at.watched();
  at.request(7, idempotent, 0, "other");
  at.control(kind::cancel, 7, "stalled");
  at.stop();
  CHECK_FALSE(runs->stop.stop_requested());
  at.request(7, idempotent, 0, "stalled");
  at.control(kind::cancel, 7, "other");
  at.stop();
  CHECK_FALSE(runs->stop.stop_requested());
  at.control(kind::cancel, 7, "stalled");
  at.stop();
  CHECK(runs->stop.stop_requested());
  at.request(8, idempotent);
  const auto next = at.watched();
  at.control(kind::cancel, 8, "by a connection that is new");
  at.stop();
  CHECK(next->stop.stop_requested());
}

TEST_CASE("a stream that was dropped is not taken up again by who asks for it") {
  counter at;
  for (const std::uint8_t flags : {std::uint8_t{0}, idempotent}) {
    at.request(7, call_header::streamed | flags, 1000, "doomed", 1);
    const auto runs = at.desk.next(at.now);
    REQUIRE(runs != nullptr);
    at.desk.watch(runs, at.now);
    at.now += 500ms;
    at.look();
    at.desk.undelivered(at.take_said(), at.stops);
    CHECK(runs->is_dropped);
    for (const char* const from : {"doomed", "other"}) {
      at.control(kind::ask, 7, from);
      at.check_cut_short(7, from);
      at.request(7, call_header::streamed | flags, 1000, from, 1);
      at.check_cut_short(7, from);
    }
    CHECK(runs->is_dropped);
    at.answer(runs, "the end");
    CHECK(at.out.empty());
  }
  at.control(kind::ask, 7, "doomed");
  at.check_cut_short(7, "doomed");
}

TEST_CASE("the end of a stream goes only where its results went") {
  counter at;
  for (const std::uint8_t flags : {std::uint8_t{0}, idempotent}) {
    at.request(7, call_header::streamed | flags, 1000, "client", 1);
    const auto runs = at.desk.next(at.now);
    REQUIRE(runs != nullptr);
    at.control(kind::ask, 7, "other");
    at.check_cut_short(7, "other");
    at.control(kind::ask, 7);  // it is the same connection: nothing is lost
    CHECK(at.out.empty());
    at.answer(runs, "the end");
    CHECK(at.take_said()[0] == "client");
  }
  at.control(kind::ask, 7, "other");
  at.check_cut_short(7, "other");  // not the remembered end
}

TEST_CASE("replies are remembered so long, so many, and so many bytes") {
  const auto knows = [](counter& at, std::uint64_t id) {
    at.out.clear();
    at.request(id, idempotent);
    return at.work() == 0;
  };
  {
    counter at{{.remembered_for = 10s}};
    at.request(7, idempotent);
    at.work();
    at.now += 9'999ms;
    CHECK(knows(at, 7));
    at.now += 1ms;
    CHECK_FALSE(knows(at, 7));
  }
  {
    counter at{{.remembered = 2}};
    for (const std::uint64_t id : {1, 2, 3}) {
      at.request(id, idempotent);
      at.work();
    }
    CHECK(knows(at, 3));
    CHECK(knows(at, 2));
    CHECK_FALSE(knows(at, 1));
  }
  {
    counter at;
    for (const std::uint64_t id : {1, 2, 3}) {
      at.request(id, idempotent);
      at.answer(at.desk.next(at.now), std::string(std::size_t{6} << 20, 'x'));
    }
    CHECK(knows(at, 3));
    CHECK(knows(at, 2));
    CHECK_FALSE(knows(at, 1));
    at.request(4, idempotent);
    at.answer(at.desk.next(at.now), std::string((std::size_t{16} << 20) + 1, 'x'));
    CHECK(knows(at, 3));  // what is too large for all of it costs nobody else
    CHECK_FALSE(knows(at, 4));
  }
  {
    counter at{{.remembered = 0}};
    at.request(7, idempotent);
    at.work();
    CHECK_FALSE(knows(at, 7));
  }
}

TEST_CASE("who asks whether a call is open hears if it is unknown, or its reply, or nothing") {
  counter at;
  at.control(kind::ask, 1);
  CHECK(at.take_header().what == kind::unknown);
  CHECK(at.desk.take_denial());
  at.request(2, idempotent);
  at.control(kind::ask, 2);
  CHECK(at.out.empty());
  at.work();
  at.out.clear();
  at.control(kind::ask, 2);
  CHECK(parse_header(at.out.front()[1].view())->what == kind::reply);
  CHECK(at.take_said()[3] == "answer");
  CHECK_FALSE(at.desk.take_denial());
}

TEST_CASE("who asks for an open call over another connection gets its reply there") {
  counter at;
  at.request(2, 0, 0, "old");
  const auto runs = at.desk.next(at.now);
  at.control(kind::ask, 2, "new");
  at.answer(runs);
  REQUIRE(at.out.size() == 2);
  CHECK(at.out[1][0] == "new");
}

TEST_CASE("a ping is answered with the clock, the load, and who speaks") {
  counter at;
  at.request(1);
  at.control(kind::ping, 5);
  const call_header first = at.take_header();
  CHECK(first.what == kind::pong);
  CHECK(first.id == 5);
  CHECK(first.time == micros_of_start);
  CHECK(first.load == 1);
  CHECK(first.link != 0);
  at.control(kind::ping, 6);
  CHECK(at.take_header().link == first.link);
  at.control(kind::ping, 6, "by another connection");
  CHECK(at.take_header().link != first.link);
  call_desk other{{}, 2, 2};
  other.receive(message{frame{"client"}, pack_header({.what = kind::ping})}, at.now, at.out,
                at.stops);
  CHECK(at.take_header().link != first.link);
}

TEST_CASE("behind a proxy it cannot be told who speaks") {
  counter at;
  at.take(message{frame{"proxy"}, frame{"client"}, pack_header({.what = kind::ping, .id = 5})});
  const message said = at.take_said();
  REQUIRE(said.size() == 3);
  CHECK(parse_header(said[2].view())->link == 0);
}

TEST_CASE("credit is added up, and never overflows") {
  counter at;
  at.request(7, call_header::streamed, 1000, "client", 3);
  const auto runs = at.desk.next(at.now);
  REQUIRE(runs != nullptr);
  CHECK(runs->credit == 3);
  CHECK(runs->patience == 1ms);
  CHECK(runs->deadline == call_desk::time_point::max());
  at.control(kind::credit, 7, "client", 4);
  CHECK(runs->credit == 7);
  at.control(kind::credit, 7, "client", call_header::any_amount);
  at.control(kind::credit, 7, "client", call_header::any_amount);
  CHECK(runs->credit == call_header::any_amount);
  at.control(kind::credit, 8, "client", 1);
  CHECK(at.out.empty());
}

TEST_CASE("an id that is in use is no second call's") {
  counter at;
  at.request(7, 0, 0, "first");
  at.request(7, 0, 0, "second");
  CHECK(at.work() == 1);
  CHECK(at.out.size() == 2);
}

TEST_CASE("closing drops what waits and asks the rest to stop") {
  counter at;
  at.request(1);
  at.take(message{frame{"req"}, frame{}, frame{"a"}});
  at.request(2);
  const auto first = at.desk.next(at.now);
  const auto plain = at.desk.next(at.now);
  first->stop = std::stop_source{};
  plain->stop = std::stop_source{};
  at.close();
  CHECK(first->stop.stop_requested());
  CHECK(plain->stop.stop_requested());
  CHECK(at.desk.next(at.now) == nullptr);
  CHECK(at.desk.statistics().open == 2);
  at.answer(first);
  at.answer(plain);
  CHECK(at.desk.statistics().open == 0);
}

TEST_CASE("a plain peer hears that the server closes, rather than a part of its result") {
  for (const bool is_watched : {false, true}) {
    counter at;
    at.take(message{frame{"req"}, frame{}, frame{"a"}});
    const auto runs = is_watched ? at.watched() : at.desk.next(at.now);
    at.close();
    at.answer(runs);
    const message said = at.take_said();
    REQUIRE(said.size() == 3);
    if (is_watched) {
      CHECK(said[2].view().find("closed") != std::string_view::npos);
    } else {
      CHECK(said[2] == "answer");
    }
  }
}

TEST_CASE("hostile messages leave nothing behind, and hurt nobody else") {
  counter at;
  at.request(1, idempotent);
  const auto runs = at.desk.next(at.now);
  at.take({});
  at.take(message{frame{"x"}});
  at.take(message{frame{"x"}, frame{}});
  at.take(message{frame{}, frame{}});
  at.take(message{frame{"x"}, pack_header({.id = 9}), frame{}});
  for (const kind what : {kind::reply, kind::item, kind::refused, kind::unknown, kind::pong}) {
    at.control(what, 1);
  }
  CHECK(at.out.empty());
  CHECK(at.desk.statistics().open == 1);
  CHECK(at.desk.waiting() == 0);

  std::minstd_rand random{1};
  std::string whole = pack_header({.id = 2}).str();
  for (int count = 0; count < 20'000; ++count) {
    message each{frame{"hostile"}};
    for (auto frames = random() % 4; frames > 0; --frames) {
      std::string bytes = whole.substr(0, random() % 2 == 0 ? whole.size() : random() % 60);
      if (!bytes.empty() && random() % 2 == 0) {
        bytes[random() % bytes.size()] = static_cast<char>(random());
      }
      each.push_back(frame{bytes});
    }
    at.take(std::move(each));
    if (count % 50 == 0) {
      at.now += 1ms;
      at.work();
      at.out.clear();
    }
  }
  at.work();
  at.out.clear();
  at.answer(runs);
  CHECK(at.take_said()[0] == "client");
  CHECK(at.desk.statistics().open == 0);
}
