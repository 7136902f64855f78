// SPDX-License-Identifier: MPL-2.0
//
// The lines to the peers, a DEALER for each, and what a desk wants done with them. Not thread-safe.
#pragma once

#include <parley/context.hpp>
#include <parley/message.hpp>
#include <parley/peers.hpp>
#include <parley/socket.hpp>

#include "peer_desk.hpp"
#include "tcp_probes.hpp"

#include <chrono>
#include <cstdint>
#include <unordered_map>

namespace parley::detail {

class peer_lines {
 public:
  using time_point = peer_desk::time_point;

  // Of that node. What it keeps of the options and the desk is theirs, and has to outlive it.
  peer_lines(context& owner, const peer_id& own, const peers_options& options, peer_desk& desk,
             tcp_probes& probes) noexcept
      : context_{owner}, own_{own}, options_{options}, desk_{desk}, probes_{probes} {}

  // Does all that the desk wants.
  void take_steps(time_point now);
  void clear() noexcept { lines_.clear(); }

  enum class ear : std::uint8_t {
    absent,  // it is not here; that it left is told by the desk
    full,    // it takes nothing now, and nobody will tell when it does
    open,
  };
  [[nodiscard]] ear ear_of(const peer_id& who) const;
  // Requires: its ear is open.
  void whisper(const peer_id& to, const message& content, time_point now);

 private:
  void take(peer_step&& step, time_point now);
  void open(const peer_step& step);

  context& context_;
  const peer_id& own_;
  const peers_options& options_;
  peer_desk& desk_;
  tcp_probes& probes_;
  std::unordered_map<peer_link, socket> lines_;
};

}  // namespace parley::detail
