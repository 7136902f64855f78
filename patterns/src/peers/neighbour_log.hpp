// SPDX-License-Identifier: MPL-2.0
//
// Keeps what was heard and tried of each neighbour, ourselves among them: our own beacons come back
// from the system, if nothing here throws them away. Bounded: what is beyond is not noted. One
// thread.
#pragma once

#include <parley/neighbour.hpp>

#include "beacon.hpp"
#include "beacon_sockets.hpp"
#include "peer_place.hpp"

#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace parley::detail {

class neighbour_log {
 public:
  // read: nothing where the datagram is no beacon.
  void heard(const beacon_sockets::datagram& came, const std::optional<beacon>& read);
  void probed(const peer_id& who, const peer_place& where, probe_answer how);

  [[nodiscard]] std::vector<neighbour> all() const;

 private:
  using version = std::optional<std::uint8_t>;
  std::map<std::pair<peer_id, version>, std::vector<neighbour::sighting>> heard_;
  std::map<peer_id, std::vector<neighbour::attempt>> tried_;
};

}  // namespace parley::detail
