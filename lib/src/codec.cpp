// SPDX-License-Identifier: MPL-2.0
#include <parley/codec.hpp>

#include <string>

#include "value_reader.hpp"

namespace parley::detail {
namespace {

std::string_view kind_of(const msgpack::object& value) {
  switch (value.type) {
    case msgpack::type::NIL:
      return "nil";
    case msgpack::type::BOOLEAN:
      return "a boolean";
    case msgpack::type::POSITIVE_INTEGER:
    case msgpack::type::NEGATIVE_INTEGER:
      return "an integer";
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      return "a float";
    case msgpack::type::STR:
      return "a string";
    case msgpack::type::BIN:
      return "a binary";
    case msgpack::type::ARRAY:
      return "an array";
    case msgpack::type::MAP:
      return "a map";
    case msgpack::type::EXT:
      return "an extension";
  }
  return "something unknown";
}

}  // namespace

void pack_buffer::write_to_heap(const char* data, std::size_t size) {
  if (heap_.empty()) {
    heap_.reserve(4 * sizeof stack_ + size);
    heap_.assign(stack_, stack_ + used_);
  }
  heap_.insert(heap_.end(), data, data + size);
}

unpacked::unpacked(std::string_view bytes) {
  using outcome = value_reader::outcome;
  value_reader reader{bytes, small_};
  switch (reader.read(value_)) {
    case outcome::good:
      large_ = reader.take_zone();
      return;
    case outcome::cut_short:
      throw protocol_error{"MessagePack value is cut short at " + std::to_string(bytes.size()) +
                           " bytes"};
    case outcome::too_deep:
      throw protocol_error{"MessagePack value is nested deeper than " +
                           std::to_string(max_decode_depth)};
    case outcome::too_much:
      throw protocol_error{"MessagePack value claims more elements than its " +
                           std::to_string(bytes.size()) + " bytes can hold"};
    case outcome::more_follow:
      throw protocol_error{"MessagePack value is followed by " + std::to_string(reader.left()) +
                           " more bytes"};
    case outcome::no_value:
      break;
  }
  throw protocol_error{"not a MessagePack value: octet 0xc1 begins nothing"};
}

void throw_wrong_type(const msgpack::object& found) {
  throw protocol_error{"MessagePack value has the wrong type: found " +
                       std::string{kind_of(found)}};
}

}  // namespace parley::detail
