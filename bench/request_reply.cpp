// SPDX-License-Identifier: MPL-2.0
//
// Calls against what one writes by hand for the same end on raw sockets of libzmq, and on nng. The
// peers have no deadlines, no errors and no method names; their requests and replies have 16 bytes.
#include <parley/codec.hpp>
#include <parley/request_reply.hpp>

#ifdef PARLEY_BENCH_NNG
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#endif

#include <malloc.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <latch>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "benches.hpp"
#include "raw_socket.hpp"

namespace parley::bench {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t body_bytes = 16;

// The median of many trips, in microseconds.
double median_trip(int trips, const std::function<void(int)>& trip) {
  std::vector<double> taken;
  taken.reserve(static_cast<std::size_t>(trips));
  for (int number = 0; number < trips; ++number) {
    const auto start = clock::now();
    trip(number);
    taken.push_back(std::chrono::duration<double, std::micro>(clock::now() - start).count());
  }
  return spread_of(std::move(taken)).median;
}

// A server of ours that adds, and a client.
struct calculator {
  explicit calculator(const std::string& where) : caller{owner, bound(where)} {
    require(caller.call<int>("add", 1, 2) == 3, "a call returned the wrong sum");
  }

  context owner;
  server adding{owner};
  client caller;

 private:
  endpoint bound(const std::string& where) {
    adding.handle("add", [](int left, int right) { return left + right; });
    adding.handle("pin", [] { pin_to(1); });
    return adding.bind(where);
  }
};

double call_trip(const std::string& where, int trips) {
  calculator ours{where};
  ours.caller.call<void>("pin");  // to the core where the peers have their servers
  double median = 0;
  time_two_threads([] {},
                   [&] {
                     median = median_trip(trips, [&](int number) {
                       require(ours.caller.call<int>("add", number, 2) == number + 2,
                               "a call returned the wrong sum");
                     });
                   });
  return median;
}

// With a server that has all hands full, and all places taken.
double refusal_trip(int trips) {
  context owner;
  std::latch released{1};
  server busy{owner, {.workers = 1, .queue = 1}};
  busy.handle("wait", [&released] { released.wait(); });
  client caller{owner, busy.bind("tcp://127.0.0.1:0")};
  for (int count = 0; count < 2; ++count) {
    caller.call_then<void>(
        {.timeout = 60s}, [](const call_result<void>&) {}, "wait");
  }
  while (busy.statistics().open < 2) {
    std::this_thread::yield();
  }
  const double median = median_trip(trips, [&](int) {
    try {
      caller.call<void>("wait");
    } catch (const overloaded&) {
      return;
    }
    require(false, "a full server took a call");
  });
  released.count_down();
  return median;
}

double raw_trip(const std::string& where, int trips) {
  raw_context owner;
  raw_socket rep{owner.handle, ZMQ_REP};
  raw_socket req{owner.handle, ZMQ_REQ};
  req.connect(rep.bind(where));
  const std::string bytes(body_bytes, 'x');
  double median = 0;
  time_two_threads(
      [&] {
        zmq_msg_t request;
        zmq_msg_init(&request);
        for (int number = 0; number < trips; ++number) {
          rep.receive(request);
          rep.send(request);
        }
        zmq_msg_close(&request);
      },
      [&] {
        median = median_trip(trips, [&](int) {
          req.send(bytes);
          require(req.receive() == bytes.size(), "a reply changed its size");
        });
      });
  return median;
}

#ifdef PARLEY_BENCH_NNG
double nng_trip(int trips) {
  nng_socket rep;
  nng_socket req;
  nng_listener listening;
  int port = 0;
  require(nng_rep0_open(&rep) == 0 && nng_req0_open(&req) == 0 &&
              nng_listen(rep, "tcp://127.0.0.1:0", &listening, 0) == 0 &&
              nng_listener_get_int(listening, NNG_OPT_TCP_BOUND_PORT, &port) == 0 &&
              nng_dial(req, ("tcp://127.0.0.1:" + std::to_string(port)).c_str(), nullptr, 0) == 0,
          "nng cannot connect");
  const std::string bytes(body_bytes, 'x');
  double median = 0;
  time_two_threads(
      [&] {
        for (int number = 0; number < trips; ++number) {
          nng_msg* request = nullptr;
          require(nng_recvmsg(rep, &request, 0) == 0 && nng_sendmsg(rep, request, 0) == 0,
                  "nng cannot reply");
        }
      },
      [&] {
        median = median_trip(trips, [&](int) {
          nng_msg* each = nullptr;
          require(nng_msg_alloc(&each, 0) == 0 &&
                      nng_msg_append(each, bytes.data(), bytes.size()) == 0 &&
                      nng_sendmsg(req, each, 0) == 0 && nng_recvmsg(req, &each, 0) == 0,
                  "nng cannot ask");
          require(nng_msg_len(each) == bytes.size(), "a reply changed its size");
          nng_msg_free(each);
        });
      });
  nng_close(req);
  nng_close(rep);
  return median;
}
#endif

constexpr int in_flight = 256;
constexpr int many_calls = 100'000;

double thousands_per_second(double seconds) { return many_calls / seconds / 1e3; }

// Calls whose callbacks make the next call.
class call_load {
 public:
  call_load(client& caller, bool frames) : caller_{caller}, frames_{frames} {}

