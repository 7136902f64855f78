// SPDX-License-Identifier: MPL-2.0
//
// Our sockets over pipe:// against libzmq's own over inproc://: threads of one process, the same
// kinds, the same limits, the same bytes.
#include <zmq.h>
#include <parley/socket.hpp>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "benches.hpp"

namespace parley::bench {
namespace {

struct kinds {
  std::string name;
  socket_kind ours_to, ours_from;
  int raw_to, raw_from;
};

// Some tenths of a second each.
constexpr std::size_t our_count = 6'000'000;
constexpr std::size_t raw_count = 800'000;

double ours(const kinds& which, std::size_t size) {
  context owner;
  parley::socket to{owner, which.ours_to};
  parley::socket from{owner, which.ours_from};
  from.connect(to.bind("pipe://bench"));
  const std::string bytes(size, 'x');
  const double seconds = time_two_threads(
      [&] {
        for (std::size_t i = 0; i < our_count; ++i) {
          from.send(frame{bytes});
        }
      },
      [&] {
        for (std::size_t i = 0; i < our_count; ++i) {
          require(to.receive().bytes() == size, "a message changed its size");
        }
      });
  return static_cast<double>(our_count) / seconds / 1e6;
}

double raw(const kinds& which, std::size_t size) {
  void* context = zmq_ctx_new();
  void* to = zmq_socket(context, which.raw_to);
  void* from = zmq_socket(context, which.raw_from);
  require(zmq_bind(to, "inproc://bench") == 0, "raw bind failed");
  require(zmq_connect(from, "inproc://bench") == 0, "raw connect failed");
  const std::string bytes(size, 'x');
  const double seconds = time_two_threads(
      [&] {
        for (std::size_t i = 0; i < raw_count; ++i) {
          zmq_msg_t message;
          zmq_msg_init_size(&message, size);
          std::memcpy(zmq_msg_data(&message), bytes.data(), size);
          require(zmq_msg_send(&message, from, 0) >= 0, "raw send failed");
        }
      },
      [&] {
        zmq_msg_t message;
        zmq_msg_init(&message);
        for (std::size_t i = 0; i < raw_count; ++i) {
          require(zmq_msg_recv(&message, to, 0) >= 0, "raw receive failed");
          require(zmq_msg_size(&message) == size, "a message changed its size");
        }
        zmq_msg_close(&message);
      });
  zmq_close(from);
  zmq_close(to);
  zmq_ctx_term(context);
  return static_cast<double>(raw_count) / seconds / 1e6;
}

}  // namespace

std::vector<bench_case> pipe_sockets() {
  const std::vector<kinds> all{
      {"push-pull", socket_kind::pull, socket_kind::push, ZMQ_PULL, ZMQ_PUSH},
      {"pair", socket_kind::pair, socket_kind::pair, ZMQ_PAIR, ZMQ_PAIR}};
  std::vector<bench_case> cases;
  for (const kinds& which : all) {
    for (const std::size_t size : {std::size_t{8}, std::size_t{64}, std::size_t{1024}}) {
      const std::optional<double> target =
          size == 64 ? std::optional<double>{8.0} : std::optional<double>{};
      cases.push_back(
          {which.name + " " + std::to_string(size) + " B",
           "M/s",
           better::more,
           [which, size] { return ours(which, size); },
           {{"raw libzmq inproc", [which, size] { return raw(which, size); }, target}}});
    }
  }
  return cases;
}

}  // namespace parley::bench
