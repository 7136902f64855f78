// SPDX-License-Identifier: MPL-2.0
#include "value_reader.hpp"

#include <parley/codec.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using outcome = value_reader::outcome;

namespace {

outcome read(const std::string& bytes) {
  value_reader reader{bytes};
  msgpack::object value;
  return reader.read(value);
}

// Packed, since nan is not itself, and msgpack-c's own comparison gives memcmp null for empty text.
bool is_same(const msgpack::object& ours, const msgpack::object& theirs) {
  msgpack::sbuffer left;
  msgpack::sbuffer right;
  msgpack::pack(left, ours);
  msgpack::pack(right, theirs);
  return std::string_view{left.data(), left.size()} == std::string_view{right.data(), right.size()};
}

// As msgpack-c packs and reads it.
template<class T>
bool reads_as_packed(const T& value) {
  msgpack::sbuffer packed;
  msgpack::pack(packed, value);
  value_reader reader{{packed.data(), packed.size()}};
  msgpack::object found;
  return reader.read(found) == outcome::good &&
         is_same(found, msgpack::unpack(packed.data(), packed.size()).get());
}

}  // namespace

TEST_CASE("each kind of value is read as msgpack-c reads it") {
  for (unsigned bits = 0; bits < 63; ++bits) {
    const std::int64_t limit = std::int64_t{1} << bits;
    for (const std::int64_t near : {limit - 1, limit, limit + 1, 1 - limit, -limit, -limit - 1}) {
      CAPTURE(near);
      CHECK(reads_as_packed(near));
    }
  }
  CHECK(reads_as_packed(std::numeric_limits<std::int64_t>::min()));
  CHECK(reads_as_packed(std::numeric_limits<std::uint64_t>::max()));
  CHECK(reads_as_packed(1.5F));
  CHECK(reads_as_packed(-1e300));
  CHECK(reads_as_packed(true));
  CHECK(reads_as_packed(false));
  CHECK(reads_as_packed(msgpack::type::nil_t{}));
  for (const std::size_t size : {0, 1, 31, 32, 255, 256, 65'535, 65'536}) {
    CAPTURE(size);
    CHECK(reads_as_packed(std::string(size, 'x')));
    CHECK(reads_as_packed(std::vector<char>(size, 'x')));
    CHECK(reads_as_packed(std::vector<int>(size, 7)));
    std::map<int, std::string> map;
    for (std::size_t index = 0; index < size; ++index) {
      map[static_cast<int>(index)] = "value";
    }
    CHECK(reads_as_packed(map));
    CHECK(reads_as_packed(
        msgpack::type::ext{5, std::string(size, 'x').data(), static_cast<std::uint32_t>(size)}));
  }
  for (const std::uint32_t size : {1U, 2U, 4U, 8U, 16U}) {
    CHECK(reads_as_packed(msgpack::type::ext{-5, "sixteen octets..", size}));
  }
}

TEST_CASE("numbers that are packed longer than they need are read") {
  CHECK(decode<int>(std::string_view{"\xd3\x00\x00\x00\x00\x00\x00\x00\x05", 9}) == 5);
  CHECK(decode<int>(std::string_view{"\xd0\xff", 2}) == -1);
  CHECK(decode<unsigned>(std::string_view{"\xd0\x05", 2}) == 5);
}

TEST_CASE("what is wrong with a value is told apart") {
  CHECK(read("") == outcome::cut_short);
  CHECK(read("\xc1") == outcome::no_value);
  CHECK(read("\xa5shor") == outcome::cut_short);
  CHECK(read("\x01\x02") == outcome::more_follow);
  CHECK(read("\xdd\xff\xff\xff\xff") == outcome::too_much);
  CHECK(read("\xdf\xff\xff\xff\xff") == outcome::too_much);
  CHECK(read(std::string(max_decode_depth, '\x91') + '\x01') == outcome::good);
  CHECK(read(std::string(max_decode_depth + 1, '\x91') + '\x01') == outcome::too_deep);
  CHECK(read(std::string(100'000, '\x91')) == outcome::too_deep);
}

TEST_CASE("any bytes are read as msgpack-c reads them, or refused as it refuses them") {
  std::mt19937 random{1};
  // What begins containers, texts and numbers, more often than by chance.
  const std::string likely{
      "\x90\x91\x92\x94\x80\x81\xa0\xa3\xc0\xc2\xc4\xc7\xca\xcb\xcc\xcf\xd0\xd3"
      "\xd4\xd8\xd9\xdc\xde\x00\x01\x02\xff",
      27};
  std::size_t good = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes;
    for (std::size_t size = random() % 24; bytes.size() < size;) {
      bytes += random() % 4 == 0 ? static_cast<char>(random()) : likely[random() % likely.size()];
    }
    value_reader reader{bytes};
    msgpack::object found;
    const outcome how = reader.read(found);
    if (how == outcome::too_much) {
      continue;  // msgpack-c would take memory for it
    }
    std::size_t used = 0;
    bool is_good = false;
    msgpack::object_handle theirs;
    try {
      theirs = msgpack::unpack(bytes.data(), bytes.size(), used);
      is_good = true;
    } catch (const msgpack::unpack_error&) {
      used = 0;
    }
    REQUIRE(is_good == (how == outcome::good || how == outcome::more_follow));
    if (is_good) {
      ++good;
      REQUIRE(used == bytes.size() - reader.left());
      REQUIRE(is_same(found, theirs.get()));
    }
  }
  CHECK(good > 10'000);
}
