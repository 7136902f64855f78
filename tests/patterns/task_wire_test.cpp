// SPDX-License-Identifier: MPL-2.0
#include "task_wire.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "run_bodies.hpp"
#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using kind = task_entry::kind;
using ending = task_entry::ending;

namespace {

bool equal(const task_entry& left, const task_entry& right) {
  return left.what == right.what && left.how == right.how &&
         left.body_follows == right.body_follows && left.ticket == right.ticket &&
         left.id == right.id && left.attempt == right.attempt && left.count == right.count &&
         left.time_left == right.time_left && left.credit == right.credit &&
         left.credit_bytes == right.credit_bytes && left.largest == right.largest &&
         left.text == right.text && left.body == right.body;
}

std::string packed(const task_entry& entry) {
  task_writer writer;
  writer.add(entry);
  return writer.take().str();
}

const std::string long_body(most_packed, 'b');
const std::string long_text(longest_task_text, 'k');
const std::string two_bodies{"\0\0\0\1a\0\0\0\2bc", 11};

// One of each, in all its forms.
const std::vector<task_entry> entries{
    {.what = kind::worker,
     .id = 0x0102030405060708,
     .credit = 9,
     .credit_bytes = 10,
     .largest = 11,
     .text = "w"},
    {.what = kind::worker, .id = 1},
    {.what = kind::credit, .credit = 0xffffffff, .credit_bytes = UINT64_MAX},
    {.what = kind::begun, .ticket = 11},
    {.what = kind::done, .ticket = 12},
    {.what = kind::done, .ticket = 40, .count = 0xffff},
    {.what = kind::done, .ticket = 13, .body = "result"},
    {.what = kind::done, .body_follows = true, .ticket = 14},
    {.what = kind::ended, .how = ending::failed, .ticket = 15, .text = "no disk"},
    {.what = kind::ended, .how = ending::rejected, .ticket = 16, .text = long_text},
    {.what = kind::ended, .how = ending::given_back, .ticket = 17},
    {.what = kind::ended, .how = ending::expired, .ticket = 18},
    {.what = kind::leave},
    {.what = kind::source, .id = 19},
    {.what = kind::task, .ticket = 20, .id = 21, .body = "body"},
    {.what = kind::task, .ticket = 20, .id = 21, .body = ""},
    {.what = kind::task, .ticket = 20, .id = 21, .body = long_body},
    {.what = kind::task, .body_follows = true, .ticket = 22, .id = 23},
    {.what = kind::task, .ticket = 33, .id = 34, .count = 2, .body = two_bodies},
    {.what = kind::task, .body_follows = true, .ticket = 33, .id = 34, .count = most_in_run},
    {.what = kind::task, .ticket = 24, .id = 25, .attempt = 26, .body = "body"},
    {.what = kind::task, .ticket = 24, .id = 25, .time_left = 27, .body = "body"},
    {.what = kind::task, .ticket = 24, .id = 25, .text = "key", .body = "body"},
    {.what = kind::task,
     .ticket = 28,
     .id = 29,
     .attempt = 30,
     .time_left = 31,
     .text = long_text,
     .body = long_body},
    {.what = kind::task,
     .body_follows = true,
     .ticket = 28,
     .id = 29,
     .attempt = 30,
     .time_left = 31,
     .text = "key"},
    {.what = kind::cancel, .ticket = 32},
    {.what = kind::beat},
};

}  // namespace

TEST_CASE("a task's entry comes back as it was packed") {
  for (const task_entry& each : entries) {
    const std::string bytes = packed(each);
    auto reader = task_reader::open(bytes);
    REQUIRE(reader.has_value());
    REQUIRE(reader->has_more());
    const auto back = reader->next();
    REQUIRE(back.has_value());
    CHECK(equal(*back, each));
    CHECK_FALSE(reader->has_more());
  }
}

TEST_CASE("entries of tasks come back in their order, from one frame") {
  task_writer writer;
  CHECK(writer.empty());
  for (const task_entry& each : entries) {
    writer.add(each);
  }
  const std::size_t size = writer.size();
  const frame bytes = writer.take();
  CHECK(bytes.size() == size);
  CHECK(writer.empty());
  auto reader = task_reader::open(bytes.view());
  REQUIRE(reader.has_value());
  for (const task_entry& each : entries) {
    const auto back = reader->next();
    REQUIRE(back.has_value());
    CHECK(equal(*back, each));
  }
  CHECK_FALSE(reader->has_more());
}

