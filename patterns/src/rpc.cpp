// SPDX-License-Identifier: MPL-2.0
#include "rpc.hpp"

#include <parley/error.hpp>

#include "network_order.hpp"

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

// The octets in front of a message's variable parts, written in one go.
class head_writer {
 public:
  head_writer(message_type type, unsigned elements) noexcept {
    put(0x90 | elements);
    put(static_cast<unsigned>(type));
  }
  void number(std::uint32_t value) noexcept {
    if (value < 0x80) {
      put(value);
    } else if (value <= 0xff) {
      put(0xcc);
      put(value);
    } else if (value <= 0xffff) {
      put(0xcd);
      big_endian(static_cast<std::uint16_t>(value));
    } else {
      put(0xce);
      big_endian(value);
    }
  }
  void nil() noexcept { put(0xc0); }
  void text_size(std::size_t size) noexcept {
    if (size < 0x20) {
      put(static_cast<unsigned>(0xa0 | size));
    } else if (size <= 0xff) {
      put(0xd9);
      put(static_cast<unsigned>(size));
    } else if (size <= 0xffff) {
      put(0xda);
      big_endian(static_cast<std::uint16_t>(size));
    } else {
      put(0xdb);
      big_endian(static_cast<std::uint32_t>(size));
    }
  }

  [[nodiscard]] const char* data() const noexcept { return octets_; }
  [[nodiscard]] std::size_t size() const noexcept { return used_; }

 private:
  void put(unsigned octet) noexcept { octets_[used_++] = static_cast<char>(octet); }
  template<class Number>
  void big_endian(Number value) noexcept {
    put_number(octets_ + used_, value);
    used_ += sizeof value;
  }

  char octets_[2 + 5 + 5];
  std::size_t used_ = 0;
};

// Of an array of that many elements and of that type. False: the bytes do not begin so.
bool takes_type(std::string_view& bytes, message_type type, unsigned elements) noexcept {
  if (bytes.size() < 2 || static_cast<unsigned char>(bytes[0]) != (0x90 | elements) ||
      bytes[1] != static_cast<char>(type)) {
    return false;
  }
  bytes.remove_prefix(2);
  return true;
}

bool takes_number(std::string_view& bytes, std::uint32_t& value) noexcept {
  if (bytes.empty()) {
    return false;
  }
  const auto first = static_cast<unsigned char>(bytes[0]);
  if (first < 0x80) {
    value = first;
    bytes.remove_prefix(1);
    return true;
  }
  if (first < 0xcc || first > 0xce) {
    return false;
  }
  const std::size_t octets = std::size_t{1} << (first - 0xcc);
  if (bytes.size() < 1 + octets) {
    return false;
  }
  value = 0;
  for (std::size_t index = 1; index <= octets; ++index) {
    value = value << 8 | static_cast<unsigned char>(bytes[index]);
  }
  bytes.remove_prefix(1 + octets);
  return true;
}

bool takes_short_text(std::string_view& bytes, std::string_view& text) noexcept {
  if (bytes.empty() || (static_cast<unsigned char>(bytes[0]) & 0xe0) != 0xa0) {
    return false;
  }
  const std::size_t size = static_cast<unsigned char>(bytes[0]) & 0x1f;
  if (bytes.size() < 1 + size) {
    return false;
  }
  text = bytes.substr(1, size);
  bytes.remove_prefix(1 + size);
  return true;
}

// A short array, or map.
bool begins_parameters(std::string_view bytes) noexcept {
  return !bytes.empty() && static_cast<unsigned char>(bytes[0]) >= 0x80 &&
         static_cast<unsigned char>(bytes[0]) <= 0x9f;
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

rpc_head rpc_head::of_request(std::string_view bytes) noexcept {
  rpc_head head;
  std::string_view rest = bytes;
  if (takes_type(rest, message_type::request, 4) && takes_number(rest, head.id) &&
      takes_short_text(rest, head.method) && begins_parameters(rest)) {
    head.size = bytes.size() - rest.size();
  }
  return head;
}

rpc_head rpc_head::of_result(std::string_view bytes) noexcept {
  constexpr char nil = '\xc0';
  rpc_head head;
  std::string_view rest = bytes;
  if (takes_type(rest, message_type::response, 4) && takes_number(rest, head.id) &&
      rest.size() > 1 && rest[0] == nil) {
    head.size = bytes.size() - rest.size() + 1;
  }
  return head;
}

rpc_request::rpc_request(const frame& payload)
    : rpc_request{payload.view(), rpc_head::of_request(payload.view())} {}

rpc_request::rpc_request(std::string_view bytes, const rpc_head& head)
    : storage{bytes.substr(head.size)} {
  if (head.size > 0) {
    id = head.id;
    method = head.method;
    parameters = &storage.get();
    return;
  }
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
  head_writer head{message_type::request, 4};
  head.number(id);
  head.text_size(method.size());
  into.write(head.data(), head.size());
  into.write(method.data(), method.size());
}

void begin_notification(pack_buffer& into, std::string_view method) {
  head_writer head{message_type::notification, 3};
  head.text_size(method.size());
  into.write(head.data(), head.size());
  into.write(method.data(), method.size());
}

frame pack_result(std::uint32_t id, const frame& result) {
  head_writer head{message_type::response, 4};
  head.number(id);
  head.nil();
  pack_buffer buffer;
  buffer.write(head.data(), head.size());
  buffer.write(result.view().data(), result.size());
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
