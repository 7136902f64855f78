// SPDX-License-Identifier: MPL-2.0
//
// Frames to and from libzmq's own messages, without the wrapper between: each of libzmq's calls
// costs some 15 ns, and a small message needs few of them.
#pragma once

#include <parley/message.hpp>

#include <zmq.h>

#include <cerrno>
#include <cstddef>

#include "zmq_handover.hpp"

namespace parley::detail {

// Bytes. Up to this many are copied for libzmq: a share costs two allocations, one of them freed by
// another thread, and a copy of some KiB costs less than that.
inline constexpr std::size_t cheaper_copied = 4096;

// Makes a part that holds source's bytes. The caller sends it or closes it. Throws bad_alloc.
void make_part(zmq_msg_t& part, const frame& source);
// Sends it, or none of it. Zero is success, otherwise errno. Throws bad_alloc: none of it was sent.
// Requires: outgoing is not empty.
[[nodiscard]] int send_several_parts(void* socket, const message& outgoing, int wait);
[[nodiscard]] inline int send_parts(void* socket, const message& outgoing, int wait) {
  if (outgoing.size() > 1) {
    return send_several_parts(socket, outgoing, wait);
  }
  zmq_msg_t part;
  make_part(part, outgoing.front());
  if (zmq_msg_send(&part, socket, wait) < 0) {
    const int failure = zmq_errno();
    zmq_msg_close(&part);
    return failure;
  }
  return 0;
}

// Sends one frame's bytes by one call of libzmq's, which copies them. False: it did not, and errno
// says why.
[[nodiscard]] inline bool send_copy(void* socket, const frame& source, int wait) {
  if constexpr (handover_is_told) {
    zmq_msg_t part;
    make_part(part, source);
    const bool sent = zmq_msg_send(&part, socket, wait) >= 0;
    if (!sent) {
      zmq_msg_close(&part);
    }
    return sent;
  } else {
    return zmq_send(socket, source.data(), source.size(), wait) >= 0;
  }
}

// Appends a frame of part's bytes, which may be received into again, or closed. Throws bad_alloc:
// into and part are as they were.
void take_large_part(zmq_msg_t& part, std::size_t size, message& into);
inline void take_part(zmq_msg_t& part, message& into) {
  const void* const bytes = zmq_msg_data(&part);
  const std::size_t size = zmq_msg_size(&part);
  taken_from_zmq(bytes);
  if (size <= frame::inline_capacity) [[likely]] {
    into.emplace_back(bytes, size);
  } else {
    take_large_part(part, size, into);
  }
}
// What the sender of a part said of itself when the connection was made; null: nothing of that
// name. Taken is the frame that take_part made of it.
[[nodiscard]] const char* property_of(zmq_msg_t& part, const frame& taken, const char* name);

}  // namespace parley::detail
