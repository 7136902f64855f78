// SPDX-License-Identifier: MPL-2.0
#include "service_table.hpp"

#include <parley/error.hpp>

#include "peer_place.hpp"

#include <algorithm>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 3s;

struct offered {
  std::string name;
  endpoint where;
};

// Nothing: it is no service, or none that one could connect to. Names of hosts are not looked up.
std::optional<offered> parse(std::string_view group, const std::string& host) {
  const auto space = group.find(' ');
  if (space == std::string_view::npos) {
    return std::nullopt;
  }
  try {
    const endpoint name{group.substr(0, space)};
    const endpoint where{group.substr(space + 1)};
    const bool is_anywhere = where.address() == "*";
    if (name.kind() != transport::service || where.kind() != transport::tcp || where.port() == 0 ||
        !(is_anywhere || peer_place{where.address(), where.port()}.is_numerical())) {
      return std::nullopt;
    }
    return offered{name.address(),
                   is_anywhere ? endpoint{peer_place{host, where.port()}.str()} : where};
  } catch (const error&) {
    return std::nullopt;
  }
}

}  // namespace

std::string service_group(const std::string& name, const endpoint& bound) {
  const bool is_anywhere = bound.address() == "0.0.0.0" || bound.address() == "::";
  return std::string{service_group_prefix} + name + ' ' +
         (is_anywhere ? peer_place{"*", bound.port()}.str() : bound.str());
}

void service_table::add(const peer_id& of, std::string_view group, const std::string& host) {
  auto found = parse(group, host);
  if (!found) {
    return;
  }
  const auto [at, is_new] =
      offers_.try_emplace({of, std::string{group}}, offer{found->name, found->where});
  offer& known = at->second;
  known.gone = time_point::max();
  if (!is_new && known.where == found->where) {
    return;
  }
  if (!is_new) {
    changes_.push_back({known.name, std::exchange(known.where, found->where), false});
  }
  changes_.push_back({known.name, known.where, true});
}

void service_table::remove(const peer_id& of, std::string_view group, time_point now) {
  if (const auto known = offers_.find({of, std::string{group}}); known != offers_.end()) {
    known->second.gone = std::min(known->second.gone, now + patience);
  }
}

void service_table::remove_all(const peer_id& of, time_point now) {
  for (auto each = offers_.lower_bound({of, {}}); each != offers_.end() && each->first.first == of;
       ++each) {
    each->second.gone = std::min(each->second.gone, now + patience);
  }
}

std::vector<service_table::change> service_table::take_changes(time_point now) {
  for (auto each = offers_.begin(); each != offers_.end();) {
    if (each->second.gone <= now) {
      changes_.push_back({each->second.name, each->second.where, false});
      each = offers_.erase(each);
    } else {
      ++each;
    }
  }
  return std::exchange(changes_, {});
}

std::vector<service_table::change> service_table::take_all() {
  for (auto& [key, each] : offers_) {
    changes_.push_back({std::move(each.name), std::move(each.where), false});
  }
  offers_.clear();
  return std::exchange(changes_, {});
}

service_table::time_point service_table::due() const noexcept {
  auto next = changes_.empty() ? time_point::max() : time_point::min();
  for (const auto& [key, each] : offers_) {
    next = std::min(next, each.gone);
  }
  return next;
}

}  // namespace parley::detail
