// SPDX-License-Identifier: MPL-2.0
#include "rabbit.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "harness.hpp"
#include "tcp_stream.hpp"

namespace parley::bench {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr const char* program = "/usr/lib/rabbitmq/bin/rabbitmq-server";
constexpr std::size_t messages = 20'000;
constexpr auto patience = 60s;

// One that nobody uses now.
std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in where = loopback(0);
  socklen_t size = sizeof where;
  require(::bind(fd, reinterpret_cast<const sockaddr*>(&where), size) == 0, "cannot bind");
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&where), &size);
  ::close(fd);
  return ntohs(where.sin_port);
}

void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

bool takes_connections(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in where = loopback(port);
  const bool does = ::connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0;
  ::close(fd);
  return does;
}

}  // namespace

bool rabbit::is_installed() {
  const bool is_there = ::access(program, X_OK) == 0;
  if (!is_there) {
    std::fprintf(stderr, "parley_bench: rabbitmq-server is not installed, so not measured\n");
  }
  return is_there;
}

rabbit::rabbit() : port_{free_port()} {
  std::ofstream{directory_ / "enabled_plugins"} << "[rabbitmq_stomp].\n";
  std::ofstream{directory_ / "rabbitmq.conf"} << "stomp.listeners.tcp.1 = 127.0.0.1:" << port_
                                              << '\n';
  const std::string node_port = std::to_string(free_port());
  const std::string dist_port = std::to_string(free_port());
  const std::string epmd_port = std::to_string(free_port());
  process_ = ::fork();
  require(process_ >= 0, "no process");
  if (process_ == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    set("HOME", directory_.path());
    set("ERL_EPMD_ADDRESS", "127.0.0.1");
    set("ERL_EPMD_PORT", epmd_port);
    set("RABBITMQ_NODENAME", "bench@localhost");
    set("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
    set("RABBITMQ_NODE_PORT", node_port);
    set("RABBITMQ_DIST_PORT", dist_port);
    set("RABBITMQ_CONF_ENV_FILE", "/dev/null");
    set("RABBITMQ_CONFIG_FILE", directory_ / "rabbitmq.conf");
    set("RABBITMQ_ENABLED_PLUGINS_FILE", directory_ / "enabled_plugins");
    set("RABBITMQ_MNESIA_BASE", directory_ / "data");
    set("RABBITMQ_LOG_BASE", directory_ / "log");
    // Erlang's name server too is to end with the group.
    const std::string run = std::string{"exec >/dev/null 2>&1; epmd & exec "} + program;
    ::execl("/bin/sh", "sh", "-c", run.c_str(), nullptr);
    ::_exit(127);
  }
  const auto end = clock::now() + patience;
  while (!takes_connections(port_)) {
    require(clock::now() < end, "RabbitMQ does not start");
    std::this_thread::sleep_for(100ms);
  }
}

rabbit::~rabbit() {
  ::kill(-process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

double rabbit::rate(std::size_t body_size) const {
  stream to{port_};
  to.send(std::string{"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n"} +
          '\0');
  to.receive_frames(1);
  const auto frame = [&](std::size_t number) {
    return "SEND\ndestination:/queue/bench\npersistent:true\nreceipt:" + std::to_string(number) +
           "\ncontent-length:" + std::to_string(body_size) + "\n\n" + std::string(body_size, 'x') +
           '\0';
  };
  to.send(frame(0));  // makes the queue
  to.receive_frames(1);
  constexpr std::size_t batch = 100;
  const double seconds = time_two_threads(
      [&] {
        for (std::size_t number = 0; number < messages;) {
          std::string many;
          for (std::size_t each = 0; each < batch; ++each) {
            many += frame(++number);
          }
          to.send(many);
        }
      },
      [&] { to.receive_frames(messages); });
  return static_cast<double>(messages) / seconds / 1e3;
}

}  // namespace parley::bench
