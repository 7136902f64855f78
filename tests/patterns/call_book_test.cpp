// SPDX-License-Identifier: MPL-2.0
#include "call_book.hpp"

#include <parley/error.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace std::chrono_literals;
using parley::detail::call_book;
using parley::detail::call_header;
using parley::detail::pack_header;
using parley::detail::parse_header;
using kind = call_header::kind;

namespace {

using time_point = call_book::time_point;
const time_point start{1h};

// A book, the servers it is linked to, and what became of its calls.
class office : call_book::outbox, call_book::seat {
 public:
  explicit office(std::size_t servers, const client_options& options = {}) : book{*this, options} {
    for (std::size_t link = 0; link < servers; ++link) {
      book.add_link(false);
      book.set_ready(link, true, start);
      hear(link, {.what = kind::pong, .id = 1, .link = 100 + link});
    }
    sent.clear();
  }

  std::uint64_t call(call_book::order what = {}) {
    if (what.payload.empty()) {
      what.payload = message{frame{"question"}};
    }
    if (what.deadline == time_point{}) {
      what.deadline = start + 5s;
    }
    what.when_done = [this](call_outcome&& how) { ends.push_back(std::move(how)); };
    const std::uint64_t id = book.start(std::move(what), now);
    settle();
    return id;
  }
  std::uint64_t stream(std::uint32_t credit, bool idempotent = false) {
    return book.start({.payload = message{frame{"question"}},
                       .deadline = time_point::max(),
                       .idempotent = idempotent,
                       .credit = credit,
                       .waiting = this},
                      now);
  }
  void hear(std::size_t link, call_header header, std::optional<frame> payload = {}) {
    header.link = header.link != 0 ? header.link : 100 + link;
    message incoming{pack_header(header)};
    if (payload) {
      incoming.push_back(frame{});
      incoming.push_back(*payload);
    }
    book.receive(link, std::move(incoming), now);
    settle();
  }
  void reply(std::size_t link, std::uint64_t id, const char* text = "answer") {
    hear(link, {.what = kind::reply, .id = id}, frame{text});
  }
  void refuse(std::size_t link, std::uint64_t id, std::uint32_t milliseconds) {
    hear(link, {.what = kind::refused, .id = id, .amount = milliseconds});
  }
  void set_ready(std::size_t link, bool can_send) {
    book.set_ready(link, can_send, now);
    settle();
  }
  void cancel(std::uint64_t id) {
    book.cancel(id);
    settle();
  }
  void pass(call_book::clock::duration time) {
    now += time;
    book.tick(now);
    settle();
  }

  // What was sent to a server since this was asked last, but for pings.
  std::vector<std::pair<kind, std::uint64_t>> take_sent(std::size_t link) {
    std::vector<std::pair<kind, std::uint64_t>> taken;
    for (auto& [to, header] : sent) {
      if (to == link && header.what != kind::ping) {
        taken.emplace_back(header.what, header.id);
      }
    }
    std::erase_if(sent, [&](const auto& each) { return each.first == link; });
    return taken;
  }
  std::size_t pings(std::size_t link) const {
    return static_cast<std::size_t>(std::count_if(sent.begin(), sent.end(), [&](const auto& each) {
      return each.first == link && each.second.what == kind::ping;
    }));
  }
  std::uint64_t last_ping(std::size_t link) const {
    std::uint64_t number = 0;
    for (const auto& [to, header] : sent) {
      number = to == link && header.what == kind::ping ? header.id : number;
    }
    return number;
  }
  // How the only call that has ended since this was asked last did.
  call_end take_end() {
    REQUIRE(ends.size() == 1);
    last = std::move(ends.front());
    ends.clear();
    return last.how;
  }

  time_point now = start;
  call_book book;
  std::vector<std::pair<std::size_t, call_header>> sent;
  std::set<std::size_t> jammed;
  std::vector<call_outcome> ends;
  std::vector<message> items;
  call_outcome last;

 private:
  bool send(std::size_t link, message&& outgoing) override {
    if (jammed.count(link) != 0) {
      return false;
    }
    const auto header = parse_header(outgoing.front().view());
    sent.emplace_back(link, header.value_or(call_header{.id = 0}));
    return true;
  }
  void take_end(call_outcome&& how) override { ends.push_back(std::move(how)); }
  void take_item(message&& item) override { items.push_back(std::move(item)); }
  void settle() {
    for (call_book::ended& each : book.take_ended()) {
      each.when_done(std::move(each.how));
    }
  }
};

using said = std::vector<std::pair<kind, std::uint64_t>>;

}  // namespace

