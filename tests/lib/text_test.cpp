// SPDX-License-Identifier: MPL-2.0
#include <parley/text.hpp>

#include "support/catch.hpp"

using namespace parley::detail;

TEST_CASE("UTF-8 is told from other bytes") {
  CHECK(is_utf8("h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80"));
  CHECK(is_utf8(""));
  for (const char* const wrong : {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                                  "\xf4\x90\x80\x80", "\x80", "\xe2\x82"}) {
    CHECK_FALSE(is_utf8(wrong));
  }
}

// RFC 4648, section 10.
TEST_CASE("base64 is written with padding") {
  CHECK(to_base64("").empty());
  CHECK(to_base64("f") == "Zg==");
  CHECK(to_base64("fo") == "Zm8=");
  CHECK(to_base64("foo") == "Zm9v");
  CHECK(to_base64("foobar") == "Zm9vYmFy");
  CHECK(to_base64("\xff\xfe\xfb") == "//77");
}
