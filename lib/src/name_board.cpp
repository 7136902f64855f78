// SPDX-License-Identifier: MPL-2.0
#include <parley/name_board.hpp>

#include <parley/error.hpp>

#include <cassert>
#include <utility>

namespace parley::detail {
namespace {

// Where a bound endpoint is for those of the same process.
endpoint here(const endpoint& bound) {
  if (!bound.is_wildcard() && bound.address() != "0.0.0.0" && bound.address() != "::") {
    return bound;
  }
  return endpoint{"tcp://127.0.0.1:" + std::to_string(bound.port())};
}

}  // namespace

void name_board::entry::drop() noexcept {
  if (const auto board = std::exchange(board_, nullptr)) {
    board->drop(number_);
  }
}

name_board::entry name_board::announce(const std::string& name, const endpoint& bound) {
  assert(bound.kind() == transport::tcp && bound.port() != 0);
  const std::lock_guard lock{mutex_};
  announcements_.emplace(++last_, announcement{name, bound});
  entry made{shared_from_this(), last_};
  add(name, here(bound));
  tell_lookouts(name, bound, true);
  return made;
}

name_board::entry name_board::follow(const std::string& name, told hears) {
  const std::lock_guard lock{mutex_};
  if (lookouts_.empty()) {
    throw config_error{"service:" + name +
                       ": nobody looks for names in this context; make a parley::peers first"};
  }
  const auto made = std::make_shared<following>(following{name, std::move(hears)});
  followings_.emplace(++last_, made);
  entry kept{shared_from_this(), last_};
  for (const endpoint& each : all(name)) {
    made->hears(each, true);
  }
  return kept;
}

name_board::entry name_board::look_out(announced hears) {
  const std::lock_guard lock{mutex_};
  for (const auto& [number, each] : announcements_) {
    hears(each.name, each.where, true);
  }
  lookouts_.emplace(++last_, std::make_shared<announced>(std::move(hears)));
  return {shared_from_this(), last_};
}

void name_board::drop(std::uint64_t number) noexcept {
  const std::lock_guard lock{mutex_};
  if (const auto gone = announcements_.extract(number)) {
    const announcement& was = gone.mapped();
    take(was.name, here(was.where));
    tell_lookouts(was.name, was.where, false);
  }
  followings_.erase(number);
  lookouts_.erase(number);
}

void name_board::found(const std::string& name, const endpoint& where) {
  const std::lock_guard lock{mutex_};
  add(name, where);
}

void name_board::lost(const std::string& name, const endpoint& where) {
  const std::lock_guard lock{mutex_};
  take(name, where);
}

std::vector<endpoint> name_board::all(const std::string& name) const {
  const std::lock_guard lock{mutex_};
  std::vector<endpoint> all;
  if (const auto known = there_.find(name); known != there_.end()) {
    for (const auto& [where, count] : known->second) {
      all.emplace_back(where);
    }
  }
  return all;
}

void name_board::add(const std::string& name, const endpoint& where) {
  if (++there_[name][where.str()] == 1) {
    tell(name, where, true);
  }
}

void name_board::take(const std::string& name, const endpoint& where) {
  const auto known = there_.find(name);
  if (known == there_.end()) {
    return;
  }
  const auto counted = known->second.find(where.str());
  if (counted == known->second.end() || --counted->second > 0) {
    return;
  }
  known->second.erase(counted);
  if (known->second.empty()) {
    there_.erase(known);
  }
  tell(name, where, false);
}

// They may follow others, and no longer follow this one, when they are told.
void name_board::tell(const std::string& name, const endpoint& where, bool is_there) {
  for (const auto& [number, each] : std::map{followings_}) {
    if (each->name == name && followings_.contains(number)) {
      each->hears(where, is_there);
    }
  }
}

void name_board::tell_lookouts(const std::string& name, const endpoint& where, bool is_there) {
  for (const auto& [number, hears] : std::map{lookouts_}) {
    (*hears)(name, where, is_there);
  }
}

}  // namespace parley::detail
