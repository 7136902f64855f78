// SPDX-License-Identifier: MPL-2.0
#include "json_value.hpp"

#include <parley/codec.hpp>
#include <parley/error.hpp>
#include <parley/text.hpp>

#include <cstdint>
#include <vector>

namespace {

// Requires: nested no deeper than max_decode_depth.
void replace_bytes(json_object& value) {
  if (value.is_binary()) {
    const auto& bytes = value.get_binary();
    value = parley::detail::to_base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  } else if (value.is_structured()) {
    for (json_object& each : value) {
      replace_bytes(each);
    }
  }
}

}  // namespace

json_object parse_json(std::string_view text) {
  const auto check = [](int depth, json_object::parse_event_t, const json_object&) {
    if (depth > static_cast<int>(parley::max_decode_depth)) {
      throw json_mistake{1, "nested too deep"};
    }
    return true;
  };
  try {
    return json_object::parse(text, check);
  } catch (const json_object::parse_error& mistake) {
    // "[json.exception.…] parse error at line 1, column 7: syntax error …"
    const std::string_view told = mistake.what();
    const std::size_t reason = told.find(": ");
    throw json_mistake{
        mistake.byte,
        std::string{reason == std::string_view::npos ? told : told.substr(reason + 2)}};
  } catch (const json_object::exception&) {
    throw json_mistake{1, "a number is out of range"};
  }
}

json_object parse_json_or_text(std::string_view word) {
  try {
    return parse_json(word);
  } catch (const json_mistake&) {
    const std::size_t first = word.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos &&
        std::string_view{"[{\""}.find(word[first]) != std::string_view::npos) {
      throw;
    }
    return word;
  }
}

parley::frame to_msgpack(const json_object& value) {
  const std::vector<std::uint8_t> packed = json_object::to_msgpack(value);
  return parley::frame{packed.data(), packed.size()};
}

json_object from_msgpack(std::string_view bytes) {
  json_object value = json_object::from_msgpack(bytes, true, false);
  if (value.is_discarded()) {
    throw parley::protocol_error{"show a value as JSON"};
  }
  replace_bytes(value);
  return value;
}
