// SPDX-License-Identifier: MPL-2.0
//
// What the program has not taken yet, bounded. One peer may have as much of it as is still free: of
// two that say too much each gets a third, and for another one there is always room. What is thrown
// away is told by an event, in its place. Not thread-safe.
#pragma once

#include <parley/peer_event.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

namespace parley::detail {

class event_queue {
 public:
  event_queue(std::size_t limit, std::size_t limit_bytes) noexcept
      : limit_{limit}, limit_bytes_{limit_bytes} {}

  void push(peer_event&& event);
  // False: there is no room, and nothing is lost.
  [[nodiscard]] bool offer(peer_event&& event);
  [[nodiscard]] std::optional<peer_event> pop();
  [[nodiscard]] bool empty() const noexcept { return events_.empty(); }
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }

 private:
  struct share {
    std::size_t count = 0;
    std::size_t presence = 0;  // of them that say it entered or left
    std::size_t bytes = 0;
    std::uint64_t lost = 0;  // not told yet
  };
  [[nodiscard]] bool has_room(const share& of, const peer_event& event, std::size_t bytes) const;
  void add(peer_event&& event, share& of, std::size_t bytes);

  const std::size_t limit_;
  const std::size_t limit_bytes_;
  std::deque<peer_event> events_;
  std::size_t bytes_ = 0;
  std::uint64_t lost_ = 0;
  std::unordered_map<peer_id, share> shares_;
};

}  // namespace parley::detail
