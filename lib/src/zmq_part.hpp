// SPDX-License-Identifier: MPL-2.0
//
// Frames to and from libzmq's own messages, without the wrapper between: each of libzmq's calls
// costs some 15 ns, and a small message needs few of them.
#pragma once

#include <parley/message.hpp>

#include <zmq.h>

#include <cerrno>
#include <cstddef>

namespace parley::detail {

// Makes a part that holds source's bytes. The caller sends it or closes it. Throws bad_alloc.
void make_part(zmq_msg_t& part, const frame& source);
// Sends it, or none of it. Zero is success, otherwise errno. Requires: outgoing is not empty.
[[nodiscard]] inline int send_parts(void* socket, const message& outgoing, int wait) {
  const std::size_t last = outgoing.size() - 1;
  for (std::size_t index = 0; index <= last; ++index) {
    zmq_msg_t part;
    make_part(part, outgoing[index]);
    // libzmq takes a message whole or not at all: only its first part can be refused.
    const int flags = (index < last ? ZMQ_SNDMORE : 0) | (index == 0 ? wait : 0);
    while (zmq_msg_send(&part, socket, flags) < 0) {
      const int failure = zmq_errno();
      if (failure == EINTR && index > 0) {
        continue;
      }
      zmq_msg_close(&part);
      return failure;
    }
  }
  return 0;
}

// Appends a frame of part's bytes, which may be received into again, or closed.
void take_part(zmq_msg_t& part, message& into);
// What the sender of a part said of itself when the connection was made; null: nothing of that
// name. Taken is the frame that take_part made of it.
[[nodiscard]] const char* property_of(zmq_msg_t& part, const frame& taken, const char* name);

}  // namespace parley::detail
