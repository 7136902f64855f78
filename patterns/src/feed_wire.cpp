// SPDX-License-Identifier: MPL-2.0
#include "feed_wire.hpp"

#include "number_reader.hpp"

#include <cassert>
#include <cstring>

namespace parley::detail {
namespace {

// The octet behind these says what it is, and the one after it the version.
constexpr std::string_view magic{"\1PR"};
constexpr char version = 1;

// In the order in which a subscriber's words are to come.
constexpr char wishes_mark = 's';
constexpr char prefix_mark = 't';
constexpr char inbox_mark = 'u';
constexpr char request_mark = 'v';
constexpr char plain_mark = 'w';

constexpr std::size_t head_size = magic.size() + 2;

template<class Number>
void put(std::string& to, Number value) {
  value = in_network_order(value);
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string head(char mark) {
  std::string text{magic};
  text += mark;
  text += version;
  return text;
}

bool take_head(std::string_view& bytes, char mark) noexcept {
  if (bytes.size() < head_size || !bytes.starts_with(magic) || bytes[magic.size()] != mark ||
      bytes[magic.size() + 1] != version) {
    return false;
  }
  bytes.remove_prefix(head_size);
  return true;
}

constexpr std::uint8_t urgent = 1;
constexpr std::uint8_t relayed = 2;
constexpr std::uint8_t follows = 4;

}  // namespace

std::string wishes_topic(const feed_wishes& wishes) {
  std::string text = head(wishes_mark);
  put(text, wishes.subscriber);
  put(text, wishes.limit);
  put(text, wishes.limit_bytes);
  put(text, std::uint8_t{wishes.recovers});
  put(text, static_cast<std::uint8_t>(wishes.start.what));
  put(text, wishes.start.value);
  return text;
}

std::string prefix_topic(std::uint64_t subscriber, std::string_view prefix) {
  std::string text = head(prefix_mark);
  put(text, subscriber);
  return text.append(prefix);
}

std::string inbox_topic(std::uint64_t subscriber) {
  std::string text = head(inbox_mark);
  put(text, subscriber);
  return text;
}

std::optional<feed_subscription> parse_subscription(std::string_view topic) noexcept {
  feed_subscription said{};
  std::string_view rest = topic;
  if (take_head(rest, wishes_mark)) {
    said.what = feed_subscription::kind::wishes;
    feed_wishes& wishes = said.wishes;
    std::uint8_t recovers = 0;
    std::uint8_t start = 0;
    if (!number_reader{rest}(wishes.subscriber)(wishes.limit)(wishes.limit_bytes)(
             recovers)(start)(wishes.start.value)
             .is_good() ||
        start > static_cast<std::uint8_t>(feed_start::kind::since_age)) {
      return std::nullopt;
    }
    wishes.recovers = recovers != 0;
    wishes.start.what = static_cast<feed_start::kind>(start);
    return said;
  }
  if (take_head(rest, prefix_mark)) {
    said.what = feed_subscription::kind::prefix;
  } else if (take_head(rest, inbox_mark)) {
    said.what = feed_subscription::kind::inbox;
  } else {
    return std::nullopt;
  }
  if (!number_reader{rest}(said.wishes.subscriber).is_good()) {
    return std::nullopt;
  }
  said.prefix = rest;
  return said;
}

frame pack_address(const feed_address& address) {
  char bytes[head_size + 3 * sizeof(std::uint64_t)];
  static_assert(sizeof bytes <= frame::inline_capacity, "an address should cost no allocation");
  std::memcpy(bytes, magic.data(), magic.size());
  bytes[magic.size()] = inbox_mark;
  bytes[magic.size() + 1] = version;
  char* at = bytes + head_size;
  for (const std::uint64_t value : {address.subscriber, address.link, address.position}) {
    at = put_number(at, value);
  }
  return frame{bytes, sizeof bytes};
}

std::optional<feed_address> parse_address(std::string_view bytes) noexcept {
  feed_address address;
  if (!take_head(bytes, inbox_mark) ||
      !number_reader{bytes}(address.subscriber)(address.link)(address.position).is_good()) {
    return std::nullopt;
  }
  return address;
}

void pack_entry(std::string& to, const feed_entry& entry) {
  using kind = feed_entry::kind;
  const auto put_origin = [&] {
    if (entry.is_relayed) {
      put(to, entry.origin);
      put(to, entry.origin_sequence);
      put(to, entry.hops);
    }
  };
  const auto put_text = [&to](std::string_view text) {
    assert(text.size() <= 0xffff);
    put(to, static_cast<std::uint16_t>(text.size()));
    to.append(text);
  };
  put(to, static_cast<std::uint8_t>(entry.what));
  switch (entry.what) {
    case kind::message:
      put(to, static_cast<std::uint8_t>((entry.is_urgent ? urgent : 0) |
                                        (entry.is_relayed ? relayed : 0) |
                                        (entry.body_follows ? follows : 0)));
      put(to, entry.sequence);
      put_origin();
      put_text(entry.topic);
      if (!entry.body_follows) {
        put(to, static_cast<std::uint32_t>(entry.body.size()));
        to.append(entry.body);
      }
      break;
    case kind::lost:
      put(to, static_cast<std::uint8_t>((entry.is_urgent ? urgent : 0) |
                                        (entry.is_relayed ? relayed : 0)));
      put(to, static_cast<std::uint8_t>(entry.reason));
      put(to, entry.sequence);
      put(to, entry.last);
      put(to, entry.count);
      put_origin();
      put_text(entry.topic);
      break;
    case kind::joined:
      put(to, std::uint8_t{entry.is_asked_for});
      put(to, entry.publisher);
      put(to, entry.age);
      put(to, entry.next);
      put(to, entry.next_urgent);
      put(to, entry.window);
      put(to, entry.heartbeat);
      break;
    case kind::active:
    case kind::inactive:
      put_text(entry.topic);
      break;
    case kind::resumed:
    case kind::cut_off:
    case kind::beat:
      break;
  }
}

std::optional<feed_entry> take_entry(std::string_view& bytes) noexcept {
  using kind = feed_entry::kind;
  feed_entry entry;
  number_reader read{bytes};
  std::uint8_t what = 0;
  std::uint8_t flags = 0;
  read(what);
  entry.what = static_cast<kind>(what);
  switch (entry.what) {
    case kind::message:
      read(flags)(entry.sequence);
      entry.is_urgent = (flags & urgent) != 0;
      entry.is_relayed = (flags & relayed) != 0;
      entry.body_follows = (flags & follows) != 0;
      if (entry.is_relayed) {
        read(entry.origin)(entry.origin_sequence)(entry.hops);
      }
      read.text<std::uint16_t>(entry.topic);
      if (entry.topic.starts_with(feed_octet)) {
        return std::nullopt;
      }
      if (!entry.body_follows) {
        read.text<std::uint32_t>(entry.body);
      } else if (!bytes.empty()) {
        return std::nullopt;
      }
      break;
    case kind::lost: {
      std::uint8_t reason = 0;
      read(flags)(reason)(entry.sequence)(entry.last)(entry.count);
      entry.is_relayed = (flags & relayed) != 0;
      if (entry.is_relayed) {
        read(entry.origin)(entry.origin_sequence)(entry.hops);
      }
      read.text<std::uint16_t>(entry.topic);
      if (reason >= loss_reasons) {
        return std::nullopt;
      }
      entry.is_urgent = (flags & urgent) != 0;
      entry.reason = static_cast<loss_reason>(reason);
      break;
    }
    case kind::joined:
      read(flags)(entry.publisher)(entry.age)(entry.next)(entry.next_urgent)(entry.window)(
          entry.heartbeat);
      entry.is_asked_for = flags != 0;
      break;
    case kind::active:
    case kind::inactive:
      read.text<std::uint16_t>(entry.topic);
      break;
    case kind::resumed:
    case kind::cut_off:
    case kind::beat:
      break;
    default:
      return std::nullopt;
  }
  if (!read.is_good()) {
    return std::nullopt;
  }
  return entry;
}

std::string request_topic(const feed_request& request) {
  std::string text = head(request_mark);
  put(text, static_cast<std::uint8_t>(request.what));
  put(text, request.subscriber);
  put(text, request.link);
  put(text, request.position);
  put(text, request.sequence);
  put(text, request.sequence_urgent);
  put(text, request.number);
  return text;
}

std::optional<feed_request> parse_feed_request(std::string_view bytes) noexcept {
  feed_request request;
  std::uint8_t what = 0;
  if (!take_head(bytes, request_mark) ||
      !number_reader{bytes}(what)(request.subscriber)(request.link)(request.position)(
           request.sequence)(request.sequence_urgent)(request.number)
           .is_good() ||
      what < 1 || what > 4) {
    return std::nullopt;
  }
  request.what = static_cast<feed_request::kind>(what);
  return request;
}

frame pack_mark(const feed_mark& mark) {
  std::string text = head(plain_mark);
  put(text, mark.publisher);
  put(text, mark.sequence);
  put(text, mark.topic_sequence);
  return frame{text};
}

std::optional<feed_mark> parse_mark(std::string_view bytes) noexcept {
  feed_mark mark;
  if (!take_head(bytes, plain_mark) ||
      !number_reader{bytes}(mark.publisher)(mark.sequence)(mark.topic_sequence).is_good()) {
    return std::nullopt;
  }
  return mark;
}

}  // namespace parley::detail
