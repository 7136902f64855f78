// SPDX-License-Identifier: MPL-2.0
//
// What presence costs in a crowd, and how soon somebody is missed: the real logic of peers and of
// gossip (peer_desk, gossip_book), in simulated time.
//
//   peers_simulation [--peers N] [--seed S]
//
// N desks with N peers each fit no memory: four desks are real, and hear N - 1 others that say what
// a peer says (beacons, greetings, questions and answers), in time. Of seeds one is real, with up
// to 1,000 guests; others tell it of theirs. All hosts begin within ten seconds; messages take up
// to a millisecond. Then forty hosts lose their power, and forty processes are killed.
//
// Traffic is counted at one desk: packets with their headers (IP, UDP; of TCP 52 octets, and an
// acknowledgement for each message), what a connection takes to come about (see below), and three
// beacons each time: broadcast, multicast, IPv6.
//
// Ends with 1 if somebody who lives was missed, or somebody who is gone was not.
#include <parley/peers.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "peers/gossip_book.hpp"
#include "peers/peer_desk.hpp"

using namespace parley;
using namespace parley::detail;
using namespace std::chrono_literals;

namespace {

using time_point = peer_desk::time_point;
using duration = peer_desk::duration;
using said = zre_message::kind;

constexpr std::size_t desks = 4;
constexpr std::size_t gone = 40;  // of each sort
constexpr auto beginning = 10s;
constexpr auto settled = 60s;   // all have met
constexpr auto measured = 60s;  // then so long nothing happens
constexpr auto mourned = 60s;

// Octets of headers.
constexpr std::uint64_t udp_header = 28;
constexpr std::uint64_t udp6_header = 48;
constexpr std::uint64_t tcp_header = 52;
constexpr std::uint64_t zmtp_header = 2;
// A bare connection: SYN, ACK, FIN and ACK out, three packets in. A link: the same, ZMTP's
// greetings and READY.
constexpr std::uint64_t probe_packets = 4;
constexpr std::uint64_t link_packets = 8;
constexpr std::uint64_t link_octets = 250;

struct traffic {
  std::uint64_t packets = 0;
  std::uint64_t octets = 0;

  void add(std::uint64_t count, std::uint64_t size) {
    packets += count;
    octets += size;
  }
  friend traffic operator-(const traffic& one, const traffic& other) {
    return {one.packets - other.packets, one.octets - other.octets};
  }
};

struct both_ways {
  traffic out;
  traffic in;

  void message_out(std::uint64_t size) {
    out.add(1, tcp_header + zmtp_header + size);
    in.add(1, tcp_header);
  }
  void message_in(std::uint64_t size) {
    in.add(1, tcp_header + zmtp_header + size);
    out.add(1, tcp_header);
  }
};

// A peer that is not real, as one desk knows it.
struct acquaintance {
  bool has_greeted = false;
  bool is_greeted = false;
  std::uint16_t said = 0;
  time_point spoke{};  // the desk, last
  time_point answered{};
  time_point arrives{};  // what it said last: in order
};

struct other {
  peer_id id;
  std::string host;
  std::string host6;
  time_point begins;
  bool is_silent = false;  // its host lost its power
  bool is_killed = false;
  time_point ended{};
  std::array<acquaintance, desks> known{};
};

struct real {
  std::size_t number = 0;
  peer_id id = peer_id::random();
  std::string host;
  peer_desk desk;
  gossip_book book;
  both_ways taken{};
  std::chrono::nanoseconds busy{};
  time_point next{peer_desk::never};
  std::vector<duration> missed_silent{};
  std::vector<duration> missed_killed{};
  std::uint64_t wrongly_missed = 0;
  std::uint64_t evasive = 0;
  time_point all_here{};
};

class world {
 public:
  world(std::size_t peers, bool by_gossip, unsigned seed) : by_gossip_{by_gossip}, random_{seed} {
    options_.most_peers = 2 * peers;
    for (std::size_t number = 0; number + desks < peers; ++number) {
      const std::string tail =
          std::to_string(number / 250) + '.' + std::to_string(number % 250 + 1);
      others_.push_back({peer_id::random(), "10.1." + tail,
                         "fe80::" + std::to_string(number + 1) + "%eth0",
                         start_ + some(beginning)});
      by_id_.emplace(others_.back().id, number);
    }
    for (std::size_t number = 0; number < desks; ++number) {
      reals_.push_back({number, peer_id::random(), "10.2.0." + std::to_string(number + 1),
                        peer_desk{peer_id{}, "desk", port, options_},
                        gossip_book{peer_id{}, 1, 4 * peers}});
    }
  }

