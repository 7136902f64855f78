// SPDX-License-Identifier: MPL-2.0
#include "chat/line_rows.hpp"

#include <cwchar>

void screen_place::pass(std::wstring_view text, std::size_t width) {
  for (const wchar_t each : text) {
    const int wide = ::wcwidth(each);
    const std::size_t needed = wide > 0 ? static_cast<std::size_t>(wide) : 0;
    if (column + needed > width) {
      ++row;
      column = 0;
    }
    column += needed;
    if (column >= width) {
      ++row;
      column = 0;
    }
  }
}
