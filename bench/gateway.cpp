// SPDX-License-Identifier: MPL-2.0
//
// The STOMP gateway against a bare relay: a thread that copies the same frames from the sender's
// socket to the receivers' without looking at them, which is what the machine can do at best.
#include <unistd.h>
#include <parley/stomp_gateway.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "benches.hpp"
#include "tcp_stream.hpp"

namespace parley::bench {
namespace {

class listener {
 public:
  listener() : fd_{::socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in where = loopback(0);
    socklen_t size = sizeof where;
    require(::bind(fd_, reinterpret_cast<const sockaddr*>(&where), size) == 0, "cannot bind");
    require(::listen(fd_, 16) == 0, "cannot listen");
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&where), &size);
    port_ = ntohs(where.sin_port);
  }
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;
  ~listener() { ::close(fd_); }

  std::uint16_t port() const { return port_; }
  stream accept() const { return stream{::accept(fd_, nullptr, nullptr)}; }

 private:
  int fd_;
  std::uint16_t port_;
};

struct load {
  std::string destination;
  std::size_t body;       // bytes
  std::size_t receivers;  // that each get all

  std::size_t count() const {
    return std::clamp<std::size_t>(100'000'000 / (body + 200) / receivers, 1'000, 300'000);
  }
  std::string frame() const {
    return "SEND\ndestination:" + destination + "\ncontent-length:" + std::to_string(body) +
           "\n\n" + std::string(body, 'x') + '\0';
  }
  // Many frames at a time: the sender must not be what is measured.
  void send(const stream& to) const {
    constexpr std::size_t batch = 100;
    std::string many;
    for (std::size_t i = 0; i < batch; ++i)
      many += frame();
    for (std::size_t i = 0; i < count() / batch; ++i)
      to.send(many);
    for (std::size_t i = 0; i < count() % batch; ++i)
      to.send(frame());
  }
  // Thousands of messages a second, at each receiver.
  double rate(double seconds) const { return static_cast<double>(count()) / seconds / 1e3; }
};

double measure_load(const load& what, const stream& sender, std::vector<stream>& receivers) {
  return what.rate(time_two_threads([&] { what.send(sender); },
                                    [&] {
                                      for (stream& each : receivers) {
                                        // Those who wait for their turn let bytes pile up.
                                        each.receive_frames(what.count());
                                      }
                                    }));
}

double through_gateway(const load& what) {
  context owner;
  stomp_gateway_options options;
  options.port = 0;
  options.limits.output = std::size_t{1} << 30;  // nothing may be dropped here
  stomp_gateway gateway{owner, options};
  gateway.start();
  const std::string connect = std::string{"CONNECT\naccept-version:1.2\n\n"} + '\0';
  std::vector<stream> receivers;
  for (std::size_t i = 0; i < what.receivers; ++i) {
    stream& made = receivers.emplace_back(gateway.port());
    made.send(connect + "SUBSCRIBE\nid:1\nreceipt:1\ndestination:" + what.destination + "\n\n" +
              '\0');
    made.receive_frames(2);
  }
  stream sender{gateway.port()};
  sender.send(connect);
  sender.receive_frames(1);
  const double measured = measure_load(what, sender, receivers);
  require(gateway.statistics().dropped_slow == 0, "the gateway dropped messages");
  return measured;
}

double through_relay(const load& what) {
  const listener where;
  std::vector<stream> receivers;
  std::vector<stream> outputs;
  for (std::size_t i = 0; i < what.receivers; ++i) {
    receivers.emplace_back(where.port());
    outputs.push_back(where.accept());
  }
  double measured = 0;
  std::thread relay;
  {
    const stream sender{where.port()};
    relay = std::thread{[&outputs, input = where.accept()]() mutable {
      for (std::string_view got; !(got = input.receive()).empty();) {
        for (const stream& each : outputs)
          each.send(got);
      }
    }};
    measured = measure_load(what, sender, receivers);
  }
  relay.join();
  return measured;
}

}  // namespace

std::vector<bench_case> gateway() {
  std::vector<bench_case> cases;
  const std::vector<std::pair<std::string, load>> loads{
      {"topic 64 B, one subscriber", {"/topic/a", 64, 1}},
      {"topic 1 KiB, one subscriber", {"/topic/a", 1024, 1}},
      {"topic 64 KiB, one subscriber", {"/topic/a", 65536, 1}},
      {"topic 64 B, five subscribers", {"/topic/a", 64, 5}},
      {"queue 64 B, one consumer", {"/queue/a", 64, 1}},
  };
  for (const auto& [name, what] : loads) {
    // A relay that blocks for one receiver would wait for ever for those behind it.
    if (what.receivers != 1) {
      cases.push_back(
          {name,
           "k/s",
           better::more,
           [what = what] { return through_gateway(what); },
           {{"bare relay to one",
             [one = load{what.destination, what.body, 1}] { return through_relay(one); },
             std::nullopt}}});
      continue;
    }
    cases.push_back(
        {name,
         "k/s",
         better::more,
         [what = what] { return through_gateway(what); },
         {{"bare relay", [what = what] { return through_relay(what); }, std::nullopt}}});
  }
  return cases;
}

}  // namespace parley::bench
