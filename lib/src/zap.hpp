// SPDX-License-Identifier: MPL-2.0
//
// The ZAP messages (RFC 27) by which libzmq asks whether a client may connect. Does no I/O.
#pragma once

#include <parley/curve.hpp>
#include <parley/message.hpp>

#include <optional>
#include <string_view>

namespace parley::detail {

// "version 1.0, request id, domain, address, identity, mechanism, credentials"
struct zap_request {
  frame id;
  std::optional<curve_key> client;  // none: another mechanism than CURVE
  bool is_plain = false;            // mechanism NULL: no security asked for
};

// Nothing: no ZAP request.
[[nodiscard]] std::optional<zap_request> parse_zap_request(const message& received);

// Status 200 or 400; user is what the server's messages will carry as User-Id.
[[nodiscard]] message zap_reply(const zap_request& request, bool allowed, std::string_view user);

}  // namespace parley::detail
