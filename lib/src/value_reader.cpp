// SPDX-License-Identifier: MPL-2.0
#include "value_reader.hpp"

#include <parley/codec.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

namespace parley::detail {

using outcome = value_reader::outcome;
namespace type = msgpack::type;

// Numbers are in network order. False: cut short.
template<class Number>
bool value_reader::number(Number& into) noexcept {
  if (left() < sizeof into) {
    return false;
  }
  std::uint64_t read = 0;
  for (std::size_t index = 0; index < sizeof into; ++index) {
    read = read << 8 | static_cast<unsigned char>(*at_++);
  }
  if constexpr (std::is_same_v<Number, float>) {
    into = std::bit_cast<float>(static_cast<std::uint32_t>(read));
  } else if constexpr (std::is_same_v<Number, double>) {
    into = std::bit_cast<double>(read);
  } else {
    into = static_cast<Number>(read);
  }
  return true;
}

template<class Number>
outcome value_reader::unsigned_number(msgpack::object& into) noexcept {
  Number read = 0;
  if (!number(read)) {
    return outcome::cut_short;
  }
  into.type = type::POSITIVE_INTEGER;
  into.via.u64 = read;
  return outcome::good;
}

template<class Number>
outcome value_reader::signed_number(msgpack::object& into) noexcept {
  Number read = 0;
  if (!number(read)) {
    return outcome::cut_short;
  }
  into.type = read < 0 ? type::NEGATIVE_INTEGER : type::POSITIVE_INTEGER;
  into.via.i64 = read;  // a positive one is the same in u64
  return outcome::good;
}

outcome value_reader::text(msgpack::object& into, type::object_type kind,
                           std::uint32_t size) noexcept {
  // In front of an extension's bytes is its type, one octet more.
  const std::size_t octets = std::size_t{size} + (kind == type::EXT ? 1 : 0);
  if (left() < octets) {
    return outcome::cut_short;
  }
  into.type = kind;
  if (kind == type::EXT) {
    into.via.ext.size = size;
    into.via.ext.ptr = at_;
  } else if (kind == type::BIN) {
    into.via.bin.size = size;
    into.via.bin.ptr = at_;
  } else {
    into.via.str.size = size;
    into.via.str.ptr = at_;
  }
  at_ += octets;
  return outcome::good;
}

template<class Size>
outcome value_reader::text(msgpack::object& into, type::object_type kind) noexcept {
  Size size = 0;
  return number(size) ? text(into, kind, size) : outcome::cut_short;
}

// Before memory is taken for it.
outcome value_reader::claim(std::size_t count, std::size_t depth) noexcept {
  if (depth >= max_decode_depth) {
    return outcome::too_deep;
  }
  claimed_ += count;
  return claimed_ > size_ ? outcome::too_much : outcome::good;
}

void* value_reader::memory(std::size_t size) {
  constexpr std::size_t aligned = alignof(msgpack::object);
  static_assert(sizeof(msgpack::object) % aligned == 0);
  if (size <= small_.size()) {
    void* const taken = small_.data();
    small_ = small_.subspan(size);
    return taken;
  }
  if (!zone_) {
    // Most values are small, and malloc gives 8 KiB, msgpack-c's usual chunk, the slow way.
    zone_ = std::make_unique<msgpack::zone>(
        std::clamp<std::size_t>(8 * size_, 256, MSGPACK_ZONE_CHUNK_SIZE));
  }
  return zone_->allocate_align(size, alignof(msgpack::object));
}

outcome value_reader::array(msgpack::object& into, std::uint32_t count, std::size_t depth) {
  outcome how = claim(count, depth);
  if (how != outcome::good) {
    return how;
  }
  into.type = type::ARRAY;
  into.via.array.size = count;
  into.via.array.ptr = nullptr;
  if (count > 0) {
    into.via.array.ptr = static_cast<msgpack::object*>(memory(count * sizeof(msgpack::object)));
  }
  for (std::uint32_t index = 0; index < count && how == outcome::good; ++index) {
    how = value(*::new (into.via.array.ptr + index) msgpack::object, depth + 1);
    --claimed_;
  }
  return how;
}

template<class Size>
outcome value_reader::array(msgpack::object& into, std::size_t depth) {
  Size count = 0;
  return number(count) ? array(into, count, depth) : outcome::cut_short;
}

outcome value_reader::map(msgpack::object& into, std::uint32_t count, std::size_t depth) {
  outcome how = claim(2 * std::size_t{count}, depth);
  if (how != outcome::good) {
    return how;
  }
  into.type = type::MAP;
  into.via.map.size = count;
  into.via.map.ptr = nullptr;
  if (count > 0) {
    into.via.map.ptr = static_cast<msgpack::object_kv*>(memory(count * sizeof(msgpack::object_kv)));
  }
  for (std::uint32_t index = 0; index < count && how == outcome::good; ++index) {
    msgpack::object_kv& pair = *::new (into.via.map.ptr + index) msgpack::object_kv;
    how = value(pair.key, depth + 1);
    if (how == outcome::good) {
      how = value(pair.val, depth + 1);
    }
    claimed_ -= 2;
  }
  return how;
}

template<class Size>
outcome value_reader::map(msgpack::object& into, std::size_t depth) {
  Size count = 0;
  return number(count) ? map(into, count, depth) : outcome::cut_short;
}

outcome value_reader::value(msgpack::object& into, std::size_t depth) {
  if (at_ == end_) {
    return outcome::cut_short;
  }
  const auto first = static_cast<unsigned char>(*at_++);
  if (first <= 0x7f) {
    into.type = type::POSITIVE_INTEGER;
    into.via.u64 = first;
    return outcome::good;
  }
  if (first <= 0x8f) {
    return map(into, first & 0x0f, depth);
  }
  if (first <= 0x9f) {
    return array(into, first & 0x0f, depth);
  }
  if (first <= 0xbf) {
    return text(into, type::STR, first & 0x1f);
  }
  if (first >= 0xe0) {
    into.type = type::NEGATIVE_INTEGER;
    into.via.i64 = static_cast<signed char>(first);
    return outcome::good;
  }
  switch (first) {
    case 0xc0:
      into.type = type::NIL;
      return outcome::good;
    case 0xc2:
    case 0xc3:
      into.type = type::BOOLEAN;
      into.via.boolean = first == 0xc3;
      return outcome::good;
    case 0xc4:
      return text<std::uint8_t>(into, type::BIN);
    case 0xc5:
      return text<std::uint16_t>(into, type::BIN);
    case 0xc6:
      return text<std::uint32_t>(into, type::BIN);
    case 0xc7:
      return text<std::uint8_t>(into, type::EXT);
    case 0xc8:
      return text<std::uint16_t>(into, type::EXT);
    case 0xc9:
      return text<std::uint32_t>(into, type::EXT);
    case 0xca: {
      float read = 0;
      if (!number(read)) {
        return outcome::cut_short;
      }
      into.type = type::FLOAT32;
      into.via.f64 = read;
      return outcome::good;
    }
    case 0xcb:
      into.type = type::FLOAT64;
      return number(into.via.f64) ? outcome::good : outcome::cut_short;
    case 0xcc:
      return unsigned_number<std::uint8_t>(into);
    case 0xcd:
      return unsigned_number<std::uint16_t>(into);
    case 0xce:
      return unsigned_number<std::uint32_t>(into);
    case 0xcf:
      return unsigned_number<std::uint64_t>(into);
    case 0xd0:
      return signed_number<std::int8_t>(into);
    case 0xd1:
      return signed_number<std::int16_t>(into);
    case 0xd2:
      return signed_number<std::int32_t>(into);
    case 0xd3:
      return signed_number<std::int64_t>(into);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return text(into, type::EXT, 1U << (first - 0xd4));
    case 0xd9:
      return text<std::uint8_t>(into, type::STR);
    case 0xda:
      return text<std::uint16_t>(into, type::STR);
    case 0xdb:
      return text<std::uint32_t>(into, type::STR);
    case 0xdc:
      return array<std::uint16_t>(into, depth);
    case 0xdd:
      return array<std::uint32_t>(into, depth);
    case 0xde:
      return map<std::uint16_t>(into, depth);
    case 0xdf:
      return map<std::uint32_t>(into, depth);
    default:
      return outcome::no_value;
  }
}

outcome value_reader::read(msgpack::object& into) {
  const outcome how = value(into, 0);
  return how == outcome::good && at_ != end_ ? outcome::more_follow : how;
}

}  // namespace parley::detail
