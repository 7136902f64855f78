// SPDX-License-Identifier: MPL-2.0
#include "gossip_wire.hpp"

#include <parley/error.hpp>

#include "network_order.hpp"
#include "number_reader.hpp"

namespace parley::detail {
namespace {

using kind = gossip_message::kind;

constexpr std::uint16_t signature = 0xAAA0;
constexpr std::uint8_t version = 1;
// Of a fact, for receivers that forget; 0: they do not.
constexpr std::uint32_t for_good = 0;
constexpr char before_key = '|';  // no character of Z85

template<class Number>
void append(std::string& to, Number value) {
  char octets[sizeof value];
  put_number(octets, value);
  to.append(octets, sizeof octets);
}

}  // namespace

std::optional<gossip_message> read_gossip(std::string_view frame) {
  number_reader in{frame};
  std::uint16_t signed_by = 0;
  std::uint8_t what = 0;
  std::uint8_t spoken = 0;
  in(signed_by)(what)(spoken);
  if (!in.is_good() || signed_by != signature || spoken != version || what == 0 ||
      what > static_cast<std::uint8_t>(kind::invalid)) {
    return std::nullopt;
  }
  gossip_message read{.what = static_cast<kind>(what)};
  if (read.what == kind::publish) {
    std::string_view key;
    std::string_view value;
    std::uint32_t lives = 0;
    in.text<std::uint8_t>(key).text<std::uint32_t>(value)(lives);
    read.key = key;
    read.value = value;
  }
  if (!in.is_good() || !frame.empty()) {
    return std::nullopt;
  }
  return read;
}

std::string write_gossip(const gossip_message& written) {
  std::string frame;
  append(frame, signature);
  append(frame, static_cast<std::uint8_t>(written.what));
  append(frame, version);
  if (written.what == kind::publish) {
    append(frame, static_cast<std::uint8_t>(written.key.size()));
    frame += written.key;
    append(frame, static_cast<std::uint32_t>(written.value.size()));
    frame += written.value;
    append(frame, for_good);
  }
  return frame;
}

std::optional<gossip_fact> fact_of(const gossip_message& published) {
  const auto who = peer_id::parse(published.key);
  const std::string_view value = published.value;
  const auto bar = value.find(before_key);
  auto where = peer_place::parse(value.substr(0, bar));
  if (!who || !where) {
    return std::nullopt;
  }
  gossip_fact fact{*who, std::move(*where)};
  if (bar != std::string_view::npos) {
    try {
      fact.key = curve_key{value.substr(bar + 1)};
    } catch (const config_error&) {
      return std::nullopt;
    }
  }
  return fact;
}

gossip_message message_of(const gossip_fact& fact) {
  return {.what = kind::publish,
          .key = fact.who.str(),
          .value = fact.where.str() + (fact.key ? before_key + fact.key->z85() : "")};
}

}  // namespace parley::detail
