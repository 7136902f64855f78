// SPDX-License-Identifier: MPL-2.0
#include <parley/codec.hpp>

#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace parley;

namespace {

struct quote {
  double bid = 0;
  double ask = 0;
  std::string source;
  MSGPACK_DEFINE(bid, ask, source)

  friend bool operator==(const quote&, const quote&) = default;
};

template<class T>
T round_trip(const T& value) {
  return decode<T>(encode(value));
}

template<class T>
std::string complaint(std::string_view bytes) {
  try {
    static_cast<void>(decode<T>(bytes));
    return "";
  } catch (const protocol_error& caught) {
    return caught.what();
  }
}

}  // namespace

TEST_CASE("values come back as they were") {
  CHECK(round_trip(42) == 42);
  CHECK(round_trip(std::numeric_limits<std::int64_t>::min()) ==
        std::numeric_limits<std::int64_t>::min());
  CHECK(round_trip(std::string(100'000, 'x')) == std::string(100'000, 'x'));
  CHECK(round_trip(std::vector<int>{1, 2, 3}) == std::vector<int>{1, 2, 3});
  CHECK(round_trip(std::map<std::string, bool>{{"yes", true}}).at("yes"));
  CHECK(round_trip(quote{1.5, 2.5, "ecb"}) == quote{1.5, 2.5, "ecb"});
}

TEST_CASE("text and frames are bodies as they are, other types are packed") {
  CHECK(to_body("plain") == "plain");
  CHECK(to_body(std::string{"plain"}) == "plain");
  CHECK(to_body(frame{"plain"}) == "plain");
  CHECK(to_body(7) == encode(7));
}

TEST_CASE("bytes that are no value of the type are refused in words") {
  CHECK(complaint<int>("").find("cut short") != std::string::npos);
  CHECK(complaint<std::string>("\xa5"
                               "abc")
            .find("cut short") != std::string::npos);
  CHECK(complaint<int>("\x01\x02").find("followed by 1 more") != std::string::npos);
  CHECK(complaint<int>("\xa1x").find("found a string") != std::string::npos);
  CHECK(complaint<int>("\xc1") != "");
  CHECK(complaint<std::uint8_t>("\xcd\x01\x00") != "");  // 256
}

TEST_CASE("a claim of more elements than there are bytes allocates nothing and is refused") {
  CHECK(complaint<std::vector<int>>("\xdd\xff\xff\xff\xff") != "");
  CHECK(complaint<std::map<int, int>>("\xdf\xff\xff\xff\xff") != "");
  CHECK(complaint<std::string>("\xdb\xff\xff\xff\xff") != "");
}

TEST_CASE("claims are added up over nested containers") {
  // Each level alone could fit into the bytes; built level by level they would take gigabytes.
  std::string nested;
  for (int level = 0; level < 90; ++level) {
    nested += std::string{"\xdd\x00\x00\x03\x00", 5};  // an array of 768
  }
  nested.resize(1000, '\1');
  CHECK(complaint<std::vector<int>>(nested).find("claims more elements") != std::string::npos);
}

TEST_CASE("nesting is bounded") {
  std::string nested(10'000, '\x91');
  nested += '\1';
  CHECK(complaint<int>(nested).find("nested deeper") != std::string::npos);
}
