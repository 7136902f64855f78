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

  [[nodiscard]] bool has_turn_to_send() const noexcept { return turn_ == turn::send; }
  [[nodiscard]] bool has_turn_to_receive() const noexcept { return turn_ == turn::receive; }
  // Either turn, or no turns at all.
  [[nodiscard]] bool may_send() const noexcept { return turn_ != turn::receive || asks_anew_; }
  [[nodiscard]] bool may_receive() const noexcept { return turn_ != turn::send; }
  // req: somebody else was asked meanwhile, so the reply that was waited for is late.
  void abandon() noexcept {
    if (turn_ == turn::receive) {
      turn_ = turn::send;
      talking_to_ = nullptr;
    }
  }
  // The program has what was fetched.
  void received() noexcept {
    if (turn_ == turn::receive) {
      turn_ = turn::send;
    }
  }

  // req. False: nobody has room, outgoing is unchanged. Requires: may_send().
  [[nodiscard]] bool ask(message& outgoing);
  [[nodiscard]] bool fetch_reply(message& into);
  // rep. Requires of reply: may_send().
  [[nodiscard]] bool fetch_request(message& into);
  [[nodiscard]] bool pop_request(message& into, pipe_peer*& from);
  void reply(message& outgoing);

  void forget(const pipe_peer& who) noexcept;
  // Lets go of what peers have sent.
  void clear() noexcept {
    envelope_.clear();
    untaken_.clear();
  }
  // A request that there was no memory to take apart.
  [[nodiscard]] bool has_untaken() const noexcept { return !untaken_.empty(); }

 private:
  enum class turn { send, receive, either };

  const bool asks_anew_;  // req, relaxed: without the reply; so requests are numbered
  pipe_peers& peers_;
  socket_counters& counters_;
  turn turn_ = turn::either;
  pipe_peer* talking_to_ = nullptr;  // who was asked, or who asks; null when gone
  message envelope_;                 // rep: what a reply begins with
  message untaken_;                  // rep: before all others
  pipe_peer* untaken_from_ = nullptr;
  std::uint32_t request_id_ = 0;
};

}  // namespace parley::detail
