// SPDX-License-Identifier: MPL-2.0
#include "chat/visible_text.hpp"

#include <parley/text.hpp>

#include <random>
#include <string>

#include "support/catch.hpp"

using namespace std::string_literals;

namespace {

const bool in_utf8 = (use_utf8(), true);

}  // namespace

TEST_CASE("visible text leaves letters of any script, and emoji, as they are") {
  for (const char* text : {"hello", "Grüße", "你好", "สวัสดี", "👩‍💻 ❤️", "e\u0301",
                           "می‌خواهم", "\\ and ^"}) {
    CHECK(visible(text) == text);
  }
}

TEST_CASE("visible text escapes what a terminal would act upon") {
  CHECK(visible("\x1b]0;title\x07") == "\\x1b]0;title\\x07");
  CHECK(visible("a\r\n\tb\b\x7f") == "a\\r\\n\\tb\\x08\\x7f");
  CHECK(visible("a\0b"s) == "a\\x00b");
  CHECK(visible("\u009b31m") == "\\u009b31m");
  CHECK(visible("\x9b"
                "31m") == "\\x9b31m");
}

TEST_CASE("visible text escapes what turns writing around or hides") {
  CHECK(visible("\u202egnp.exe") == "\\u202egnp.exe");
  CHECK(visible("\u2066a\u2069") == "\\u2066a\\u2069");
  CHECK(visible("a\u200bb\u2028\ufeff") == "a\\u200bb\\u2028\\ufeff");
  CHECK(visible("\U000e0041") == "\\U000e0041");
}

TEST_CASE("visible text escapes bytes that are no UTF-8, each, and goes on behind them") {
  CHECK(visible("a\xff\xfez") == "a\\xff\\xfez");
  CHECK(visible("\xe4\xbdz") == "\\xe4\\xbdz");
  CHECK(visible("\xc0\xaf") == "\\xc0\\xaf");
  CHECK(visible("\xed\xa0\x80") == "\\xed\\xa0\\x80");
}

TEST_CASE("visible text is UTF-8 without controls, whatever it is made of") {
  std::mt19937 random{7};
  std::uniform_int_distribution<int> octet{0, 255};
  for (int round = 0; round < 10'000; ++round) {
    std::string bytes(static_cast<std::size_t>(round % 40), '\0');
    for (char& each : bytes) {
      each = static_cast<char>(octet(random));
    }
    const std::string text = visible(bytes);
    REQUIRE(parley::detail::is_utf8(text));
    for (const wchar_t each : to_wide(text)) {
      const bool is_control = each < 0x20 || (each >= 0x7f && each < 0xa0);
      REQUIRE_FALSE(is_control);
    }
  }
}

TEST_CASE("visible text is cut where no more fits, by columns and between characters") {
  CHECK(visible("hello", 5) == "hello");
  CHECK(visible("hello!", 5) == "hell…");
  CHECK(visible("你好吗", 6) == "你好吗");
  CHECK(visible("你好吗", 5) == "你好…");
  CHECK(visible("ab\x1b[m", 5) == "ab…");
}

TEST_CASE("columns counts wide characters twice and marks not at all") {
  CHECK(columns("hello") == 5);
  CHECK(columns("你好") == 4);
  CHECK(columns("e\u0301") == 1);
}

TEST_CASE("folded text is the same for capitals and others, in any script") {
  CHECK(folded("ÜBER Straße") == folded("über strAße"));
  CHECK(folded("ΑΒΓ") == "αβγ");
}
