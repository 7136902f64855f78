// SPDX-License-Identifier: MPL-2.0
//
// The format of batches, without sockets: docs/wire.md, "Batches".
#include <string>
#include <vector>

#include "batch_reader.hpp"
#include "batch_writer.hpp"
#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;

namespace {

const batch_label label = fresh_batch_label();

std::string head() { return std::string{batch_magic}.append(label.data(), label.size()); }

std::vector<message> unpacked(frame&& batch) {
  batch_reader reader;
  std::vector<message> all;
  if (reader.open(std::move(batch))) {
    while (reader.has_more()) {
      reader.next(all.emplace_back());
    }
  }
  return all;
}

std::vector<message> from_packed(const std::string& packed) {
  return unpacked(frame{head() + packed});
}

}  // namespace

TEST_CASE("what is packed comes out again, in order, with its frames") {
  const std::vector<message> sent{
      message{frame{"one"}},
      message{frame{}},
      message{frame{"topic"}, frame{}, frame{std::string(64, 'i')}},
      message{frame{std::string(65, 's')}, frame{std::string(126, 'l')}},
      message{frame{std::string(127, 'm')}, frame{std::string(3000, 'n')}, frame{"end"}},
  };
  batch_writer writer{16384, label};
  CHECK(writer.empty());
  for (const message& each : sent) {
    REQUIRE(writer.add(each));
  }
  CHECK(writer.count() == sent.size());
  CHECK(unpacked(writer.batch()) == sent);
}

// "packed-frame = short-head *OCTET / long-head *OCTET"
TEST_CASE("a batch is its head, then frames with their sizes before them") {
  batch_writer writer{1024, label};
  REQUIRE(writer.add(message{frame{"ab"}, frame{"c"}}));
  REQUIRE(writer.add(message{frame{std::string(128, 'x')}}));
  std::string expected = head() +
                         "\x82"
                         "ab"
                         "\x01"
                         "c"
                         "\x7f";
  expected.append("\0\0\0\x80", 4).append(128, 'x');
  CHECK(writer.batch() == expected);
}

TEST_CASE("a large frame shares the batch's bytes, and keeps them") {
  batch_writer writer{1024, label};
  const message sent{frame{std::string(100, 'x')}};
  REQUIRE(writer.add(sent));
  frame batch = writer.batch();
  const std::byte* const begin = batch.data();
  const std::byte* const end = begin + batch.size();
  const std::vector<message> all = unpacked(std::move(batch));
  REQUIRE(all.size() == 1);
  CHECK(all.front() == sent);
  CHECK(all.front().front().data() > begin);
  CHECK(all.front().front().data() < end);
}

TEST_CASE("a batch never gets larger than it may") {
  batch_writer writer{256, label};
  const message next{frame{std::string(40, 'x')}};
  std::size_t count = 0;
  while (writer.add(next)) {
    ++count;
  }
  CHECK(count == (256 - batch_head) / 41);
  CHECK(writer.batch().size() <= 256);
  CHECK(writer.is_small(next));
  CHECK_FALSE(writer.is_small(message{frame{std::string(100, 'x')}}));
}

TEST_CASE("messages are taken back one by one, and the rest is still a batch") {
  batch_writer writer{1024, label};
  const message first{frame{"first"}, frame{std::string(200, 'f')}};
  const message second{frame{"second"}};
  const message third{frame{"third"}};
  for (const message* each : {&first, &second, &third}) {
    REQUIRE(writer.add(*each));
  }
  CHECK(writer.front() == first);
  writer.drop_front(first);
  CHECK(unpacked(writer.batch()) == std::vector<message>{second, third});
  writer.drop_front(second);
  CHECK(writer.front() == third);
  writer.drop_front(third);
  CHECK(writer.empty());
  REQUIRE(writer.add(second));
  CHECK(unpacked(writer.batch()) == std::vector<message>{second});
}

TEST_CASE("messages are taken back where one is shorter than the head of a batch") {
  batch_writer writer{1024, label};
  for (const char* each : {"a", "b", "c"}) {
    REQUIRE(writer.add(message{frame{each}}));
  }
  writer.drop_front(message{frame{"a"}});
  REQUIRE(writer.add(message{frame{"d"}}));
  CHECK(unpacked(writer.batch()) == std::vector<message>{frame{"b"}, frame{"c"}, frame{"d"}});
  writer.clear();
  REQUIRE(writer.add(message{frame{"e"}}));
  CHECK(unpacked(writer.batch()) == std::vector<message>{frame{"e"}});
}

TEST_CASE("a malformed batch gives no message, not even those before the fault") {
  using namespace std::string_literals;
  CHECK(from_packed("\1a").size() == 1);
  CHECK(from_packed("\1a\2b").empty());             // cut in a frame
  CHECK(from_packed("\1a\x81z").empty());           // more is announced
  CHECK(from_packed("\1a\x7f"s).empty());           // cut in a long size
  CHECK(from_packed("\1a\x7f\0\0\0"s).empty());     // cut in a long size
  CHECK(from_packed("\1a\x7f\0\0\0\1b"s).empty());  // it is short
  CHECK(from_packed(std::string{"\1a\x7f\xff\xff\xff\xff"}.append(200, 'x')).empty());
  CHECK(from_packed(std::string(largest_batch, '\0')).empty());  // too large
}

TEST_CASE("a head alone does not look like a batch") {
  CHECK_FALSE(looks_like_batch(head().data(), head().size()));
  CHECK(looks_like_batch((head() + "x").data(), head().size() + 1));
  const std::string other(100, 'x');
  CHECK_FALSE(looks_like_batch(other.data(), other.size()));
}
