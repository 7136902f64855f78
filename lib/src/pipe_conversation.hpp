// SPDX-License-Identifier: MPL-2.0
//
// What req and rep do over pipe://: whose turn it is, whom they talk to, and the envelopes of RFC
// 28. Sockets of other kinds may always send and receive.
#pragma once

#include <parley/message.hpp>
#include <parley/socket.hpp>

#include "pipe_peers.hpp"
#include "socket_counters.hpp"

#include <cstdint>

namespace parley::detail {

class pipe_conversation {
 public:
  pipe_conversation(socket_kind kind, const socket_options& options, pipe_peers& peers,
                    socket_counters& counters);

  [[nodiscard]] bool is_asked() const noexcept { return turn_ == turn::send; }
  [[nodiscard]] bool has_asked() const noexcept { return turn_ == turn::receive; }
  // The program has what was fetched.
  void received() noexcept {
    if (turn_ == turn::receive) {
      turn_ = turn::send;
    }
  }

  // req. False: nobody has room, outgoing is unchanged. Requires: its turn.
  [[nodiscard]] bool ask(message& outgoing);
  [[nodiscard]] bool fetch_reply(message& into);
  // rep. Requires: its turn.
  [[nodiscard]] bool fetch_request(message& into);
  void reply(message& outgoing);

  void forget(const pipe_peer& who) noexcept;

 private:
  enum class turn { send, receive, either };

  const socket_options& options_;
  pipe_peers& peers_;
  socket_counters& counters_;
  turn turn_ = turn::either;
  pipe_peer* talking_to_ = nullptr;  // who was asked, or who asks; null when gone
  message envelope_;                 // rep: what a reply begins with
  std::uint32_t request_id_ = 0;
};

}  // namespace parley::detail
