// SPDX-License-Identifier: MPL-2.0
//
// Files between two desks over a made-up link and made-up disks: whatever breaks, and whenever,
// what arrives is what was sent, and both sides come to an end.
#include "peers/file_desk.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;
using event = peer_event::kind;

namespace {

peer_id id_of(std::uint8_t number) {
  std::array<std::uint8_t, peer_id::size> bytes{};
  bytes[0] = number;
  return peer_id{bytes};
}

file_digest digest_of(std::string_view bytes) {
  file_digest digest{};
  std::uint64_t sum = 14695981039346656037U;
  for (const char each : bytes) {
    sum = (sum ^ static_cast<unsigned char>(each)) * 1099511628211U;
  }
  for (std::size_t at = 0; at < 8; ++at) {
    digest[at] = static_cast<std::uint8_t>(sum >> (8 * at));
  }
  return digest;
}

// A program with one disk: its desk may begin anew, what is on the disk stays.
struct node {
  explicit node(std::uint8_t number) : id{id_of(number)} {}

  peer_id id;
  std::optional<file_desk> desk{std::in_place, std::uint64_t{1} << 40};
  std::deque<file_job> jobs{};
  std::map<std::uint64_t, std::string> sources{};  // of transfers
  std::string part{};
  std::optional<std::string> whole{};
  std::size_t disk_bytes = std::size_t{1} << 40;
  bool has_accepted = false;
  std::vector<peer_event> told{};

  void restart() {
    desk.emplace(std::uint64_t{1} << 40);
    jobs.clear();
    sources.clear();
  }

  file_result work(const file_job& job) {
    file_result came{job.what, job.number, job.offset};
    const auto source = sources.find(job.number);
    switch (job.what) {
      case file_job::kind::check:
        came.digest =
            digest_of((source == sources.end() ? part : source->second).substr(0, job.offset));
        break;
      case file_job::kind::begin:
        part.resize(job.offset);
        break;
      case file_job::kind::read:
        came.content = frame{std::string_view{source->second}.substr(job.offset, job.size)};
        if (job.offset + job.size == source->second.size()) {
          came.digest = digest_of(source->second);
        }
        break;
      case file_job::kind::write:
        if (part.size() + job.content.size() > disk_bytes) {
          came.why = file_failure::disk_full;
          break;
        }
        part += job.content.view();
        came.offset = part.size();
        break;
      case file_job::kind::finish:
        if (digest_of(part) != job.digest) {
          came.why = file_failure::checksum;
        } else {
          whole = std::exchange(part, {});
        }
        break;
      case file_job::kind::close:
        break;
    }
    return came;
  }
};

struct world {
  explicit world(unsigned seed) : random{seed} {}

  std::mt19937 random;
  node sender{1};
  node receiver{2};
  file_desk::time_point now{};
  std::deque<file_desk::word> there{};
  std::deque<file_desk::word> back{};
  std::uint64_t moved = 0;  // octets of pieces

  [[nodiscard]] unsigned pick(unsigned below) { return static_cast<unsigned>(random() % below); }
  [[nodiscard]] node& other(const node& of) { return &of == &sender ? receiver : sender; }
  [[nodiscard]] std::deque<file_desk::word>& link_from(const node& of) {
    return &of == &sender ? there : back;
  }

