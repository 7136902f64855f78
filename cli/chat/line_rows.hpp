// SPDX-License-Identifier: MPL-2.0
//
// Where a cursor stands behind text that a terminal of that width wrapped. Values.
#pragma once

#include <cstddef>
#include <string_view>

struct screen_place {
  std::size_t row = 0;
  std::size_t column = 0;

  // A full row is followed by the next one at once, and what is too wide for its rest goes there
  // too. Requires: width is positive; use_utf8.
  void pass(std::wstring_view text, std::size_t width);
};
