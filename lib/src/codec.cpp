// SPDX-License-Identifier: MPL-2.0
#include <parley/codec.hpp>

#include <string>

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

msgpack::object_handle unpack(std::string_view bytes) {
  // No container or string can have more elements than there are bytes: a claim beyond that is
  // refused before anything is allocated for it.
  const msgpack::unpack_limit limit{bytes.size(), bytes.size(), bytes.size(),
                                    bytes.size(), bytes.size(), max_decode_depth};
  std::size_t used = 0;
  try {
    msgpack::object_handle value = msgpack::unpack(
        bytes.data(), bytes.size(), used,
        [](msgpack::type::object_type, std::size_t, void*) { return true; }, nullptr, limit);
    if (used != bytes.size()) {
      throw protocol_error{"MessagePack value is followed by " +
                           std::to_string(bytes.size() - used) + " more bytes"};
    }
    return value;
  } catch (const msgpack::insufficient_bytes&) {
    throw protocol_error{"MessagePack value is cut short at " + std::to_string(bytes.size()) +
                         " bytes"};
  } catch (const msgpack::depth_size_overflow&) {
    throw protocol_error{"MessagePack value is nested deeper than " +
                         std::to_string(max_decode_depth)};
  } catch (const msgpack::unpack_error& failure) {
    throw protocol_error{"not a MessagePack value: " + std::string{failure.what()}};
  }
}

void throw_wrong_type(const msgpack::object& found) {
  throw protocol_error{"MessagePack value has the wrong type: found " +
                       std::string{kind_of(found)}};
}

}  // namespace parley::detail
