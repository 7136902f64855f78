// SPDX-License-Identifier: MPL-2.0
//
// Services that peers offer. Who offers one is in a group whose name says what and where, so that
// late joiners learn of it by the HELLO and others by a JOIN, plain ZRE peers included:
//
//   service:NAME tcp://HOST:PORT      HOST is * for wherever the peer is
//
// One that is gone counts as there for a while: its peer may be greeted anew at once, and calls
// under way should not suffer. No I/O.
#pragma once

#include <parley/endpoint.hpp>
#include <parley/peer_id.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace parley::detail {

inline constexpr std::string_view service_group_prefix = "service:";

[[nodiscard]] std::string service_group(const std::string& name, const endpoint& bound);

class service_table {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  // A service of a peer that is reached at that host. Nonsense is passed over.
  void add(const peer_id& of, std::string_view group, const std::string& host);
  void remove(const peer_id& of, std::string_view group, time_point now);
  void remove_all(const peer_id& of, time_point now);

  struct change {
    std::string name;
    endpoint where;
    bool is_there;
  };
  // What changed until now.
  [[nodiscard]] std::vector<change> take_changes(time_point now);
  // And what is there is gone.
  [[nodiscard]] std::vector<change> take_all();
  // When there will be one.
  [[nodiscard]] time_point due() const noexcept;

 private:
  struct offer {
    std::string name;
    endpoint where;
    time_point gone = time_point::max();  // counts until then
  };
  std::map<std::pair<peer_id, std::string>, offer> offers_;
  std::vector<change> changes_;
};

}  // namespace parley::detail
