// SPDX-License-Identifier: MPL-2.0
#include "stomp/service_body.hpp"

#include <parley/codec.hpp>
#include <parley/text.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <vector>

namespace parley::stomp {
namespace {

using json = nlohmann::json;

// "Application/JSON; charset=utf-8" is application/json.
bool is_type(std::string_view given, std::string_view wanted) noexcept {
  given = given.substr(0, given.find(';'));
  while (given.ends_with(' '))
    given.remove_suffix(1);
  if (given.size() != wanted.size()) return false;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char lower =
        given[i] >= 'A' && given[i] <= 'Z' ? static_cast<char>(given[i] + 32) : given[i];
    if (lower != wanted[i]) return false;
  }
  return true;
}

template<typename Bytes>
std::string to_string(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// One parameter.
template<typename Write>
service_parameters single(Write&& write) {
  msgpack::sbuffer buffer;
  msgpack::packer packer{buffer};
  packer.pack_array(1);
  write(packer);
  return {{buffer.data(), buffer.size()}, {}};
}

service_parameters from_json(std::string_view body) {
  bool too_deep = false;
  // Bounded depth: packing and destroying a value recurse.
  const auto guard = [&](int depth, json::parse_event_t, json&) {
    too_deep = too_deep || depth > static_cast<int>(max_decode_depth);
    return !too_deep;
  };
  json value;
  try {
    value = json::parse(body.begin(), body.end(), guard);
  } catch (const json::parse_error& problem) {
    return {{},
            "the body is not JSON (byte " + std::to_string(problem.byte) +
                "); expected JSON, or another content-type"};
  } catch (const json::exception&) {
    return {{}, "the body is JSON with a number that is out of range"};
  }
  if (too_deep) return {{}, "the body is nested too deeply"};
  if (!value.is_array()) value = json::array({std::move(value)});
  return {to_string(json::to_msgpack(value)), {}};
}

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json to_value(const msgpack::object& packed) {
  switch (packed.type) {
    case msgpack::type::NIL:
      return nullptr;
    case msgpack::type::BOOLEAN:
      return packed.via.boolean;
    case msgpack::type::POSITIVE_INTEGER:
      return packed.via.u64;
    case msgpack::type::NEGATIVE_INTEGER:
      return packed.via.i64;
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      return packed.via.f64;
    case msgpack::type::STR:
      return std::string{packed.via.str.ptr, packed.via.str.size};
    case msgpack::type::BIN:
      return detail::to_base64({packed.via.bin.ptr, packed.via.bin.size});
    case msgpack::type::EXT:
      return detail::to_base64({packed.via.ext.data(), packed.via.ext.size});
    case msgpack::type::ARRAY: {
      json all = json::array();
      for (const msgpack::object& each : packed.via.array)
        all.push_back(to_value(each));
      return all;
    }
    case msgpack::type::MAP: {
      json all = json::object();
      for (const auto& [key, value] : packed.via.map) {
        const json name = to_value(key);
        all[name.is_string() ? name.get<std::string>() : dump(name)] = to_value(value);
      }
      return all;
    }
  }
  return nullptr;
}

}  // namespace

bool is_msgpack(std::string_view content_type) noexcept {
  return is_type(content_type, "application/msgpack") ||
         is_type(content_type, "application/x-msgpack");
}

service_parameters to_parameters(std::string_view content_type, std::string_view body) {
  if (content_type.empty() || is_type(content_type, "application/json")) return from_json(body);
  if (is_type(content_type, "text/plain")) {
    return single([&](auto& packer) { packer.pack(body); });
  }
  if (is_type(content_type, "application/octet-stream")) {
    return single([&](auto& packer) {
      packer.pack_bin(static_cast<std::uint32_t>(body.size()));
      packer.pack_bin_body(body.data(), static_cast<std::uint32_t>(body.size()));
    });
  }
  if (is_msgpack(content_type)) {
    try {
      if (detail::unpacked{body}.get().type == msgpack::type::ARRAY) return {std::string{body}, {}};
    } catch (const protocol_error&) {
    }
    return {{}, "the body is not a MessagePack array of parameters"};
  }
  return {{},
          "services take application/json, text/plain, application/octet-stream or "
          "application/msgpack, not " +
              std::string{content_type}};
}

std::string to_json(std::string_view packed) {
  try {
    return dump(to_value(detail::unpacked{packed}.get()));
  } catch (const protocol_error&) {
    return {};
  }
}

}  // namespace parley::stomp
