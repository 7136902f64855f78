// SPDX-License-Identifier: MPL-2.0
#include "beacon_sockets.hpp"

#include <parley/error.hpp>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace parley::detail {
namespace {

constexpr const char* ipv4_group = "239.0.0.0";
constexpr const char* ipv6_group = "ff02::1";  // all nodes: every host is in it already

void set(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

int open_socket(int family) {
  const int fd = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0) {
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);  // all programs of this host hear the same port
    set(fd, SOL_SOCKET, SO_BROADCAST, 1);
  }
  return fd;
}

}  // namespace

beacon_sockets::beacon_sockets(std::uint16_t port, const std::vector<std::string>& interfaces)
    : port_{port}, wanted_{interfaces}, ipv4_{open_socket(AF_INET)}, ipv6_{open_socket(AF_INET6)} {
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  if (ipv4_ < 0 || ::bind(ipv4_, reinterpret_cast<sockaddr*>(&any), sizeof any) != 0) {
    const std::string why = std::strerror(errno);
    ::close(ipv4_);
    ::close(ipv6_);
    throw error{errc::cannot_bind, "UDP port " + std::to_string(port) + " of beacons: " + why};
  }
  set(ipv4_, IPPROTO_IP, IP_PKTINFO, 1);
  set(ipv4_, IPPROTO_IP, IP_MULTICAST_ALL, 0);
  if (ipv6_ >= 0) {
    sockaddr_in6 any6{};
    any6.sin6_family = AF_INET6;
    any6.sin6_port = htons(port);
    set(ipv6_, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set(ipv6_, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    if (::bind(ipv6_, reinterpret_cast<sockaddr*>(&any6), sizeof any6) != 0) {
      ::close(std::exchange(ipv6_, -1));  // a host may have no IPv6
    }
  }
  look_around();
}

beacon_sockets::~beacon_sockets() {
  ::close(ipv4_);
  if (ipv6_ >= 0) {
    ::close(ipv6_);
  }
}

bool beacon_sockets::is_wanted(const network_interface& one) const {
  return wanted_.empty() || std::ranges::any_of(wanted_, [&](const std::string& word) {
           return word == one.name || word == one.address;
         });
}

void beacon_sockets::join(const network_interface& one) const {
  ip_mreqn group{};
  ::inet_pton(AF_INET, ipv4_group, &group.imr_multiaddr);
  group.imr_ifindex = static_cast<int>(one.index);
  // Fails when it is in the group already, or when the interface is going.
  ::setsockopt(ipv4_, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group);
}

bool beacon_sockets::look_around() {
  std::vector<network_interface> now = network_interfaces();
  std::erase_if(now, [this](const network_interface& one) { return !is_wanted(one); });
  bool has_new = false;
  std::vector<target> targets;
  const auto aim = [&](const network_interface& from, const std::string& to, beacon_carrier by) {
    const auto known = std::ranges::find_if(targets_, [&](const target& each) {
      return each.from.name == from.name && each.from.address == from.address && each.to == to;
    });
    if (known != targets_.end()) {
      known->from = from;
      targets.push_back(std::move(*known));
    } else {
      targets.push_back(
          {from, to, by, {.name = from.name, .address = from.address, .sent_to = to}});
      has_new = true;
    }
  };
  for (const network_interface& each : now) {
    if (each.is_ipv6) {
      if (ipv6_ >= 0) {
        aim(each, ipv6_group, beacon_carrier::ipv6_multicast);
      }
      continue;
    }
    if (!each.broadcast.empty()) {
      aim(each, each.broadcast, beacon_carrier::broadcast);
    }
    if (each.does_multicast) {
      join(each);
      aim(each, ipv4_group, beacon_carrier::ipv4_multicast);
    }
    if (each.broadcast.empty() && !each.does_multicast) {
      aim(each, {}, {});  // nobody can be told of us there; said in the books
    }
  }
  interfaces_ = std::move(now);
  targets_ = std::move(targets);
  return has_new;
}

void beacon_sockets::send(target& over, std::string_view bytes) const {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in_pktinfo))> control{};
  sockaddr_in to{};
  sockaddr_in6 to6{};
  if (over.from.is_ipv6) {
    to6.sin6_family = AF_INET6;
    to6.sin6_port = htons(port_);
    to6.sin6_scope_id = over.from.index;
    ::inet_pton(AF_INET6, over.to.c_str(), &to6.sin6_addr);
    head.msg_name = &to6;
    head.msg_namelen = sizeof to6;
  } else {
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    ::inet_pton(AF_INET, over.to.c_str(), &to.sin_addr);
    head.msg_name = &to;
    head.msg_namelen = sizeof to;
    // Out of this interface, whatever the routes say.
    head.msg_control = control.data();
    head.msg_controllen = control.size();
    cmsghdr* const info = CMSG_FIRSTHDR(&head);
    info->cmsg_level = IPPROTO_IP;
    info->cmsg_type = IP_PKTINFO;
    info->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    in_pktinfo from{};
    from.ipi_ifindex = static_cast<int>(over.from.index);
    ::inet_pton(AF_INET, over.from.address.c_str(), &from.ipi_spec_dst);
    std::memcpy(CMSG_DATA(info), &from, sizeof from);
  }
  if (::sendmsg(over.from.is_ipv6 ? ipv6_ : ipv4_, &head, MSG_NOSIGNAL) < 0) {
    ++over.books.refused;
    over.books.why_refused = {errno, std::generic_category()};
  } else {
    ++over.books.sent;
  }
}

