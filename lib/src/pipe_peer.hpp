// SPDX-License-Identifier: MPL-2.0
//
// One peer of a socket over pipe://: our end of a link, or of a connect that waits for its name to
// be bound. Belongs to the thread that has the socket.
#pragma once

#include <parley/message.hpp>
#include <parley/pipe/spsc_pipe.hpp>

#include "pipe_link.hpp"
#include "pipe_mailbox.hpp"
#include "subscription_news.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace parley::detail {

struct pipe_peer {
  std::uint64_t connection = 0;  // 0: we are bound
  link_side side = link_side::bound;
  std::shared_ptr<pipe_link> link;
  spsc_pipe<message>* in = nullptr;    // null: waiting for a bind
  spsc_pipe<message>* out = nullptr;   // null as well when the peer has left
  std::shared_ptr<waiting_room> room;  // not null: waiting for a bind
  std::string routing_id;              // router: what the program calls it
  frame name;                          // the same, before each message of its
  std::uint64_t matched = 0;           // pub: the last topic that it was found for
  subscription_news backlog{0};        // sub: subscriptions that found no room yet
};

}  // namespace parley::detail