  void collect(node& of) {
    for (file_job& each : of.desk->take_jobs()) {
      of.jobs.push_back(std::move(each));
    }
    for (peer_event& each : of.desk->take_events()) {
      of.told.push_back(std::move(each));
    }
  }
  bool talk(node& of) {
    const peer_id to = other(of).id;
    const file_desk::word* const next = of.desk->next(to);
    if (next == nullptr) {
      return false;
    }
    link_from(of).push_back(*next);
    moved += next->content.size();
    of.desk->said(to, now);
    return true;
  }
  bool listen(node& of) {
    auto& link = link_from(other(of));
    if (link.empty()) {
      return false;
    }
    file_desk::word heard = std::move(link.front());
    link.pop_front();
    // As it is read from the wire.
    auto mark = read_file_mark(write_file_mark(heard.mark));
    REQUIRE(mark == heard.mark);
    if (auto offer = of.desk->heard({other(of).id, "other", "other"}, std::move(*mark),
                                    std::move(heard.content), now)) {
      of.told.push_back(*offer);
      of.desk->accept(offer->number, "there", of.part.size(), now);
    }
    collect(of);
    return true;
  }
  bool work(node& of) {
    if (of.jobs.empty()) {
      return false;
    }
    const file_job job = std::move(of.jobs.front());
    of.jobs.pop_front();
    if (job.what != file_job::kind::read || of.sources.contains(job.number)) {
      of.desk->done(of.work(job), now);
    }
    collect(of);
    return true;
  }
  // Something that can be done, by either; false: all is quiet.
  bool step() {
    const unsigned first = pick(6);
    for (unsigned turn = 0; turn < 6; ++turn) {
      const unsigned what = (first + turn) % 6;
      node& of = what % 2 == 0 ? sender : receiver;
      collect(of);
      if (what / 2 == 0 ? talk(of) : what / 2 == 1 ? listen(of) : work(of)) {
        now += std::chrono::microseconds{pick(2000)};
        return true;
      }
    }
    return false;
  }
  void send(const std::string& content) {
    peer_file file;
    file.name = "file";
    file.size = content.size();
    const auto number = sender.desk->send({receiver.id, "receiver", ""}, file, now);
    REQUIRE(number != 0);
    sender.sources[number] = content;
  }
  // Both see it, or only one, whose words then meet nobody that knows of them.
  void cut(bool seen_by_sender, bool seen_by_receiver) {
    there.clear();
    back.clear();
    if (seen_by_sender) {
      sender.desk->gone(receiver.id);
    }
    if (seen_by_receiver) {
      receiver.desk->gone(sender.id);
    }
  }
  // Until nobody has anything to do, nor would in a while.
  void run(int steps) {
    int quiet = 0;
    while (steps-- > 0 && quiet < 5) {
      if (step()) {
        quiet = 0;
        continue;
      }
      ++quiet;
      now += 6s;
      static_cast<void>(sender.desk->tick(now));
      static_cast<void>(receiver.desk->tick(now));
    }
  }
  [[nodiscard]] std::optional<event> last_end(const node& of) const {
    for (auto each = of.told.rbegin(); each != of.told.rend(); ++each) {
      if (each->what == event::file_done || each->what == event::file_failed) {
        return each->what;
      }
    }
    return std::nullopt;
  }
};

std::string random_bytes(std::mt19937& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& each : bytes) {
    each = static_cast<char>(random());
  }
  return bytes;
}

constexpr int enough = 1'000'000;

}  // namespace

TEST_CASE("a file of any size arrives as it was") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    world all{seed};
    const std::size_t size = seed < 3 ? seed : std::size_t{1} << all.pick(23);
    const std::string content = random_bytes(all.random, size);
    all.send(content);
    all.run(enough);
    CHECK(all.receiver.whole == content);
    CHECK(all.last_end(all.sender) == event::file_done);
    CHECK(all.last_end(all.receiver) == event::file_done);
    CHECK(all.moved == size);
  }
}

TEST_CASE("whatever breaks, what is offered again goes on where it was") {
  for (unsigned seed = 0; seed < 150; ++seed) {
    CAPTURE(seed);
    world all{seed};
    const std::string content =
        random_bytes(all.random, (std::size_t{2} << 20) + all.pick(1 << 20));
    std::uint64_t unsettled = 0;  // was under way when it broke
    for (int tries = 0; tries < 5; ++tries) {
      all.send(content);
      for (unsigned steps = all.pick(200); steps > 0 && all.step(); --steps) {
      }
      const std::uint64_t had = all.receiver.part.size();
      switch (all.pick(4)) {
        case 0:
          all.receiver.restart();
          all.cut(true, false);
          break;
        case 1:
          all.sender.restart();
          all.cut(false, true);
          break;
        default:
          all.cut(true, true);
          break;
      }
      all.receiver.jobs.clear();
      if (all.receiver.whole) {
        break;
      }
      CHECK(all.receiver.part.size() == had);
      unsettled = all.moved - had;
    }
    if (!all.receiver.whole) {
      all.send(content);
      all.run(enough);
    }
    CHECK(all.receiver.whole == content);
    CHECK(all.moved == content.size() + unsettled);
  }
}

