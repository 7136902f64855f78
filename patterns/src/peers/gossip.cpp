// SPDX-License-Identifier: MPL-2.0
#include "gossip.hpp"

#include <parley/error.hpp>

#include "routed_message.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;

constexpr int most_at_once = 1000;
constexpr std::size_t longest_frame = 4096;

using addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

addresses look_up(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    found = nullptr;
  }
  return {found, &::freeaddrinfo};
}

std::string text_of(const sockaddr* address, socklen_t size) {
  std::array<char, NI_MAXHOST> text{};
  return ::getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0
             ? text.data()
             : std::string{};
}

// The address of ours that leads there: the system says so without sending anything.
std::string own_host_towards(const std::string& host) {
  constexpr std::uint16_t discard = 9;
  const addresses to = look_up(host, discard, AI_NUMERICHOST);
  if (!to) {
    return {};
  }
  const int fd = ::socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  std::string found;
  if (fd >= 0 && ::connect(fd, to->ai_addr, to->ai_addrlen) == 0 &&
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0) {
    found = text_of(reinterpret_cast<sockaddr*>(&own), size);
  }
  ::close(fd);
  return found.substr(0, found.find('%'));
}

socket_options line_options(const curve_security& curve) {
  socket_options options;
  options.curve = curve;
  options.linger = 0ms;
  options.max_frame_bytes = longest_frame;
  return options;
}

}  // namespace

gossip::gossip(context& owner, const peer_id& own, std::uint16_t port, const options& chosen)
    : own_{own}, port_{port}, keys_{chosen.keys} {
  for (const auto& [where, key] : chosen.seeds) {
    const addresses found = look_up(where.address(), where.port(), 0);
    if (!found) {
      throw error{errc::cannot_connect, "the seed " + where.str() + " has no address"};
    }
    const curve_security curve = keys_ ? curve_security{*key, *keys_} : curve_security{};
    for (const addrinfo* one = found.get(); one != nullptr; one = one->ai_next) {
      std::string host = text_of(one->ai_addr, one->ai_addrlen);
      socket line{owner, socket_kind::dealer, line_options(curve)};
      line.connect(peer_place{host, where.port()}.str());
      seeds_.push_back({std::move(host), std::move(line)});
    }
  }
  if (chosen.bound) {
    router_.emplace(owner, socket_kind::router,
                    line_options(keys_ ? curve_security{*keys_} : curve_security{}));
    bound_ = router_->bind(*chosen.bound);
  }
  book_.emplace(own_, seeds_.size(), chosen.most_facts);
}

std::vector<int> gossip::fds() const {
  std::vector<int> all;
  for (const seed& each : seeds_) {
    all.push_back(each.line.fd());
  }
  if (router_) {
    all.push_back(router_->fd());
  }
  return all;
}

gossip_message gossip::self_towards(const std::string& host) const {
  gossip_fact self{own_, {own_host_towards(host), port_}};
  if (keys_) {
    self.key = keys_->public_key;
  }
  return message_of(self);
}

bool gossip::look(std::vector<gossip_fact>& heard, time_point now) {
  bool has_more = false;
  next_ = book_->tick(now);
  for (std::size_t which = 0; which < seeds_.size(); ++which) {
    int left = most_at_once;
    while (const auto said = seeds_[which].line.try_receive()) {
      book_->hear_seed(which, said->front().view(), now);
      if (--left == 0) {
        has_more = true;
        break;
      }
    }
  }
  if (router_) {
    int left = most_at_once;
    while (auto came = receive_routed(router_->native())) {
      if (came->said.size() == 1) {
        book_->hear_guest(came->address, came->host, came->said.front().view(), now);
      }
      if (--left == 0) {
        has_more = true;
        break;
      }
    }
  }
  carry_out();
  heard = book_->take_heard();
  return has_more;
}

void gossip::carry_out() {
  for (gossip_book::step& each : book_->take_steps()) {
    if (each.guest.empty()) {
      seed& to = seeds_[each.seed];
      // Not taken by one that is not there: it is told again.
      static_cast<void>(
          to.line.try_send(frame{write_gossip(each.is_self ? self_towards(to.host) : each.said)}));
    } else {
      message said{frame{each.guest}};
      said.push_back(frame{write_gossip(each.is_self ? self_towards(each.host) : each.said)});
      if (!router_->try_send(std::move(said))) {
        book_->lose_guest(each.guest);
      }
    }
  }
}

bool gossip::has_news() const {
  return (router_ && router_->can_receive()) ||
         std::ranges::any_of(seeds_, [](const seed& each) { return each.line.can_receive(); });
}

void gossip::know(const gossip_fact& fact, time_point now) {
  book_->know(fact, now);
  carry_out();
}

}  // namespace parley::detail
