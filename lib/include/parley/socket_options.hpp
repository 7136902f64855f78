// SPDX-License-Identifier: MPL-2.0
//
// How a socket behaves. All fields take effect when the socket is made, none later.
#pragma once

#include <parley/curve.hpp>

#include <chrono>
#include <cstddef>
#include <limits>
#include <string>

namespace parley {

// A frame is kept whole in memory. Who connects chose its peer, and takes any; who serves strangers
// does not.
inline constexpr std::size_t any_frame_bytes = std::numeric_limits<std::size_t>::max();
inline constexpr std::size_t default_max_frame_bytes = std::size_t{64} << 20;

// When small messages travel together. Of the kinds, push, pair and dealer batch.
struct batching {
  // A batch leaves before it gets larger; 0: no batching. At least 256, at most 1 MiB; messages of
  // more than a quarter of it travel by themselves. 8 KiB does well from 16 to 64 bytes.
  std::size_t bytes = 0;
  // A message leaves after this at the latest, whatever its sender does.
  std::chrono::microseconds delay{200};

  friend bool operator==(const batching&, const batching&) = default;
};

struct socket_options {
  // Messages kept for a peer that does not read, before a send waits, is refused or is dropped
  // (which of them, the kind of socket says). At least 1.
  int send_limit = 1000;
  // Messages received and not yet read, kept for each peer. At least 1.
  int receive_limit = 1000;
  // The same in bytes: no message is sent while so many bytes of bodies beyond 4 KiB are out, all
  // peers together. Out means, over tcp and ipc, not yet with the system; over pipe:// and
  // inproc://, not yet dropped by the receiver. A publisher waits too, then, instead of dropping.
  // 0: messages count alone.
  std::size_t send_limit_bytes = 0;

  // How long messages not yet sent are kept, after the socket is gone.
  std::chrono::milliseconds linger{1000};

  // A peer that sends a larger frame is cut off. If this socket had connected to it, libzmq does
  // not connect again.
  std::size_t max_frame_bytes = any_frame_bytes;

  // For peers that are found to be Parley's; the others get each message by itself.
  batching batch{};

  // Kernel buffers of each connection; 0 leaves them to the system.
  std::size_t send_buffer_bytes = 0;
  std::size_t receive_buffer_bytes = 0;

  // Wait before a lost connection is tried again: first, and at most (it doubles from first to
  // max).
  std::chrono::milliseconds reconnect{100};
  std::chrono::milliseconds reconnect_max{2000};
  // Give up a connection attempt after this; 0 leaves it to the system (minutes).
  std::chrono::milliseconds connect_timeout{5000};
  // Ask a silent peer whether it lives, and drop it when no answer comes in heartbeat_timeout.
  // 0 does not ask.
  std::chrono::milliseconds heartbeat{0};
  std::chrono::milliseconds heartbeat_timeout{3000};

  // Encryption and authentication over tcp and ipc: the server's keys, or {server's public key, own
  // keys}, or just the server's public key.
  curve_security curve{};

  // Queue messages only for peers whose connection is complete.
  bool only_connected = false;

  // The name that a router knows this socket by; empty lets the router choose. At most 255 bytes,
  // not beginning with a zero byte.
  std::string routing_id{};
  // Router: a send to an unknown or full peer is refused, not dropped.
  bool mandatory = true;
  // Router: a peer that comes back under its name takes over from its old connection.
  bool handover = false;
  // Publisher (xpub): every subscription is passed on to the program, also repeated ones.
  bool all_subscriptions = false;
  // Publisher (xpub): topics that begin with octet 1 are for those who asked for a prefix that
  // begins so; who asked for all topics does not get them, nor the empty one. Subscriptions take
  // effect when the program has received them.
  bool private_topics = false;
  // Request: a new request may be sent before the reply, and late replies are thrown away.
  bool relaxed = false;

  friend bool operator==(const socket_options&, const socket_options&) = default;
};

}  // namespace parley
