// SPDX-License-Identifier: MPL-2.0
#include "rpc.hpp"

#include <parley/error.hpp>

#include <sstream>
#include <string>
#include <utility>

namespace parley::detail {
namespace {

enum class message_type : std::uint8_t { request = 0, response = 1, notification = 2 };

using packer = msgpack::packer<pack_buffer>;

void pack_text(packer& out, std::string_view text) {
  out.pack_str(static_cast<std::uint32_t>(text.size()));
  out.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
}

void append(pack_buffer& buffer, const frame& packed) {
  buffer.write(packed.view().data(), packed.size());
}

bool is_type(const msgpack::object& element, message_type wanted) {
  return element.type == msgpack::type::POSITIVE_INTEGER &&
         element.via.u64 == static_cast<std::uint64_t>(wanted);
}

std::string_view text_of(const msgpack::object& element) {
  return element.type == msgpack::type::STR
             ? std::string_view{element.via.str.ptr, element.via.str.size}
             : std::string_view{};
}

// Servers of other makers answer with a string, or with anything at all.
[[noreturn]] void throw_remote_error(const msgpack::object& failure) {
  std::string type{"error"};
  std::string text{text_of(failure)};
  if (failure.type == msgpack::type::MAP) {
    for (std::uint32_t index = 0; index < failure.via.map.size; ++index) {
      const auto& field = failure.via.map.ptr[index];
      if (text_of(field.key) == "type") {
        type = text_of(field.val);
      } else if (text_of(field.key) == "text") {
        text = text_of(field.val);
      }
    }
  }
  if (text.empty()) {
    std::ostringstream shown;
    shown << failure;
    text = shown.str();
  }
  throw remote_error{std::move(type), std::move(text)};
}

}  // namespace

rpc_request::rpc_request(const frame& payload) : storage{payload.view()} {
  const msgpack::object& outer = storage.get();
  if (outer.type != msgpack::type::ARRAY) {
    throw protocol_error{"a request must be a MessagePack-RPC array"};
  }
  const auto& fields = outer.via.array;
  std::uint32_t next = 1;
  if (fields.size == 4 && is_type(fields.ptr[0], message_type::request)) {
    if (fields.ptr[1].type != msgpack::type::POSITIVE_INTEGER ||
        fields.ptr[1].via.u64 > 0xffff'ffff) {
      throw protocol_error{"a request's id must be an unsigned number of 32 bits"};
    }
    id = static_cast<std::uint32_t>(fields.ptr[1].via.u64);
    next = 2;
  } else if (fields.size != 3 || !is_type(fields.ptr[0], message_type::notification)) {
    throw protocol_error{
        "a request must be [0, id, method, parameters] or [2, method, parameters]"};
  }
  if (fields.ptr[next].type != msgpack::type::STR) {
    throw protocol_error{"a request's method must be a string"};
  }
  method = text_of(fields.ptr[next]);
  parameters = &fields.ptr[next + 1];
  if (parameters->type != msgpack::type::ARRAY && parameters->type != msgpack::type::MAP) {
    throw protocol_error{"a request's parameters must be an array, or a map of names"};
  }
}

void begin_request(pack_buffer& into, std::uint32_t id, std::string_view method) {
  packer out{into};
  out.pack_array(4);
  out.pack(static_cast<std::uint8_t>(message_type::request));
  out.pack(id);
  pack_text(out, method);
}

void begin_notification(pack_buffer& into, std::string_view method) {
  packer out{into};
  out.pack_array(3);
  out.pack(static_cast<std::uint8_t>(message_type::notification));
  pack_text(out, method);
}

frame pack_result(std::uint32_t id, const frame& result) {
  pack_buffer buffer;
  packer out{buffer};
  out.pack_array(4);
  out.pack(static_cast<std::uint8_t>(message_type::response));
  out.pack(id);
  out.pack_nil();
  append(buffer, result);
  return buffer.take();
}

frame pack_error(std::uint32_t id, std::string_view type, std::string_view text) {
  pack_buffer buffer;
  packer out{buffer};
  out.pack_array(4);
  out.pack(static_cast<std::uint8_t>(message_type::response));
  out.pack(id);
  out.pack_map(2);
  pack_text(out, "type");
  pack_text(out, type);
  pack_text(out, "text");
  pack_text(out, text);
  out.pack_nil();
  return buffer.take();
}

const msgpack::object& result_of(const msgpack::object& response) {
  if (response.type != msgpack::type::ARRAY || response.via.array.size != 4 ||
      !is_type(response.via.array.ptr[0], message_type::response)) {
    throw protocol_error{"a response must be [1, id, error, result]"};
  }
  const msgpack::object& failure = response.via.array.ptr[2];
  if (failure.type != msgpack::type::NIL) {
    throw_remote_error(failure);
  }
  return response.via.array.ptr[3];
}

}  // namespace parley::detail
