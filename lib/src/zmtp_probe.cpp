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

std::string mechanism(bool is_curve) {
  std::string name{is_curve ? "CURVE" : "NULL"};
  name.resize(mechanism_size);
  return name;
}

}  // namespace

zmtp_probe::zmtp_probe(const curve_security& security) {
  if (security.own()) {
    curve_.emplace(security);
  }
  reply_.assign(greeting_size, '\0');
  reply_[0] = '\xff';
  reply_[9] = '\x7f';
  reply_[10] = 3;
  reply_.replace(mechanism_at, mechanism_size, mechanism(curve_.has_value()));
}

// command = command-size command-body, command-size = %x04 OCTET | %x06 8OCTET
zmtp_probe::answer zmtp_probe::receive(std::string_view bytes) {
  unread_.append(bytes);
  answer known = answer::pending;
  for (std::string_view left = unread_; known == answer::pending; left = unread_) {
    if (!is_greeted_) {
      const auto greeting = take(left, greeting_size);
      if (!greeting) {
        return answer::pending;
      }
      known = read_greeting(*greeting);
    } else {
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
      if (!body) {
        return answer::pending;
      }
      known = read_command(*body);
    }
    unread_.erase(0, unread_.size() - left.size());
  }
  return known;
}

zmtp_probe::answer zmtp_probe::read_greeting(std::string_view greeting) {
  if (greeting[0] != '\xff' || greeting[9] != '\x7f' || greeting[10] < 3 ||
      greeting.substr(mechanism_at, mechanism_size) != mechanism(curve_.has_value())) {
    return answer::plain;
  }
  is_greeted_ = true;
  if (curve_) {
    reply(curve_->hello());
  }
  return answer::pending;
}

// ready = %d5 "READY" metadata
zmtp_probe::answer zmtp_probe::read_command(std::string_view body) {
  if (!curve_) {
    constexpr std::string_view ready{"\5READY"};
    return body.starts_with(ready) && tells_that_it_unpacks(body.substr(ready.size()))
               ? answer::unpacks
               : answer::plain;
  }
  if (!is_welcome_) {
    constexpr std::string_view push{"\13Socket-Type\0\0\0\4PUSH", 20};
    const auto initiate = curve_->initiate(body, push);
    if (!initiate) {
      return answer::plain;
    }
    is_welcome_ = true;
    reply(*initiate);
    return answer::pending;
  }
  const auto metadata = curve_->open_ready(body);
  return metadata && tells_that_it_unpacks(*metadata) ? answer::unpacks : answer::plain;
}

void zmtp_probe::reply(std::string_view command) {
  const std::size_t size = command.size();
  if (size <= 255) {
    reply_.append({short_command, static_cast<char>(size)});
  } else {
    reply_.append(1, long_command).append(6, '\0');
    reply_.append({static_cast<char>(size >> 8), static_cast<char>(size)});
  }
  reply_.append(command);
}

}  // namespace parley::detail
