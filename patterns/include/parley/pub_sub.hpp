// SPDX-License-Identifier: MPL-2.0
//
// Publish-subscribe with memory: a publisher sends to everybody who subscribed to a prefix of the
// topic, and nothing gets lost unseen.
//
// A publisher keeps a queue for each subscriber, and takes a message out of it when the subscriber
// has it. So a subscriber that lags, or was away, gets what it missed, or is told what it lost; and
// both ends can say what became of each message. Plain ZeroMQ SUB and PUB sockets may take either
// end, without all this. See docs/pub_sub.md; docs/wire.md has the frames.
//
// Threads: publisher and subscriber may be used from any thread at once. A publisher has a thread
// of its own; a subscriber works in the threads that receive from it.
#pragma once

#include <parley/feed_ledger.hpp>
#include <parley/publisher.hpp>
#include <parley/subscriber.hpp>
