// SPDX-License-Identifier: MPL-2.0
#include "stomp/frame_writer.hpp"

#include "frames.hpp"
#include "support/catch.hpp"

using namespace parley::stomp;

namespace {

std::string written(command verb, version form, std::string_view value) {
  std::string out;
  frame_writer{out, verb, form}.header("a", value).finish();
  return out;
}

}  // namespace

TEST_CASE("a frame without a body ends in a blank line and a NUL") {
  CHECK(written(command::receipt, version::v1_2, "1") == bytes("RECEIPT\na:1\n\n\0"));
}

// "Frame bodies ... SHOULD include a content-length header to ease frame parsing."
TEST_CASE("a body comes with its content-length") {
  std::string out;
  frame_writer{out, command::error, version::v1_1}.header("a", "1").finish(bytes("x\0y"));
  CHECK(out == bytes("ERROR\na:1\ncontent-length:3\n\nx\0y\0"));
}

TEST_CASE("what was written in a version is read back in it") {
  for (const version form : {version::v1_1, version::v1_2}) {
    const std::string value = form == version::v1_2 ? " a:b\\c\nd\re" : " a:b\\c\nd";
    CHECK(read_one(written(command::error, form, value), form) == "ERROR [a=" + value + "]");
  }
}

TEST_CASE("what a version cannot say becomes a space, never a header of its own") {
  CHECK(written(command::error, version::v1_0, "a\nack:1") == bytes("ERROR\na:a ack:1\n\n\0"));
  CHECK(written(command::error, version::v1_1, "a\rb") == bytes("ERROR\na:a b\n\n\0"));
  CHECK(written(command::error, version::v1_2, bytes("a\0b")) == bytes("ERROR\na:a b\n\n\0"));
}

TEST_CASE("a name with a colon is left out for 1.0, where it would be another header") {
  std::string out;
  frame_writer{out, command::message, version::v1_0}
      .header("content-length:3", "1")
      .header("a", "1")
      .finish();
  CHECK(out == bytes("MESSAGE\na:1\n\n\0"));
}

// "C style string literal escapes are used to encode any CR, LF or colon that are found within the
// UTF-8 encoded headers of all frames except CONNECT and CONNECTED."
TEST_CASE("CONNECTED is not escaped") {
  CHECK(written(command::connected, version::v1_2, "a:b") == bytes("CONNECTED\na:a:b\n\n\0"));
}
