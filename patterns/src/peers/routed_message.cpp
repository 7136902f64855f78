// SPDX-License-Identifier: MPL-2.0
#include "routed_message.hpp"

#include <parley/error.hpp>
#include <parley/zmq_frame.hpp>

#include <string_view>

namespace parley::detail {
namespace {

// What libzmq knows of the connection; empty: nothing.
std::string_view property(zmq::message_t& part, const char* name) {
  try {
    return part.gets(name);
  } catch (const zmq::error_t&) {
    return {};
  }
}

// An IPv4 address is one, on whatever socket it came.
std::string host_of(zmq::message_t& part) {
  const std::string_view host = property(part, "Peer-Address");
  constexpr std::string_view mapped = "::ffff:";
  return std::string{host.starts_with(mapped) ? host.substr(mapped.size()) : host};
}

// The doorkeeper's word for it.
std::optional<curve_key> key_of(zmq::message_t& part) {
  const std::string_view user = property(part, "User-Id");
  try {
    return user.empty() ? std::nullopt : std::optional{curve_key{user}};
  } catch (const config_error&) {
    return std::nullopt;
  }
}

}  // namespace

std::optional<routed_message> receive_routed(zmq::socket_t& router) {
  zmq::message_t address;
  if (!router.recv(address, zmq::recv_flags::dontwait)) {
    return std::nullopt;
  }
  routed_message came;
  came.address.assign(address.data<char>(), address.size());
  bool has_more = address.more();
  while (has_more) {
    zmq::message_t part;
    static_cast<void>(router.recv(part));
    has_more = part.more();
    if (came.said.empty()) {
      came.host = host_of(part);
      came.key = key_of(part);
      came.connection = zmq_msg_get(part.handle(), ZMQ_SRCFD);
    }
    came.said.push_back(from_zmq(std::move(part)));
  }
  return came;
}

}  // namespace parley::detail