TEST_CASE("a task's entry that is cut short anywhere is malformed, and the rest skipped") {
  for (const task_entry& each : entries) {
    const std::string bytes = packed(each);
    const std::size_t step = bytes.size() > 4000 ? 61 : 1;
    for (std::size_t size = 4; size < bytes.size(); size += step) {
      auto reader = task_reader::open(std::string_view{bytes}.substr(0, size));
      REQUIRE(reader.has_value());
      done_tickets done{};
      CHECK_FALSE(reader->next_done(done));
      CHECK_FALSE(reader->next().has_value());
      CHECK_FALSE(reader->has_more());
    }
  }
}

TEST_CASE("what does not begin as a frame of entries, or is of another version, is none") {
  for (const char* bytes : {"", "P", "PT", "PT\2", "PR\1", "\1PT"}) {
    CHECK_FALSE(task_reader::open(bytes).has_value());
  }
  const auto nothing = task_reader::open("PT\1");
  REQUIRE(nothing.has_value());
  CHECK_FALSE(nothing->has_more());
}

TEST_CASE("an entry of an unknown kind, ending or flag is malformed") {
  for (int what = 0; what < 256; ++what) {
    std::string bytes = packed({.what = kind::beat});
    bytes.back() = static_cast<char>(what);
    const bool is_whole =
        what == static_cast<int>(kind::beat) || what == static_cast<int>(kind::leave);
    CHECK(task_reader::open(bytes)->next().has_value() == is_whole);
  }
  for (const char how : {'\0', '\5', '\x7f'}) {
    std::string bytes = packed({.what = kind::ended, .ticket = 1, .text = "w"});
    bytes[4] = how;
    CHECK_FALSE(task_reader::open(bytes)->next().has_value());
  }
  for (const task_entry& each : {task_entry{.what = kind::task, .ticket = 1, .body = long_body},
                                 task_entry{.what = kind::done, .ticket = 1, .body = long_body}}) {
    std::string bytes = packed(each);
    bytes[4] = 32;
    CHECK_FALSE(task_reader::open(bytes)->next().has_value());
  }
}

TEST_CASE("an entry whose text or body is longer than the frame is malformed") {
  std::string task = packed({.what = kind::task, .ticket = 1, .id = 2, .body = "body"});
  task[task.size() - 8] = '\xff';  // the first octet of the body's size
  CHECK_FALSE(task_reader::open(task)->next().has_value());
  std::string worker = packed({.what = kind::worker, .text = "w"});
  worker[worker.size() - 3] = '\xff';
  CHECK_FALSE(task_reader::open(worker)->next().has_value());
  std::string done = packed({.what = kind::done, .ticket = 1});
  for (const char count : {'\0', '\2', '\x7f'}) {
    done[5] = count;
    done_tickets range{};
    CHECK_FALSE(task_reader::open(done)->next_done(range));
    CHECK_FALSE(task_reader::open(done)->next().has_value());
  }
}

TEST_CASE("tasks that are done in the order of their tickets take ten octets together") {
  task_writer writer;
  for (task_ticket ticket = 100; ticket < 200; ++ticket) {
    writer.add_done(ticket);
  }
  CHECK(writer.size() == 3 + 3 + 10);
  writer.add_done(300);
  writer.add_done(299);
  writer.add_done(300);
  writer.add({.what = kind::done, .ticket = 301, .count = 7});
  writer.add_done(308);
  const frame bytes = writer.take();
  auto reader = task_reader::open(bytes.view());
  std::vector<std::pair<task_ticket, int>> all;
  for (done_tickets range{}; reader->next_done(range);) {
    all.emplace_back(range.first, range.count);
  }
  CHECK(all == std::vector<std::pair<task_ticket, int>>{{100, 100}, {300, 1}, {299, 2}, {301, 8}});
  CHECK_FALSE(reader->has_more());
}