void beacon_sockets::send(std::string_view bytes) {
  for (target& each : targets_) {
    if (!each.to.empty()) {
      send(each, bytes);
    }
  }
}

std::optional<beacon_sockets::datagram> beacon_sockets::receive() {
  for (const int fd : {ipv4_, ipv6_}) {
    for (;;) {
      if (fd < 0) {
        break;
      }
      iovec part{buffer_.data(), buffer_.size()};
      sockaddr_in6 from{};  // the larger one
      alignas(cmsghdr) std::array<char, 128> control{};
      msghdr head{};
      head.msg_name = &from;
      head.msg_namelen = sizeof from;
      head.msg_iov = &part;
      head.msg_iovlen = 1;
      head.msg_control = control.data();
      head.msg_controllen = control.size();
      const ssize_t size = ::recvmsg(fd, &head, 0);
      if (size < 0) {
        if (errno == EINTR) {
          continue;
        }
        break;
      }
      heard_over_ = 0;
      heard_by_ = fd == ipv6_ ? beacon_carrier::ipv6_multicast : beacon_carrier::broadcast;
      for (cmsghdr* each = CMSG_FIRSTHDR(&head); each != nullptr; each = CMSG_NXTHDR(&head, each)) {
        if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_PKTINFO) {
          in_pktinfo info{};
          std::memcpy(&info, CMSG_DATA(each), sizeof info);
          heard_over_ = static_cast<unsigned>(info.ipi_ifindex);
          if (IN_MULTICAST(ntohl(info.ipi_addr.s_addr))) {
            heard_by_ = beacon_carrier::ipv4_multicast;
          }
        } else if (each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_PKTINFO) {
          in6_pktinfo info{};
          std::memcpy(&info, CMSG_DATA(each), sizeof info);
          heard_over_ = info.ipi6_ifindex;
        }
      }
      const auto over = std::ranges::find(interfaces_, heard_over_, &network_interface::index);
      if (!wanted_.empty() && over == interfaces_.end()) {
        continue;
      }
      std::array<char, INET6_ADDRSTRLEN> text{};
      std::string host;
      if (heard_by_ == beacon_carrier::ipv6_multicast) {
        ::inet_ntop(AF_INET6, &from.sin6_addr, text.data(), text.size());
        host = text.data();
        std::array<char, IF_NAMESIZE> name{};
        if (from.sin6_scope_id != 0 && ::if_indextoname(from.sin6_scope_id, name.data())) {
          host += '%';
          host += name.data();
        }
      } else {
        ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&from)->sin_addr, text.data(),
                    text.size());
        host = text.data();
      }
      return datagram{{buffer_.data(), static_cast<std::size_t>(size)},
                      std::move(host),
                      over == interfaces_.end() ? std::string{} : over->name,
                      heard_by_};
    }
  }
  return std::nullopt;
}

void beacon_sockets::count_heard() noexcept {
  const auto over = std::ranges::find_if(targets_, [this](const target& each) {
    return each.from.index == heard_over_ && each.by == heard_by_;
  });
  if (over != targets_.end()) {
    ++over->books.heard;
  }
}

std::vector<interface_status> beacon_sockets::status() const {
  std::vector<interface_status> all;
  for (const target& each : targets_) {
    all.push_back(each.books);
  }
  return all;
}

}  // namespace parley::detail