TEST_CASE("a call ends with its reply, and no other reply changes that") {
  office at{1};
  const auto id = at.call();
  CHECK(at.take_sent(0) == said{{kind::request, id}});
  at.reply(0, id);
  CHECK(at.take_end() == call_end::replied);
  CHECK(at.last.reply == message{frame{"answer"}});
  at.reply(0, id, "again");
  at.pass(1h);
  CHECK(at.ends.empty());
  CHECK(at.book.statistics().late == 1);
  CHECK(at.take_sent(0).empty());
}

TEST_CASE("a call ends at its deadline, and the server is told") {
  office at{1, {.heartbeat = 0ms}};
  const auto id = at.call({.deadline = start + 100ms});
  static_cast<void>(at.take_sent(0));
  CHECK(at.book.next_tick() == start + 100ms);
  at.pass(99ms);
  CHECK(at.ends.empty());
  at.pass(1ms);
  CHECK(at.take_end() == call_end::timed_out);
  CHECK(at.take_sent(0) == said{{kind::cancel, id}});
  at.reply(0, id);
  CHECK(at.ends.empty());
}

TEST_CASE("a call that starts too late ends at once and is not sent") {
  office at{1};
  at.call({.deadline = start});
  CHECK(at.take_end() == call_end::timed_out);
  CHECK(at.take_sent(0).empty());
}

TEST_CASE("a call waits for a server, and in line") {
  office at{1};
  at.set_ready(0, false);
  const auto first = at.call();
  const auto second = at.call();
  CHECK(at.take_sent(0).empty());
  at.set_ready(0, true);
  CHECK(at.take_sent(0) == said{{kind::request, first}, {kind::request, second}});
}

TEST_CASE("a call that no server is there for ends so, at once if asked for, else in time") {
  office at{1};
  at.set_ready(0, false);
  at.call({.wait_for_server = false});
  CHECK(at.take_end() == call_end::no_server);
  at.call();
  at.pass(5s);
  CHECK(at.take_end() == call_end::no_server);
  at.set_ready(0, true);
  CHECK(at.take_sent(0).empty());
}

TEST_CASE("calls that ended in line leave no trace") {
  office at{1};
  at.set_ready(0, false);
  for (int count = 0; count < 10'000; ++count) {
    at.cancel(at.call());
  }
  CHECK(at.book.in_line() < 100);
}

TEST_CASE("a message that could not be sent leaves when its link can send again") {
  office at{1};
  at.jammed.insert(0);
  const auto id = at.call();
  at.jammed.clear();
  at.set_ready(0, true);
  CHECK(at.take_sent(0) == said{{kind::request, id}});
}

TEST_CASE("a refused call goes to another server") {
  office at{2};
  const auto id = at.call();
  const std::size_t first = at.take_sent(0).empty() ? 1 : 0;
  at.refuse(first, id, 5);
  CHECK(at.ends.empty());
  CHECK(at.take_sent(1 - first) == said{{kind::request, id}});
  at.reply(1 - first, id);
  CHECK(at.take_end() == call_end::replied);
  CHECK(at.book.statistics().moved == 1);
}

TEST_CASE("a call that all servers refuse ends overloaded, with the longest hint") {
  office at{2, {.choice = server_choice::in_turn}};
  const auto id = at.call();
  at.refuse(0, id, 50);
  at.refuse(1, id, 20);
  CHECK(at.take_end() == call_end::overloaded);
  CHECK(at.last.retry_after == 50ms);
  CHECK(at.book.statistics().moved == 1);
}

TEST_CASE("a server that refuses what it was not asked, or twice, changes nothing") {
  office at{2, {.choice = server_choice::in_turn}};
  const auto id = at.call();
  at.refuse(1, id, 50);
  CHECK(at.ends.empty());
  CHECK(at.take_sent(1).empty());
  at.refuse(0, id, 50);
  at.refuse(0, id, 50);
  CHECK(at.ends.empty());
  CHECK(at.take_sent(1) == said{{kind::request, id}});
}

