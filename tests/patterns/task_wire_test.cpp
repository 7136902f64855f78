// SPDX-License-Identifier: MPL-2.0
#include "task_wire.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using kind = task_entry::kind;
using ending = task_entry::ending;

namespace {

bool equal(const task_entry& left, const task_entry& right) {
  return left.what == right.what && left.how == right.how &&
         left.body_follows == right.body_follows && left.ticket == right.ticket &&
         left.id == right.id && left.attempt == right.attempt &&
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
      usual_task usual;
      task_ticket ticket = 0;
      CHECK_FALSE(reader->next_done(ticket));
      CHECK_FALSE(reader->next_task(usual));
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
    bytes[4] = 16;
    usual_task usual;
    CHECK_FALSE(task_reader::open(bytes)->next_task(usual));
    CHECK_FALSE(task_reader::open(bytes)->next().has_value());
  }
}

TEST_CASE("an entry whose text or body is longer than the frame is malformed") {
  std::string task = packed({.what = kind::task, .ticket = 1, .id = 2, .body = "body"});
  task[task.size() - 8] = '\xff';  // the first octet of the body's size
  usual_task usual;
  CHECK_FALSE(task_reader::open(task)->next_task(usual));
  CHECK_FALSE(task_reader::open(task)->next().has_value());
  std::string worker = packed({.what = kind::worker, .text = "w"});
  worker[worker.size() - 3] = '\xff';
  CHECK_FALSE(task_reader::open(worker)->next().has_value());
  std::string done = packed({.what = kind::done, .ticket = 1});
  for (const char count : {'\0', '\2', '\x7f'}) {
    done[5] = count;
    task_ticket ticket = 0;
    CHECK_FALSE(task_reader::open(done)->next_done(ticket));
    CHECK_FALSE(task_reader::open(done)->next().has_value());
  }
}

TEST_CASE("tasks that are done one after the other take eight octets each") {
  constexpr std::size_t count = 70'000;  // more than an entry has room for
  task_writer writer;
  for (task_ticket ticket = 0; ticket < count; ++ticket) {
    writer.add_done(ticket);
  }
  CHECK(writer.size() == 3 + 2 * 3 + count * 8);
  writer.add({.what = kind::beat});
  writer.add_done(count);
  const frame bytes = writer.take();
  for (const bool one_way : {true, false}) {
    auto reader = task_reader::open(bytes.view());
    const auto next = [&] {
      task_ticket ticket = UINT64_MAX;
      if (one_way) {
        static_cast<void>(reader->next_done(ticket));
      } else if (const auto entry = reader->next(); entry && entry->what == kind::done) {
        ticket = entry->ticket;
      }
      return ticket;
    };
    bool in_order = true;
    for (task_ticket ticket = 0; ticket < count; ++ticket) {
      in_order = in_order && reader->has_more() && next() == ticket;
    }
    CHECK(in_order);
    task_ticket none = 0;
    CHECK_FALSE(reader->next_done(none));
    CHECK(reader->next()->what == kind::beat);
    CHECK(next() == count);
    CHECK_FALSE(reader->has_more());
  }
}

TEST_CASE("a usual task is written and read the short way as by the long one") {
  for (const task_entry& each : entries) {
    const std::string bytes = packed(each);
    const bool is_usual = each.what == kind::task && !each.body_follows && each.attempt == 1 &&
                          each.time_left == 0 && each.text.empty();
    auto reader = task_reader::open(bytes);
    usual_task usual{};
    REQUIRE(reader->next_task(usual) == is_usual);
    CHECK(reader->has_more() != is_usual);
    if (is_usual) {
      CHECK(usual.ticket == each.ticket);
      CHECK(usual.number == each.id);
      CHECK(usual.body == each.body);
      task_writer writer;
      writer.add_task(each.ticket, each.id, each.body);
      CHECK(writer.take() == bytes);
    }
  }
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
        std::string{"PT\1\4\0\1\1\2\3\4\5\6\7\x8", 14});
  CHECK(packed({.what = kind::done, .ticket = 1, .body = "b"}) ==
        std::string{"PT\1\7\0\0\0\0\0\0\0\0\1\0\0\0\1b", 18});
}
