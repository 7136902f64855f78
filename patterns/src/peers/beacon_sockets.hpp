// SPDX-License-Identifier: MPL-2.0
//
// Sends beacons to all interfaces at once, and hears those of others: IPv4 broadcast and multicast,
// IPv6 link-local multicast, from one UDP socket each that is shared with the other programs of
// this host. One thread.
//
// Sources: RFC 36; the multicast groups are those of czmq's zbeacon.
#pragma once

#include <parley/peers.hpp>

#include "network_interfaces.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley::detail {

class beacon_sockets {
 public:
  // Names or addresses of interfaces; none: all. Throws error: cannot_bind.
  beacon_sockets(std::uint16_t port, const std::vector<std::string>& interfaces);
  ~beacon_sockets();
  beacon_sockets(const beacon_sockets&) = delete;
  beacon_sockets& operator=(const beacon_sockets&) = delete;

  // Readable: receive may have something. -1: there is none.
  [[nodiscard]] std::array<int, 2> fds() const noexcept { return {ipv4_, ipv6_}; }

  // Looks which interfaces there are now. True: some are new.
  bool look_around();
  void send(std::string_view bytes);

  struct datagram {
    std::string_view bytes;  // until the next call
    std::string host;        // a numerical address, IPv6 with its scope
    std::string interface;   // that it came by
    beacon_carrier by;
  };
  // Nothing: there is no more.
  [[nodiscard]] std::optional<datagram> receive();
  // The last one was a beacon, for the books.
  void count_heard() noexcept;

  [[nodiscard]] std::vector<interface_status> status() const;

 private:
  struct target {
    network_interface from;
    std::string to;
    beacon_carrier by;
    interface_status books;
  };
  [[nodiscard]] bool is_wanted(const network_interface& one) const;
  void send(target& over, std::string_view bytes) const;
  void join(const network_interface& one) const;

  const std::uint16_t port_;
  const std::vector<std::string> wanted_;
  int ipv4_ = -1;
  int ipv6_ = -1;
  std::vector<network_interface> interfaces_;
  std::vector<target> targets_;
  unsigned heard_over_ = 0;  // the index of the interface that the last datagram came by
  beacon_carrier heard_by_{};
  std::array<char, 512> buffer_{};
};

}  // namespace parley::detail