  int run() {
    begin();
    pass(start_ + settled);
    const auto before = look();
    for (real& each : reals_) {
      each.busy = {};
    }
    pass(start_ + settled + measured);
    const auto after = look();
    const auto busy = reals_[0].busy;
    end_some();
    pass(start_ + settled + measured + mourned);
    return report(before, after, busy);
  }

 private:
  static constexpr std::uint16_t port = 5000;

  struct event {
    time_point when;
    std::uint64_t number;
    std::function<void()> what;
    bool operator>(const event& than) const {
      return std::pair{when, number} > std::pair{than.when, than.number};
    }
  };

  duration some(duration most) {
    return duration{std::uniform_int_distribution<duration::rep>{0, most.count()}(random_)};
  }
  duration delay() { return 100us + some(900us); }
  void later(duration after, std::function<void()> what) { at(now_ + after, std::move(what)); }
  void at(time_point when, std::function<void()> what) {
    events_.push({when, ++number_, std::move(what)});
  }
  void pass(time_point until) {
    while (!events_.empty() && events_.top().when <= until) {
      now_ = events_.top().when;
      const auto what = std::move(const_cast<event&>(events_.top()).what);
      events_.pop();
      what();
    }
    now_ = until;
  }

  [[nodiscard]] static bool lives(const other& one) { return !one.is_silent && !one.is_killed; }

  void begin() {
    for (std::size_t which = 0; which < others_.size(); ++which) {
      if (!by_gossip_) {
        at(others_[which].begins, [this, which] { beacon_of_other(which); });
      } else if (which < guests) {
        at(others_[which].begins, [this, which] { guest_speaks(which, true); });
      } else {
        at(others_[which].begins, [this, which] { seed_hears_of(which); });
      }
    }
    for (real& each : reals_) {
      at(start_ + some(beginning),
         [this, &each] { by_gossip_ ? gossip_of(each) : beacon_of(each); });
    }
  }

  // With beacons.

  void beacon_of_other(std::size_t which) {
    const other& from = others_[which];
    if (!lives(from)) {
      return;
    }
    for (real& each : reals_) {
      each.taken.in.add(2, 2 * (udp_header + beacon::plain_size));
      each.taken.in.add(1, udp6_header + beacon::plain_size);
      act(each, [&] {
        for (const std::string& host : {from.host, from.host, from.host6}) {
          each.desk.heard_beacon({from.id, port, {}}, host, now_);
        }
      });
    }
    later(options_.interval, [this, which] { beacon_of_other(which); });
  }

  void beacon_of(real& from) {
    from.taken.out.add(2, 2 * (udp_header + beacon::plain_size));
    from.taken.out.add(1, udp6_header + beacon::plain_size);
    for (std::size_t which = 0; which < others_.size(); ++which) {
      if (others_[which].begins <= now_) {
        meet(from, which);
      }
    }
    later(options_.interval, [this, &from] { beacon_of(from); });
  }

  // It has heard of that desk, and greets it.
  void meet(real& desk, std::size_t which) {
    other& from = others_[which];
    acquaintance& known = from.known[desk.number];
    if (!lives(from) || known.has_greeted) {
      return;
    }
    known.has_greeted = true;
    desk.taken.in.add(probe_packets, probe_packets * tcp_header);
    desk.taken.out.add(probe_packets - 1, (probe_packets - 1) * tcp_header);
    desk.taken.in.add(link_packets, link_packets * tcp_header + link_octets);
    desk.taken.out.add(link_packets, link_packets * tcp_header + link_octets);
    known.spoke = now_;
    known.answered = now_;
    later(2 * delay(), [this, &desk, which] {
      zre_message hello{.what = said::hello};
      hello.endpoint = peer_place{others_[which].host, port}.str();
      hello.name = "peer-" + std::to_string(which);
      hello.headers = {{std::string{parley_header}, "1"}};
      say(desk, which, std::move(hello));
      if (by_gossip_) {
        ask(desk, which);
      }
    });
  }

  void say(real& desk, std::size_t which, zre_message head) {
    acquaintance& known = others_[which].known[desk.number];
    head.sequence = ++known.said;
    auto bytes = write_zre(head);
    known.arrives = std::max(known.arrives, now_ + delay());
    at(known.arrives, [this, &desk, which, bytes = std::move(bytes)] {
      desk.taken.message_in(bytes.size());
      act(desk, [&] {
        desk.desk.heard(others_[which].id, others_[which].host, message{frame{bytes}}, now_);
      });
    });
  }

