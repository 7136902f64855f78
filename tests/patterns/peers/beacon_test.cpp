// SPDX-License-Identifier: MPL-2.0
#include "peers/beacon.hpp"

#include <string>

#include "support/catch.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::string_literals;

namespace {

const peer_id id = *peer_id::parse("000102030405060708090A0B0C0D0E0F");
const std::string id_octets = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"s;

}  // namespace

TEST_CASE("a beacon is octet by octet what RFC 36 says") {
  const std::string plain = "ZRE\x01"s + id_octets + "\xc0\x00"s;
  CHECK(write_beacon({id, 49152, {}}) == plain);
  CHECK(read_beacon(plain) == beacon{id, 49152, {}});
  CHECK(read_beacon(write_beacon({id, 0, {}})) == beacon{id, 0, {}});
}

TEST_CASE("a beacon with a public key is 54 octets of version 3") {
  const curve_key key = generate_curve_keys().public_key;
  const std::string secure = write_beacon({id, 49152, key});
  CHECK(secure.size() == 54);
  CHECK(secure.substr(0, 22) == "ZRE\x03"s + id_octets + "\xc0\x00"s);
  CHECK(read_beacon(secure) == beacon{id, 49152, key});
}

TEST_CASE("datagrams of another size, sign or version are no beacons") {
  const std::string plain = write_beacon({id, 49152, {}});
  for (std::size_t size = 0; size < plain.size(); ++size) {
    CHECK_FALSE(read_beacon(plain.substr(0, size)));
  }
  CHECK_FALSE(read_beacon(plain + "x"));
  CHECK_FALSE(read_beacon("ZRF" + plain.substr(3)));
  CHECK_FALSE(read_beacon("ZRE\x03" + plain.substr(4)));
  CHECK_FALSE(read_beacon("ZRE\x01" + plain.substr(4) + std::string(32, 'k')));
}

TEST_CASE("a peer's id is 32 hexadecimal digits, and nothing else") {
  CHECK(id.str() == "000102030405060708090A0B0C0D0E0F");
  CHECK(peer_id::parse("000102030405060708090a0b0c0d0e0f") == id);
  CHECK_FALSE(peer_id::parse("000102030405060708090A0B0C0D0E0"));
  CHECK_FALSE(peer_id::parse("000102030405060708090A0B0C0D0E0G"));
  CHECK_FALSE(peer_id::parse("000102030405060708090A0B0C0D0E0F0"));
  CHECK(peer_id::from_bytes(id_octets) == id);
  CHECK(peer_id::random() != peer_id::random());
}
