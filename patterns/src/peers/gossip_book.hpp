// SPDX-License-Identifier: MPL-2.0
//
// What seeds and their guests tell each other, without I/O: who has been told what, and what is to
// be told. Takes any bytes.
//
// A seed passes on what is new to it, to all who asked it and to its own seeds, but not to where it
// came from. What one knows at first hand is told to one's seeds every so often, and forgotten if
// it was not: so a seed may be restarted. Seeds are asked again for all that they know the more
// seldom the more that is, so that a guest hears no more in a second of many peers than of few.
#pragma once

#include "gossip_wire.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace parley::detail {

class gossip_book {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  gossip_book(const peer_id& own, std::size_t seeds, std::size_t most_facts)
      : own_{own}, seeds_{seeds}, most_facts_{most_facts} {}

  struct step {
    std::string guest;     // whom to tell; empty: a seed
    std::size_t seed = 0;  // which
    // Where we are, which each is told as it reaches us; else what follows.
    bool is_self = false;
    std::string host{};  // of the guest
    gossip_message said{};
  };

  void hear_seed(std::size_t which, std::string_view frame, time_point now);
  // address: what the guest is known by.
  void hear_guest(const std::string& address, const std::string& host, std::string_view frame,
                  time_point now);
  void lose_guest(const std::string& address) { guests_.erase(address); }
  // A peer that was met otherwise.
  void know(const gossip_fact& fact, time_point now);
  // Returns when to call it again.
  time_point tick(time_point now);

  [[nodiscard]] std::vector<step> take_steps() { return std::exchange(steps_, {}); }
  [[nodiscard]] std::vector<gossip_fact> take_heard() { return std::exchange(heard_, {}); }
  [[nodiscard]] std::size_t count_facts() const noexcept { return facts_.size(); }

 private:
  struct known {
    gossip_message told;
    time_point until;
    bool is_of_seed;  // who need not be told
  };
  static constexpr std::size_t nobody = static_cast<std::size_t>(-1);
  [[nodiscard]] bool learn(const gossip_fact& fact, bool is_of_seed, time_point now);
  void pass_on(const gossip_fact& fact, const std::string& but_guest, std::size_t but_seed);
  void greet(const std::string& address, const std::string& host);
  void tell_seeds(time_point now);

  const peer_id own_;
  const std::size_t seeds_;
  const std::size_t most_facts_;
  std::unordered_set<std::string> guests_;
  std::unordered_map<std::string, known> facts_;  // by what is told
  time_point next_tell_{};
  time_point next_ask_{};
  std::vector<step> steps_;
  std::vector<gossip_fact> heard_;
};

}  // namespace parley::detail
