// SPDX-License-Identifier: MPL-2.0
#include "doctor/host_facts.hpp"

#include "doctor/firewall_text.hpp"
#include "shell_command.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <system_error>

namespace {

using parley::host_interface;
using parley::probe_answer;

// SIOCGIWNAME, whose header does not go together with net/if.h. Only Wi-Fi has an answer.
constexpr unsigned long wireless_name = 0x8B01;
constexpr int try_milliseconds = 2000;
constexpr double firewall_seconds = 5;

class descriptor {
 public:
  explicit descriptor(int fd) : fd_{fd} {}
  ~descriptor() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

std::string with_prefix(const sockaddr* address, const sockaddr* mask) {
  const bool is_ipv6 = address->sa_family == AF_INET6;
  const auto octets_of = [&](const sockaddr* of) {
    return is_ipv6 ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(of)->sin6_addr)
                   : &reinterpret_cast<const sockaddr_in*>(of)->sin_addr;
  };
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(address->sa_family, octets_of(address), text.data(), text.size());
  std::array<std::uint8_t, sizeof(in6_addr)> bits{};
  if (mask != nullptr) {
    std::memcpy(bits.data(), octets_of(mask), is_ipv6 ? sizeof(in6_addr) : sizeof(in_addr));
  }
  int length = 0;
  for (const std::uint8_t each : bits) {
    length += std::popcount(each);
  }
  return std::string{text.data()} + '/' + std::to_string(length);
}

void ask_system(host_interface& about) {
  const descriptor asked{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ifreq question{};
  about.name.copy(question.ifr_name, IFNAMSIZ - 1);
  if (::ioctl(asked.get(), SIOCGIFMTU, &question) == 0) {
    about.mtu = static_cast<std::size_t>(std::max(question.ifr_mtu, 0));
  }
  about.is_wireless = ::ioctl(asked.get(), wireless_name, &question) == 0;
}

// Of a socket; as /proc/net/udp has them.
std::string inode_of_udp_port(const char* table, std::uint16_t port) {
  std::ifstream in{table};
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::istringstream words{line};
    std::string word;
    std::string local;
    words >> word >> local;
    for (int skipped = 0; skipped < 7; ++skipped) {
      words >> word;
    }
    std::string inode;
    words >> inode;
    const auto colon = local.rfind(':');
    if (colon != std::string::npos &&
        std::strtoul(local.c_str() + colon + 1, nullptr, 16) == port && inode != "0") {
      return inode;
    }
  }
  return {};
}

}  // namespace

std::vector<host_interface> host_interfaces() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) {
    return {};
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> all{first, &::freeifaddrs};
  std::vector<host_interface> found;
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    auto known = std::ranges::find(found, each->ifa_name, &host_interface::name);
    if (known == found.end()) {
      host_interface made{.name = each->ifa_name};
      made.is_up = (each->ifa_flags & IFF_UP) != 0;
      made.has_carrier = (each->ifa_flags & IFF_RUNNING) != 0;
      made.is_loopback = (each->ifa_flags & IFF_LOOPBACK) != 0;
      ask_system(made);
      known = found.insert(found.end(), std::move(made));
    }
    const sockaddr* const address = each->ifa_addr;
    if (address != nullptr &&
        (address->sa_family == AF_INET ||
         (address->sa_family == AF_INET6 &&
          !IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr)))) {
      known->addresses.push_back(with_prefix(address, each->ifa_netmask));
      if ((each->ifa_flags & IFF_POINTOPOINT) != 0 && each->ifa_dstaddr != nullptr) {
        const std::string end = with_prefix(each->ifa_dstaddr, nullptr);
        known->other_ends.push_back(end.substr(0, end.find('/')));
      }
    }
  }
  return found;
}

