// SPDX-License-Identifier: MPL-2.0
//
// Takes part in gossip, as czmq's zgossip does: tells seeds where we are, hears from them where
// others are, and is a seed for others if it has an endpoint. One thread.
//
// What is told to whom says gossip_book.
#pragma once

#include <parley/context.hpp>
#include <parley/curve.hpp>
#include <parley/endpoint.hpp>
#include <parley/peers.hpp>
#include <parley/socket.hpp>

#include "gossip_book.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace parley::detail {

class gossip {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  struct options {
    std::vector<peer_seed> seeds{};
    std::optional<endpoint> bound{};
    std::optional<curve_keys> keys{};  // ours; all seeds have a key, too
    std::size_t most_facts = 4000;
  };
  // The port of our own mailbox. Looks up the names of seeds, which may take its time. Throws
  // error: cannot_bind.
  gossip(context& owner, const peer_id& own, std::uint16_t port, const options& chosen);

  [[nodiscard]] std::vector<int> fds() const;
  // Hears what there is, most_at_once at a time, and says what is due. True: there may be more.
  [[nodiscard]] bool look(std::vector<gossip_fact>& heard, time_point now);
  // What came since it was looked for; before one sleeps.
  [[nodiscard]] bool has_news() const;
  [[nodiscard]] time_point due() const noexcept { return next_; }
  // A peer that was met otherwise.
  void know(const gossip_fact& fact, time_point now);
  // Where we take part in it; none: we are nobody's seed.
  [[nodiscard]] const std::optional<endpoint>& bound() const noexcept { return bound_; }

 private:
  struct seed {
    std::string host;  // numerical
    socket line;
  };
  void carry_out();
  [[nodiscard]] gossip_message self_towards(const std::string& host) const;

  const peer_id own_;
  const std::uint16_t port_;
  const std::optional<curve_keys> keys_;
  std::vector<seed> seeds_;
  std::optional<socket> router_;
  std::optional<endpoint> bound_;
  std::optional<gossip_book> book_;  // made when seeds are known
  time_point next_{};
};

}  // namespace parley::detail
