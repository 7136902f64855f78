// SPDX-License-Identifier: MPL-2.0
//
// What sub and xsub do over pipe://: they tell every publisher what they want, and take what is
// still wanted when it comes (RFC 29).
#pragma once

#include <parley/message.hpp>

#include "pipe_mailbox.hpp"
#include "pipe_peers.hpp"
#include "socket_counters.hpp"

#include <string_view>

namespace parley::detail {

class pipe_subscriber {
 public:
  pipe_subscriber(pipe_mailbox& mailbox, pipe_peers& peers, socket_counters& counters)
      : mailbox_{mailbox}, peers_{peers}, counters_{counters} {}

  // Requires: the mailbox's subscriptions_mutex, taken before the last look at its news.
  void subscribe(std::string_view prefix);
  void unsubscribe(std::string_view prefix);
  // Subscriptions that some publisher had no room for.
  [[nodiscard]] bool has_backlog() const noexcept { return has_backlog_; }
  void pass_on_backlog();

  [[nodiscard]] bool fetch(message& into);
  // xsub: to all publishers. Leaves outgoing empty.
  void send_upstream(message& outgoing);

 private:
  void tell_peers(char what, std::string_view prefix, bool changes);

  pipe_mailbox& mailbox_;
  pipe_peers& peers_;
  socket_counters& counters_;
  bool filters_ = false;  // there may be messages on the way that are not wanted any more
  bool has_backlog_ = false;
};

}  // namespace parley::detail
