// SPDX-License-Identifier: MPL-2.0
//
// The network interfaces of this host that are up, and word when they change. One thread.
#pragma once

#include <string>
#include <vector>

namespace parley::detail {

// One address of one interface.
struct network_interface {
  std::string name;
  unsigned index = 0;
  std::string address;      // numerical; IPv6: link-local, without its scope
  std::string broadcast{};  // IPv4; empty: it has none
  bool is_ipv6 = false;
  bool does_multicast = false;

  friend bool operator==(const network_interface&, const network_interface&) = default;
};

// In a stable order. Loopback takes broadcasts, too: so programs of one host find each other.
[[nodiscard]] std::vector<network_interface> network_interfaces();

// Netlink (rtnetlink(7)) tells of links and addresses that come and go.
class interface_watch {
 public:
  interface_watch();
  ~interface_watch();
  interface_watch(const interface_watch&) = delete;
  interface_watch& operator=(const interface_watch&) = delete;

  // Readable when has_changed would say so; -1: the system does not tell.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  // Since it was asked last.
  [[nodiscard]] bool has_changed() noexcept;

 private:
  int fd_;
};

}  // namespace parley::detail