TEST_CASE("as many tasks may be done as they like, in one frame") {
  constexpr std::size_t count = 70'000;  // ranges: more than an entry has room for; and in one
  for (const task_ticket step : {1U, 2U}) {
    task_writer writer;
    for (task_ticket ticket = 0; ticket < count; ++ticket) {
      writer.add_done(step * ticket);
    }
    CHECK(writer.size() == (step == 1 ? 3 + 3 + 2 * 10 : 3 + 2 * 3 + count * 10));
    writer.add({.what = kind::beat});
    writer.add_done(count);
    const frame bytes = writer.take();
    for (const bool one_way : {true, false}) {
      auto reader = task_reader::open(bytes.view());
      task_ticket told = 0;
      bool in_order = true;
      while (told < count) {
        done_tickets range{};
        if (one_way) {
          in_order = reader->next_done(range) && in_order;
        } else if (const auto entry = reader->next(); entry && entry->what == kind::done) {
          range = {entry->ticket, entry->count};
        }
        in_order = in_order && range.count > 0 && range.first == step * told;
        told += range.count > 0 ? range.count : count;
      }
      CHECK(in_order);
      CHECK(told == count);
      done_tickets none{};
      CHECK_FALSE(reader->next_done(none));
      CHECK(reader->next()->what == kind::beat);
      CHECK(reader->next()->ticket == count);
      CHECK_FALSE(reader->has_more());
    }
  }
}

TEST_CASE("a run has at least two tasks and not too many, and nothing special") {
  std::string run =
      packed({.what = kind::task, .ticket = 33, .id = 34, .count = 2, .body = two_bodies});
  const std::size_t count = run.size() - two_bodies.size() - 4 - 1;
  REQUIRE(run[count] == 2);
  for (const int wrong : {0, 1, static_cast<int>(most_in_run) + 1, 255}) {
    run[count] = static_cast<char>(wrong);
    CHECK_FALSE(task_reader::open(run)->next().has_value());
  }
  run[count] = 2;
  for (const char besides : {'\2', '\4', '\x8'}) {
    run[4] = static_cast<char>(16 | besides);
    CHECK_FALSE(task_reader::open(run)->next().has_value());
  }
}

TEST_CASE("the bodies of a run come one after the other") {
  CHECK(is_run(two_bodies, 2));
  CHECK_FALSE(is_run(two_bodies, 1));
  CHECK_FALSE(is_run(two_bodies, 3));
  for (std::size_t size = 0; size < two_bodies.size(); ++size) {
    CHECK_FALSE(is_run(two_bodies.substr(0, size), 2));
  }
  CHECK_FALSE(is_run(two_bodies + "x", 2));
  std::string_view left{two_bodies};
  std::string_view body;
  CHECK(next_body(left, body));
  CHECK(body == "a");
  CHECK(next_body(left, body));
  CHECK(body == "bc");
  CHECK_FALSE(next_body(left, body));
}

TEST_CASE("a reason that is too long is cut") {
  const std::string why(longest_task_text + 1, 'w');
  const std::string bytes = packed({.what = kind::ended, .ticket = 1, .text = why});
  CHECK(task_reader::open(bytes)->next()->text.size() == longest_task_text);
}

TEST_CASE("numbers of tasks are in network order") {
  CHECK(packed({.what = kind::task, .ticket = 0x0102030405060708, .id = 9, .body = "b"}) ==
        std::string{"PT\1\x11\0\1\2\3\4\5\6\7\x8\0\0\0\0\0\0\0\x9\0\0\0\1b", 26});
  CHECK(packed({.what = kind::done, .ticket = 0x0102030405060708}) ==
        std::string{"PT\1\4\0\1\1\2\3\4\5\6\7\x8\0\1", 16});
  CHECK(packed({.what = kind::done, .ticket = 1, .body = "b"}) ==
        std::string{"PT\1\7\0\0\0\0\0\0\0\0\1\0\0\0\1b", 18});
  CHECK(packed({.what = kind::task, .ticket = 1, .id = 2, .count = 2, .body = two_bodies}) ==
        std::string{"PT\1\x11\x10\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\2\0\0\0\xb", 27} + two_bodies);
}
