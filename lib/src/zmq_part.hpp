// SPDX-License-Identifier: MPL-2.0
//
// Frames to and from libzmq's own messages, without the wrapper between: each of libzmq's calls
// costs some 15 ns, and a small message needs few of them.
#pragma once

#include <parley/frame.hpp>

#include <zmq.h>

namespace parley::detail {

// Makes a part that holds source's bytes. The caller sends it or closes it. Throws bad_alloc.
void make_part(zmq_msg_t& part, const frame& source);
// Takes the bytes out of part, which may be received into again, or closed.
[[nodiscard]] frame take_part(zmq_msg_t& part);

}  // namespace parley::detail
