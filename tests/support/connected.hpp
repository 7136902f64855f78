// SPDX-License-Identifier: MPL-2.0
//
// Sockets and waits for tests: no fixed ports, no sleeps.
#pragma once

#include <parley/context.hpp>
#include <parley/endpoint.hpp>
#include <parley/socket.hpp>

#include <chrono>
#include <string>
#include <utility>

namespace parley::support {

// A bound on waits for what must happen; reached only when a test fails.
inline constexpr std::chrono::seconds patience{10};

struct socket_pair {
  socket bound;
  socket connected;
};

// Two sockets joined at a fresh endpoint: tcp://127.0.0.1:*, ipc://* or inproc://some-name.
inline socket_pair join(context& owner, socket_kind bound_kind, socket_kind connected_kind,
                        const std::string& where, const socket_options& options = {}) {
  socket_pair made{{owner, bound_kind, options}, {owner, connected_kind, options}};
  made.connected.connect(made.bound.bind(where));
  return made;
}

}  // namespace parley::support