  // Asks as a desk does, see peer_desk::look_at_silence.
  void ask(real& desk, std::size_t which) {
    const other& from = others_[which];
    const acquaintance& known = from.known[desk.number];
    if (!lives(from)) {
      return;
    }
    const duration sure = std::max<duration>(options_.evasive, options_.expired / 3);
    auto due =
        std::min(std::max(known.spoke, known.answered) + options_.evasive, known.answered + sure);
    if (due <= now_) {
      say(desk, which, {.what = said::ping});
      due = now_ + options_.evasive;
    }
    at(due, [this, &desk, which] { ask(desk, which); });
  }

  // What a desk said to one that is not real.
  void hear(real& desk, std::size_t which, const zre_message& head) {
    other& to = others_[which];
    acquaintance& known = to.known[desk.number];
    known.spoke = now_;
    if (!lives(to)) {
      return;
    }
    if (head.what == said::hello) {
      meet(desk, which);
    } else if (head.what == said::ping) {
      say(desk, which, {.what = said::ping_ok});
    } else if (head.what == said::ping_ok) {
      known.answered = now_;
    }
  }

  // Desks.

  void act(real& at, const std::function<void()>& deed) {
    const auto begun = std::chrono::steady_clock::now();
    deed();
    at.next = at.desk.tick(now_);
    auto steps = at.desk.take_steps();
    auto events = at.desk.take_events();
    at.busy += std::chrono::steady_clock::now() - begun;
    for (peer_step& each : steps) {
      take(at, std::move(each));
    }
    for (const peer_event& each : events) {
      note(at, each);
    }
    if (at.next != peer_desk::never && (wakes_[at.number] <= now_ || at.next < wakes_[at.number])) {
      wakes_[at.number] = std::max(at.next, now_ + 1us);
      this->at(wakes_[at.number], [this, &at] { act(at, [] {}); });
    }
  }

  void take(real& of, peer_step&& step) {
    if (step.what == peer_step::kind::probe) {
      probe(of, step.link, step.where);
    } else if (step.what == peer_step::kind::open) {
      links_[of.number][step.link] = other_at(step.where);
      of.taken.out.add(link_packets, link_packets * tcp_header + link_octets);
      of.taken.in.add(link_packets, link_packets * tcp_header + link_octets);
    } else if (step.what == peer_step::kind::send) {
      const std::size_t which = links_[of.number].at(step.link);
      of.taken.message_out(step.said.bytes());
      zre_message head;
      if (read_zre(step.said.front().view(), head) == zre_reading::good) {
        later(delay(), [this, &of, which, head] { hear(of, which, head); });
      }
    }
  }

  void probe(real& of, peer_link link, const peer_place& where) {
    const std::size_t which = other_at(where);
    of.taken.out.add(probe_packets, probe_packets * tcp_header);
    if (!others_[which].is_silent) {
      of.taken.in.add(probe_packets - 1, (probe_packets - 1) * tcp_header);
    }
    const duration takes = others_[which].is_silent ? duration{1500ms} : 2 * delay();
    later(takes, [this, &of, link, where, which] {
      const other& at = others_[which];
      act(of, [&] {
        of.desk.probed(link, where,
                       at.is_silent   ? probe_answer::silent
                       : at.is_killed ? probe_answer::refused
                                      : probe_answer::answered,
                       of.host, now_);
      });
    });
  }

  [[nodiscard]] std::size_t other_at(const peer_place& where) {
    if (by_place_.empty()) {
      for (std::size_t which = 0; which < others_.size(); ++which) {
        by_place_[others_[which].host] = which;
        by_place_[others_[which].host6] = which;
      }
    }
    return by_place_.at(where.host);
  }

  void note(real& of, const peer_event& told) {
    if (told.what == peer_event::kind::enter) {
      if (of.desk.count_here() == others_.size()) {
        of.all_here = now_;
      }
      if (by_gossip_) {
        know(of, told.peer);
      }
    } else if (told.what == peer_event::kind::evasive) {
      of.evasive += lives(others_[by_id_.at(told.peer)]) ? 1 : 0;
    } else if (told.what == peer_event::kind::exit) {
      const other& who = others_[by_id_.at(told.peer)];
      if (lives(who)) {
        ++of.wrongly_missed;
      } else {
        (who.is_silent ? of.missed_silent : of.missed_killed).push_back(now_ - who.ended);
      }
    }
  }

