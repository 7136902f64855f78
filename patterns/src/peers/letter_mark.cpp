// SPDX-License-Identifier: MPL-2.0
#include "letter_mark.hpp"

#include "network_order.hpp"
#include "number_reader.hpp"

namespace parley::detail {
namespace {

constexpr std::string_view signature{"\xffPL\x01", 4};

}  // namespace

std::optional<letter_mark> read_letter_mark(std::string_view frame) noexcept {
  if (!frame.starts_with(signature)) {
    return std::nullopt;
  }
  frame.remove_prefix(signature.size());
  letter_mark read;
  std::uint8_t what = 0;
  number_reader in{frame};
  in(what)(read.session)(read.number);
  read.what = static_cast<letter_mark::kind>(what);
  if (read.what == letter_mark::kind::read) {
    in(read.about);
  }
  const bool is_known = what >= 1 && what <= 5;
  return in.is_good() && frame.empty() && is_known && read.number > 0 ? std::optional{read}
                                                                      : std::nullopt;
}

std::string write_letter_mark(const letter_mark& written) {
  std::string frame{signature};
  frame += static_cast<char>(written.what);
  const auto add = [&frame](std::uint64_t number) {
    char octets[sizeof number];
    put_number(octets, number);
    frame.append(octets, sizeof octets);
  };
  add(written.session);
  add(written.number);
  if (written.what == letter_mark::kind::read) {
    add(written.about);
  }
  return frame;
}

}  // namespace parley::detail
