// SPDX-License-Identifier: MPL-2.0
#include "peer_inbox.hpp"

#include <parley/endpoint.hpp>
#include <parley/error.hpp>

#include "routed_message.hpp"

#include <array>
#include <cstring>
#include <string_view>

namespace parley::detail {
namespace {

// In front of the id, so that it does not begin with zero.
constexpr char address_mark = 1;

socket_options inbox_options(const peers_options& options) {
  socket_options made;
  made.handover = true;  // a peer that dials anew takes over from its old connection
  made.receive_limit = 10'000;
  made.max_frame_bytes = options.max_frame_bytes;
  made.linger = std::chrono::milliseconds{0};
  made.curve = options.curve;
  return made;
}

}  // namespace

peer_inbox::peer_inbox(context& owner, const peers_options& options)
    : socket_{owner, socket_kind::router, inbox_options(options)}, native_{&socket_.native()} {
  try {
    const std::string name = "inproc://parley-peers-" + peer_id::random().str();
    if (zmq_socket_monitor(native_->handle(), name.c_str(),
                           ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) != 0) {
      throw zmq::error_t{};
    }
    events_ = zmq::socket_t{owner.native(), zmq::socket_type::pair};
    events_.set(zmq::sockopt::rcvhwm, 1'000'000);
    events_.set(zmq::sockopt::linger, 0);
    events_.connect(name);
    native_->set(zmq::sockopt::ipv6, true);  // and IPv4
    native_->bind("tcp://*:*");
    port_ = endpoint{native_->get(zmq::sockopt::last_endpoint)}.port();
    fd_ = native_->get(zmq::sockopt::fd);
    events_fd_ = events_.get(zmq::sockopt::fd);
  } catch (const zmq::error_t& failure) {
    throw error{errc::cannot_bind, std::string{"a peer's mailbox: "} + failure.what()};
  }
}

peer_inbox::~peer_inbox() { zmq_socket_monitor(native_->handle(), nullptr, 0); }

std::optional<peer_inbox::arrival> peer_inbox::receive() {
  while (auto came = receive_routed(*native_)) {
    const std::string_view address = came->address;
    const auto from =
        address.starts_with(address_mark) ? peer_id::from_bytes(address.substr(1)) : std::nullopt;
    if (!from) {
      ++nameless_;
      continue;
    }
    if (came->connection >= 0) {
      if (const auto known = connections_.find(came->connection);
          known == connections_.end() || known->second != *from) {
        std::erase_if(connections_, [&](const auto& each) { return each.second == *from; });
        connections_.insert_or_assign(came->connection, *from);
      }
    }
    return arrival{*from, std::move(came->host), std::move(came->said), came->key};
  }
  return std::nullopt;
}

std::optional<peer_id> peer_inbox::hung_up() {
  for (;;) {
    zmq::message_t what;
    if (!events_.recv(what, zmq::recv_flags::dontwait)) {
      return std::nullopt;
    }
    std::uint16_t event = 0;
    std::uint32_t value = 0;  // DISCONNECTED: the connection
    if (what.size() >= sizeof event + sizeof value) {
      std::memcpy(&event, what.data<char>(), sizeof event);
      std::memcpy(&value, what.data<char>() + sizeof event, sizeof value);
    }
    while (what.more()) {
      static_cast<void>(events_.recv(what));
    }
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
      ++not_allowed_;
    } else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) {
      other_security_ += value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH ? 1 : 0;
    } else if (const auto found = connections_.find(static_cast<int>(value));
               found != connections_.end()) {
      // It may have been an earlier connection with that descriptor: what is told lags behind what
      // is received. So it is not forgotten.
      return found->second;
    }
  }
}

}  // namespace parley::detail
