// SPDX-License-Identifier: MPL-2.0
//
// Which peers a publisher sends a topic to: those who asked for a prefix of it.
//
// No I/O; peers are pointers that are only compared.
#pragma once

#include <parley/prefix_table.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace parley::detail {

template<class Peer>
class subscription_table {
 public:
  // True: no peer had this prefix before.
  bool add(std::string_view prefix, Peer* who) {
    std::vector<Peer*>& peers = prefixes_.at(prefix);
    const bool is_new = peers.empty();
    if (std::find(peers.begin(), peers.end(), who) == peers.end()) {
      peers.push_back(who);
    }
    return is_new;
  }

  // True: no peer has this prefix any more.
  bool remove(std::string_view prefix, Peer* who) {
    std::vector<Peer*>* const peers = prefixes_.find(prefix);
    if (peers == nullptr || std::erase(*peers, who) == 0 || !peers->empty()) {
      return false;
    }
    prefixes_.erase(prefix);
    return true;
  }

  // Forgets a peer. tell(prefix, nobody_left) for each prefix it had.
  template<class Tell>
  void remove_peer(Peer* who, Tell&& tell) {
    prefixes_.erase_if([&](std::string_view prefix, std::vector<Peer*>& peers) {
      if (std::erase(peers, who) == 0) {
        return false;
      }
      tell(prefix, peers.empty());
      return peers.empty();
    });
  }

  // visit(peer) for each prefix of topic that the peer has, from so many octets on: a peer may come
  // up more than once.
  template<class Visit>
  void match(std::string_view topic, std::size_t shortest, Visit&& visit) const {
    const auto visit_all = [&](const std::vector<Peer*>& peers) {
      for (Peer* peer : peers) {
        visit(*peer);
      }
    };
    prefixes_.match(topic, visit_all, shortest);
  }

 private:
  prefix_table<std::vector<Peer*>> prefixes_;  // none without a peer
};

}  // namespace parley::detail
