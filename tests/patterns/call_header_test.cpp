// SPDX-License-Identifier: MPL-2.0
#include "call_header.hpp"

#include <cstdint>
#include <limits>
#include <string>

#include "support/catch.hpp"

using namespace parley;
using parley::detail::call_header;
using parley::detail::carried_by;
using parley::detail::pack_header;
using parley::detail::parse_header;
using kind = call_header::kind;

namespace {

const call_header example{.what = kind::item,
                          .flags = call_header::streamed,
                          .id = 0x0102030405060708,
                          .time = 0x1112131415161718,
                          .amount = 0x21222324,
                          .link = 0x3132333435363738,
                          .load = 0x41424344};

}  // namespace

TEST_CASE("a call's header comes back as it was packed") {
  for (const kind each : {kind::request, kind::cancel, kind::credit, kind::ask, kind::ping,
                          kind::reply, kind::item, kind::refused, kind::unknown, kind::pong}) {
    call_header header = example;
    header.what = each;
    CHECK(parse_header(pack_header(header).view()) == header);
  }
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  const call_header extreme{kind::request, 0xff, most, most, 0xffff'ffff, most, 0xffff'ffff};
  CHECK(parse_header(pack_header(extreme).view()) == extreme);
}

TEST_CASE("a call's header has the octets of docs/wire.md, numbers with the highest first") {
  CHECK(pack_header(example).view() == std::string{"\xffPRC\x01"
                                                   "\x12\x02"
                                                   "\x01\x02\x03\x04\x05\x06\x07\x08"
                                                   "\x11\x12\x13\x14\x15\x16\x17\x18"
                                                   "\x21\x22\x23\x24"
                                                   "\x31\x32\x33\x34\x35\x36\x37\x38"
                                                   "\x41\x42\x43\x44"});
}

TEST_CASE("a call's header is none when it is cut short, of another version or of no known kind") {
  const std::string whole = pack_header(example).str();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(parse_header(whole.substr(0, size)).has_value());
  }
  for (std::size_t at = 0; at < 5; ++at) {
    std::string other = whole;
    other[at] = static_cast<char>(other[at] ^ 1);
    CHECK_FALSE(parse_header(other).has_value());
  }
  for (int value = 0; value < 256; ++value) {
    std::string other = whole;
    other[5] = static_cast<char>(value);
    const bool known = (value >= 0x01 && value <= 0x05) || (value >= 0x11 && value <= 0x15);
    CHECK(parse_header(other).has_value() == known);
  }
}

TEST_CASE("a call's header carries a payload behind it, an empty one too") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, call_header::most_carried}) {
    const frame payload{std::string(size, 'x')};
    const frame packed = pack_header(example, payload);
    call_header expected = example;
    expected.flags |= call_header::carries;
    CHECK(parse_header(packed.view()) == expected);
    CHECK(carried_by(packed.view()) == payload);
  }
}