  // Gossip.

  void gossip_of(real& guest) {
    for (const peer_id& each : guest.desk.here()) {
      know(guest, each);
    }
    const auto next = guest.book.tick(now_);
    carry_out(guest);
    at(next, [this, &guest] { gossip_of(guest); });
  }

  void know(real& guest, const peer_id& who) {
    for (const peer_place& place : guest.desk.places_of(who)) {
      guest.book.know({who, place}, now_);
    }
    carry_out(guest);
  }

  void carry_out(real& guest) {
    for (gossip_book::step& each : guest.book.take_steps()) {
      const auto bytes =
          write_gossip(each.is_self ? message_of({guest.id, {guest.host, port}}) : each.said);
      guest.taken.message_out(bytes.size());
      later(delay(),
            [this, &guest, bytes] { seed_hears("desk-" + std::to_string(guest.number), bytes); });
    }
    for (const gossip_fact& each : guest.book.take_heard()) {
      if (by_id_.contains(each.who)) {
        act(guest, [&] { guest.desk.heard_of(each.who, each.where, now_); });
      }
    }
  }

  // The first 1,000 are guests of the seed that is real.
  void guest_speaks(std::size_t which, bool asks) {
    const other& from = others_[which];
    if (!lives(from)) {
      return;
    }
    const std::string address = "guest-" + std::to_string(which);
    if (asks) {
      seed_hears(address, write_gossip({.what = gossip_message::kind::hello}));
      const auto usual = std::max<duration>(10s, others_.size() * 60ms);
      later(usual / 2 + some(usual), [this, which] { guest_speaks(which, true); });
    }
    seed_hears(address, write_gossip(message_of({from.id, {from.host, port}})));
    later(2 * delay(), [this, which] {
      for (real& each : reals_) {
        if (each.book.count_facts() > 0) {
          meet(each, which);  // the seed has told it of the desks
        }
      }
    });
    if (!asks) {
      later(10s, [this, which] { guest_speaks(which, false); });
    } else if (from.begins == now_) {
      later(10s, [this, which] { guest_speaks(which, false); });
    }
  }

  // Of another seed's guests it hears once a minute; the desks reach these as that seed does.
  void seed_hears_of(std::size_t which) {
    const other& from = others_[which];
    if (!lives(from)) {
      return;
    }
    const auto bytes = write_gossip(message_of({from.id, {from.host, port}}));
    seed_.message_in(bytes.size());
    seed_book_.hear_seed(0, bytes, now_);
    carry_out_seed();
    later(2 * delay(), [this, which] {
      for (real& each : reals_) {
        if (each.book.count_facts() > 0) {
          meet(each, which);
        }
      }
    });
    later(30s, [this, which] { seed_hears_of(which); });
  }

  void seed_hears(const std::string& address, const std::string& bytes) {
    seed_.message_in(bytes.size());
    seed_book_.hear_guest(address, "10.3.0.1", bytes, now_);
    carry_out_seed();
  }

  void carry_out_seed() {
    static_cast<void>(seed_book_.tick(now_));
    static_cast<void>(seed_book_.take_heard());
    for (gossip_book::step& each : seed_book_.take_steps()) {
      if (each.guest.empty()) {
        continue;
      }
      const auto bytes =
          write_gossip(each.is_self ? message_of({peer_id{}, {"10.3.0.1", port}}) : each.said);
      seed_.message_out(bytes.size());
      if (each.guest.starts_with("desk-")) {
        real& to = reals_[static_cast<std::size_t>(each.guest.back() - '0')];
        later(delay(), [this, &to, bytes] {
          to.taken.message_in(bytes.size());
          to.book.hear_seed(0, bytes, now_);
          carry_out(to);
        });
      }
    }
  }

  // Ends.

  void end_some() {
    std::vector<std::size_t> some(others_.size());
    for (std::size_t which = 0; which < some.size(); ++which) {
      some[which] = which;
    }
    std::ranges::shuffle(some, random_);
    for (std::size_t count = 0; count < 2 * gone; ++count) {
      const std::size_t which = some[count];
      const bool is_silent = count < gone;
      later(some_time(), [this, which, is_silent] {
        others_[which].ended = now_;
        (is_silent ? others_[which].is_silent : others_[which].is_killed) = true;
        if (!is_silent) {
          for (real& each : reals_) {
            later(delay(), [this, &each, which] {
              act(each, [&] { each.desk.hung_up(others_[which].id, now_); });
            });
          }
        }
      });
    }
  }
  duration some_time() { return some(10s); }

