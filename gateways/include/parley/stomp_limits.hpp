// SPDX-License-Identifier: MPL-2.0
//
// How much a STOMP client may ask of the gateway, and how long things may take. What goes beyond a
// limit gets an ERROR that names it, waits, or is dropped and counted, as said beside each.
#pragma once

#include <chrono>
#include <cstddef>

namespace parley::stomp {

struct frame_limits {
  std::size_t headers = 128;            // header lines in one frame; beyond: ERROR
  std::size_t header_line = 16 * 1024;  // bytes in one header line; beyond: ERROR
  std::size_t body = 16 * 1024 * 1024;  // bytes in one body; beyond: ERROR
};

// Of what stands behind /topic/ and so on. Matching costs pattern words times topic words, so both
// are few. Beyond: ERROR; of a native topic: delivered to nobody and counted.
struct destination_limits {
  std::size_t bytes = 255;
  std::size_t words = 32;  // of a topic, joined by dots
};

struct session_limits {
  std::chrono::milliseconds heart_beat_send{10'000};     // offered; 0: never
  std::chrono::milliseconds heart_beat_receive{10'000};  // wished for; 0: never
  unsigned heart_beat_grace = 2;  // silent intervals until a client is dropped as dead
  std::chrono::milliseconds connect_within{10'000};  // for the CONNECT frame; beyond: dropped
  std::chrono::milliseconds write_stall{60'000};     // output that does not move; beyond: dropped
  std::size_t subscriptions = 1'000;                 // of one connection; beyond: ERROR
  std::size_t prefetch =
      1'000;  // unacknowledged messages of a subscription, where not asked for less
  std::size_t transactions = 16;                     // open in one connection; beyond: ERROR
  std::size_t transaction_frames = 10'000;           // SEND, ACK and NACK in one; beyond: ERROR
  std::size_t transaction_bytes = 16 * 1024 * 1024;  // beyond: ERROR
};

struct queue_limits {
  std::size_t messages = 10'000;         // also those in flight; beyond: SEND waits
  std::size_t bytes = 64 * 1024 * 1024;  // likewise; a lone message may be larger
  unsigned attempts = 5;                 // deliveries that end in a NACK; then dropped and counted
};

struct limits {
  frame_limits frames;
  destination_limits destinations;
  session_limits sessions;
  queue_limits queues;
  std::size_t connections = 10'000;  // open at once; beyond: refused with an ERROR and counted
  std::size_t queue_count = 10'000;  // made by clients; beyond: ERROR
  std::chrono::milliseconds queue_wait{30'000};  // of a SEND for room; beyond: ERROR
  // Unsent bytes of one connection; beyond: topic messages for it are dropped and counted, those
  // of queues wait. At twice as much nothing more is read from it.
  std::size_t output = 4 * 1024 * 1024;
  std::size_t temp_queues = 100;  // of one connection; beyond: ERROR
  std::size_t calls = 1'000;      // in flight, of one connection; beyond: SEND waits
  std::chrono::milliseconds call_timeout{5'000};  // where the request names none
};

}  // namespace parley::stomp