std::string why_udp_port_is_taken(std::uint16_t port) {
  const descriptor tried{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const int yes = 1;
  ::setsockopt(tried.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  return ::bind(tried.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0
             ? std::string{}
             : std::generic_category().message(errno);
}

std::string owner_of_udp_port(std::uint16_t port) {
  std::string inode = inode_of_udp_port("/proc/net/udp", port);
  if (inode.empty()) {
    inode = inode_of_udp_port("/proc/net/udp6", port);
  }
  const std::string wanted = "socket:[" + inode + ']';
  std::error_code ignored;
  for (const auto& process : std::filesystem::directory_iterator{"/proc", ignored}) {
    if (inode.empty() ||
        process.path().filename().string().find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    for (auto each = std::filesystem::directory_iterator{process.path() / "fd", ignored};
         each != std::filesystem::directory_iterator{}; each.increment(ignored)) {
      if (std::filesystem::read_symlink(each->path(), ignored) == wanted) {
        std::string name;
        std::ifstream{process.path() / "comm"} >> name;
        return name + " (process " + process.path().filename().string() + ')';
      }
    }
  }
  return {};
}

std::string ports_of_the_system() {
  std::ifstream in{"/proc/sys/net/ipv4/ip_local_port_range"};
  std::string first;
  std::string last;
  return in >> first >> last ? first + '-' + last : parley::network_facts{}.tcp_ports;
}

std::uint64_t datagrams_not_read_in_time() {
  // A line of names, and one of numbers: "Udp: InDatagrams NoPorts InErrors ... RcvbufErrors".
  std::ifstream in{"/proc/net/snmp"};
  for (std::string names, numbers; std::getline(in, names) && std::getline(in, numbers);) {
    if (!names.starts_with("Udp:")) {
      continue;
    }
    std::istringstream name{names};
    std::istringstream number{numbers};
    std::string value;
    for (std::string each; name >> each && number >> value;) {
      if (each == "RcvbufErrors") {
        return std::strtoull(value.c_str(), nullptr, 10);
      }
    }
  }
  return 0;
}

probe_answer try_tcp(const parley::endpoint& where) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  if (::getaddrinfo(where.address().c_str(), std::to_string(where.port()).c_str(), &hints,
                    &first) != 0) {
    return probe_answer::silent;
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all{first, &::freeaddrinfo};
  auto best = probe_answer::silent;
  for (const addrinfo* each = first; each != nullptr; each = each->ai_next) {
    const descriptor tried{
        ::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    int code = 0;
    if (::connect(tried.get(), each->ai_addr, each->ai_addrlen) != 0) {
      code = errno;
    }
    if (code == EINPROGRESS) {
      pollfd waited{tried.get(), POLLOUT, 0};
      socklen_t size = sizeof code;
      if (::poll(&waited, 1, try_milliseconds) <= 0 ||
          ::getsockopt(tried.get(), SOL_SOCKET, SO_ERROR, &code, &size) != 0) {
        code = ETIMEDOUT;
      }
    }
    if (code == 0) {
      return probe_answer::answered;
    }
    best = code == ECONNREFUSED ? probe_answer::refused : best;
  }
  return best;
}

firewall_look look_at_firewall(int stop_fd) {
  timeout_arg limit;
  limit.set_usual(firewall_seconds);
  const auto run = [&](const std::string& command) {
    // They stand where a user's own path need not lead.
    return shell_command{"PATH=$PATH:/usr/sbin:/sbin; " + command, limit}.run({}, stop_fd);
  };
  const auto is_there = [&](const std::string& name) {
    return !run("command -v " + name).failure.has_value();
  };
  firewall_look seen{{}, "neither nft nor iptables-save is here to read it"};
  bool is_read = false;
  for (const bool is_nft : {true, false}) {
    // The rules of iptables are nft's, too, unless it is the old one.
    if (seen.rules.empty() && is_there(is_nft ? "nft" : "iptables-save")) {
      const command_answer told = run(is_nft ? "nft list ruleset" : "iptables-save -c");
      if (!told.failure) {
        is_read = true;
        seen = {is_nft ? read_nft(told.text) : read_iptables(told.text), {}};
      } else if (!is_read) {
        seen.why_not = *told.failure + (::geteuid() == 0 ? "" : " (root may read it)");
      }
    }
  }
  return seen;
}
