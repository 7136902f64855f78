// SPDX-License-Identifier: MPL-2.0
#include "zmtp_probe.hpp"

#include "batch_format.hpp"

#include <cstdint>
#include <optional>

namespace parley::detail {
namespace {

// greeting = signature version mechanism as-server filler
constexpr std::size_t greeting_size = 64;
constexpr std::size_t mechanism_at = 12;
constexpr std::size_t mechanism_size = 20;

constexpr char short_command = 0x04;
constexpr char long_command = 0x06;
// Longer than any that describes a socket.
constexpr std::size_t longest_command = 8192;

std::uint64_t read_size(std::string_view octets) {
  std::uint64_t size = 0;
  for (const char each : octets) {
    size = size << 8 | static_cast<unsigned char>(each);
  }
  return size;
}

// The first count octets of text, which loses them. None: there are not so many.
std::optional<std::string_view> take(std::string_view& text, std::uint64_t count) {
  if (count > text.size()) {
    return std::nullopt;
  }
  const std::string_view taken = text.substr(0, static_cast<std::size_t>(count));
  text.remove_prefix(taken.size());
  return taken;
}

// metadata = *property, property = name value, name = OCTET 1*255name-char,
// value = 4OCTET *OCTET
bool tells_that_it_unpacks(std::string_view metadata) {
  while (!metadata.empty()) {
    const auto name_size = take(metadata, 1);
    const auto name = take(metadata, read_size(*name_size));
    const auto value_size = take(metadata, 4);
    if (!name || !value_size) {
      return false;
    }
    const auto value = take(metadata, read_size(*value_size));
    if (!value) {
      return false;
    }
    if (*name == unpacks_property) {
      return *value == unpacks_version;
    }
  }
  return false;
}

}  // namespace

std::string zmtp_probe::greeting() {
  std::string made(greeting_size, '\0');
  made[0] = '\xff';
  made[9] = '\x7f';
  made[10] = 3;
  made.replace(mechanism_at, 4, "NULL");
  return made;
}

zmtp_probe::answer zmtp_probe::receive(std::string_view bytes) {
  unread_.append(bytes);
  return read();
}

zmtp_probe::answer zmtp_probe::read() {
  std::string_view left = unread_;
  if (!is_greeted_) {
    const auto greeted = take(left, greeting_size);
    if (!greeted) {
      return answer::pending;
    }
    std::string mechanism{"NULL"};
    mechanism.resize(mechanism_size);
    if ((*greeted)[0] != '\xff' || (*greeted)[9] != '\x7f' || (*greeted)[10] < 3 ||
        greeted->substr(mechanism_at, mechanism_size) != mechanism) {
      return answer::plain;
    }
    is_greeted_ = true;
    unread_.erase(0, greeting_size);
    left = unread_;
  }
  // command = command-size command-body, command-size = %x04 OCTET | %x06 8OCTET
  const auto kind = take(left, 1);
  if (!kind) {
    return answer::pending;
  }
  if (kind->front() != short_command && kind->front() != long_command) {
    return answer::plain;
  }
  const auto octets = take(left, kind->front() == short_command ? 1 : 8);
  if (!octets) {
    return answer::pending;
  }
  const std::uint64_t size = read_size(*octets);
  if (size > longest_command) {
    return answer::plain;
  }
  const auto body = take(left, size);
  return body ? read_command(*body) : answer::pending;
}

// ready = %d5 "READY" metadata
zmtp_probe::answer zmtp_probe::read_command(std::string_view body) {
  constexpr std::string_view ready{"\5READY"};
  return body.starts_with(ready) && tells_that_it_unpacks(body.substr(ready.size()))
             ? answer::unpacks
             : answer::plain;
}

}  // namespace parley::detail
