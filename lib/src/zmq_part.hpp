// SPDX-License-Identifier: MPL-2.0
//
// Frames to and from libzmq's own messages, without the wrapper between: each of libzmq's calls
// costs some 15 ns, and a small message needs few of them.
#pragma once

#include <parley/message.hpp>

#include <zmq.h>

namespace parley::detail {

// Makes a part that holds source's bytes. The caller sends it or closes it. Throws bad_alloc.
void make_part(zmq_msg_t& part, const frame& source);
// Appends a frame of part's bytes, which may be received into again, or closed.
void take_part(zmq_msg_t& part, message& into);

}  // namespace parley::detail
