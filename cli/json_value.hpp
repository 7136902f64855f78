// SPDX-License-Identifier: MPL-2.0
//
// JSON as people and their commands write it, and the MessagePack that travels for it.
#pragma once

#include "output.hpp"

#include <parley/frame.hpp>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

struct json_mistake : std::runtime_error {
  json_mistake(std::size_t where, const std::string& reason)
      : std::runtime_error{reason}, column{where} {}
  std::size_t column;  // the first is 1
};

// Throws json_mistake, also when it is nested deeper than peers accept.
[[nodiscard]] json_object parse_json(std::string_view text);

// A word that is no JSON is a text, as it stands; but not one that begins as an array, an object or
// a text does. Throws json_mistake.
[[nodiscard]] json_object parse_json_or_text(std::string_view word);

[[nodiscard]] parley::frame to_msgpack(const json_object& value);

// What JSON has no word for, bytes and extensions, becomes text in base64. Throws protocol_error
// when it cannot be told in JSON at all. Requires: bytes that the library has decoded before, which
// are nested no deeper than is harmless to a recursive parser.
[[nodiscard]] json_object from_msgpack(std::string_view bytes);
