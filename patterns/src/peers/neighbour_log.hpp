// SPDX-License-Identifier: MPL-2.0
//
// Keeps what was heard and tried of each neighbour, ourselves among them: our own beacons come back
// from the system, if nothing here throws them away. Bounded: the latest 1,000 within five minutes.
// One thread.
#pragma once

#include <parley/neighbour.hpp>

#include "beacon.hpp"
#include "beacon_sockets.hpp"
#include "peer_place.hpp"
#include "recent_map.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace parley::detail {

class neighbour_log {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr std::size_t most = 1000;
  static constexpr std::chrono::minutes memory{5};

  // read: nothing where the datagram is no beacon.
  void heard(const beacon_sockets::datagram& came, const std::optional<beacon>& read,
             time_point now);
  void probed(const peer_id& who, const peer_place& where, probe_answer how, time_point now);

  [[nodiscard]] std::vector<neighbour> all(time_point now);

 private:
  using version = std::optional<std::uint8_t>;
  recent_map<std::pair<peer_id, version>, std::vector<neighbour::sighting>> heard_{most, memory};
  recent_map<peer_id, std::vector<neighbour::attempt>> tried_{most, memory};
};

}  // namespace parley::detail
