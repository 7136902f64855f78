// SPDX-License-Identifier: MPL-2.0
//
// Finds out which of a peer's addresses answer: opens a bare TCP connection to each, all at once,
// and closes it again. One thread.
#pragma once

#include "peer_desk.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

namespace parley::detail {

class tcp_probes {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  tcp_probes();  // throws error: out_of_resources
  ~tcp_probes();
  tcp_probes(const tcp_probes&) = delete;
  tcp_probes& operator=(const tcp_probes&) = delete;

  void begin(peer_link link, const peer_place& where, time_point now);

  struct result {
    peer_link link;
    peer_place where;
    probe_answer how;
    std::string own_host;  // the address of ours that it answered
  };
  [[nodiscard]] std::vector<result> take_results(time_point now);
  // Readable: there may be results.
  [[nodiscard]] int fd() const noexcept { return epoll_fd_; }
  // When there is one at the latest.
  [[nodiscard]] time_point due() const noexcept;

 private:
  struct probe {
    peer_link link;
    peer_place where;
    time_point until;
  };
  void open(probe&& begun);

  const int epoll_fd_;
  std::unordered_map<int, probe> open_;  // by descriptor
  std::deque<probe> waiting_;
  std::vector<result> results_;
};

}  // namespace parley::detail
