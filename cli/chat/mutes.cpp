// SPDX-License-Identifier: MPL-2.0
#include "chat/mutes.hpp"

#include <algorithm>

mutes::verdict mutes::hear(const parley::peer_id& who, time_point now) {
  talker& of = talkers_.try_emplace(who, talker{rate_limit{count_, window_}}).first->second;
  if (of.unheard == 0 && of.limit.take(now)) {
    return verdict::heard;
  }
  of.until = now + window_;
  return ++of.unheard == 1 ? verdict::muted_now : verdict::muted;
}

std::vector<mutes::ended> mutes::end(time_point now) {
  std::vector<ended> all;
  for (auto& [who, of] : talkers_) {
    if (of.unheard > 0 && of.until <= now) {
      all.push_back({who, of.unheard});
      of = talker{rate_limit{count_, window_}};
    }
  }
  return all;
}

mutes::time_point mutes::next_end() const {
  auto next = never;
  for (const auto& [who, of] : talkers_) {
    if (of.unheard > 0) {
      next = std::min(next, of.until);
    }
  }
  return next;
}

std::uint64_t mutes::forget(const parley::peer_id& who) {
  const auto found = talkers_.find(who);
  const std::uint64_t unheard = found == talkers_.end() ? 0 : found->second.unheard;
  talkers_.erase(who);
  return unheard;
}
