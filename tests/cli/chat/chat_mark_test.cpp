// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_mark.hpp"

#include "support/catch.hpp"

using kind = chat_mark::kind;
using namespace std::string_literals;

namespace {

parley::message said(std::string_view text, std::string_view mark) {
  parley::message whole{parley::frame{text}};
  whole.push_back(parley::frame{mark});
  return whole;
}

}  // namespace

TEST_CASE("a question for a receipt stands behind the text, in the bytes that docs/wire.md tells") {
  const auto whole = write_chat("hi", {.what = kind::ask, .id = 0x0102030405060708});
  REQUIRE(whole.size() == 2);
  CHECK(whole[0].view() == "hi");
  CHECK(whole[1].view() == "PC\x01\x01\x01\x02\x03\x04\x05\x06\x07\x08"s);
}

TEST_CASE("marks are read as they were written") {
  const auto again = [](const chat_mark& mark) { return *read_mark(write_chat("", mark)); };
  CHECK(again({.what = kind::read, .id = ~0ULL}).id == ~0ULL);
  CHECK(again({.what = kind::away, .note = "at lunch"}).note == "at lunch");
  CHECK(again({.what = kind::away}).note.empty());
}

TEST_CASE("a text alone has no mark") {
  CHECK_FALSE(read_mark(parley::message{parley::frame{"hi"}}));
}

TEST_CASE("a mark of another version or kind, cut off or too long, is none") {
  for (const std::string& mark :
       {""s, "PC"s, "PC\x01"s, "PC\x02\x01\x01\x02\x03\x04\x05\x06\x07\x08"s, "PC\x01\x09"s,
        "PC\x01\x00"s, "PC\x01\x01\x01\x02"s, "PC\x01\x02\x01\x02\x03\x04\x05\x06\x07\x08\x09"s,
        "PC\x01\x04"s, "PC\x01\x04\x00\x00\x00"s, "an attachment"s}) {
    CAPTURE(mark);
    CHECK_FALSE(read_mark(said("hi", mark)));
  }
}
