// SPDX-License-Identifier: MPL-2.0
#include "neighbour_log.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace parley {

std::string_view to_string(beacon_carrier by) noexcept {
  switch (by) {
    case beacon_carrier::broadcast:
      return "broadcast";
    case beacon_carrier::ipv4_multicast:
      return "multicast";
    case beacon_carrier::ipv6_multicast:
      return "IPv6 multicast";
  }
  return "";
}

std::string_view to_string(probe_answer how) noexcept {
  switch (how) {
    case probe_answer::answered:
      return "answered";
    case probe_answer::refused:
      return "refused";
    case probe_answer::silent:
      return "silent";
  }
  return "";
}

namespace detail {
namespace {

constexpr std::size_t most_sightings = 32;
constexpr std::size_t most_attempts = 16;

constexpr std::string_view signature = "ZRE";

std::optional<std::uint8_t> version_of(std::string_view datagram) {
  return datagram.starts_with(signature) && datagram.size() > signature.size()
             ? std::optional{static_cast<std::uint8_t>(datagram[signature.size()])}
             : std::nullopt;
}

}  // namespace

void neighbour_log::heard(const beacon_sockets::datagram& came, const std::optional<beacon>& read,
                          time_point now) {
  std::vector<neighbour::sighting>& of =
      heard_.touch({read ? read->id : peer_id{}, version_of(came.bytes)}, now);
  const std::uint16_t port = read ? read->port : std::uint16_t{0};
  const auto same = std::ranges::find_if(of, [&](const neighbour::sighting& each) {
    return each.port == port && each.by == came.by && each.interface == came.interface &&
           each.host == came.host;
  });
  if (same != of.end()) {
    ++same->count;
  } else if (of.size() < most_sightings) {
    of.push_back({came.interface, came.by, came.host, port, 1});
  }
}

void neighbour_log::probed(const peer_id& who, const peer_place& where, probe_answer how,
                           time_point now) {
  std::vector<neighbour::attempt>& of = tried_.touch(who, now);
  const std::string address = where.str();
  const auto same = std::ranges::find(of, address, &neighbour::attempt::address);
  if (same != of.end()) {
    same->last = how;
  } else if (of.size() < most_attempts) {
    of.push_back({address, how});
  }
}

std::vector<neighbour> neighbour_log::all(time_point now) {
  heard_.forget(now);
  tried_.forget(now);
  std::map<peer_id, const std::vector<neighbour::attempt>*> left;
  for (const auto& [who, touched, attempts] : tried_.entries()) {
    left.emplace(who, &attempts);
  }
  std::vector<neighbour> all;
  for (const auto& [who, touched, sightings] : heard_.entries()) {
    const auto tried = left.extract(who.first);
    all.push_back({who.first, who.second, sightings,
                   tried ? *tried.mapped() : std::vector<neighbour::attempt>{}});
  }
  for (const auto& [id, attempts] : left) {
    all.push_back({.id = id, .attempts = *attempts});
  }
  return all;
}

}  // namespace detail
}  // namespace parley
