// SPDX-License-Identifier: MPL-2.0
#include "peer_places.hpp"

#include <algorithm>

namespace parley::detail {

const peer_places::place* peer_places::find(const peer_place& where) const {
  const auto found = std::ranges::find(places_, where, &place::where);
  return found == places_.end() ? nullptr : &*found;
}

void peer_places::add(const peer_place& where) {
  if (contain(where)) {
    return;
  }
  if (places_.size() >= most) {
    places_.erase(
        std::ranges::find_if(places_, [&](const place& each) { return each.where != used_; }));
  }
  places_.push_back({.where = where});
}

void peer_places::add_named(const std::string& endpoint, const std::string& host) {
  const auto named = peer_place::parse(endpoint);
  if (!named) {
    return;
  }
  const peer_place from{host, named->port};
  if (!host.empty()) {
    add(from);
  }
  if (named->is_numerical() && (!named->is_loopback() || from.is_loopback())) {
    add(*named);
  }
}

std::vector<peer_place> peer_places::begin_trial(time_point now) {
  std::vector<peer_place> begun;
  for (place& each : places_) {
    each.does_answer = false;
    if (!each.is_on_trial && each.wrong_until <= now) {
      each.is_on_trial = true;
      begun.push_back(each.where);
    }
  }
  return begun;
}

bool peer_places::tried(const peer_place& where, probe_answer how, const std::string& own_host) {
  const auto found = std::ranges::find(places_, where, &place::where);
  if (found == places_.end()) {
    return false;
  }
  found->is_on_trial = false;
  found->does_answer = how == probe_answer::answered;
  if (found->does_answer) {
    found->own_host = own_host;
  }
  return true;
}

bool peer_places::is_trying() const { return std::ranges::any_of(places_, &place::is_on_trial); }

std::string peer_places::own_host() const {
  const place* const used = find(used_);
  return used != nullptr ? used->own_host : std::string{};
}

bool peer_places::have_moved() const {
  const place* const used = find(used_);
  return used != nullptr && !used->is_on_trial && !used->does_answer &&
         std::ranges::any_of(places_, &place::does_answer);
}

void peer_places::set_wrong(time_point until) {
  if (const auto found = std::ranges::find(places_, used_, &place::where); found != places_.end()) {
    found->wrong_until = until;
  }
}

bool peer_places::are_wrong(time_point now) const {
  return std::ranges::all_of(places_, [&](const place& each) { return each.wrong_until > now; });
}

bool peer_places::contain(const std::string& host) const {
  return std::ranges::any_of(places_, [&](const place& each) { return each.where.host == host; });
}

std::optional<peer_place> peer_places::latest() const {
  return places_.empty() ? std::nullopt : std::optional{places_.back().where};
}

std::vector<peer_place> peer_places::all() const {
  std::vector<peer_place> all;
  std::ranges::transform(places_, std::back_inserter(all), &place::where);
  return all;
}

}  // namespace parley::detail