  void run() {
    for (int count = 0; count < in_flight; ++count) {
      call_next();
    }
    ended_.wait();
  }

 private:
  void call_next() {
    const int number = next_.fetch_add(1);
    if (number >= many_calls) {
      return;
    }
    if (frames_) {
      message request{frame{std::string_view{body_.data(), body_.size()}}};
      caller_.request_then({.timeout = 10s}, std::move(request), [this](call_outcome&& came) {
        require(came.value().bytes() == body_bytes, "a reply is no reply");
        go_on();
      });
    } else {
      caller_.call_then<int>(
          {.timeout = 10s},
          [this, number](const call_result<int>& sum) {
            require(sum.get() == number + 2, "a call returned the wrong sum");
            go_on();
          },
          "add", number, 2);
    }
  }

  void go_on() {
    call_next();
    ended_.count_down();
  }

  client& caller_;
  const bool frames_;
  const std::string body_ = std::string(body_bytes, 'x');
  std::atomic<int> next_{0};
  std::latch ended_{many_calls};
};

double calls_in_flight() {
  calculator ours{"tcp://127.0.0.1:0"};
  call_load load{ours.caller, false};
  return thousands_per_second(time_two_threads([] {}, [&] { load.run(); }));
}

double frames_in_flight() {
  context owner;
  server echo{owner};
  echo.handle_raw([](message request) { return request; });
  client caller{owner, echo.bind("tcp://127.0.0.1:0")};
  call_load load{caller, true};
  return thousands_per_second(time_two_threads([] {}, [&] { load.run(); }));
}

// The number of a request, in the first bytes of its body, for one without an envelope.
void send_numbered(raw_socket& dealer, std::uint64_t number) {
  zmq_msg_t request;
  zmq_msg_init_size(&request, body_bytes);
  std::memset(zmq_msg_data(&request), 0, body_bytes);
  std::memcpy(zmq_msg_data(&request), &number, sizeof number);
  dealer.send(request);
}

double raw_in_flight() {
  raw_context owner;
  raw_socket router{owner.handle, ZMQ_ROUTER};
  raw_socket dealer{owner.handle, ZMQ_DEALER};
  dealer.connect(router.bind("tcp://127.0.0.1:*"));
  return thousands_per_second(time_two_threads(
      [&] {
        zmq_msg_t from;
        zmq_msg_t body;
        zmq_msg_init(&from);
        zmq_msg_init(&body);
        for (int count = 0; count < many_calls; ++count) {
          router.receive(from);
          router.receive(body);
          router.send(from, ZMQ_SNDMORE);
          router.send(body);
        }
        zmq_msg_close(&body);
        zmq_msg_close(&from);
      },
      [&] {
        std::uint64_t sent = 0;
        while (sent < in_flight) {
          send_numbered(dealer, sent++);
        }
        zmq_msg_t reply;
        zmq_msg_init(&reply);
        for (int count = 0; count < many_calls; ++count) {
          dealer.receive(reply);
          std::uint64_t number = 0;
          std::memcpy(&number, zmq_msg_data(&reply), sizeof number);
          require(zmq_msg_size(&reply) == body_bytes && number < sent, "a reply is no reply");
          if (sent < many_calls) {
            send_numbered(dealer, sent++);
          }
        }
        zmq_msg_close(&reply);
      }));
}

// Takes requests, answers none, and keeps none.
class silent_server {
 public:
  silent_server() : where_{router_.bind("tcp://127.0.0.1:*")}, thread_{[this] { run(); }} {}
  ~silent_server() {
    zmq_ctx_shutdown(owner_.handle);
    thread_.join();
  }
  silent_server(const silent_server&) = delete;
  silent_server& operator=(const silent_server&) = delete;

  [[nodiscard]] const std::string& where() const { return where_; }
  void await(int requests) const {
    for (int seen = taken_; seen < requests; seen = taken_) {
      taken_.wait(seen);
    }
  }

