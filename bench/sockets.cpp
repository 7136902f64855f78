// SPDX-License-Identifier: MPL-2.0
//
// Our sockets against libzmq's own C interface, over the carriers that leave the process: the same
// bytes, the same options, one thread a side.
#include <parley/curve.hpp>
#include <parley/socket.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "benches.hpp"
#include "raw_socket.hpp"

namespace parley::bench {
namespace {

// Messages so many that a measurement takes some tenths of a second.
std::size_t count_for(std::size_t size) {
  return std::clamp<std::size_t>(400'000'000 / (size + 400), 300, 600'000);
}

double rate(std::size_t count, double seconds) {
  return static_cast<double>(count) / seconds / 1e6;
}

// Until the sender has found out that its peer unpacks batches.
void await_batching(parley::socket& push, parley::socket& pull, const std::string& bytes) {
  while (push.statistics().batches_sent == 0) {
    push.send(frame{bytes});
    push.send(frame{bytes});
    while (pull.try_receive()) {
    }
  }
  while (pull.receive_for(std::chrono::milliseconds{100})) {
  }
}

// Server: the keys of the one who pulls, for CURVE.
double ours_push_pull(const std::string& where, std::size_t size, const batching& batch = {},
                      const curve_keys* server = nullptr) {
  context owner;
  socket_options options;
  options.linger = std::chrono::milliseconds{0};
  options.curve = server == nullptr ? curve_security{} : curve_security{*server};
  parley::socket pull{owner, socket_kind::pull, options};
  options.curve = server == nullptr ? curve_security{} : curve_security{server->public_key};
  options.batch = batch;
  parley::socket push{owner, socket_kind::push, options};
  push.connect(pull.bind(where));
  const std::string bytes(size, 'x');
  push.send(frame{bytes});
  static_cast<void>(pull.receive());
  if (batch.bytes > 0) {
    await_batching(push, pull, bytes);
  }
  const std::size_t count = count_for(size) * (batch.bytes > 0 ? 4 : 1);
  return rate(count, time_two_threads(
                         [&] {
                           for (std::size_t i = 0; i < count; ++i) {
                             push.send(frame{bytes});
                           }
                         },
                         [&] {
                           for (std::size_t i = 0; i < count; ++i) {
                             require(pull.receive().bytes() == size, "a message changed its size");
                           }
                         }));
}

double raw_push_pull(const std::string& where, std::size_t size,
                     const curve_keys* server = nullptr) {
  raw_context owner;
  raw_socket pull{owner.handle, ZMQ_PULL};
  raw_socket push{owner.handle, ZMQ_PUSH};
  if (server != nullptr) {
    pull.serve_curve(*server);
    push.use_curve(*server);
  }
  push.connect(pull.bind(where));
  const std::string bytes(size, 'x');
  push.send(bytes);
  pull.receive();
  const std::size_t count = count_for(size);
  return rate(count, time_two_threads(
                         [&] {
                           for (std::size_t i = 0; i < count; ++i) {
                             push.send(bytes);
                           }
                         },
                         [&] {
                           for (std::size_t i = 0; i < count; ++i) {
                             require(pull.receive() == size, "a message changed its size");
                           }
                         }));
}

constexpr int round_trips = 4000;

// Microseconds a round trip.
double per_trip(double seconds) { return seconds / round_trips * 1e6; }

double raw_round_trip() {
  raw_context owner;
  raw_socket rep{owner.handle, ZMQ_REP};
  raw_socket req{owner.handle, ZMQ_REQ};
  req.connect(rep.bind("tcp://127.0.0.1:*"));
  const std::string bytes(16, 'x');
  return per_trip(time_two_threads(
      [&] {
        for (int i = 0; i < round_trips; ++i) {
          rep.send(std::string(rep.receive(), 'x'));
        }
      },
      [&] {
        for (int i = 0; i < round_trips; ++i) {
          req.send(bytes);
          require(req.receive() == bytes.size(), "a reply changed its size");
        }
      }));
}

double socket_round_trip() {
  context owner;
  parley::socket rep{owner, socket_kind::rep};
  parley::socket req{owner, socket_kind::req};
  req.connect(rep.bind("tcp://127.0.0.1:0"));
  const std::string bytes(16, 'x');
  return per_trip(time_two_threads(
      [&] {
        for (int i = 0; i < round_trips; ++i) {
          rep.send(rep.receive());
        }
      },
      [&] {
        for (int i = 0; i < round_trips; ++i) {
          req.send(frame{bytes});
          require(req.receive().bytes() == bytes.size(), "a reply changed its size");
        }
      }));
}

}  // namespace

std::vector<bench_case> sockets() {
  std::vector<bench_case> cases;
  const std::vector<std::pair<std::string, std::string>> carriers{{"tcp", "tcp://127.0.0.1:*"},
                                                                  {"ipc", "ipc://*"}};
  struct length {
    std::string name;
    std::size_t bytes;
    double over_tcp, over_ipc;  // targets: the largest are the kernel's work, and no worse at all
  };
  const std::vector<length> lengths{{"16 B", 16, 0.97, 0.97},
                                    {"64 B", 64, 0.97, 0.97},
                                    {"1 KiB", 1024, 0.97, 0.97},
                                    {"64 KiB", 65536, 1, 1.5},
                                    {"1 MiB", 1048576, 1, 1}};
  for (const auto& [carrier, where] : carriers) {
    for (const auto& [name, size, over_tcp, over_ipc] : lengths) {
      cases.push_back(
          {"push-pull " + carrier + " " + name,
           "M/s",
           better::more,
           [where = where, size = size] { return ours_push_pull(where, size); },
           {{"raw libzmq", [where = where, size = size] { return raw_push_pull(where, size); },
             carrier == "tcp" ? over_tcp : over_ipc}}});
    }
  }
  const batching batch{.bytes = 32768};
  for (const auto& [carrier, where] : carriers) {
    for (const std::size_t size : {16, 64}) {
      cases.push_back(
          {"push-pull " + carrier + " " + std::to_string(size) + " B batching",
           "M/s",
           better::more,
           [=, where = where] { return ours_push_pull(where, size, batch); },
           {{"raw libzmq", [=, where = where] { return raw_push_pull(where, size); }, 3}}});
    }
  }
  const auto keys = std::make_shared<const curve_keys>(generate_curve_keys());
  cases.push_back({"push-pull tcp 64 B CURVE batching",
                   "M/s",
                   better::more,
                   [=] { return ours_push_pull("tcp://127.0.0.1:*", 64, batch, keys.get()); },
                   {{"raw libzmq CURVE",
                     [=] { return raw_push_pull("tcp://127.0.0.1:*", 64, keys.get()); }, 4}}});
  cases.push_back({"REQ-REP round trip tcp",
                   "us",
                   better::less,
                   socket_round_trip,
                   {{"raw libzmq REQ-REP", raw_round_trip, 1 / 1.03}}});
  return cases;
}

}  // namespace parley::bench
