// SPDX-License-Identifier: MPL-2.0
//
// Frames to and from cppzmq's messages; bodies above some KiB are not copied.
#pragma once

#include <parley/frame.hpp>

#include <zmq.hpp>

namespace parley {

// The message shares the frame's body. libzmq may drop that share on one of its own threads.
[[nodiscard]] zmq::message_t to_zmq(const frame& source);

// The frame takes the message's body over; source is empty afterwards.
[[nodiscard]] frame from_zmq(zmq::message_t&& source);

}  // namespace parley
