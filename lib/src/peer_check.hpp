// SPDX-License-Identifier: MPL-2.0
//
// Finds out whether all peers that a libzmq socket sends to unpack batches.
//
// They do when the socket has connected endpoints only, all of them are connected, and at each,
// asked since the last of these connections was made or lost, a socket that unpacks is bound
// (zmtp_probe). Whoever connects to a bound socket cannot be asked.
// Threads: all_unpack any, the rest one at a time; it waits for nothing. It is the socket's monitor
// (libzmq has one a socket): when another takes its place, the peers are not known any more.
#pragma once

#include <parley/endpoint.hpp>

#include "shared_options.hpp"
#include "zmtp_probe.hpp"

#include <poll.h>

#include <atomic>
#include <cstddef>
#include <list>
#include <vector>

#include <zmq.hpp>

namespace parley::detail {

class peer_check {
 public:
  // Watches the socket, which has no endpoints yet. Throws zmq::error_t.
  peer_check(zmq::context_t& context, zmq::socket_t& watched, const shared_options& options);

  ~peer_check() { give_up(); }
  peer_check(const peer_check&) = delete;
  peer_check& operator=(const peer_check&) = delete;

  // Any thread. A no may become a yes by look() only.
  [[nodiscard]] bool all_unpack() const noexcept {
    // Relaxed: what is known of a peer is of a moment.
    return all_unpack_.load(std::memory_order_relaxed);
  }

  // Before the socket connects there.
  void add(const endpoint& where);
  // For good: the socket's peers can no longer be known.
  void give_up() noexcept;

  // Goes on with what has come; then what comes next makes one of the descriptors readable.
  void look() noexcept;
  void add_fds(std::vector<pollfd>& fds) const;

 private:
  struct question {
    endpoint where;
    zmq::socket_t stream;
    zmtp_probe probe;
    zmtp_probe::answer answer = zmtp_probe::answer::pending;
  };

  void forget() noexcept;
  void look_at_connections();
  void ask_again();
  void ask(const endpoint& where);
  void go_on(question& asked);

  zmq::context_t& context_;
  void* const watched_;
  const shared_options options_;
  zmq::socket_t events_;
  std::vector<endpoint> endpoints_;
  std::size_t connections_ = 0;
  std::list<question> questions_;
  std::atomic<bool> all_unpack_{false};
};

}  // namespace parley::detail
