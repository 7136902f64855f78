// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_mark.hpp"

#include <cstddef>

namespace {

constexpr std::string_view magic{"PC\x01"};

void put_number(std::string& bytes, std::uint64_t number, std::size_t size) {
  while (size-- > 0) {
    bytes += static_cast<char>(number >> (8 * size) & 0xFFu);
  }
}

// Nothing: there are more or fewer bytes.
std::optional<std::uint64_t> get_number(std::string_view bytes, std::size_t size) {
  if (bytes.size() != size) {
    return std::nullopt;
  }
  std::uint64_t number = 0;
  for (const char each : bytes) {
    number = number << 8u | static_cast<unsigned char>(each);
  }
  return number;
}

}  // namespace

parley::message write_chat(std::string_view text, const chat_mark& mark) {
  std::string bytes{magic};
  bytes += static_cast<char>(mark.what);
  switch (mark.what) {
    case chat_mark::kind::ask:
    case chat_mark::kind::read:
    case chat_mark::kind::written:
      put_number(bytes, mark.id, 8);
      break;
    case chat_mark::kind::away:
      bytes += mark.note;
      break;
  }
  parley::message said{parley::frame{text}};
  said.push_back(parley::frame{bytes});
  return said;
}

std::optional<chat_mark> read_mark(const parley::message& said) {
  if (said.size() < 2 || !said[1].view().starts_with(magic) || said[1].size() == magic.size()) {
    return std::nullopt;
  }
  const std::string_view rest = said[1].view().substr(magic.size() + 1);
  chat_mark mark{static_cast<chat_mark::kind>(said[1].view()[magic.size()])};
  switch (mark.what) {
    case chat_mark::kind::ask:
    case chat_mark::kind::read:
    case chat_mark::kind::written:
      if (const auto id = get_number(rest, 8)) {
        mark.id = *id;
        return mark;
      }
      break;
    case chat_mark::kind::away:
      mark.note = rest;
      return mark;
  }
  return std::nullopt;
}
