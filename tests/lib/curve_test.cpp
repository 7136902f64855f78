// SPDX-License-Identifier: MPL-2.0
#include <parley/curve.hpp>
#include <parley/error.hpp>

#include <sys/stat.h>

#include <fstream>
#include <string>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using Catch::Contains;
using support::temporary_directory;

namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream{path} << text;
}

// A certificate as czmq 4.2 writes it (its RFC 26 test keys).
const std::string czmq_secret =
    "#   ****  Generated on 2026-11-21 12:00:00 by CZMQ  ****\n"
    "#   ZeroMQ CURVE **Secret** Certificate\n"
    "#   DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its permissions.\n\n"
    "metadata\n    name = \"desk\"\n"
    "curve\n"
    "    public-key = \"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\"\n"
    "    secret-key = \"D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs\"\n";

}  // namespace

// "8E0BDD697628B91D8F245587EE95C5B04D48963F79259877B49CD9063AEAD3B7" is
// "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6" (RFC 32)
TEST_CASE("a key prints and parses as Z85") {
  const curve_key key{"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"};
  CHECK(key.bytes()[0] == 0x8e);
  CHECK(key.bytes()[31] == 0xb7);
  CHECK(key.z85() == "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6");
  CHECK(curve_key{key.bytes()} == key);
}

TEST_CASE("what is no key is refused") {
  CHECK_THROWS_AS(curve_key{""}, config_error);
  CHECK_THROWS_AS(curve_key{"too short"}, config_error);
  CHECK_THROWS_AS(curve_key{std::string(40, ' ')}, config_error);
  CHECK_THROWS_AS(curve_key{std::string(41, '0')}, config_error);
}

TEST_CASE("fresh keys differ") {
  const curve_keys one = generate_curve_keys();
  CHECK_FALSE(one.public_key == generate_curve_keys().public_key);
  CHECK_FALSE(one.public_key == one.secret_key);
}

TEST_CASE("keys come back from their files, the secret ones from the secret file only") {
  const temporary_directory home;
  const curve_keys keys = generate_curve_keys();
  write_curve_keys(keys, home / "desk");
  CHECK(read_curve_keys(home / "desk").secret_key == keys.secret_key);
  CHECK(read_curve_keys(home / "desk_secret").public_key == keys.public_key);
  CHECK(read_public_key(home / "desk") == keys.public_key);
  CHECK(read_public_key(home / "desk_secret") == keys.public_key);

  struct stat seen {};
  REQUIRE(::stat((home / "desk_secret").c_str(), &seen) == 0);
  CHECK((seen.st_mode & 0777) == 0600);
  std::filesystem::remove(home / "desk_secret");
  CHECK_THROWS_WITH(read_curve_keys(home / "desk"), Contains("holds no secret-key"));
}

TEST_CASE("keys are never overwritten") {
  const temporary_directory home;
  write_curve_keys(generate_curve_keys(), home / "desk");
  CHECK_THROWS_WITH(write_curve_keys(generate_curve_keys(), home / "desk"),
                    Contains("File exists"));
}

TEST_CASE("no half of a pair is left when the other cannot be written") {
  const temporary_directory home;
  write(home / "desk", "something else");
  CHECK_THROWS_AS(write_curve_keys(generate_curve_keys(), home / "desk"), config_error);
  CHECK_FALSE(std::filesystem::exists(home / "desk_secret"));
}

TEST_CASE("certificates of czmq are read") {
  const temporary_directory home;
  write(home / "desk_secret", czmq_secret);
  CHECK(read_curve_keys(home / "desk").public_key.z85() ==
        "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID");
}

TEST_CASE("a damaged or missing file is named with what is wrong") {
  const temporary_directory home;
  CHECK_THROWS_WITH(read_public_key(home / "absent"), Contains("cannot be read"));
  write(home / "empty", "");
  CHECK_THROWS_WITH(read_public_key(home / "empty"), Contains("holds no public-key"));
  write(home / "odd", "curve\n    public-key = \"short\"\n");
  CHECK_THROWS_WITH(read_public_key(home / "odd"), Contains("the public-key is no Z85 key"));
}
