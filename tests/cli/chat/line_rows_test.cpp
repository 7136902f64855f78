// SPDX-License-Identifier: MPL-2.0
#include "chat/line_rows.hpp"
#include "chat/visible_text.hpp"

#include <string>

#include "support/catch.hpp"

namespace {

const bool in_utf8 = (use_utf8(), true);

screen_place behind(std::wstring_view text, std::size_t width) {
  screen_place place;
  place.pass(text, width);
  return place;
}

}  // namespace

TEST_CASE("a cursor stays in its row until that is full") {
  CHECK(behind(L"lobby> ", 10).row == 0);
  CHECK(behind(L"lobby> ", 10).column == 7);
  CHECK(behind(L"lobby> abc", 10).row == 1);
  CHECK(behind(L"lobby> abc", 10).column == 0);
  CHECK(behind(std::wstring(25, L'x'), 10).row == 2);
}

TEST_CASE("a wide character that does not fit goes to the next row") {
  CHECK(behind(L"123456789你", 10).row == 1);
  CHECK(behind(L"123456789你", 10).column == 2);
  CHECK(behind(L"12345678你", 10).row == 1);
  CHECK(behind(L"12345678你", 10).column == 0);
}