TEST_CASE("when a server is lost, idempotent calls go on and others end, server lost") {
  office at{2, {.choice = server_choice::in_turn}};
  const auto again = at.call({.idempotent = true});
  at.call();
  at.set_ready(0, false);
  CHECK(at.take_end() == call_end::server_lost);
  CHECK(at.take_sent(1) == said{{kind::request, again}});
  at.set_ready(1, false);
  CHECK(at.ends.empty());
  at.set_ready(0, true);  // or wait for the next that comes
  at.reply(0, again);
  CHECK(at.take_end() == call_end::replied);
}

TEST_CASE("a call that was cut short at a server goes to another one, if it may, or is lost") {
  office at{2, {.choice = server_choice::in_turn}};
  const auto cut_short = [&](std::size_t link, std::uint64_t id) {
    at.hear(link, {.what = kind::refused, .flags = call_header::cut_short, .id = id});
  };
  const auto again = at.call({.idempotent = true});
  cut_short(0, again);
  CHECK(at.take_sent(1) == said{{kind::request, again}});
  cut_short(1, again);
  CHECK(at.take_end() == call_end::server_lost);
  const auto once = at.call();
  cut_short(0, once);
  CHECK(at.take_end() == call_end::server_lost);
  static_cast<void>(at.take_sent(0));
  // Some of its results may have come already.
  const auto stream = at.stream(2, true);
  at.hear(0, {.what = kind::item, .id = stream}, frame{"one"});
  cut_short(0, stream);
  CHECK(at.take_end() == call_end::server_lost);
  CHECK(at.take_sent(1).empty());
}

TEST_CASE("a call that was lost once may have been executed, and does not end overloaded") {
  office at{2, {.choice = server_choice::in_turn}};
  const auto id = at.call({.idempotent = true});
  at.set_ready(0, false);
  at.refuse(1, id, 5);
  CHECK(at.take_end() == call_end::server_lost);

  const auto other = at.call({.idempotent = true});  // the other way round
  at.set_ready(0, true);
  at.refuse(1, other, 5);
  CHECK(at.ends.empty());
  at.set_ready(0, false);
  CHECK(at.take_end() == call_end::server_lost);
}

TEST_CASE("a call that was lost and finds no other server in time has timed out") {
  office at{1};
  at.call({.idempotent = true});
  at.set_ready(0, false);
  at.pass(5s);
  CHECK(at.take_end() == call_end::timed_out);
}

TEST_CASE("an idempotent call that would not wait ends when no other server is there") {
  office at{1};
  at.call({.idempotent = true, .wait_for_server = false});
  at.set_ready(0, false);
  CHECK(at.take_end() == call_end::server_lost);
}

TEST_CASE("a cancelled call ends at once, and its server is told") {
  office at{2, {.choice = server_choice::in_turn}};
  const auto id = at.call();
  static_cast<void>(at.take_sent(0));
  at.cancel(id);
  CHECK(at.take_end() == call_end::cancelled);
  CHECK(at.take_sent(0) == said{{kind::cancel, id}});
  CHECK(at.take_sent(1).empty());
  at.cancel(id);
  CHECK(at.ends.empty());
}

TEST_CASE("the first reply of all servers asked at once counts, and the others are told to stop") {
  office at{3, {.choice = server_choice::all_at_once}};
  const auto id = at.call();
  for (const std::size_t link : {0, 1, 2}) {
    CHECK(at.take_sent(link) == said{{kind::request, id}});
  }
  at.refuse(0, id, 10);
  at.reply(2, id, "third");
  CHECK(at.take_end() == call_end::replied);
  CHECK(at.last.reply == message{frame{"third"}});
  CHECK(at.take_sent(0).empty());
  CHECK(at.take_sent(1) == said{{kind::cancel, id}});
  CHECK(at.take_sent(2).empty());
  at.reply(1, id, "second");
  CHECK(at.ends.empty());
}

TEST_CASE("of all servers asked at once the last one decides if the others refuse or go") {
  office at{2, {.choice = server_choice::all_at_once}};
  const auto id = at.call();
  at.refuse(0, id, 10);
  CHECK(at.ends.empty());
  at.set_ready(1, false);
  CHECK(at.take_end() == call_end::server_lost);
  at.set_ready(1, true);

  const auto other = at.call();
  at.refuse(0, other, 10);
  at.refuse(1, other, 20);
  CHECK(at.take_end() == call_end::overloaded);
}

