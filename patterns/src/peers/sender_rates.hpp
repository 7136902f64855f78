// SPDX-License-Identifier: MPL-2.0
//
// Who says more than he may, and is not heard until he was quiet for a while. No I/O, not
// thread-safe.
//
// Each sender has room for so much, and what he says takes of it; it fills up again within the
// rate's time. Letters have a room of their own, and are not thrown away where it is empty.
#pragma once

#include <parley/peer_id.hpp>
#include <parley/peers.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace parley::detail {

class sender_rates {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr time_point never = time_point::max();

  explicit sender_rates(const peer_rate& rate) : rate_{rate} {}

  enum class verdict { heard, muted_now, muted };
  [[nodiscard]] verdict hear(const peer_id& who, std::size_t bytes, time_point now);
  // False: not now.
  [[nodiscard]] bool takes_letter(const peer_id& who, std::size_t bytes, time_point now);

  struct ended {
    peer_id who;
    std::uint64_t count;  // what was not heard
  };
  // Those who were quiet for long enough.
  [[nodiscard]] std::vector<ended> end(time_point now);
  // When that may be again.
  [[nodiscard]] time_point due() const noexcept;

  void forget(const peer_id& who) { senders_.erase(who); }

 private:
  struct room {
    double messages;
    double bytes;
    time_point as_of;
  };
  struct sender {
    room said;
    room letters;
    std::uint64_t unheard = 0;  // 0: not muted
    time_point until{};
  };
  [[nodiscard]] bool is_limited() const noexcept { return rate_.messages > 0 || rate_.bytes > 0; }
  [[nodiscard]] sender& of(const peer_id& who, time_point now);
  [[nodiscard]] bool take(room& from, std::size_t bytes, time_point now) const;

  const peer_rate rate_;
  std::unordered_map<peer_id, sender> senders_;
};

}  // namespace parley::detail