  [[nodiscard]] std::pair<both_ways, both_ways> look() const { return {reals_[0].taken, seed_}; }

  static void print(const char* what, const traffic& of, double seconds) {
    std::printf("  %-28s %10.1f packets/s %12.0f octets/s\n", what,
                static_cast<double>(of.packets) / seconds,
                static_cast<double>(of.octets) / seconds);
  }
  static double seconds(duration of) { return std::chrono::duration<double>(of).count(); }

  static void print(const char* what, std::vector<duration> all) {
    std::ranges::sort(all);
    if (!all.empty()) {
      std::printf("  %-28s median %.3f s, worst %.3f s\n", what, seconds(all[all.size() / 2]),
                  seconds(all.back()));
    }
  }

  int report(const std::pair<both_ways, both_ways>& before,
             const std::pair<both_ways, both_ways>& after, std::chrono::nanoseconds busy) {
    std::printf("%zu peers, by %s\n", others_.size() + desks, by_gossip_ ? "gossip" : "beacons");
    const double time = seconds(measured);
    print("sent by a peer", after.first.out - before.first.out, time);
    print("received", after.first.in - before.first.in, time);
    if (by_gossip_) {
      print("sent by a seed of 1,000", after.second.out - before.second.out, time);
      print("received", after.second.in - before.second.in, time);
    }
    std::printf("  %-28s %.2f %% of a core\n", "logic of a peer", 100 * seconds(busy) / time);
    std::printf("  %-28s %.1f s after the last began; %llu packets out, %llu in so far\n",
                "all met", std::max(0.0, seconds(reals_[0].all_here - (start_ + beginning))),
                static_cast<unsigned long long>(before.first.out.packets),
                static_cast<unsigned long long>(before.first.in.packets));
    std::vector<duration> silent;
    std::vector<duration> killed;
    bool is_right = true;
    for (const real& each : reals_) {
      silent.insert(silent.end(), each.missed_silent.begin(), each.missed_silent.end());
      killed.insert(killed.end(), each.missed_killed.begin(), each.missed_killed.end());
      is_right = is_right && each.wrongly_missed == 0 && each.evasive == 0 &&
                 each.missed_silent.size() == gone && each.missed_killed.size() == gone &&
                 each.all_here != time_point{};
      if (each.wrongly_missed + each.evasive > 0 || each.all_here == time_point{}) {
        std::printf("  wrong: missed %llu and asked after %llu who live; %zu are here\n",
                    static_cast<unsigned long long>(each.wrongly_missed),
                    static_cast<unsigned long long>(each.evasive), each.desk.count_here());
      }
    }
    print("a host without power, gone", silent);
    print("a killed process, gone", killed);
    return is_right ? 0 : 1;
  }

  static constexpr std::size_t guests = 990;

  const bool by_gossip_;
  std::mt19937 random_;
  peers_options options_{};
  const time_point start_{1h};
  time_point now_{start_};
  std::uint64_t number_ = 0;
  std::priority_queue<event, std::vector<event>, std::greater<>> events_;
  std::vector<other> others_;
  std::unordered_map<peer_id, std::size_t> by_id_;
  std::unordered_map<std::string, std::size_t> by_place_;
  std::vector<real> reals_;
  std::array<std::unordered_map<peer_link, std::size_t>, desks> links_;
  std::array<time_point, desks> wakes_{};
  gossip_book seed_book_{peer_id::random(), 1, 1'000'000};
  both_ways seed_{};
};

}  // namespace

int main(int count, char** arguments) {
  std::size_t peers = 1000;
  unsigned seed = 1;
  for (int index = 1; index + 1 < count; index += 2) {
    const std::string word = arguments[index];
    const unsigned long value = std::strtoul(arguments[index + 1], nullptr, 10);
    if (word == "--peers") {
      peers = value;
    } else if (word == "--seed") {
      seed = static_cast<unsigned>(value);
    }
  }
  if (peers < 200) {
    std::fputs("peers_simulation: at least 200 peers\n", stderr);
    return 2;
  }
  const int by_beacons = world{peers, false, seed}.run();
  const int by_gossip = world{peers, true, seed}.run();
  return by_beacons | by_gossip;
}
