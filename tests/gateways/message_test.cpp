// SPDX-License-Identifier: MPL-2.0
#include "stomp/message.hpp"

#include "frames.hpp"
#include "support/catch.hpp"

using namespace parley::stomp;

namespace {

message_ptr sent(const std::string& frame_bytes, std::string_view reply_to = {}) {
  frame_reader reader;
  reader.set_version(version::v1_2);
  feed(reader, frame_bytes);
  REQUIRE(reader.next() == frame_reader::outcome::frame);
  return message::from_send(reader.current(), reply_to);
}

std::string delivered(const message& content, version form) {
  std::string out{"MESSAGE\n"};
  content.append_to(out, form);
  return out;
}

}  // namespace

// "MESSAGE frames ... will also include all user-defined headers that were present when the
// message was sent to the destination"
TEST_CASE("a message carries the sender's headers and body, byte for byte") {
  const auto content = sent(bytes("SEND\ndestination:/queue/a\nx:1\ncontent-length:3\n\na\0b\0"));
  CHECK(content->destination() == "/queue/a");
  CHECK(content->body() == bytes("a\0b"));
  CHECK(read_one(delivered(*content, version::v1_2)) ==
        bytes("MESSAGE [destination=/queue/a] [x=1] [content-length=3] a\0b"));
}

TEST_CASE("headers between the sender and the server are not passed on") {
  const auto content = sent(bytes(
      "SEND\nreceipt:1\ntransaction:t\nmessage-id:5\nsubscription:s\nack:9\nredelivered:true\n"
      "parley-dropped:2\ndestination:/queue/a\nack-by:me\n\n\0"));
  CHECK(read_one(delivered(*content, version::v1_2)) ==
        "MESSAGE [destination=/queue/a] [ack-by=me] [content-length=0]");
}

TEST_CASE("a message reads the same in every version") {
  const auto content = sent(bytes("SEND\ndestination:/queue/a\\cb\nx\\\\:1\\n2\\r\n\nhi\0"));
  CHECK(content->destination() == "/queue/a:b");
  CHECK(content->find("x\\") == "1\n2\r");
  CHECK(read_one(delivered(*content, version::v1_2), version::v1_2) ==
        "MESSAGE [destination=/queue/a:b] [x\\=1\n2\r] [content-length=2] hi");
  CHECK(read_one(delivered(*content, version::v1_1), version::v1_1) ==
        "MESSAGE [destination=/queue/a:b] [x\\=1\n2 ] [content-length=2] hi");
  CHECK(read_one(delivered(*content, version::v1_0), version::v1_0) ==
        "MESSAGE [destination=/queue/a:b] [x\\=1 2 ] [content-length=2] hi");
}

TEST_CASE("a message finds the sender's headers only") {
  const auto content = sent(bytes("SEND\ndestination:/queue/a\nx:1\nx:2\n\nx:3\0"));
  CHECK(content->find("x") == "1");
  CHECK_FALSE(content->find("destination"));
  CHECK_FALSE(content->find("content-length"));
}

TEST_CASE("a message can be given another reply-to and another destination") {
  const auto content =
      sent(bytes("SEND\ndestination:/queue/a\nreply-to:/temp-queue/x\n\nhi\0"), "/reply-queue/7/x");
  CHECK(content->find("reply-to") == "/reply-queue/7/x");
  const auto moved = content->redirected("/temp-queue/y");
  CHECK(moved->destination() == "/temp-queue/y");
  CHECK(moved->body() == "hi");
  CHECK(moved->find("reply-to") == "/reply-queue/7/x");
  CHECK(read_one(delivered(*moved, version::v1_2)) ==
        "MESSAGE [destination=/temp-queue/y] [reply-to=/reply-queue/7/x] [content-length=2] hi");
}

TEST_CASE("a message can be made from parts") {
  const auto content = message::make("/topic/a", {{"content-type", "text/plain"}}, "hi");
  CHECK(read_one(delivered(*content, version::v1_0), version::v1_0) ==
        "MESSAGE [destination=/topic/a] [content-type=text/plain] [content-length=2] hi");
}
