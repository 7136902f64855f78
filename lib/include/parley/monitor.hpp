// SPDX-License-Identifier: MPL-2.0
//
// Tells what happens to a socket's connections over tcp and ipc: made, lost, refused, and why.
//
// Threads: belongs to one thread at a time, which need not be the socket's. It must be made and
// destroyed by the socket's thread, before the socket goes. One for each socket.
// Nothing that libzmq reports is lost: a million unread events are kept, then libzmq's own thread
// waits, and with it all connections of the context. So keep reading, or let the monitor go.
#pragma once

#include <parley/context.hpp>
#include <parley/message.hpp>
#include <parley/socket.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace parley {

enum class connection_change {
  listening,         // bound, and ready for peers
  bind_failed,       // reason: the system's
  connecting,        // the attempt goes on in the background
  retrying,          // it failed; the next attempt follows
  connected,         // the transport stands, the handshake is still to come
  accepted,          // the same, for a bound socket
  accept_failed,     // reason: the system's
  ready,             // the handshake is done: messages can flow
  handshake_failed,  // reason: what the peer or the protocol objected to
  disconnected,      // lost, ended by the peer, or cut off; reason: there was no handshake
  closed,            // ended by this side
};

[[nodiscard]] std::string_view to_string(connection_change change) noexcept;

struct connection_event {
  connection_change change;
  std::string where;   // the endpoint, as libzmq prints it
  std::string reason;  // empty where there is none
};

class monitor {
 public:
  using duration = std::chrono::steady_clock::duration;

  monitor(context& owner, socket& watched);
  ~monitor();
  monitor(const monitor&) = delete;
  monitor& operator=(const monitor&) = delete;

  // Nothing: no event came in time. One for which there is no memory comes first the next time.
  [[nodiscard]] std::optional<connection_event> receive_for(duration limit);
  [[nodiscard]] std::optional<connection_event> try_receive();

  // For a poller: has something to receive when there are events. Receive through the monitor only.
  [[nodiscard]] socket& events() noexcept { return events_; }

 private:
  [[nodiscard]] std::string why_disconnected(std::uint32_t fd);

  detail::home_process home_;
  void* watched_;
  socket events_;
  // By the connection's descriptor: how many handshakes, of whatever connections, had ended when it
  // was opened. If there were none since, its own has not.
  std::map<std::uint32_t, std::uint64_t> opened_;
  std::uint64_t handshakes_ = 0;
  std::optional<message> received_;  // what the next event is made of
};

}  // namespace parley
