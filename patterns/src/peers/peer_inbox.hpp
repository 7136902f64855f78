// SPDX-License-Identifier: MPL-2.0
//
// A node's mailbox: a ROUTER on a port of its own, on all interfaces, that is only received from.
// Whoever writes to it is known by its id, and by the address that it really came from. One thread.
#pragma once

#include <parley/context.hpp>
#include <parley/peers.hpp>
#include <parley/socket.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include <zmq.hpp>

namespace parley::detail {

class peer_inbox {
 public:
  peer_inbox(context& owner, const peers_options& options);
  ~peer_inbox();
  peer_inbox(const peer_inbox&) = delete;
  peer_inbox& operator=(const peer_inbox&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  struct arrival {
    peer_id from;
    std::string host;
    message said;
    std::optional<curve_key> key;  // that its connection has proved
  };
  // Nothing: there is no more.
  [[nodiscard]] std::optional<arrival> receive();
  // Messages that came without the id of a peer.
  [[nodiscard]] std::uint64_t nameless() const noexcept { return nameless_; }
  // Connections that were refused: for their keys; and without keys where we have some, or the
  // reverse. As of hung_up.
  [[nodiscard]] std::uint64_t not_allowed() const noexcept { return not_allowed_; }
  [[nodiscard]] std::uint64_t other_security() const noexcept { return other_security_; }
  // Whose last connection has ended. Nothing: of no more.
  [[nodiscard]] std::optional<peer_id> hung_up();

  // Readable: one of the two may have something. Look at both before you sleep.
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] int hung_up_fd() const { return events_fd_; }

 private:
  socket socket_;
  zmq::socket_t* native_;
  zmq::socket_t events_;
  std::uint16_t port_ = 0;
  int fd_ = -1;
  int events_fd_ = -1;
  std::uint64_t nameless_ = 0;
  std::uint64_t not_allowed_ = 0;
  std::uint64_t other_security_ = 0;
  // By the descriptor that libzmq has for the connection: who spoke last on it.
  std::unordered_map<int, peer_id> connections_;
};

}  // namespace parley::detail
