// SPDX-License-Identifier: MPL-2.0
//
// What a socket has carried since it was made. Any thread may ask; the figures are those of a
// moment.
//
// A message counts once for each peer that it was meant for, as it travels: with its envelope, and
// subscriptions too. Over pipe:// every one is accounted for:
//   sent = received by the peers + queued + dropped_full + dropped_gone
// Over libzmq, sent means handed to libzmq, whatever becomes of it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace parley {

struct socket_statistics {
  std::uint64_t messages_sent = 0;
  std::uint64_t bytes_sent = 0;  // of all frames
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_received = 0;

  // Over libzmq, of the messages above, those that travelled together (socket_options::batch).
  std::uint64_t batches_sent = 0;
  std::uint64_t batches_received = 0;

  // Over pipe:// only, but for malformed batches (one each in dropped_unwanted); libzmq does not
  // tell.
  std::uint64_t queued = 0;  // sent, and not yet received by a peer that is there
  std::uint64_t dropped_full =
      0;  // a peer did not read (pub, xpub, xsub, rep; router, if not mandatory)
  std::uint64_t dropped_gone = 0;  // the peer left before it read them, or never came
  // Received, but of no use: unsubscribed, no reply of ours, more than an xpub's program reads.
  std::uint64_t dropped_unwanted = 0;
  std::size_t peers = 0;
};

}  // namespace parley
