// SPDX-License-Identifier: MPL-2.0
//
// Under which identity each peer of Parley that is here is known. Not thread-safe.
#pragma once

#include <parley/peer_id.hpp>

#include <optional>
#include <string>
#include <unordered_map>

namespace parley::detail {

class identity_table {
 public:
  void add(const peer_id& who, const std::string& identity) {
    identities_.insert_or_assign(who, identity);
    latest_.insert_or_assign(identity, who);
  }
  void remove(const peer_id& who) {
    const auto gone = identities_.extract(who);
    if (!gone) {
      return;
    }
    if (const auto at = latest_.find(gone.mapped()); at != latest_.end() && at->second == who) {
      latest_.erase(at);
    }
  }
  // Null: it is not here, or not of Parley.
  [[nodiscard]] const std::string* of(const peer_id& who) const {
    const auto known = identities_.find(who);
    return known != identities_.end() ? &known->second : nullptr;
  }
  // Of several with one identity, who came last.
  [[nodiscard]] std::optional<peer_id> who_is(const std::string& identity) const {
    const auto here = latest_.find(identity);
    return here != latest_.end() ? std::optional{here->second} : std::nullopt;
  }

 private:
  std::unordered_map<peer_id, std::string> identities_;
  std::unordered_map<std::string, peer_id> latest_;
};

}  // namespace parley::detail
