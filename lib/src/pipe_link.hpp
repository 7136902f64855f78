// SPDX-License-Identifier: MPL-2.0
//
// What two sockets share when a connect and a bind to pipe://name have met: a pipe each way.
//
// Each socket holds one end. Whoever leaves closes both pipes and says that it is gone: from then
// on it takes nothing more out, so what the other end still counts as queued is lost. Nobody keeps
// it: a body ends when no end is left that may read it, however long the link is held.
#pragma once

#include <parley/message.hpp>
#include <parley/pipe/spsc_pipe.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace parley::detail {

enum class link_side : std::size_t { bound = 0, connected = 1 };

[[nodiscard]] constexpr link_side other(link_side side) noexcept {
  return side == link_side::bound ? link_side::connected : link_side::bound;
}

class pipe_link {
 public:
  struct end {
    std::shared_ptr<doorbell> read_bell;
    std::shared_ptr<doorbell> write_bell;
    std::string routing_id;
  };

  // capacities: of the pipe that each side writes.
  pipe_link(end bound, end connected, std::array<std::size_t, 2> capacities)
      : from_bound_{capacities[0], connected.read_bell, bound.write_bell},
        from_connected_{capacities[1], bound.read_bell, connected.write_bell},
        routing_ids_{std::move(bound.routing_id), std::move(connected.routing_id)} {}

  [[nodiscard]] spsc_pipe<message>& out(link_side side) noexcept {
    return side == link_side::bound ? from_bound_ : from_connected_;
  }
  [[nodiscard]] spsc_pipe<message>& in(link_side side) noexcept { return out(other(side)); }
  [[nodiscard]] const std::string& routing_id(link_side side) const noexcept {
    return routing_ids_[static_cast<std::size_t>(side)];
  }

  // What side has sent stays there for the other to read; what was sent to side is lost. Ends
  // bodies, and so may call out.
  void leave(link_side side) noexcept {
    if (!gone(side)) {
      taken_[static_cast<std::size_t>(side)] = in(side).popped();
      // Release: whoever sees it sees how much this side took out.
      gone_[static_cast<std::size_t>(side)].store(true, std::memory_order_release);
      from_bound_.close();
      from_connected_.close();
    }
    throw_away(side);
  }
  [[nodiscard]] bool gone(link_side side) const noexcept {
    return gone_[static_cast<std::size_t>(side)].load(std::memory_order_acquire);  // as above
  }

  struct unread {
    std::size_t count;
    bool is_lost;  // the other side is gone
  };
  // What side has sent and the other has not taken. Anyone.
  [[nodiscard]] unread unread_of(link_side side) noexcept {
    const std::size_t queued = out(side).approx_size();  // first: of one that goes, throw_away
    if (!gone(other(side))) {
      return {queued, false};
    }
    const std::uint64_t taken = taken_[static_cast<std::size_t>(other(side))];
    return {static_cast<std::size_t>(out(side).pushed() - taken), true};
  }

  // Of an end that leaves just now: either it throws away what we have pushed until here, or after
  // this we see that the pipes are closed.
  void settle() noexcept { const std::lock_guard lock{throwing_away_}; }

  // What was sent to side. Requires: it is gone. Calls out, with no lock held.
  void throw_away(link_side side) noexcept {
    for (;;) {
      std::unique_lock lock{throwing_away_};
      const std::optional<message> next = in(side).try_pop();
      lock.unlock();
      if (!next) {
        return;
      }
    }
  }

 private:
  spsc_pipe<message> from_bound_;
  spsc_pipe<message> from_connected_;
  std::array<std::string, 2> routing_ids_;
  std::array<std::atomic<bool>, 2> gone_{};
  std::array<std::uint64_t, 2> taken_{};  // by who is gone; written before gone_
  std::mutex throwing_away_;              // either end may, of one that is gone
};

}  // namespace parley::detail
