// SPDX-License-Identifier: MPL-2.0
//
// MessagePack-RPC messages (https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md):
//   request       [0, id u32, method str, parameters array]
//   response      [1, id u32, error, result]      error is nil when the call went well
//   notification  [2, method str, parameters array]
// Our error is a map {"type": str, "text": str}. Does no I/O.
#pragma once

#include <parley/codec.hpp>
#include <parley/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace parley::detail {

// What stands in front of the parameters of a request, or of the result of a call that went well,
// read by itself: to unpack the whole message takes twice as long.
struct rpc_head {
  [[nodiscard]] static rpc_head of_request(std::string_view bytes) noexcept;
  [[nodiscard]] static rpc_head of_result(std::string_view bytes) noexcept;

  std::size_t size = 0;  // 0: it is something else, or wrong, or packed in a way of its own
  std::uint32_t id = 0;
  std::string_view method;
};

// A request or a notification; method and parameters look into the frame it was parsed from, and
// into `storage`.
struct rpc_request {
  // Throws protocol_error.
  explicit rpc_request(const frame& payload);

 private:
  rpc_request(std::string_view bytes, const rpc_head& head);
  unpacked storage;

 public:
  std::optional<std::uint32_t> id;  // none: a notification
  std::string_view method;
  const msgpack::object* parameters;
};

// The parameters, packed, are to follow.
void begin_request(pack_buffer& into, std::uint32_t id, std::string_view method);
void begin_notification(pack_buffer& into, std::string_view method);

// The result is packed already.
[[nodiscard]] frame pack_result(std::uint32_t id, const frame& result);
[[nodiscard]] frame pack_error(std::uint32_t id, std::string_view type, std::string_view text);

// The result in a response. Throws remote_error for an error response, protocol_error for anything
// else.
[[nodiscard]] const msgpack::object& result_of(const msgpack::object& response);

}  // namespace parley::detail
