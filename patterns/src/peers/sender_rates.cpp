// SPDX-License-Identifier: MPL-2.0
#include "sender_rates.hpp"

#include <algorithm>

namespace parley::detail {

sender_rates::sender& sender_rates::of(const peer_id& who, time_point now) {
  const room full{static_cast<double>(rate_.messages), static_cast<double>(rate_.bytes), now};
  return senders_.try_emplace(who, sender{full, full}).first->second;
}

bool sender_rates::take(room& from, std::size_t bytes, time_point now) const {
  const double part = std::chrono::duration<double>{now - from.as_of} / rate_.within;
  from.as_of = now;
  const auto refill = [part](double& left, std::size_t most) {
    left = std::min(left + part * static_cast<double>(most), static_cast<double>(most));
  };
  refill(from.messages, rate_.messages);
  refill(from.bytes, rate_.bytes);
  // What fills up in equal parts is not quite whole again.
  constexpr double nearly_one = 1 - 1e-6;
  if ((rate_.messages > 0 && from.messages < nearly_one) ||
      (rate_.bytes > 0 && from.bytes < static_cast<double>(bytes) * nearly_one)) {
    return false;
  }
  from.messages -= 1;
  from.bytes -= static_cast<double>(bytes);
  return true;
}

sender_rates::verdict sender_rates::hear(const peer_id& who, std::size_t bytes, time_point now) {
  if (!is_limited()) {
    return verdict::heard;
  }
  sender& from = of(who, now);
  if (from.unheard == 0 && take(from.said, bytes, now)) {
    return verdict::heard;
  }
  from.until = now + rate_.within;
  return ++from.unheard == 1 ? verdict::muted_now : verdict::muted;
}

bool sender_rates::takes_letter(const peer_id& who, std::size_t bytes, time_point now) {
  if (!is_limited()) {
    return true;
  }
  sender& from = of(who, now);
  return from.unheard == 0 && take(from.letters, std::min(bytes, rate_.bytes), now);
}

std::vector<sender_rates::ended> sender_rates::end(time_point now) {
  std::vector<ended> all;
  std::erase_if(senders_, [&](const auto& each) {
    const bool is_over = each.second.unheard > 0 && each.second.until <= now;
    if (is_over) {
      all.push_back({each.first, each.second.unheard});
    }
    return is_over;
  });
  return all;
}

sender_rates::time_point sender_rates::due() const noexcept {
  auto next = never;
  for (const auto& [who, each] : senders_) {
    if (each.unheard > 0) {
      next = std::min(next, each.until);
    }
  }
  return next;
}

}  // namespace parley::detail
