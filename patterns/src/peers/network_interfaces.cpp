// SPDX-License-Identifier: MPL-2.0
#include "network_interfaces.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

namespace parley::detail {
namespace {

std::string text_of(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* const octets =
      address->sa_family == AF_INET6
          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr)
          : &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  ::inet_ntop(address->sa_family, octets, text.data(), text.size());
  return text.data();
}

}  // namespace

std::vector<network_interface> network_interfaces() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) {
    return {};
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> all{first, &::freeifaddrs};
  std::vector<network_interface> found;
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    const unsigned flags = each->ifa_flags;
    if (each->ifa_addr == nullptr || (flags & IFF_UP) == 0 || (flags & IFF_RUNNING) == 0) {
      continue;
    }
    network_interface one;
    one.name = each->ifa_name;
    one.index = ::if_nametoindex(each->ifa_name);
    one.does_multicast = (flags & IFF_MULTICAST) != 0 && (flags & IFF_LOOPBACK) == 0;
    if (each->ifa_addr->sa_family == AF_INET) {
      one.address = text_of(each->ifa_addr);
      if ((flags & IFF_LOOPBACK) != 0) {
        one.broadcast = "127.255.255.255";
      } else if ((flags & IFF_BROADCAST) != 0 && each->ifa_broadaddr != nullptr) {
        one.broadcast = text_of(each->ifa_broadaddr);
      }
    } else if (each->ifa_addr->sa_family == AF_INET6 && one.does_multicast &&
               IN6_IS_ADDR_LINKLOCAL(
                   &reinterpret_cast<const sockaddr_in6*>(each->ifa_addr)->sin6_addr)) {
      one.address = text_of(each->ifa_addr);
      one.is_ipv6 = true;
    } else {
      continue;
    }
    found.push_back(std::move(one));
  }
  return found;
}

interface_watch::interface_watch()
    : fd_{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)} {
  sockaddr_nl groups{};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (fd_ >= 0 && ::bind(fd_, reinterpret_cast<sockaddr*>(&groups), sizeof groups) != 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

interface_watch::~interface_watch() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

bool interface_watch::has_changed() noexcept {
  bool has = false;
  std::array<char, 8192> news;
  // What it says does not matter: one looks for oneself. An overflow of it is news, too.
  while (fd_ >= 0 && (::recv(fd_, news.data(), news.size(), 0) > 0 || errno == ENOBUFS)) {
    has = true;
  }
  return has;
}

}  // namespace parley::detail
