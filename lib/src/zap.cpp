// SPDX-License-Identifier: MPL-2.0
#include "zap.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace parley::detail {

std::optional<zap_request> parse_zap_request(const message& received) {
  if (received.size() < 6 || !(received[0] == "1.0")) {
    return std::nullopt;
  }
  zap_request request{received[1], std::nullopt, received[5] == "NULL"};
  if (received[5] == "CURVE" && received.size() == 7 && received[6].size() == curve_key::size) {
    std::array<std::uint8_t, curve_key::size> key;
    std::memcpy(key.data(), received[6].data(), key.size());
    request.client = curve_key{key};
  }
  return request;
}

message zap_reply(const zap_request& request, bool allowed, std::string_view user) {
  return message{frame{"1.0"},
                 request.id,
                 frame{allowed ? "200" : "400"},
                 frame{allowed ? "OK" : "this key is not on the list"},
                 frame{user},
                 frame{}};
}

}  // namespace parley::detail
