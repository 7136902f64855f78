// SPDX-License-Identifier: MPL-2.0
//
// Forwards whole messages between two sockets, both ways, until it is stopped.
//
// Threads: any may call start, pause, resume, stop and statistics. The sockets, which must outlive
// the proxy, belong to it from start to stop, and while run runs. Full: it reads from one side only
// when the other can take a message, and keeps no queue; see docs/proxy.md for the one in hand.
// Kinds: messages go in the directions that both sockets have (pull to push: one way). req and rep,
// which send and receive by turns, go with each other only.
#pragma once

#include <parley/home_process.hpp>
#include <parley/message.hpp>
#include <parley/socket.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>

namespace parley {

enum class proxy_way { to_back, to_front };

// Since the proxy was made. Read = messages + dropped + in_hand, in each direction.
struct proxy_statistics {
  struct way {
    std::uint64_t messages = 0;  // passed on
    std::uint64_t bytes = 0;     // of all their frames
    std::uint64_t dropped = 0;   // refused by a router: the peer is gone, or does not read
    std::size_t in_hand = 0;     // read, and not yet passed on: 0 or 1
  };
  way to_back;
  way to_front;
};

class proxy {
 public:
  // Sees each message once, before it is passed on, on the thread that forwards.
  using capture = std::function<void(proxy_way, const message&)>;

  // Throws error (unsupported) for kinds that do not go together. Requires: two sockets.
  proxy(socket& front, socket& back, capture on_message = {});
  // Stops.
  ~proxy();
  proxy(const proxy&) = delete;
  proxy& operator=(const proxy&) = delete;

  // On the calling thread, until the stop. Throws what the sockets throw (closed: the context has
  // ended), and what the capture throws. Requires: nothing else runs or has started it.
  void run(const std::stop_token& stop);

  // On a thread of its own. Nothing happens when it has one already. Requires: run does not run,
  // and this is not the capture.
  void start();
  // Ends what start began and waits for it, unless called by the capture. Throws what ended it
  // before, but not closed.
  void stop();

  // A message that is sent to the proxy after pause has returned does not pass before resume.
  // May come before start.
  void pause();
  void resume();

  [[nodiscard]] proxy_statistics statistics() const;

 private:
  struct state;
  detail::home_ptr<state> state_;
};

}  // namespace parley
