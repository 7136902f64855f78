// SPDX-License-Identifier: MPL-2.0
#include "peers_check.hpp"

#include "letter_carrier.hpp"
#include "service_table.hpp"
#include "zre_wire.hpp"

#include <parley/error.hpp>
#include <parley/text.hpp>

#include <chrono>
#include <string>

namespace parley::detail {

using namespace std::chrono_literals;

void check_peers_options(const peers_options& options) {
  const auto refuse = [](const char* why) { throw config_error{std::string{"peers: "} + why}; };
  if (options.name.size() > longest_zre_text) {
    refuse("a name has 255 octets at most");
  }
  bool is_text = is_utf8(options.name) && is_utf8(options.identity);
  for (const auto& [name, value] : options.headers) {
    if (name.empty() || name.size() > longest_zre_text || value.size() > 0xffff) {
      refuse("the name of a header has 1 to 255 octets, its value 65,535 at most");
    }
    is_text = is_text && is_utf8(name) && is_utf8(value);
  }
  if (!is_text) {
    refuse("names, headers and identities are UTF-8: others end pyre");
  }
  if (options.identity.size() > longest_identity) {
    refuse("an identity has 200 octets at most");
  }
  if (options.interval <= 0ms || options.evasive <= 0ms || options.expired <= options.evasive) {
    refuse("the interval is positive, and a peer is evasive before it is gone");
  }
  if (options.curve.server()) {
    refuse("they have keys of their own, each, and no server");
  }
  if (options.rate.within <= 0ms) {
    refuse("the time of a rate is positive");
  }
  if (options.limit == 0 || options.limit_bytes == 0 || options.most_peers == 0) {
    refuse("limits are positive");
  }
  for (const auto& [where, key] : options.seeds) {
    if (where.kind() != transport::tcp || where.is_wildcard()) {
      refuse("a seed is at tcp://HOST:PORT");
    }
    if (key.has_value() != options.curve.own().has_value()) {
      refuse("a seed has a key in a secured network, and in no other");
    }
  }
  if (options.gossip && options.gossip->kind() != transport::tcp) {
    refuse("others ask a seed at tcp://HOST:PORT");
  }
}

void check_group(std::string_view group) {
  if (group.empty() || group.size() > longest_zre_text) {
    throw config_error{"the name of a group has 1 to 255 octets"};
  }
  if (!is_utf8(group)) {
    throw config_error{"the name of a group is UTF-8: others end pyre"};
  }
  if (group.starts_with(service_group_prefix)) {
    throw config_error{"groups that begin with service: are for what is announced"};
  }
}

}  // namespace parley::detail