TEST_CASE("of all servers asked at once one that was lost is not asked again, unless it may be") {
  office at{2, {.choice = server_choice::all_at_once}};
  const auto once = at.call();
  at.set_ready(0, false);
  at.set_ready(0, true);
  static_cast<void>(at.take_sent(0));
  at.refuse(1, once, 20);
  CHECK(at.take_end() == call_end::server_lost);
  CHECK(at.take_sent(0).empty());

  const auto again = at.call({.idempotent = true});
  at.set_ready(0, false);
  at.set_ready(0, true);
  static_cast<void>(at.take_sent(0));
  at.refuse(1, again, 20);
  CHECK(at.take_sent(0) == said{{kind::request, again}});
}

TEST_CASE("in turn: the first server that lives") {
  office at{3, {.choice = server_choice::in_turn}};
  for (int count = 0; count < 3; ++count) {
    at.call();
  }
  CHECK(at.take_sent(0).size() == 3);
  at.set_ready(0, false);
  at.ends.clear();
  at.call();
  CHECK(at.take_sent(1).size() == 1);
  at.set_ready(0, true);
  static_cast<void>(at.take_sent(0));
  at.call();
  CHECK(at.take_sent(0).size() == 1);
  CHECK(at.take_sent(2).empty());
}

TEST_CASE("routed: the server with the least to do, as far as is known, and equals take turns") {
  office at{3};
  for (int count = 0; count < 6; ++count) {
    at.call();
  }
  for (const std::size_t link : {0, 1, 2}) {
    CHECK(at.take_sent(link).size() == 2);
  }
  at.hear(0, {.what = kind::pong, .load = 10});
  at.hear(1, {.what = kind::pong, .load = 1});
  at.hear(2, {.what = kind::pong, .load = 5});
  for (int count = 0; count < 3; ++count) {
    at.call();
  }
  CHECK(at.take_sent(1).size() == 3);
}

TEST_CASE("foreign replies change nothing") {
  office at{2, {.choice = server_choice::in_turn}};
  const auto id = at.call();
  at.reply(1, id);  // was not asked
  at.reply(0, id ^ (std::uint64_t{1} << 40));
  at.reply(0, id + 1);
  at.reply(0, 0);
  CHECK(at.ends.empty());
  CHECK(at.book.statistics().late == 4);
  at.reply(0, id);
  CHECK(at.take_end() == call_end::replied);
}

TEST_CASE("a call's id is never another's, though its place is used again") {
  office at{1};
  std::set<std::uint64_t> seen;
  for (int count = 0; count < 1000; ++count) {
    const auto id = at.call();
    CHECK(seen.insert(id).second);
    at.reply(0, id);
  }
  CHECK(at.ends.size() == 1000);
}

TEST_CASE("nonsense is counted and changes nothing") {
  office at{1};
  const auto id = at.call();
  const message nonsense[] = {
      {},
      message{frame{}},
      message{frame{"\xffPRC\x01"}},
      message{frame{std::string(1000, '\xff')}, frame{}, frame{"x"}},
      message{pack_header({.what = kind::reply, .id = id})},
      message{pack_header({.what = kind::reply, .id = id}), frame{"no delimiter"}, frame{"x"}},
      message{pack_header({.what = kind::reply, .id = id}), frame{}},
      message{pack_header({.what = kind::item, .id = id}), frame{}, frame{"no stream"}},
      message{pack_header({.what = kind::cancel, .id = id})},
      message{pack_header({.what = kind::credit, .id = id, .amount = 9})},
      message{pack_header({.what = kind::ask, .id = id})},
      message{pack_header({.what = kind::ping, .id = id})},
  };
  for (message each : nonsense) {
    at.book.receive(0, std::move(each), at.now);
  }
  CHECK(at.book.statistics().nonsense == std::size(nonsense));
  CHECK_FALSE(at.book.has_ended());
  CHECK(at.items.empty());
  at.reply(0, id);
  CHECK(at.take_end() == call_end::replied);
}

TEST_CASE("a socket that knows no headers sends ours back in front of its reply") {
  office at{1};
  const auto id = at.call();
  at.hear(0, {.what = kind::request, .id = id}, frame{"plain"});
  CHECK(at.take_end() == call_end::replied);
  CHECK(at.last.reply == message{frame{"plain"}});
}

