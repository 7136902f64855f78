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
using kind = gossip_message::kind;

// How often seeds are told, and how long what they are told counts.
constexpr auto told_every = 10s;
constexpr auto remembered = 60s;
constexpr int most_at_once = 1000;
constexpr std::size_t most_guests = 1000;
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
    : own_{own}, port_{port}, keys_{chosen.keys}, most_facts_{chosen.most_facts} {
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
  if (now >= next_) {
    next_ = now + told_every;
    std::erase_if(facts_, [now](const known& each) { return each.until <= now; });
    for (seed& each : seeds_) {
      // Not taken by one that is not there: it is asked again.
      static_cast<void>(each.line.try_send(frame{write_gossip({.what = kind::hello})}));
      static_cast<void>(each.line.try_send(frame{write_gossip(self_towards(each.host))}));
    }
  }
  for (seed& each : seeds_) {
    int left = most_at_once;
    for (auto said = each.line.try_receive(); said; said = each.line.try_receive()) {
      const auto told = read_gossip(said->front().view());
      const auto fact = told && told->what == kind::publish ? fact_of(*told) : std::nullopt;
      if (fact) {
        heard.push_back(*fact);
        if (learn(*fact, now)) {
          pass_on(*fact);
        }
      }
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
        hear_guest(came->address, came->host, came->said.front().view(), heard, now);
      }
      if (--left == 0) {
        has_more = true;
        break;
      }
    }
  }
  return has_more;
}

bool gossip::has_news() const {
  return (router_ && router_->can_receive()) ||
         std::ranges::any_of(seeds_, [](const seed& each) { return each.line.can_receive(); });
}

void gossip::hear_guest(const std::string& address, const std::string& host, std::string_view frame,
                        std::vector<gossip_fact>& heard, time_point now) {
  const auto said = read_gossip(frame);
  if (!said) {
    tell(address, {.what = kind::invalid});
    return;
  }
  switch (said->what) {
    case kind::hello:
      greet(address, host);
      break;
    case kind::publish:
      if (const auto fact = fact_of(*said)) {
        heard.push_back(*fact);
        if (learn(*fact, now)) {
          pass_on(*fact, address);
        }
      }
      break;
    case kind::ping:
      tell(address, {.what = kind::pong});
      break;
    default:
      break;
  }
}

void gossip::greet(const std::string& address, const std::string& host) {
  if (std::ranges::find(guests_, address) == guests_.end()) {
    if (guests_.size() >= most_guests) {
      return;
    }
    guests_.push_back(address);
  }
  tell(address, self_towards(host));
  for (const known& each : facts_) {
    tell(address, message_of(each.fact));
  }
}

bool gossip::tell(const std::string& guest, const gossip_message& what) {
  message said{frame{guest}};
  said.push_back(frame{write_gossip(what)});
  return router_->try_send(std::move(said));
}

bool gossip::learn(const gossip_fact& fact, time_point now) {
  if (fact.who == own_) {
    return false;
  }
  const auto same = std::ranges::find(facts_, fact, &known::fact);
  if (same != facts_.end()) {
    same->until = now + remembered;
    return false;
  }
  if (facts_.size() >= most_facts_) {
    return false;
  }
  facts_.push_back({fact, now + remembered});
  return true;
}

void gossip::know(const gossip_fact& fact, time_point now) {
  if (learn(fact, now)) {
    pass_on(fact);
  }
}

void gossip::pass_on(const gossip_fact& fact, const std::string& but_not_to) {
  const gossip_message told = message_of(fact);
  std::erase_if(guests_,
                [&](const std::string& each) { return each != but_not_to && !tell(each, told); });
  for (seed& each : seeds_) {
    static_cast<void>(each.line.try_send(frame{write_gossip(told)}));
  }
}

}  // namespace parley::detail
