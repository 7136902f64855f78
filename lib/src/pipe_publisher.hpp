// SPDX-License-Identifier: MPL-2.0
//
// What pub and xpub do over pipe://: they learn what their peers want, and send each message to
// those who asked for its topic (RFC 29).
#pragma once

#include <parley/message.hpp>
#include <parley/socket.hpp>

#include "pipe_peers.hpp"
#include "socket_counters.hpp"
#include "subscription_news.hpp"
#include "subscription_table.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace parley::detail {

class pipe_publisher {
 public:
  pipe_publisher(socket_kind kind, const socket_options& options, pipe_peers& peers,
                 socket_counters& counters)
      : is_xpub_{kind == socket_kind::xpub},
        options_{options},
        peers_{peers},
        counters_{counters},
        told_{static_cast<std::size_t>(options.receive_limit), options.all_subscriptions} {}

  // Leaves outgoing empty.
  void publish(message& outgoing);
  // xpub: what subscribers say.
  [[nodiscard]] bool fetch(message& into);
  void forget(pipe_peer& who);
  // Lets go of what subscribers have said.
  void clear() noexcept { told_.clear(); }

 private:
  [[nodiscard]] bool tells(bool changes) const noexcept {
    return is_xpub_ && (changes || options_.all_subscriptions);
  }
  void take_subscriptions();
  void take_subscription(pipe_peer& from, message&& incoming);

  const bool is_xpub_;
  const socket_options& options_;
  pipe_peers& peers_;
  socket_counters& counters_;
  subscription_table<pipe_peer> subscribers_;
  std::uint64_t topics_ = 0;
  std::vector<pipe_peer*> matching_;
  subscription_news told_;  // xpub: for the program
};

}  // namespace parley::detail
