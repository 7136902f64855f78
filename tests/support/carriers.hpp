// SPDX-License-Identifier: MPL-2.0
//
// For cases that must hold over each carrier.
#pragma once

#include <parley/context.hpp>
#include <parley/message.hpp>
#include <parley/socket.hpp>

#include <chrono>
#include <string>
#include <utility>

#include "support/connected.hpp"

namespace parley::support {

inline const std::string carriers[] = {"pipe://", "inproc://", "ipc://", "tcp://"};

// A fresh place of that carrier; a second one of the same context by another name.
inline std::string place(const std::string& carrier, const std::string& name = "here") {
  return carrier == "tcp://"   ? "tcp://127.0.0.1:*"
         : carrier == "ipc://" ? "ipc://*"
                               : carrier + name;
}

// The last frame of what comes next.
inline std::string next(socket& from) {
  auto incoming = from.receive_for(patience);
  return incoming ? incoming->back().str() : "nothing";
}

inline socket_options named(const std::string& name) {
  socket_options options;
  options.routing_id = name;
  return options;
}

// A socket of these is full after few messages, also where the system keeps some.
inline socket_options tight() {
  socket_options options;
  options.send_limit = 1;
  options.receive_limit = 1;
  options.send_buffer_bytes = options.receive_buffer_bytes = 4096;
  options.linger = {};  // nobody waits for what is never read
  return options;
}

struct filled {
  int sent = 0;
  message refused;  // as it came back
};

// Sends until nothing is taken any more, for as long as it takes the system to fill its buffers.
// Make is asked for the message that carries a body.
template<class Make>
filled fill(socket& to_be_full, Make make) {
  const frame body{std::string(4000, 'b')};
  filled done;
  for (;;) {
    done.refused = make(body);
    if (!to_be_full.send_for(std::move(done.refused), std::chrono::milliseconds{20})) {
      return done;
    }
    ++done.sent;
  }
}

}  // namespace parley::support