 private:
  void run() {
    zmq_msg_t part;
    zmq_msg_init(&part);
    while (zmq_msg_recv(&part, router_.handle(), 0) >= 0) {
      if (zmq_msg_more(&part) == 0) {
        ++taken_;
        taken_.notify_one();
      }
    }
    zmq_msg_close(&part);
  }

  raw_context owner_;
  raw_socket router_{owner_.handle, ZMQ_ROUTER};
  std::string where_;
  std::atomic<int> taken_{0};
  std::thread thread_;
};

constexpr int calls_kept = 50'000;

// Of the heap, whether or not it is of pages that were used before.
double allocated_bytes() {
  const auto figures = mallinfo2();
  return static_cast<double>(figures.uordblks + figures.hblkhd);
}

double call_memory() {
  silent_server nobody;
  std::latch ended{calls_kept + 1};
  double before = 0;
  double after = 0;
  {
    context owner;
    client caller{owner, nobody.where(), {.limit = calls_kept + 1}};
    const auto call = [&](int number) {
      caller.call_then<int>(
          {.timeout = 60s}, [&ended](const call_result<int>&) { ended.count_down(); }, "add",
          number, 2);
    };
    call(0);
    nobody.await(1);
    before = allocated_bytes();
    for (int number = 1; number <= calls_kept; ++number) {
      call(number);
    }
    nobody.await(calls_kept + 1);
    after = allocated_bytes();
  }
  ended.wait();
  return (after - before) / calls_kept;
}

// What one keeps by hand to answer or to end a request, when many are in flight.
double raw_memory() {
  struct request {
    clock::time_point deadline;
    std::function<void(const std::string&)> done;
  };
  silent_server nobody;
  raw_context owner;
  raw_socket dealer{owner.handle, ZMQ_DEALER};
  dealer.connect(nobody.where());
  std::unordered_map<std::uint64_t, request> requests;
  std::set<std::pair<clock::time_point, std::uint64_t>> deadlines;
  int ended = 0;
  const auto ask = [&](std::uint64_t number) {
    const auto deadline = clock::now() + 60s;
    requests.emplace(number, request{deadline, [&ended](const std::string&) { ++ended; }});
    deadlines.emplace(deadline, number);
    send_numbered(dealer, number);
  };
  ask(0);
  nobody.await(1);
  const double before = allocated_bytes();
  for (std::uint64_t number = 1; number <= calls_kept; ++number) {
    ask(number);
  }
  nobody.await(calls_kept + 1);
  return (allocated_bytes() - before) / calls_kept;
}

}  // namespace

std::vector<bench_case> request_reply() {
  constexpr int tcp_trips = 4000;
  constexpr int pipe_trips = 100'000;
  constexpr int inproc_trips = 10'000;
  std::vector<bench_case> cases{
      {"call, p50 of round trips, tcp",
       "us",
       better::less,
       [] { return call_trip("tcp://127.0.0.1:0", tcp_trips); },
       {{"raw libzmq REQ-REP", [] { return raw_trip("tcp://127.0.0.1:*", tcp_trips); }, 1 / 1.15}}},
      {"call, p50 of round trips, pipe",
       "us",
       better::less,
       [] { return call_trip("pipe://bench", pipe_trips); },
       {{"raw libzmq inproc REQ-REP", [] { return raw_trip("inproc://bench", inproc_trips); },
         10}}},
      {"refusal by a full server, p50, tcp",
       "us",
       better::less,
       [] { return refusal_trip(tcp_trips); },
       {{"a call that is executed", [] { return call_trip("tcp://127.0.0.1:0", tcp_trips); },
         std::nullopt}}},
      {"calls, 256 in flight, tcp",
       "k/s",
       better::more,
       calls_in_flight,
       {{"raw libzmq DEALER-ROUTER", raw_in_flight, 0.8}}},
      {"raw frames, 256 in flight, tcp",
       "k/s",
       better::more,
       frames_in_flight,
       {{"raw libzmq DEALER-ROUTER", raw_in_flight, 1}}},
      {"memory of a call in flight",
       "B",
       better::less,
       call_memory,
       {{"raw libzmq, by hand", raw_memory, std::nullopt}}},
  };
#ifdef PARLEY_BENCH_NNG
  // In a child: once nng has run in a process, it refuses to in that process's children.
  cases.front().peers.push_back(
      {"nng REQ-REP", [] { return in_child([] { return nng_trip(tcp_trips); }); }, std::nullopt});
#endif
  return cases;
}

}  // namespace parley::bench
