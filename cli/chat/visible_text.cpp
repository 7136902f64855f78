// SPDX-License-Identifier: MPL-2.0
#include "chat/visible_text.hpp"

#include <parley/text.hpp>

#include <langinfo.h>

#include <array>
#include <clocale>
#include <cstdint>
#include <cwchar>
#include <cwctype>
#include <iterator>

namespace {

struct code {
  char32_t point;    // of a byte that is no UTF-8: the byte
  std::size_t size;  // bytes
  bool is_valid;
};

// Requires: there is a byte.
code first_code(std::string_view bytes) {
  const auto first = static_cast<unsigned char>(bytes.front());
  const std::size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (!parley::detail::is_utf8(bytes.substr(0, size)) || bytes.size() < size) {
    return {first, 1, false};
  }
  char32_t point = size == 1 ? first : first & (0x7Fu >> size);
  for (std::size_t at = 1; at < size; ++at) {
    point = point << 6u | (static_cast<unsigned char>(bytes[at]) & 0x3Fu);
  }
  return {point, size, true};
}

struct range {
  char32_t first;
  char32_t last;
};

// What the C library calls printable, and what still changes how others are read: it turns them
// around, hides between them, or breaks the line.
constexpr std::array changing{
    range{0xAD, 0xAD},        // soft hyphen
    range{0x34F, 0x34F},      // grapheme joiner
    range{0x61C, 0x61C},      // Arabic letter mark
    range{0x115F, 0x1160},    // Hangul fillers
    range{0x17B4, 0x17B5},    // Khmer vowels that are not seen
    range{0x180B, 0x180F},    // Mongolian selectors
    range{0x200B, 0x200B},    // zero width space; the joiners behind it are part of words
    range{0x200E, 0x200F},    // left-to-right and right-to-left marks
    range{0x2028, 0x202E},    // separators, embeddings and overrides
    range{0x2060, 0x206F},    // word joiner, isolates, deprecated ones
    range{0x3164, 0x3164},    // Hangul filler
    range{0xFEFF, 0xFEFF},    // byte order mark
    range{0xFFA0, 0xFFA0},    // halfwidth Hangul filler
    range{0xFFF9, 0xFFFB},    // interlinear annotations
    range{0xE0000, 0xE0FFF},  // tags
};

bool is_harmless(char32_t point) {
  for (const range& each : changing) {
    if (each.first <= point && point <= each.last) {
      return false;
    }
  }
  return std::iswprint(static_cast<std::wint_t>(point)) != 0 &&
         ::wcwidth(static_cast<wchar_t>(point)) >= 0;
}

std::string hexadecimal(char32_t value, int digits) {
  constexpr std::string_view all{"0123456789abcdef"};
  std::string text;
  for (int at = digits - 1; at >= 0; --at) {
    text += all[value >> static_cast<unsigned>(4 * at) & 0xFu];
  }
  return text;
}

std::string escaped(const code& what) {
  if (!what.is_valid || what.point < 0x20 || what.point == 0x7F) {
    switch (what.point) {
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      default:
        return "\\x" + hexadecimal(what.point, 2);
    }
  }
  return what.point <= 0xFFFF ? "\\u" + hexadecimal(what.point, 4)
                              : "\\U" + hexadecimal(what.point, 8);
}

void append_utf8(std::string& text, char32_t point) {
  const auto octet = [&](char32_t value) { text += static_cast<char>(value); };
  const auto more = [&](unsigned shift) { octet(0x80u | (point >> shift & 0x3Fu)); };
  if (point < 0x80) {
    octet(point);
  } else if (point < 0x800) {
    octet(0xC0u | point >> 6u);
    more(0);
  } else if (point < 0x10000) {
    octet(0xE0u | point >> 12u);
    more(6);
    more(0);
  } else {
    octet(0xF0u | point >> 18u);
    more(12);
    more(6);
    more(0);
  }
}

}  // namespace

void use_utf8() {
  const auto is_utf8 = [] { return std::string_view{::nl_langinfo(CODESET)} == "UTF-8"; };
  if (std::setlocale(LC_CTYPE, "") != nullptr && is_utf8()) {
    return;
  }
  std::setlocale(LC_CTYPE, "C.UTF-8");
}

std::string visible(std::string_view bytes) { return visible(bytes, static_cast<std::size_t>(-1)); }

std::string visible(std::string_view bytes, std::size_t most_columns) {
  std::string text;
  std::size_t used = 0;
  std::size_t cut = 0;  // what fits with … behind it
  while (!bytes.empty()) {
    const code next = first_code(bytes);
    const bool is_shown = next.is_valid && is_harmless(next.point);
    const std::string shown = is_shown ? std::string{bytes.substr(0, next.size)} : escaped(next);
    used += is_shown ? static_cast<std::size_t>(::wcwidth(static_cast<wchar_t>(next.point)))
                     : shown.size();
    if (used > most_columns) {
      text.resize(cut);
      return text + "…";
    }
    text += shown;
    if (used < most_columns) {
      cut = text.size();
    }
    bytes.remove_prefix(next.size);
  }
  return text;
}

std::size_t columns(std::string_view text) {
  std::size_t all = 0;
  for (const wchar_t each : to_wide(text)) {
    const int width = ::wcwidth(each);
    all += width > 0 ? static_cast<std::size_t>(width) : 0;
  }
  return all;
}

std::wstring to_wide(std::string_view bytes) {
  std::wstring text;
  while (!bytes.empty()) {
    const code next = first_code(bytes);
    text += next.is_valid ? static_cast<wchar_t>(next.point) : L'\uFFFD';
    bytes.remove_prefix(next.size);
  }
  return text;
}

std::string to_utf8(std::wstring_view text) {
  std::string bytes;
  for (const wchar_t each : text) {
    append_utf8(bytes, static_cast<char32_t>(each));
  }
  return bytes;
}

std::string folded(std::string_view bytes) {
  std::wstring text = to_wide(bytes);
  for (wchar_t& each : text) {
    each = static_cast<wchar_t>(std::towlower(static_cast<std::wint_t>(each)));
  }
  return to_utf8(text);
}
