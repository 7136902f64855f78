// SPDX-License-Identifier: MPL-2.0
//
// What a router does over pipe://: it names its peers, and sends each message to the one that its
// first frame names (RFC 28).
#pragma once

#include <parley/message.hpp>
#include <parley/socket_options.hpp>

#include "pipe_peers.hpp"
#include "socket_counters.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace parley::detail {

class pipe_routes {
 public:
  pipe_routes(const socket_options& options, pipe_peers& peers, socket_counters& counters)
      : options_{options}, peers_{peers}, counters_{counters} {}

  // Who is about to be joined by the link. False: another peer has that name, and keeps it. Throws,
  // and nobody has it who had not.
  [[nodiscard]] bool add(pipe_peer& who, const pipe_link& by);
  void forget(const pipe_peer& who);
  // A peer that has not left; null: there is none.
  [[nodiscard]] pipe_peer* find(std::string_view routing_id) const;

  [[nodiscard]] bool fetch(message& into);
  // A message that there was no memory to put the name before.
  [[nodiscard]] bool has_untaken() const noexcept { return !untaken_.empty(); }
  // Lets go of it.
  void clear() noexcept { untaken_.clear(); }
  // False, if mandatory: there is no such peer, or it has no room. Requires: outgoing has a frame.
  [[nodiscard]] bool send(message& outgoing);
  // The last message was refused by a peer that had no room; else, there was no such peer.
  [[nodiscard]] bool is_full() const noexcept { return !refused_by_.empty(); }
  // That peer may take it now, or is gone.
  [[nodiscard]] bool may_take_again() const noexcept;

 private:
  struct text_hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  const socket_options& options_;
  pipe_peers& peers_;
  socket_counters& counters_;
  std::unordered_map<std::string, pipe_peer*, text_hash, std::equal_to<>> routes_;
  std::uint64_t last_name_ = 0;
  message untaken_;  // before all others, and whose it is
  frame untaken_from_;
  std::string refused_by_;  // who had no room for the last message; empty: there was no such peer
};

}  // namespace parley::detail
