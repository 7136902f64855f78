// SPDX-License-Identifier: MPL-2.0
//
// Who was heard or tried, whether it became a peer or not: what there is to know when somebody is
// missed; see peers::neighbours and network_diagnosis.hpp. Values.
#pragma once

#include <parley/peer_id.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley {

// How beacons go to all.
enum class beacon_carrier : std::uint8_t { broadcast, ipv4_multicast, ipv6_multicast };

[[nodiscard]] std::string_view to_string(beacon_carrier by) noexcept;

// What a connection for trial came to.
enum class probe_answer : std::uint8_t { answered, refused, silent };

[[nodiscard]] std::string_view to_string(probe_answer how) noexcept;

struct neighbour {
  peer_id id{};  // nobody's: its datagrams are of another version, or nonsense
  // Of its beacons: 1, as ZRE has it; 3: with a public key, of a secured network. None: it was not
  // heard by beacons, or what was heard was none.
  std::optional<std::uint8_t> version{};

  struct sighting {
    std::string interface;
    beacon_carrier by = beacon_carrier::broadcast;
    std::string host;        // where it came from
    std::uint16_t port = 0;  // of the mailbox that it named
    std::uint64_t count = 0;
  };
  std::vector<sighting> sightings{};

  struct attempt {
    std::string address;  // as an endpoint
    probe_answer last = probe_answer::silent;
  };
  std::vector<attempt> attempts{};
};

}  // namespace parley
