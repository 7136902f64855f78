// SPDX-License-Identifier: MPL-2.0
//
// A TCP link that tests can break: it stands between clients and a target, on a loopback port of
// its own that stays the same, and forwards bytes both ways until it is told to misbehave.
//
// Threads: one of its own does all the work; the verbs may be used from any thread, and what they
// say holds when they return. Bounded: it takes no more than 1 MiB each way from those that write
// faster than the other side reads, or than the delay lets pass. Its destructor resets what is
// open, and returns.
#pragma once

#include <parley/endpoint.hpp>

#include <chrono>
#include <cstddef>
#include <memory>

namespace parley::support {

class fault_proxy {
 public:
  using duration = std::chrono::steady_clock::duration;

  explicit fault_proxy(const endpoint& target);
  ~fault_proxy();
  fault_proxy(const fault_proxy&) = delete;
  fault_proxy& operator=(const fault_proxy&) = delete;

  // Where clients connect.
  [[nodiscard]] endpoint where() const;

  // Resets all connections and refuses new ones, until restored.
  void cut();
  void restore();

  // Reads and forwards nothing more, as a process that was stopped: connections and bytes wait in
  // the kernel, as many as it takes, until resumed.
  void stall();
  void resume();

  // How long bytes are kept on their way, from now on; ends of connections, too.
  void delay(duration to_target, duration to_client);

  // Where new connections go; those that are there stay.
  void retarget(const endpoint& target);

  // How many it forwards for at this moment.
  [[nodiscard]] std::size_t connections();

 private:
  class worker;
  std::unique_ptr<worker> worker_;
};

}  // namespace parley::support
