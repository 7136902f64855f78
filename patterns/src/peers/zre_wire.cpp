// SPDX-License-Identifier: MPL-2.0
#include "zre_wire.hpp"

#include "network_order.hpp"
#include "number_reader.hpp"

#include <cassert>

namespace parley::detail {
namespace {

using kind = zre_message::kind;

constexpr std::uint16_t signature = 0xAAA1;
constexpr std::uint8_t version = 2;

class writer {
 public:
  template<class Number>
  void number(Number value) {
    char octets[sizeof value];
    put_number(octets, value);
    bytes_.append(octets, sizeof octets);
  }
  void text(std::string_view value) {
    assert(value.size() <= longest_zre_text);
    number(static_cast<std::uint8_t>(value.size()));
    bytes_ += value;
  }
  void long_text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    bytes_ += value;
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

void write_hello(writer& out, const zre_message& hello) {
  out.text(hello.endpoint);
  out.number(static_cast<std::uint32_t>(hello.groups.size()));
  for (const std::string& group : hello.groups) {
    out.long_text(group);
  }
  out.number(hello.status);
  out.text(hello.name);
  out.number(static_cast<std::uint32_t>(hello.headers.size()));
  for (const auto& [name, value] : hello.headers) {
    out.text(name);
    out.long_text(value);
  }
}

// What the counts say is not believed: lists end with the bytes.
void read_hello(number_reader& in, zre_message& into) {
  std::string_view text;
  std::string_view value;
  const auto copy = [&](std::string& to) {
    if (in.is_good()) {
      to = text;
    }
  };
  in.text<std::uint8_t>(text);
  copy(into.endpoint);
  std::uint32_t count = 0;
  in(count);
  for (; count > 0 && in.is_good(); --count) {
    in.text<std::uint32_t>(text);
    if (in.is_good() && text.size() <= longest_zre_text) {
      into.groups.emplace_back(text);
    }
  }
  in(into.status).text<std::uint8_t>(text);
  copy(into.name);
  count = 0;
  in(count);
  for (; count > 0 && in.is_good(); --count) {
    in.text<std::uint8_t>(text).text<std::uint32_t>(value);
    if (in.is_good()) {
      into.headers.emplace(text, value);
    }
  }
}

}  // namespace

zre_reading read_zre(std::string_view frame, zre_message& into) {
  into = {};
  if (frame.size() > longest_zre_head) {
    return zre_reading::nonsense;
  }
  number_reader in{frame};
  std::uint16_t signed_by = 0;
  std::uint8_t what = 0;
  std::uint8_t spoken = 0;
  in(signed_by)(what)(spoken)(into.sequence);
  if (!in.is_good() || signed_by != signature) {
    return zre_reading::nonsense;
  }
  if (spoken != version) {
    return zre_reading::other_version;
  }
  into.what = static_cast<kind>(what);
  std::string_view text;
  switch (into.what) {
    case kind::hello:
      read_hello(in, into);
      break;
    case kind::shout:
    case kind::join:
    case kind::leave:
    case kind::elect:
    case kind::leader:
      in.text<std::uint8_t>(text);
      into.group = text;
      if (into.what == kind::join || into.what == kind::leave) {
        in(into.status);
      } else if (into.what != kind::shout) {
        in.text<std::uint8_t>(text);  // somebody's id
      }
      break;
    case kind::whisper:
    case kind::ping:
    case kind::ping_ok:
    case kind::goodbye:
      break;
    default:
      return zre_reading::nonsense;
  }
  return in.is_good() && frame.empty() ? zre_reading::good : zre_reading::nonsense;
}

std::string write_zre(const zre_message& written) {
  writer out;
  out.number(signature);
  out.number(static_cast<std::uint8_t>(written.what));
  out.number(version);
  out.number(written.sequence);
  switch (written.what) {
    case kind::hello:
      write_hello(out, written);
      break;
    case kind::shout:
      out.text(written.group);
      break;
    case kind::join:
    case kind::leave:
      out.text(written.group);
      out.number(written.status);
      break;
    default:
      assert(written.what != kind::elect && written.what != kind::leader);
      break;
  }
  return out.take();
}

}  // namespace parley::detail