TEST_CASE("a server that is silent after a ping is given up, and is there again when heard") {
  office at{1, {.heartbeat = 100ms, .heartbeat_timeout = 300ms}};
  const auto again = at.call({.idempotent = true});
  const auto once = at.call();
  at.pass(100ms);
  CHECK(at.pings(0) == 1);
  static_cast<void>(at.take_sent(0));
  at.pass(299ms);
  CHECK(at.ends.empty());
  at.pass(1ms);
  CHECK(at.take_end() == call_end::server_lost);
  CHECK(at.book.live_servers() == 0);
  CHECK(at.pings(0) == 1);  // it is asked on
  // Not to stop what it may be asked for again.
  CHECK(at.take_sent(0) == said{{kind::cancel, once}});

  at.hear(0, {.what = kind::pong});
  CHECK(at.book.live_servers() == 1);
  CHECK(at.take_sent(0) == said{{kind::request, again}});
  at.reply(0, again);
  CHECK(at.take_end() == call_end::replied);
}

TEST_CASE("what goes on elsewhere is cancelled at a server that is given up") {
  office at{2, {.choice = server_choice::in_turn, .heartbeat = 100ms, .heartbeat_timeout = 300ms}};
  const auto again = at.call({.idempotent = true});
  at.pass(100ms);
  at.hear(1, {.what = kind::pong, .id = at.last_ping(1)});
  static_cast<void>(at.take_sent(0));
  at.now += 299ms;
  at.hear(1, {.what = kind::pong, .id = at.last_ping(1)});
  at.pass(1ms);
  CHECK(at.take_sent(0) == said{{kind::cancel, again}});
  CHECK(at.take_sent(1) == said{{kind::request, again}});
  at.reply(0, again, "late");  // it had done it already: as good as any
  CHECK(at.take_end() == call_end::replied);
  CHECK(at.take_sent(1) == said{{kind::cancel, again}});
}

TEST_CASE("a server that comes by another connection is asked for the calls that are out there") {
  office at{1};
  const auto lost = at.call();
  const auto again = at.call({.idempotent = true});
  const auto known = at.call();
  static_cast<void>(at.take_sent(0));
  at.hear(0, {.what = kind::pong, .link = 555});
  CHECK(at.take_sent(0) == said{{kind::ask, lost}, {kind::ask, again}, {kind::ask, known}});
  at.hear(0, {.what = kind::unknown, .id = lost, .link = 555});
  CHECK(at.take_end() == call_end::server_lost);
  at.hear(0, {.what = kind::unknown, .id = again, .link = 555});
  CHECK(at.ends.empty());
  CHECK(at.take_sent(0) == said{{kind::request, again}});
  at.hear(0, {.what = kind::reply, .id = known, .link = 555}, frame{"answer"});
  CHECK(at.take_end() == call_end::replied);
}

TEST_CASE("a server that is there again is not asked for what was sent to it since") {
  office at{1};
  at.book.disconnected(0, at.now);
  const auto sent = at.call();
  at.set_ready(0, true);
  CHECK(at.take_sent(0) == said{{kind::request, sent}});
  at.hear(0, {.what = kind::pong, .link = 555});  // it may answer an ask before its own reply
  CHECK(at.take_sent(0).empty());
  at.hear(0, {.what = kind::reply, .id = sent, .link = 555}, frame{"answer"});
  CHECK(at.take_end() == call_end::replied);
}

TEST_CASE("unknown calls are unknown to those that were asked only") {
  office at{2, {.choice = server_choice::in_turn}};
  const auto id = at.call();
  at.hear(1, {.what = kind::unknown, .id = id});
  CHECK(at.ends.empty());
}

TEST_CASE("calls that nobody waits for are limited, others are not") {
  office at{1, {.limit = 2}};
  const auto first = at.call();
  at.call();
  CHECK(at.book.unattended() == 2);
  at.call();
  CHECK(at.take_end() == call_end::overloaded);
  at.stream(1);
  CHECK(at.ends.empty());
  at.reply(0, first);
  at.ends.clear();
  at.call();
  CHECK(at.ends.empty());
  CHECK(at.book.statistics().overloaded == 1);
}

TEST_CASE("closing ends all calls, those that come later too, and tells the servers") {
  office at{2, {.choice = server_choice::in_turn}};
  const auto id = at.call();
  at.stream(1);
  static_cast<void>(at.take_sent(0));
  at.book.close();
  CHECK(at.take_sent(0).front() == std::pair{kind::cancel, id});
  at.call();
  CHECK(at.ends.size() == 3);
  for (const call_outcome& each : at.ends) {
    CHECK(each.how == call_end::closed);
  }
  CHECK(at.book.unattended() == 0);
  CHECK(at.book.link(0).in_flight == 0);
}

