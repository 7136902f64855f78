// SPDX-License-Identifier: MPL-2.0
//
// Peers against zyre's, and a whisper against two libzmq sockets. Each peer is a process of its
// own: the one that measures, and a crowd that it forks.
#include <parley/peers.hpp>

#ifdef PARLEY_BENCH_ZYRE
#include <zyre.h>
#endif

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "benches.hpp"
#include "raw_socket.hpp"
#include "tcp_stream.hpp"

namespace parley::bench {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr int trips = 3000;
constexpr int shouts = 1000;
constexpr std::size_t many = 50;
const std::string group = "crowd";
const std::string body(64, 'x');
const std::string last = "last";

// Programs on other ports are other networks.
std::uint16_t free_udp_port() {
  const int made = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in where = loopback(0);
  socklen_t size = sizeof where;
  require(::bind(made, reinterpret_cast<sockaddr*>(&where), size) == 0 &&
              ::getsockname(made, reinterpret_cast<sockaddr*>(&where), &size) == 0,
          "no free port");
  ::close(made);
  return ntohs(where.sin_port);
}

// Processes that run until this ends. Requires: the caller has no threads yet.
class crowd {
 public:
  template<class Run>
  crowd(std::size_t count, Run&& run) {
    for (std::size_t number = 0; number < count; ++number) {
      const pid_t child = ::fork();
      require(child >= 0, "no child");
      if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        run();
        ::_exit(0);
      }
      children_.push_back(child);
    }
  }
  ~crowd() {
    for (const pid_t each : children_) {
      ::kill(each, SIGKILL);
      ::waitpid(each, nullptr, 0);
    }
  }
  crowd(const crowd&) = delete;
  crowd& operator=(const crowd&) = delete;

 private:
  std::vector<pid_t> children_;
};

// A node of either kind has: the port in its constructor; enter(n), which waits until n are here;
// in_group(n); whisper(text) to the last who entered, or answer(text) to the last who spoke;
// next(), which is the next text that somebody said.

class our_node {
 public:
  explicit our_node(std::uint16_t port) : lan_{context_, {.port = port}} { lan_.join(group); }

  void enter(std::size_t count) {
    require(lan_.wait_for_peers(count, 60s), "nobody entered");
    last_ = lan_.here().front().id;
  }
  void in_group(std::size_t count) {
    require(lan_.wait_for_peers(count, 60s, group), "nobody joined");
    last_ = lan_.here().front().id;
  }
  void say(const std::string& text) { require(lan_.whisper(last_, text), "nobody heard"); }
  void shout(const std::string& text) { require(lan_.shout(group, text) == many, "not all heard"); }
  std::string next() {
    for (;;) {
      const peer_event event = lan_.receive();
      if (event.what == peer_event::kind::whisper || event.what == peer_event::kind::shout) {
        last_ = event.peer;
        return event.content.front().str();
      }
    }
  }

 private:
  context context_;
  peers lan_;
  peer_id last_;
};

#ifdef PARLEY_BENCH_ZYRE
class zyre_node {
 public:
  explicit zyre_node(std::uint16_t port) : node_{zyre_new(nullptr)} {
    zsys_handler_set(nullptr);
    zyre_set_port(node_, port);
    require(zyre_start(node_) == 0, "zyre does not start");
    zyre_join(node_, group.c_str());
  }
  zyre_node(const zyre_node&) = delete;
  zyre_node& operator=(const zyre_node&) = delete;
  ~zyre_node() { zyre_destroy(&node_); }

  void enter(std::size_t count) { await("ENTER", count); }
  void in_group(std::size_t count) { await("JOIN", count); }
  void say(const std::string& text) { zyre_whispers(node_, last_.c_str(), "%s", text.c_str()); }
  void shout(const std::string& text) { zyre_shouts(node_, group.c_str(), "%s", text.c_str()); }
  std::string next() {
    for (;;) {
      std::string said;
      if (const std::string what = event(said); what == "WHISPER" || what == "SHOUT") {
        return said;
      }
    }
  }

 private:
  void await(const std::string& what, std::size_t count) {
    for (std::string said; count > 0;) {
      count -= event(said) == what ? 1 : 0;
    }
  }
  std::string event(std::string& said) {
    zyre_event_t* event = zyre_event_new(node_);
    require(event != nullptr, "zyre ended");
    std::string what = zyre_event_type(event);
    last_ = zyre_event_peer_uuid(event);
    if (zmsg_t* const content = zyre_event_msg(event); content != nullptr) {
      char* const text = zmsg_popstr(content);
      said = text;
      zstr_free(const_cast<char**>(&text));
    }
    zyre_event_destroy(&event);
    return what;
  }

  zyre_t* node_;
  std::string last_;
};
#endif

// Says back what it hears.
template<class Node>
void echo(std::uint16_t port) {
  for (Node node{port};;) {
    node.say(node.next());
  }
}

