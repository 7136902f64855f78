// SPDX-License-Identifier: MPL-2.0
//
// What sockets cost that carry nothing, or little: time to make them, memory, and CPU while idle.
// Each figure is taken in a child process of its own, where nothing else has allocated or runs.
#include <zmq.h>
#include <parley/socket.hpp>

#ifdef PARLEY_BENCH_NNG
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#endif

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "benches.hpp"

namespace parley::bench {
namespace {

// A process's worth of one library's sockets.
class library {
 public:
  virtual ~library() = default;
  virtual void bind(const std::string& where) = 0;     // one more pull socket
  virtual void connect(const std::string& where) = 0;  // one more push socket
  virtual void one_message() = 0;  // from the last push to the last pull, there when it returns
  virtual void close_all() = 0;
};

class ours final : public library {
 public:
  void bind(const std::string& where) override {
    pulls_.emplace_back(owner_, socket_kind::pull).bind(where);
  }
  void connect(const std::string& where) override {
    pushes_.emplace_back(owner_, socket_kind::push).connect(where);
  }
  void one_message() override {
    pushes_.back().send("x");
    static_cast<void>(pulls_.back().receive());
  }
  void close_all() override {
    pushes_.clear();
    pulls_.clear();
  }

 private:
  context owner_;
  std::vector<parley::socket> pulls_, pushes_;
};

class raw_zmq final : public library {
 public:
  ~raw_zmq() override {
    close_all();
    zmq_ctx_term(context_);
  }
  void bind(const std::string& where) override {
    pulls_.push_back(zmq_socket(context_, ZMQ_PULL));
    require(zmq_bind(pulls_.back(), where.c_str()) == 0, "raw bind failed");
  }
  void connect(const std::string& where) override {
    pushes_.push_back(zmq_socket(context_, ZMQ_PUSH));
    require(zmq_connect(pushes_.back(), where.c_str()) == 0, "raw connect failed");
  }
  void one_message() override {
    char byte = 'x';
    require(zmq_send(pushes_.back(), &byte, 1, 0) == 1 && zmq_recv(pulls_.back(), &byte, 1, 0) == 1,
            "a raw message was lost");
  }
  void close_all() override {
    for (auto* group : {&pushes_, &pulls_}) {
      for (void* each : *group) {
        zmq_close(each);
      }
      group->clear();
    }
  }

 private:
  void* const context_ = zmq_ctx_new();
  std::vector<void*> pulls_, pushes_;
};

#ifdef PARLEY_BENCH_NNG
class nng final : public library {
 public:
  ~nng() override { close_all(); }
  void bind(const std::string& where) override {
    nng_socket made;
    require(nng_pull0_open(&made) == 0 && nng_listen(made, where.c_str(), nullptr, 0) == 0,
            "nng cannot listen");
    pulls_.push_back(made);
  }
  void connect(const std::string& where) override {
    nng_socket made;
    require(nng_push0_open(&made) == 0 && nng_dial(made, where.c_str(), nullptr, 0) == 0,
            "nng cannot dial");
    pushes_.push_back(made);
  }
  void one_message() override {
    char byte = 'x';
    std::size_t size = 1;
    require(
        nng_send(pushes_.back(), &byte, 1, 0) == 0 && nng_recv(pulls_.back(), &byte, &size, 0) == 0,
        "a message of nng was lost");
  }
  void close_all() override {
    for (auto* group : {&pushes_, &pulls_}) {
      for (const nng_socket each : *group) {
        nng_close(each);
      }
      group->clear();
    }
  }

 private:
  std::vector<nng_socket> pulls_, pushes_;
};
#endif

using maker = std::function<std::unique_ptr<library>()>;

double cpu_ms() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto ms = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return ms(used.ru_utime) + ms(used.ru_stime);
}

std::string fresh_path() {
  static int count = 0;
  return "ipc:///tmp/parley-bench-" + std::to_string(getpid()) + "-" + std::to_string(count++);
}

double first_message(const maker& make) {
  constexpr int times = 30;
  const auto start = std::chrono::steady_clock::now();
  for (int count = 0; count < times; ++count) {
    const auto made = make();
    const std::string where = fresh_path();
    made->bind(where);
    made->connect(where);
    made->one_message();
    made->close_all();
  }
  const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - start;
  return taken.count() / times;
}

double socket_made(const maker& make) {
  constexpr int times = 300;
  const auto made = make();
  const auto start = std::chrono::steady_clock::now();
  for (int count = 0; count < times; ++count) {
    made->bind("inproc://bench-" + std::to_string(count));
    made->close_all();
  }
  const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - start;
  return taken.count() / times;
}

double socket_memory(const maker& make) {
  constexpr int count = 500;
  const auto made = make();
  made->bind("inproc://first");
  const double before = resident_kib();
  for (int index = 0; index < count; ++index) {
    made->bind("inproc://bench-" + std::to_string(index));
  }
  return (resident_kib() - before) / count;
}

// A socket and its connection, one message carried.
double connection_memory(const maker& make) {
  constexpr int count = 200;
  const auto made = make();
  const std::string where = fresh_path();
  made->bind(where);
  made->connect(where);
  made->one_message();
  const double before = resident_kib();
  for (int index = 0; index < count; ++index) {
    made->connect(where);
    made->one_message();
  }
  return (resident_kib() - before) / count;
}

double idle_cpu(const maker& make) {
  constexpr int count = 20;
  const auto made = make();
  const std::string where = fresh_path();
  made->bind(where);
  for (int index = 0; index < count; ++index) {
    made->connect(where);
    made->one_message();
  }
  const double before = cpu_ms();
  std::this_thread::sleep_for(std::chrono::seconds{1});  // it is the idle time that is measured
  return cpu_ms() - before + 0.01;                       // never nothing: ratios are taken
}

bench_case cost(const std::string& name, const std::string& unit, double (*taken)(const maker&)) {
  const auto measured = [taken](const maker& make) {
    return [taken, make] { return in_child([&] { return taken(make); }); };
  };
  bench_case made{name,
                  unit,
                  better::less,
                  measured([] { return std::make_unique<ours>(); }),
                  {{"raw libzmq", measured([] { return std::make_unique<raw_zmq>(); }), 0.95}}};
#ifdef PARLEY_BENCH_NNG
  made.peers.push_back({"nng", measured([] { return std::make_unique<nng>(); }), 0.95});
#endif
  return made;
}

}  // namespace

std::vector<bench_case> costs() {
  return {cost("from nothing to the first message by ipc, and back", "us", first_message),
          cost("a socket bound to inproc, made and closed", "us", socket_made),
          cost("memory of a socket bound to inproc", "KiB", socket_memory),
          cost("memory of a socket connected by ipc", "KiB", connection_memory),
          cost("CPU of 20 idle connections", "ms/s", idle_cpu)};
}

}  // namespace parley::bench
