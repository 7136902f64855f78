// SPDX-License-Identifier: MPL-2.0
#include "file_name.hpp"

#include <parley/text.hpp>

#include <algorithm>

namespace parley::detail {
namespace {

constexpr std::string_view partial = ".parley-part";

bool is_harmful(unsigned char octet) { return octet < 0x20 || octet == 0x7f; }

// C1 controls in UTF-8: C2 80 to C2 9F.
void replace_c1(std::string& name) {
  for (std::size_t at = 0; at + 1 < name.size(); ++at) {
    if (name[at] == '\xc2' && static_cast<unsigned char>(name[at + 1]) < 0xa0) {
      name.replace(at, 2, "_");
    }
  }
}

// The end of a name says what it is: what is too long is cut before that.
void shorten(std::string& name) {
  if (name.size() <= longest_file_name) {
    return;
  }
  const auto dot = name.rfind('.');
  const std::size_t tail =
      dot != std::string::npos && name.size() - dot <= 16 ? name.size() - dot : 0;
  std::size_t keep = longest_file_name - tail;
  while (keep > 0 && (static_cast<unsigned char>(name[keep]) & 0xc0) == 0x80) {
    --keep;  // not in the middle of a character
  }
  name.erase(keep, name.size() - tail - keep);
}

}  // namespace

std::string harmless_file_name(std::string_view said) {
  if (const auto slash = said.find_last_of("/\\"); slash != std::string_view::npos) {
    said.remove_prefix(slash + 1);
  }
  std::string name{said};
  if (!is_utf8(name)) {
    std::ranges::replace_if(
        name, [](char each) { return static_cast<unsigned char>(each) >= 0x80; }, '_');
  }
  std::ranges::replace_if(
      name, [](char each) { return is_harmful(static_cast<unsigned char>(each)); }, '_');
  replace_c1(name);
  if (name.starts_with('.')) {
    name.front() = '_';
  }
  shorten(name);
  if (name.ends_with(partial)) {
    name += '_';  // another transfer's
  }
  return name.empty() ? "unnamed" : name;
}

}  // namespace parley::detail
