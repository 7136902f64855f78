// SPDX-License-Identifier: MPL-2.0
#include "peers/zre_wire.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley::detail;
using namespace std::string_literals;
using kind = zre_message::kind;

namespace {

// As zyre 2.0.1 sends them, written down by hand from RFC 36.
const std::string hello =
    "\xAA\xA1\x01\x02\x00\x01"s  // signature, HELLO, version 2, sequence 1
    "\x14tcp://10.0.0.7:49152"s  // endpoint
    "\x00\x00\x00\x02"s          // two groups
    "\x00\x00\x00\x04"
    "CHAT"s
    "\x00\x00\x00\x05"
    "lobby"s
    "\x02"s  // status
    "\x06"
    "desk-7"s            // name
    "\x00\x00\x00\x01"s  // one header
    "\x06"
    "X-KIND"s
    "\x00\x00\x00\x04"
    "zyre"s;

bool equal(const zre_message& left, const zre_message& right) {
  return left.what == right.what && left.sequence == right.sequence &&
         left.endpoint == right.endpoint && left.groups == right.groups &&
         left.status == right.status && left.name == right.name && left.headers == right.headers &&
         left.group == right.group;
}

zre_message read(const std::string& frame) {
  zre_message came;
  REQUIRE(read_zre(frame, came) == zre_reading::good);
  return came;
}

const std::vector<zre_message> all{
    {.what = kind::hello,
     .sequence = 1,
     .endpoint = "tcp://10.0.0.7:49152",
     .groups = {"CHAT", "lobby"},
     .status = 2,
     .name = "desk-7",
     .headers = {{"X-KIND", "zyre"}}},
    {.what = kind::hello, .sequence = 1},
    {.what = kind::whisper, .sequence = 2},
    {.what = kind::shout, .sequence = 3, .group = "CHAT"},
    {.what = kind::join, .sequence = 0xffff, .status = 255, .group = std::string(255, 'g')},
    {.what = kind::leave, .sequence = 0, .status = 0, .group = "CHAT"},
    {.what = kind::ping, .sequence = 6},
    {.what = kind::ping_ok, .sequence = 7},
    {.what = kind::goodbye, .sequence = 8},
};

}  // namespace

TEST_CASE("a HELLO is octet by octet what RFC 36 says") {
  CHECK(write_zre(all.front()) == hello);
  CHECK(equal(read(hello), all.front()));
}

TEST_CASE("every ZRE message is read as it was written") {
  for (const zre_message& each : all) {
    CHECK(equal(read(write_zre(each)), each));
  }
}

TEST_CASE("elections of zyre are understood well enough to be counted") {
  const zre_message came = read(
      "\xAA\xA1\x08\x02\x01\x00\x04"
      "CHAT\x03"
      "ABC"s);
  CHECK(came.what == kind::elect);
  CHECK(came.sequence == 256);
  CHECK(came.group == "CHAT");
}

TEST_CASE("a ZRE message that is cut anywhere, or goes on, is nonsense") {
  for (const zre_message& each : all) {
    const std::string whole = write_zre(each);
    zre_message came;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CHECK(read_zre(std::string_view{whole}.substr(0, size), came) == zre_reading::nonsense);
    }
    CHECK(read_zre(whole + "x", came) == zre_reading::nonsense);
  }
}

TEST_CASE("counts that promise more than there is are not believed") {
  zre_message came;
  const std::string many = "\xAA\xA1\x01\x02\x00\x01\x00\xff\xff\xff\xff"s;
  CHECK(read_zre(many, came) == zre_reading::nonsense);
  CHECK(came.groups.empty());
}

TEST_CASE("a message of another version of ZRE is told apart from nonsense") {
  zre_message came;
  CHECK(read_zre("\xAA\xA1\x01\x01\x00\x01"s, came) == zre_reading::other_version);
  CHECK(read_zre("\xAA\xA0\x01\x02\x00\x01"s, came) == zre_reading::nonsense);
  CHECK(read_zre("\xAA\xA1\x0b\x02\x00\x01"s, came) == zre_reading::nonsense);
}
