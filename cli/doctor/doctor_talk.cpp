// SPDX-License-Identifier: MPL-2.0
#include "doctor/doctor_talk.hpp"

#include <parley/error.hpp>

#include <algorithm>

namespace {

using namespace std::chrono_literals;
using parley::neighbour;
using parley::peer_event;

// Before one says what one heard: a few beacons.
constexpr auto listening_time = 2s;
constexpr auto silence = 500ms;
constexpr auto longest_talk = 8s;
constexpr auto tick_time = 100ms;
constexpr std::uint64_t small_pings = 3;
constexpr std::size_t large = 16 * 1024;
// Of what a stranger may make us send back, and keep.
constexpr std::size_t most_sightings = 64;
constexpr std::size_t most_partners = 64;

std::string host_of(const std::string& address) {
  constexpr std::string_view scheme = "tcp://";
  const auto colon = address.rfind(':');
  if (!address.starts_with(scheme) || colon < scheme.size()) {
    return address;
  }
  const std::string host = address.substr(scheme.size(), colon - scheme.size());
  return host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
}

parley::beacon_carrier carrier_of(const std::string& word) {
  for (const auto each :
       {parley::beacon_carrier::ipv4_multicast, parley::beacon_carrier::ipv6_multicast}) {
    if (word == to_string(each)) {
      return each;
    }
  }
  return parley::beacon_carrier::broadcast;
}

doctor_word report_on(const parley::peer_id& whom, const parley::peer_id& own,
                      const std::vector<neighbour>& all) {
  doctor_word said{.what = "report", .hears_itself = false};
  for (const neighbour& each : all) {
    if (each.id == own) {
      said.hears_itself = std::ranges::any_of(
          each.sightings, [](const auto& one) { return !one.host.starts_with("127."); });
    }
    if (each.id == whom) {
      for (const neighbour::sighting& one : each.sightings) {
        said.heard.push_back({one.interface, std::string{to_string(one.by)}, one.host, one.count});
      }
    }
  }
  return said;
}

}  // namespace

void doctor_talk::hear(const peer_event& event, time_point now) {
  const auto known = partners_.find(event.peer);
  if (event.what == peer_event::kind::enter) {
    if (!event.headers.contains(doctor_header) ||
        (known == partners_.end() && partners_.size() >= most_partners) ||
        (known != partners_.end() && known->second.is_over)) {
      return;
    }
    // Whoever comes again and again is not talked to for longer.
    const auto since = known == partners_.end() ? now : known->second.since;
    partner& made = partners_[event.peer] = partner{};
    made.opinion.who = event.peer;
    made.opinion.name = event.name;
    made.opinion.host = host_of(event.address);
    made.since = since;
    ping(made, 0, now);
  } else if (known == partners_.end()) {
    return;
  } else if (event.what == peer_event::kind::exit) {
    known->second.is_over = known->second.is_over || event.reason == parley::peer_exit::left;
  } else if (event.what == peer_event::kind::whisper) {
    try {
      hear(known->second, event.as<doctor_word>(), now);
    } catch (const parley::protocol_error&) {
      // Not what a doctor says.
    }
  }
}

void doctor_talk::ping(partner& to, std::size_t padding, time_point now) {
  to.pinged = now;
  steps_.push_back({to.opinion.who,
                    {.what = "ping", .number = ++to.pings, .padding = std::string(padding, 'x')}});
}

void doctor_talk::hear(partner& from, const doctor_word& said, time_point now) {
  parley::second_opinion& opinion = from.opinion;
  const auto answer = [&](doctor_word word) { steps_.push_back({opinion.who, std::move(word)}); };
  if (said.what == "ping" && said.padding.size() <= large) {
    answer({.what = "pong", .number = said.number, .padding = said.padding});
  } else if (said.what == "pong" && said.number == from.pings) {
    const auto taken = std::chrono::duration_cast<std::chrono::microseconds>(now - from.pinged);
    if (opinion.takes_large == false) {
      opinion.takes_large = true;
      answer({.what = "done"});
    } else if (said.number <= small_pings) {
      opinion.round_trip = std::min(opinion.round_trip.value_or(taken), taken);
      if (said.number < small_pings) {
        ping(from, 0, now);
      }
    }
  } else if (said.what == "report") {
    opinion.hears_itself = said.hears_itself;
    opinion.heard.clear();
    for (const doctor_word::sighting& each : said.heard) {
      if (opinion.heard.size() < most_sightings) {
        opinion.heard.push_back({each.interface, carrier_of(each.by), each.host, 0, each.count});
      }
    }
    from.has_reported = true;
    answer({.what = "got"});
  } else if (said.what == "got") {
    from.has_heard_report = true;
  } else if (said.what == "done") {
    from.is_done = true;
  }
}

void doctor_talk::look_at(partner& at, time_point now, const parley::peer_id& own,
                          const neighbours& all) {
  if (!at.is_told && now - at.since >= listening_time) {
    at.is_told = true;
    steps_.push_back({at.opinion.who, report_on(at.opinion.who, own, all())});
  }
  // Last, for it may be the end of the connection; and not in one packet with what was said before.
  if (!at.has_reported || !at.has_heard_report || !at.opinion.round_trip) {
    at.last_said = now;
  } else if (!at.opinion.takes_large && now - at.last_said >= silence) {
    at.opinion.takes_large = false;
    ping(at, large, now);
  }
  at.is_over = at.is_over || (at.is_done && at.opinion.takes_large.value_or(false)) ||
               now - at.since >= longest_talk;
}

doctor_talk::time_point doctor_talk::tick(time_point now, const parley::peer_id& own,
                                          const neighbours& all) {
  for (auto& [who, each] : partners_) {
    if (!each.is_over) {
      look_at(each, now, own, all);
    }
  }
  return now + tick_time;
}

bool doctor_talk::is_over() const {
  return std::ranges::all_of(partners_, [](const auto& each) { return each.second.is_over; });
}

std::size_t doctor_talk::count_done() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(partners_, [](const auto& each) { return each.second.is_over; }));
}

std::vector<parley::second_opinion> doctor_talk::opinions() const {
  std::vector<parley::second_opinion> all;
  for (const auto& [who, each] : partners_) {
    // Who left before it said anything has no opinion.
    if (each.has_reported || each.is_over) {
      all.push_back(each.opinion);
    }
  }
  return all;
}
