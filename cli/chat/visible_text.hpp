// SPDX-License-Identifier: MPL-2.0
//
// Text of others as a terminal may show it: nothing in it moves a cursor, turns the direction of
// writing around, or hides. Which characters have glyphs, and how wide they are, is the C library's
// word. Any thread, after use_utf8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// Once, before other threads are there: the environment's locale if it is one of UTF-8, or else one
// that is.
void use_utf8();

// One line: controls as \n or \x1b, what has no glyph or changes others as \u202e, bytes that are
// no UTF-8 as \xff. The result is UTF-8.
[[nodiscard]] std::string visible(std::string_view bytes);
// No more than so many columns; … stands for the rest.
[[nodiscard]] std::string visible(std::string_view bytes, std::size_t most_columns);

// Columns. Requires: it is visible.
[[nodiscard]] std::size_t columns(std::string_view text);

// Code points; bytes that are no UTF-8 are U+FFFD each. For search and comparison.
[[nodiscard]] std::wstring to_wide(std::string_view bytes);
[[nodiscard]] std::string to_utf8(std::wstring_view text);
// Without the difference between capitals and others.
[[nodiscard]] std::string folded(std::string_view bytes);
