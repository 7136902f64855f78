// SPDX-License-Identifier: MPL-2.0
//
// Which peers a publisher sends a topic to: those who asked for a prefix of it.
//
// A hash table of prefixes, and the lengths that prefixes have: a topic is looked up once for each
// length, and those are few however many subscriptions there are. Nothing in it is recursive, so no
// prefix is too long for the stack. No I/O; peers are pointers that are only compared.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace parley::detail {

template<class Peer>
class subscription_table {
 public:
  // True: no peer had this prefix before.
  bool add(std::string_view prefix, Peer* who) {
    const auto [at, is_new] = peers_.try_emplace(std::string{prefix});
    if (is_new) {
      ++lengths_[prefix.size()];
    }
    std::vector<Peer*>& peers = at->second;
    if (std::find(peers.begin(), peers.end(), who) == peers.end()) {
      peers.push_back(who);
    }
    return is_new;
  }

  // True: no peer has this prefix any more.
  bool remove(std::string_view prefix, Peer* who) {
    const auto at = peers_.find(prefix);
    if (at == peers_.end() || std::erase(at->second, who) == 0 || !at->second.empty()) {
      return false;
    }
    erase(at);
    return true;
  }

  // Forgets a peer. tell(prefix, nobody_left) for each prefix it had.
  template<class Tell>
  void remove_peer(Peer* who, Tell&& tell) {
    for (auto at = peers_.begin(); at != peers_.end();) {
      if (std::erase(at->second, who) == 0) {
        ++at;
        continue;
      }
      const bool nobody_left = at->second.empty();
      tell(std::string_view{at->first}, nobody_left);
      at = nobody_left ? erase(at) : std::next(at);
    }
  }

  // visit(peer) for each prefix of topic that the peer has, from so many octets on: a peer may come
  // up more than once.
  template<class Visit>
  void match(std::string_view topic, std::size_t shortest, Visit&& visit) const {
    for (auto each = lengths_.lower_bound(shortest); each != lengths_.end(); ++each) {
      const std::size_t length = each->first;
      if (length > topic.size()) {
        return;
      }
      if (const auto at = peers_.find(topic.substr(0, length)); at != peers_.end()) {
        for (Peer* peer : at->second) {
          visit(*peer);
        }
      }
    }
  }

 private:
  struct hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using table = std::unordered_map<std::string, std::vector<Peer*>, hash, std::equal_to<>>;

  typename table::iterator erase(typename table::iterator at) {
    const auto length = lengths_.find(at->first.size());
    if (--length->second == 0) {
      lengths_.erase(length);
    }
    return peers_.erase(at);
  }

  table peers_;                                 // no prefix without a peer
  std::map<std::size_t, std::size_t> lengths_;  // of prefixes, with how many have it
};

}  // namespace parley::detail
