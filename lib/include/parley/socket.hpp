// SPDX-License-Identifier: MPL-2.0
//
// A ZeroMQ socket: sends and receives whole messages with the peers it is bound or connected to.
//
// The endpoint picks the carrier: pipe:// runs over lock-free pipes between threads, inproc://,
// ipc:// and tcp:// over libzmq. A socket may have endpoints of both kinds: it receives from all
// its peers in turn, and sends to them as if they were of one kind. Threads: a socket belongs to
// one thread at a time; in builds with assertions, two at once end the program with a word about
// it. It may be handed to another thread through anything that synchronises (a mutex, a join, a
// queue). Any thread may call statistics(). Waiting: try_x returns at once; x_for waits at most
// that long; x waits as long as it takes. Every wait ends with parley::closed when the context is
// shut down; a signal does not end it. Full: what happens when no peer can take a message depends
// on the kind, as in the ZeroMQ RFCs: pair, push, req and dealer wait or refuse; pub and xpub drop
// for the slow peer; router refuses (or drops, see socket_options::mandatory). Source: ZeroMQ RFCs
// 28 (request-reply), 29 (publish-subscribe), 30 (pipeline), 31 (exclusive pair).
#pragma once

#include <parley/context.hpp>
#include <parley/endpoint.hpp>
#include <parley/home_process.hpp>
#include <parley/message.hpp>
#include <parley/socket_options.hpp>
#include <parley/socket_statistics.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

namespace zmq {
class socket_t;
}

namespace parley {

namespace detail {
struct socket_rest;
}

enum class socket_kind { pair, push, pull, pub, sub, xpub, xsub, req, rep, dealer, router, stream };

[[nodiscard]] std::string_view to_string(socket_kind kind) noexcept;

// What a socket could do without waiting.
struct socket_readiness {
  bool receive = false;
  bool send = false;
};

// What a socket still held when the time to close it was up. It is thrown away.
struct close_result {
  // Over pipe://: messages for names that nobody had bound. Exact. Over libzmq: messages in a batch
  // that could not leave.
  std::size_t unsent = 0;
  // Over libzmq, which does not count them: it had not let go of all of them yet, or could not be
  // asked, because the context was shut down.
  bool uncounted = false;

  [[nodiscard]] bool all_sent() const noexcept { return unsent == 0 && !uncounted; }
};

class socket {
 public:
  using duration = std::chrono::steady_clock::duration;

  socket(context& owner, socket_kind kind, const socket_options& options = {});
  socket(socket&&) noexcept;
  socket& operator=(socket&&) noexcept;
  // Returns at once. Messages not yet sent get the linger time, in the background; over pipe://,
  // what was sent stays there for its peer to read.
  ~socket();

  // Ends the socket, and waits until what was sent has left, but not longer than limit, which takes
  // the place of the linger time. After it every call but statistics() throws closed.
  // Requires: no monitor watches the socket.
  [[nodiscard]] close_result close_for(duration limit);

  [[nodiscard]] socket_kind kind() const noexcept { return kind_; }

  // Returns what was really bound: wildcard ports and paths are filled in.
  endpoint bind(const endpoint& where);
  // Returns at once; the connection is made in the background, and made again when it is lost. But
  // libzmq does not try again after the peer broke the protocol, or refused us: see
  // docs/sockets.md.
  void connect(const endpoint& where);
  void unbind(const endpoint& where);
  void disconnect(const endpoint& where);

  // sub, and xsub by way of a message to its publishers. Topics match by prefix.
  void subscribe(std::string_view prefix);
  void unsubscribe(std::string_view prefix);

  // False: no peer can take it now (or, router and stream: there is no such peer); outgoing is
  // unchanged.
  [[nodiscard]] bool try_send(message&& outgoing);
  [[nodiscard]] bool send_for(message&& outgoing, duration limit);
  // Router and stream: there is no such peer, or it went while we waited for room: throws error
  // (unknown_peer), and outgoing is unchanged.
  void send(message&& outgoing);

  [[nodiscard]] std::optional<message> try_receive();
  [[nodiscard]] std::optional<message> receive_for(duration limit);
  [[nodiscard]] message receive();

  // Whether a receive, or a send, would not have to wait.
  [[nodiscard]] bool can_receive() const;
  [[nodiscard]] bool can_send() const;

  // For an event loop: becomes readable when ready() may say yes where it said no. Call ready()
  // after it fired, and once more after the last other call before you wait for it again; do not
  // wait when ready() says what you want. Stays the same, whatever the socket is bound or connected
  // to later. Never read from it.
  [[nodiscard]] int fd() const;
  // can_receive and can_send in one look. News is told by fd() only to the next look, whichever it
  // is: after two looks, the second may have taken away what the first should be woken for.
  [[nodiscard]] socket_readiness ready() const;

  [[nodiscard]] socket_statistics statistics() const;

  // cppzmq's socket, for what Parley does not offer. Made now if no endpoint needed it before. From
  // now on the socket does not batch.
  [[nodiscard]] zmq::socket_t& native();

 private:
  friend class poller;
  friend struct detail::socket_rest;
  class state;

  socket_kind kind_;
  std::unique_ptr<state, detail::home_delete> state_;
};

}  // namespace parley