TEST_CASE("results of one call come one by one, as many as were asked for, until the last") {
  office at{1};
  const auto id = at.stream(2);
  at.hear(0, {.what = kind::item, .id = id}, frame{"a"});
  at.hear(0, {.what = kind::item, .id = id}, frame{"b"});
  at.hear(0, {.what = kind::item, .id = id}, frame{"too many"});
  CHECK(at.items == std::vector<message>{message{frame{"a"}}, message{frame{"b"}}});
  CHECK(at.book.statistics().nonsense == 1);
  static_cast<void>(at.take_sent(0));
  at.book.give_credit(id, 1);
  CHECK(at.sent.back().second.what == kind::credit);
  CHECK(at.sent.back().second.amount == 1);
  at.hear(0, {.what = kind::item, .id = id}, frame{"c"});
  CHECK(at.items.size() == 3);
  at.reply(0, id, "end");
  CHECK(at.take_end() == call_end::replied);
  at.hear(0, {.what = kind::item, .id = id}, frame{"d"});
  CHECK(at.items.size() == 3);
}

TEST_CASE("a call with several results never goes on elsewhere when its server is lost") {
  office at{2};
  at.stream(2);
  at.set_ready(at.take_sent(0).empty() ? 1 : 0, false);
  CHECK(at.take_end() == call_end::server_lost);
}

TEST_CASE("a notification ends when it was sent") {
  office at{1};
  at.set_ready(0, false);
  at.call({.wants_reply = false});
  CHECK(at.ends.empty());
  at.set_ready(0, true);
  CHECK(at.take_end() == call_end::replied);
  CHECK(at.book.link(0).in_flight == 0);
}

TEST_CASE("there is no end to notifications for a server that does not say what arrived") {
  office at{0, {.limit = 10}};
  at.book.add_link(true);
  at.set_ready(0, true);
  for (int count = 0; count < 5000; ++count) {
    at.call({.wants_reply = false});
  }
  CHECK(at.ends.size() == 5000);
  at.set_ready(0, false);  // and that it is gone is seen all the same
  CHECK(at.book.live_servers() == 0);
}

TEST_CASE("what lies between us and a server that says what arrived is limited") {
  office at{1, {.limit = 10, .heartbeat = 100ms}};
  for (int count = 0; count < 2000; ++count) {
    at.call({.wants_reply = false});
    at.ends.clear();
    if (at.book.link(0).unacknowledged() == at.book.send_limit() / 2) {
      break;
    }
  }
  const auto waits = at.call();
  CHECK(at.take_sent(0).back().second != waits);
  at.set_ready(0, false);  // it may be full, or gone
  CHECK(at.book.live_servers() == 1);
  at.set_ready(0, true);
  CHECK(at.take_sent(0).back().second == waits);
}

TEST_CASE("a pong makes room for what it says arrived") {
  office at{1, {.limit = 10, .heartbeat = 100ms}};
  at.pass(100ms);
  const auto ping = at.last_ping(0);
  while (at.book.link(0).unacknowledged() < at.book.send_limit() / 2) {
    at.call({.wants_reply = false});
  }
  const auto waits = at.call();
  at.hear(0, {.what = kind::pong, .id = ping});
  CHECK(at.take_sent(0).back().second == waits);
}

TEST_CASE("a link that is removed loses its calls, and its number's next owner has none of them") {
  office at{2, {.choice = server_choice::in_turn}};
  at.call();
  const auto again = at.call({.idempotent = true});
  at.book.remove_link(0, at.now);
  for (call_book::ended& each : at.book.take_ended()) {
    each.when_done(std::move(each.how));
  }
  CHECK(at.take_end() == call_end::server_lost);
  CHECK(at.take_sent(1) == said{{kind::request, again}});
  CHECK(at.book.add_link(false) == 0);
  CHECK(at.book.live_servers() == 1);
  at.set_ready(0, true);
  at.reply(0, again);
  CHECK(at.ends.empty());
  at.set_ready(1, false);
  CHECK(at.take_sent(0).back() == std::pair{kind::request, again});
}

TEST_CASE("more than 64 endpoints are refused") {
  office at{0};
  for (int count = 0; count < 64; ++count) {
    at.book.add_link(false);
  }
  CHECK_THROWS_AS(at.book.add_link(false), error);
  at.book.remove_link(7, at.now);
  CHECK(at.book.add_link(false) == 7);
  CHECK_THROWS_AS(at.book.add_link(false), error);
}
