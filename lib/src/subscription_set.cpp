// SPDX-License-Identifier: MPL-2.0
#include "subscription_set.hpp"

namespace parley::detail {

bool subscription_set::add(std::string_view prefix) {
  const auto found = counts_.find(prefix);
  if (found != counts_.end()) {
    ++found->second;
    return false;
  }
  counts_.emplace(prefix, 1);
  return true;
}

bool subscription_set::remove(std::string_view prefix) {
  const auto found = counts_.find(prefix);
  if (found == counts_.end() || --found->second > 0) {
    return false;
  }
  counts_.erase(found);
  return true;
}

bool subscription_set::matches(std::string_view topic) const {
  // Every prefix of topic sorts before or at topic, and a prefix that is none sends the search back
  // to what it has in common with topic: no more steps than topic has bytes.
  for (auto at = counts_.upper_bound(topic); at != counts_.begin();) {
    --at;
    const std::string_view prefix = at->first;
    if (topic.starts_with(prefix)) {
      return true;
    }
    std::size_t common = 0;
    while (common < prefix.size() && common < topic.size() && prefix[common] == topic[common]) {
      ++common;
    }
    topic = topic.substr(0, common);
    at = counts_.upper_bound(topic);
  }
  return false;
}

}  // namespace parley::detail