TEST_CASE("where only one saw the link break, both come to an end") {
  for (unsigned seed = 0; seed < 150; ++seed) {
    CAPTURE(seed);
    world all{seed};
    const std::string content = random_bytes(all.random, std::size_t{2} << 20);
    all.send(content);
    bool is_under_way = false;
    for (unsigned steps = 2 + all.pick(200); steps > 0; --steps) {
      is_under_way = all.step();
    }
    const bool is_sender = all.pick(2) == 0;
    all.cut(is_sender, !is_sender);
    all.run(enough);
    if (is_under_way) {
      REQUIRE(all.last_end(all.sender).has_value());
      CHECK((all.last_end(all.receiver).has_value() || all.receiver.told.empty()));
    }
    CHECK_FALSE(all.sender.desk->cancel(1));
    CHECK_FALSE(all.receiver.desk->cancel(1));
  }
}

TEST_CASE("a part of another file is not built upon") {
  for (unsigned seed = 0; seed < 20; ++seed) {
    world all{seed};
    const std::string content = random_bytes(all.random, 300'000);
    all.receiver.part = random_bytes(all.random, 1 + all.pick(400'000));
    all.send(content);
    all.run(enough);
    CHECK(all.receiver.whole == content);
    CHECK(all.moved == content.size());
  }
}

TEST_CASE("a full disk ends it on both sides, and it goes on when there is room") {
  world all{1};
  const std::string content = random_bytes(all.random, 3'000'000);
  all.receiver.disk_bytes = 1'000'000;
  all.send(content);
  all.run(enough);
  REQUIRE(all.last_end(all.sender) == event::file_failed);
  CHECK(all.sender.told.back().file.why == file_failure::disk_full);
  CHECK(all.receiver.told.back().file.why == file_failure::disk_full);
  all.receiver.disk_bytes = 10'000'000;
  const auto had = all.receiver.part.size();
  all.moved = 0;
  all.send(content);
  all.run(enough);
  CHECK(all.receiver.whole == content);
  CHECK(all.moved == content.size() - had);
  CHECK(had > 500'000);
}

TEST_CASE("a file that changes while it is sent fails on both sides") {
  world all{2};
  all.send(random_bytes(all.random, 3'000'000));
  for (int steps = 0; steps < 60; ++steps) {
    REQUIRE(all.step());
  }
  file_result changed{file_job::kind::read, 1};
  changed.why = file_failure::changed;
  all.sender.desk->done(std::move(changed), all.now);
  all.run(enough);
  CHECK(all.sender.told.back().file.why == file_failure::changed);
  CHECK(all.receiver.told.back().file.why == file_failure::changed);
  CHECK_FALSE(all.receiver.whole);
}

TEST_CASE("what is not what was sent gets no name") {
  world all{3};
  const std::string content = random_bytes(all.random, 1'000'000);
  all.send(content);
  bool is_spoiled = false;
  for (int steps = 0; steps < enough && all.step(); ++steps) {
    if (!is_spoiled && all.receiver.part.size() > 100'000) {
      all.receiver.part[7] = static_cast<char>(all.receiver.part[7] + 1);
      is_spoiled = true;
    }
  }
  CHECK(is_spoiled);
  CHECK_FALSE(all.receiver.whole);
  CHECK(all.sender.told.back().file.why == file_failure::checksum);
}

TEST_CASE("either may end it, and the other is told") {
  for (const bool is_sender : {true, false}) {
    world all{4};
    all.send(random_bytes(all.random, 3'000'000));
    for (int steps = 0; steps < 60; ++steps) {
      REQUIRE(all.step());
    }
    CHECK((is_sender ? all.sender : all.receiver).desk->cancel(1));
    all.run(enough);
    CHECK(all.sender.told.back().file.why == file_failure::cancelled);
    CHECK(all.receiver.told.back().file.why == file_failure::cancelled);
    CHECK_FALSE((is_sender ? all.sender : all.receiver).desk->cancel(1));
  }
}

TEST_CASE("no more is read than the receiver has room for") {
  world all{5};
  all.send(std::string(40'000'000, 'x'));
  // The link and the sender's disk are quick, the receiver's disk does nothing at all.
  for (int steps = 0; steps < 10'000; ++steps) {
    all.collect(all.sender);
    all.collect(all.receiver);
    while (all.talk(all.sender) || all.talk(all.receiver) || all.listen(all.sender) ||
           all.listen(all.receiver) || all.work(all.sender)) {
    }
    if (!all.receiver.jobs.empty() && all.receiver.jobs.front().what != file_job::kind::write) {
      all.work(all.receiver);
    }
  }
  std::size_t waiting = 0;
  for (const file_job& each : all.receiver.jobs) {
    waiting += each.content.size();
  }
  CHECK(waiting > 0);
  CHECK(waiting <= file_desk::room);
}

// Hostile peers.

namespace {

struct victim {
  file_desk desk{std::uint64_t{1} << 40};
  file_desk::time_point now{};
  const file_desk::person eve{id_of(9), "eve", "eve"};

  std::optional<peer_event> hear(file_mark mark, frame content = {}) {
    return desk.heard(eve, std::move(mark), std::move(content), now);
  }
  std::uint64_t offer(std::uint64_t number, std::uint64_t size) {
    const auto told =
        hear({.what = file_mark::kind::offer, .number = number, .offset = size, .name = "f"});
    return told ? told->number : 0;
  }
  // Accepted, begun, from an empty part.
  std::uint64_t begin(std::uint64_t size) {
    const auto number = offer(1, size);
    desk.accept(number, "there", 0, now);
    desk.done({file_job::kind::check, number}, now);
    hear({.what = file_mark::kind::begin, .number = 1});
    static_cast<void>(desk.take_jobs());
    return number;
  }
  [[nodiscard]] std::size_t words() {
    std::size_t count = 0;
    for (; desk.next(eve.peer) != nullptr; ++count) {
      desk.said(eve.peer, now);
    }
    return count;
  }
  [[nodiscard]] bool has_failed(file_failure why) {
    const auto told = desk.take_events();
    return !told.empty() && told.back().what == event::file_failed && told.back().file.why == why;
  }
  [[nodiscard]] bool has_work() {
    return std::ranges::any_of(
        desk.take_jobs(), [](const file_job& each) { return each.what != file_job::kind::close; });
  }
};

}  // namespace

TEST_CASE("an offer of more than may be received is declined") {
  victim bob;
  CHECK(bob.offer(1, std::uint64_t{1} << 63) == 0);
  CHECK(bob.offer(2, ~std::uint64_t{0}) == 0);
  CHECK(bob.desk.next(bob.eve.peer)->mark.why == file_failure::too_large);
  CHECK(bob.offer(3, 1) != 0);
  // And together.
  const auto half = bob.offer(4, std::uint64_t{1} << 39);
  const auto more = bob.offer(5, std::uint64_t{1} << 40);
  bob.desk.accept(half, "there", 0, bob.now);
  CHECK_FALSE(bob.desk.has_room_for(*bob.desk.offered(more)));
  CHECK(bob.offer(6, std::uint64_t{1} << 40) == 0);
  bob.desk.gone(bob.eve.peer);
  CHECK(bob.offer(7, std::uint64_t{1} << 40) != 0);
}

TEST_CASE("of a hundred thousand offers a few are kept, and answers are bounded") {
  victim bob;
  std::size_t kept = 0;
  for (std::uint64_t number = 1; number <= 100'000; ++number) {
    kept += bob.offer(number, 1) != 0 ? 1 : 0;
  }
  CHECK(kept == file_desk::most_offers_of_peer);
  CHECK(bob.words() <= 1000);
  bob.desk.gone(bob.eve.peer);
  CHECK(bob.desk.take_events().size() == kept);
  CHECK(bob.offer(1, 1) != 0);
}

TEST_CASE("a peer that takes nothing is not told without end") {
  victim bob;
  for (std::uint64_t number = 1; number <= 100'000; ++number) {
    static_cast<void>(bob.offer(number, 1));
    bob.hear({.what = file_mark::kind::piece, .number = number}, frame{"x"});
  }
  CHECK(bob.words() <= 1000);
  bob.begin(1'000'000);
  for (int count = 0; count < 100'000; ++count) {
    bob.hear({.what = file_mark::kind::ask, .number = 1});
  }
  CHECK(bob.words() <= 2);
}

TEST_CASE("a peer that sends and takes nothing is told once how far it is") {
  victim bob;
  constexpr std::uint64_t piece = 16 * 1024;
  const auto number = bob.begin(100 * piece);
  for (std::uint64_t at = 0; at < 100; ++at) {
    bob.hear({.what = file_mark::kind::piece, .number = 1, .offset = at * piece},
             std::string(piece, 'x'));
    bob.desk.done({file_job::kind::write, number, (at + 1) * piece}, bob.now);
  }
  std::uint64_t told = 0;
  std::size_t words = 0;
  for (; const file_desk::word* const next = bob.desk.next(bob.eve.peer); ++words) {
    told = next->mark.offset;
    bob.desk.said(bob.eve.peer, bob.now);
  }
  CHECK(words <= 2);  // and that it was accepted
  CHECK(told == 100 * piece);
}

TEST_CASE("who is gone is told nothing, though the disk is still at work") {
  victim bob;
  const auto number = bob.begin(10);
  bob.hear({.what = file_mark::kind::piece, .number = 1}, std::string(10, 'x'));
  bob.hear({.what = file_mark::kind::end, .number = 1, .offset = 10});
  bob.desk.gone(bob.eve.peer);
  bob.desk.done({file_job::kind::write, number, 10}, bob.now);
  CHECK(bob.words() == 0);
  bob.desk.done({file_job::kind::finish, number}, bob.now);
  CHECK(bob.words() == 0);
  CHECK(bob.desk.take_events().back().what == event::file_done);
}

TEST_CASE("once all has come, the disk decides, whoever goes or gives up") {
  for (const bool is_good : {true, false}) {
    victim bob;
    const auto number = bob.begin(0);
    bob.hear({.what = file_mark::kind::end, .number = 1});
    static_cast<void>(bob.words());
    bob.hear({.what = file_mark::kind::withdraw, .number = 1, .why = file_failure::cancelled});
    CHECK_FALSE(bob.desk.cancel(number));
    bob.desk.gone(bob.eve.peer);
    CHECK(bob.desk.take_events().empty());
    const auto why = is_good ? file_failure::none : file_failure::disk_full;
    bob.desk.done({.what = file_job::kind::finish, .number = number, .why = why}, bob.now);
    const auto told = bob.desk.take_events();
    REQUIRE(told.size() == 1);
    CHECK(told.front().what == (is_good ? event::file_done : event::file_failed));
    CHECK(told.front().file.why == why);
    CHECK(bob.words() == 0);
  }
}

TEST_CASE("pieces that nobody asked for are not kept") {
  victim bob;
  bob.hear({.what = file_mark::kind::piece, .number = 7}, std::string(100'000, 'x'));
  CHECK_FALSE(bob.has_work());
  const auto number = bob.offer(1, 1000);
  bob.hear({.what = file_mark::kind::piece, .number = 1}, std::string(1000, 'x'));
  CHECK_FALSE(bob.has_work());
  CHECK(bob.has_failed(file_failure::nonsense));
  CHECK(bob.desk.offered(number) == nullptr);
}

TEST_CASE("a piece beyond the size, out of order, empty, or without room ends it") {
  const auto ends = [](std::uint64_t size, std::uint64_t offset, std::size_t bytes) {
    victim bob;
    bob.begin(size);
    bob.hear({.what = file_mark::kind::piece, .number = 1, .offset = offset},
             std::string(bytes, 'x'));
    const bool has_work = bob.has_work();
    return bob.has_failed(file_failure::nonsense) && !has_work;
  };
  CHECK_FALSE(ends(1000, 0, 1000));
  CHECK(ends(1000, 0, 1001));
  CHECK(ends(1000, 1, 10));
  CHECK(ends(1000, ~std::uint64_t{0}, 10));
  CHECK(ends(1000, 0, 0));
  CHECK(ends(1000, 0, 999));  // a small one that is not the last
  CHECK(ends(std::uint64_t{1} << 40, 0, file_desk::room + 1));
  victim bob;
  bob.begin(std::uint64_t{1} << 40);
  for (std::uint64_t at = 0; at <= file_desk::room; at += 1 << 20) {
    bob.hear({.what = file_mark::kind::piece, .number = 1, .offset = at},
             std::string(1 << 20, 'x'));
  }
  CHECK(bob.has_failed(file_failure::nonsense));
}

TEST_CASE("an end before the end, a second one, and a second beginning are nonsense") {
  victim early;
  early.begin(1000);
  early.hear({.what = file_mark::kind::end, .number = 1, .offset = 1000});
  CHECK(early.has_failed(file_failure::nonsense));
  victim twice;
  twice.begin(0);
  twice.hear({.what = file_mark::kind::end, .number = 1});
  twice.hear({.what = file_mark::kind::end, .number = 1});
  CHECK(twice.has_failed(file_failure::nonsense));
  victim again;
  again.begin(1000);
  again.hear({.what = file_mark::kind::begin, .number = 1});
  CHECK(again.has_failed(file_failure::nonsense));
}

TEST_CASE("a receiver cannot have what was not read, nor take without room") {
  const auto sends = [] {
    victim bob;
    REQUIRE(bob.desk.send(bob.eve, {.name = "f", .size = 1'000'000}, bob.now) == 1);
    return bob;
  };
  const auto accept = [](std::uint64_t offset, std::uint32_t room) {
    return file_mark{.what = file_mark::kind::accept, .number = 1, .offset = offset, .room = room};
  };
  auto larger = sends();
  larger.hear(accept(1'000'001, 1 << 20));
  CHECK(larger.has_failed(file_failure::nonsense));
  auto roomless = sends();
  roomless.hear(accept(0, 0));
  CHECK(roomless.has_failed(file_failure::nonsense));
  auto ahead = sends();
  ahead.hear(accept(0, 1 << 20));
  ahead.hear({.what = file_mark::kind::have, .number = 1, .offset = 900'000});
  CHECK(ahead.has_failed(file_failure::nonsense));
  auto hasty = sends();
  hasty.hear({.what = file_mark::kind::done, .number = 1});
  CHECK(hasty.has_failed(file_failure::nonsense));
  auto other = sends();
  CHECK_FALSE(
      other.desk.heard({id_of(8), "mallory", "mallory"}, accept(0, 1 << 20), {}, other.now));
  CHECK_FALSE(other.has_work());
}

TEST_CASE("of what is sent to many at once each has its share of memory") {
  file_desk desk{1};
  std::size_t bytes = 0;
  for (std::uint8_t number = 1; number <= 200; ++number) {
    const file_desk::person to{id_of(number), "", ""};
    const auto transfer = desk.send(to, {.name = "f", .size = std::uint64_t{1} << 40}, {});
    static_cast<void>(desk.heard(
        to, {.what = file_mark::kind::accept, .number = transfer, .room = std::uint32_t{1} << 30},
        {}, {}));
  }
  for (const file_job& each : desk.take_jobs()) {
    bytes += each.size;
  }
  CHECK(bytes <= (std::size_t{72} << 20));
}
