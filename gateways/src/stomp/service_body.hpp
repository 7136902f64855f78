// SPDX-License-Identifier: MPL-2.0
//
// Bodies of requests and replies between STOMP and MessagePack-RPC.
//
// A request's body becomes the call's parameters by its content-type: JSON (also when none is
// named), where an array is the parameters and anything else the only one; text/plain, one string;
// application/octet-stream, one binary; application/msgpack, the parameters as they are. A reply
// becomes JSON, or stays MessagePack where the request was.
#pragma once

#include <string>
#include <string_view>

namespace parley::stomp {

// What a call came to: the packed result, or an error's type and text.
struct service_reply {
  bool ok = true;
  std::string result;
  std::string error;  // type
  std::string text;
};

struct service_parameters {
  std::string packed;   // a MessagePack array
  std::string problem;  // why there is none; empty when there is
};

[[nodiscard]] service_parameters to_parameters(std::string_view content_type,
                                               std::string_view body);

// MessagePack as JSON text. Binaries become base64, what is not UTF-8 the replacement character.
// Empty when the bytes are no MessagePack.
[[nodiscard]] std::string to_json(std::string_view packed);

[[nodiscard]] bool is_msgpack(std::string_view content_type) noexcept;

}  // namespace parley::stomp
