// SPDX-License-Identifier: MPL-2.0
#include "beacon.hpp"

#include "network_order.hpp"

#include <algorithm>

namespace parley::detail {
namespace {

constexpr std::string_view signature = "ZRE";
constexpr char plain_version = 1;
constexpr char secure_version = 3;
constexpr std::size_t id_at = signature.size() + 1;
constexpr std::size_t port_at = id_at + peer_id::size;

}  // namespace

std::optional<beacon> read_beacon(std::string_view datagram) noexcept {
  if (!datagram.starts_with(signature) ||
      (datagram.size() != beacon::plain_size && datagram.size() != beacon::secure_size)) {
    return std::nullopt;
  }
  const bool is_secure = datagram.size() == beacon::secure_size;
  if (datagram[signature.size()] != (is_secure ? secure_version : plain_version)) {
    return std::nullopt;
  }
  beacon heard;
  heard.id = *peer_id::from_bytes(datagram.substr(id_at, peer_id::size));
  heard.port = number_at<std::uint16_t>(datagram.data() + port_at);
  if (is_secure) {
    std::array<std::uint8_t, curve_key::size> key{};
    std::copy_n(datagram.data() + beacon::plain_size, key.size(), key.begin());
    heard.key = curve_key{key};
  }
  return heard;
}

std::string write_beacon(const beacon& written) {
  std::string datagram{signature};
  datagram += written.key ? secure_version : plain_version;
  datagram += written.id.view();
  char port[sizeof written.port];
  put_number(port, written.port);
  datagram.append(port, sizeof port);
  if (written.key) {
    const auto& key = written.key->bytes();
    datagram.append(key.begin(), key.end());
  }
  return datagram;
}

}  // namespace parley::detail
