// SPDX-License-Identifier: MPL-2.0
#include "subscription_counts.hpp"

namespace parley::detail {

void subscription_counts::apply(std::string_view change) {
  if (change.empty()) {
    return;
  }
  const std::string_view prefix = change.substr(1);
  if (change.front() == '\1') {
    ++counts_[std::string{prefix}];
  } else if (change.front() == '\0') {
    const auto found = counts_.find(prefix);
    if (found != counts_.end() && --found->second == 0) {
      counts_.erase(found);
    }
  }
}

std::size_t subscription_counts::matching(std::string_view topic) const {
  std::size_t sum = 0;
  for (std::size_t length = 0; length <= topic.size(); ++length) {
    const auto found = counts_.find(topic.substr(0, length));
    sum += found == counts_.end() ? 0 : found->second;
  }
  return sum;
}

}  // namespace parley::detail