// Hears what is shouted, and answers the last of it.
template<class Node>
void hear(std::uint16_t port) {
  for (Node node{port};;) {
    if (node.next() == last) {
      node.say(last);
    }
  }
}

double milliseconds_since(clock::time_point start) {
  return std::chrono::duration<double, std::milli>(clock::now() - start).count();
}

// Until it has met one who is there: ms.
template<class Node>
double first_enter() {
  const std::uint16_t port = free_udp_port();
  const crowd others{1, [port] { echo<Node>(port); }};
  Node{port}.enter(1);  // he has started
  const auto start = clock::now();
  Node late{port};
  late.enter(1);
  return milliseconds_since(start);
}

// us.
template<class Node>
double whisper_trip() {
  const std::uint16_t port = free_udp_port();
  const crowd others{1, [port] { echo<Node>(port); }};
  Node node{port};
  node.in_group(1);
  const auto start = clock::now();
  for (int count = 0; count < trips; ++count) {
    node.say(body);
    require(node.next() == body, "an echo is none");
  }
  return milliseconds_since(start) * 1000 / trips;
}

// As ZRE does it: each has a ROUTER to hear by, and a DEALER to speak by.
void talk_raw(int in, int out, bool begins) {
  raw_context owner;
  raw_socket hears{owner.handle, ZMQ_ROUTER};
  std::string where = hears.bind("tcp://127.0.0.1:*");
  where.resize(64);
  require(::write(out, where.data(), where.size()) == 64, "no pipe");
  require(::read(in, where.data(), where.size()) == 64, "no pipe");
  raw_socket speaks{owner.handle, ZMQ_DEALER};
  speaks.connect(where.c_str());
  for (int count = begins ? 0 : -1;; ++count) {
    if (count >= 0) {
      if (begins && count == trips) {
        return;
      }
      speaks.send(body);
    }
    static_cast<void>(hears.receive());
    require(hears.receive() == body.size(), "an echo is none");
  }
}

double raw_trip() {
  int there[2];
  int back[2];
  require(::pipe(there) == 0 && ::pipe(back) == 0, "no pipe");
  const crowd others{1, [&] { talk_raw(there[0], back[1], false); }};
  const auto start = clock::now();
  talk_raw(back[0], there[1], true);
  const double taken = milliseconds_since(start);
  for (const int each : {there[0], there[1], back[0], back[1]}) {
    ::close(each);
  }
  return taken * 1000 / trips;
}

// Thousands of messages delivered a second.
template<class Node>
double shout_rate() {
  const std::uint16_t port = free_udp_port();
  const crowd others{many, [port] { hear<Node>(port); }};
  Node node{port};
  node.in_group(many);
  const auto start = clock::now();
  for (int count = 1; count < shouts; ++count) {
    node.shout(body);
  }
  node.shout(last);
  for (std::size_t count = 0; count < many; ++count) {
    require(node.next() == last, "an answer is none");
  }
  return static_cast<double>(shouts) * many / milliseconds_since(start);
}

// What a node takes for each that it knows: KiB.
template<class Node>
double memory_per_peer() {
  const std::uint16_t port = free_udp_port();
  int start[2];
  require(::pipe(start) == 0, "no pipe");
  const crowd first{1, [port] { hear<Node>(port); }};
  const crowd others{many, [&] {
                       char word = 0;
                       require(::read(start[0], &word, 1) == 1, "no pipe");
                       hear<Node>(port);
                     }};
  Node node{port};
  node.enter(1);
  const double before = resident_kib();
  require(::write(start[1], body.data(), many) == many, "no pipe");
  node.in_group(many);
  ::close(start[0]);
  ::close(start[1]);
  return (resident_kib() - before) / many;
}

measure alone(double (*taken)()) {
  return [taken] { return in_child(taken); };
}

}  // namespace

std::vector<bench_case> peers_together() {
  std::vector<bench_case> cases{
      {"from start to the first enter", "ms", better::less, alone(first_enter<our_node>), {}},
      {"whisper, there and back",
       "us",
       better::less,
       alone(whisper_trip<our_node>),
       {{"raw ROUTER and DEALER", alone(raw_trip), std::nullopt}}},
      {"shout of 64 B to 50 peers", "k/s", better::more, alone(shout_rate<our_node>), {}},
      {"memory for a peer", "KiB", better::less, alone(memory_per_peer<our_node>), {}},
  };
#ifdef PARLEY_BENCH_ZYRE
  double (*const theirs[])() = {first_enter<zyre_node>, whisper_trip<zyre_node>,
                                shout_rate<zyre_node>, memory_per_peer<zyre_node>};
  for (std::size_t which = 0; which < cases.size(); ++which) {
    cases[which].peers.push_back({"zyre", alone(theirs[which]), std::nullopt});
  }
#endif
  return cases;
}

}  // namespace parley::bench
