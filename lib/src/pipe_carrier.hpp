// SPDX-License-Identifier: MPL-2.0
//
// The side of a socket that talks over pipe://: its endpoints, and the way of each message between
// the program and the peers. What a kind does with messages is in pipe_conversation (req, rep),
// pipe_routes (router), pipe_publisher (pub, xpub) and pipe_subscriber (sub, xsub); the other kinds
// deal them out and take them in turn (RFCs 30 and 31).
//
// One thread at a time, as the socket itself; figures may be asked for by any.
// Every word may throw closed (the context was shut down), or error: unsupported (this kind does
// not send, or receive), out_of_turn (req and rep).
#pragma once

#include <parley/error.hpp>
#include <parley/message.hpp>
#include <parley/socket.hpp>
#include <parley/socket_statistics.hpp>

#include "pipe_conversation.hpp"
#include "pipe_mailbox.hpp"
#include "pipe_peers.hpp"
#include "pipe_publisher.hpp"
#include "pipe_registry.hpp"
#include "pipe_routes.hpp"
#include "pipe_subscriber.hpp"
#include "shared_options.hpp"
#include "socket_counters.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley::detail {

class pipe_carrier {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  pipe_carrier(std::shared_ptr<pipe_registry> registry, socket_kind kind,
               const shared_options& options, socket_counters& counters);
  ~pipe_carrier();
  pipe_carrier(const pipe_carrier&) = delete;
  pipe_carrier& operator=(const pipe_carrier&) = delete;

  // Throw error: cannot_bind, cannot_connect, invalid_endpoint; what() says what was tried.
  void bind(const std::string& name);
  void connect(const std::string& name);
  void unbind(const std::string& name);
  void disconnect(const std::string& name);
  // Or peers that were left and still read, or a message.
  [[nodiscard]] bool has_endpoints();
  // Of all that peers who have gone did not read.
  void let_go();

  // Waits until nothing is left that waits for a bind. Throws away the rest, and says how many.
  // Requires: nothing else is called afterwards.
  [[nodiscard]] std::size_t close_until(time_point deadline) noexcept;
  // Takes back binds and connects, and leaves all peers. True: somebody may still read what was
  // sent, and add_to goes on to tell of it; it is all that may be called afterwards.
  bool leave() noexcept;

  void subscribe(std::string_view prefix);
  void unsubscribe(std::string_view prefix);

  // False: refused, and outgoing is unchanged.
  [[nodiscard]] bool try_send(message& outgoing);
  // False: the deadline has passed or, router, there is no such peer.
  [[nodiscard]] bool send_until(message& outgoing, time_point deadline);
  // Into a message of the caller's: each move of a message costs as much as the pipe does.
  // False: there is nothing, into is as it was.
  [[nodiscard]] bool try_receive(message& into);
  [[nodiscard]] bool receive_until(message& into, time_point deadline);
  [[nodiscard]] bool can_send();
  [[nodiscard]] bool can_receive();

  // The shortest way, for kinds that deal their messages out, or take them in turn, and do nothing
  // else with them. False: not done, the words above must.
  [[nodiscard]] bool can_send_at_once() const noexcept { return deals_; }
  [[nodiscard, gnu::always_inline]] bool send_at_once(message& outgoing) noexcept {
    return !mailbox_->has_news() && peers_.put_to_only(outgoing);
  }
  // xsub receives to pass on subscriptions, too.
  [[nodiscard]] bool can_receive_at_once() const noexcept {
    return takes_all_ && kind_ != socket_kind::xsub;
  }
  // Requires: into is as a message() is.
  [[nodiscard, gnu::always_inline]] bool receive_at_once(message& into) noexcept {
    return !mailbox_->has_news() && !fetched_ && peers_.pop_of_only(into);
  }

  // For sockets with libzmq beside: which of the two a message belongs to.
  [[nodiscard]] bool knows(std::string_view routing_id);  // router: a peer of ours
  [[nodiscard]] std::size_t targets() const noexcept { return peers_.size(); }
  [[nodiscard]] bool in_turn_to_receive() const noexcept {
    return conversation_.has_turn_to_receive();
  }
  [[nodiscard]] bool in_turn_to_send() const noexcept { return conversation_.has_turn_to_send(); }
  // req: libzmq's side was asked instead.
  void abandon_request() noexcept {
    conversation_.abandon();
    fetched_.reset();
  }

  // From now on each "no" of try_x and can_x arms the bell of its direction: the next change makes
  // the bell's descriptor readable. Bells: reading, writing; the same one for subscribers.
  void watch();
  void unwatch() noexcept;
  // Quiets bells that have rung. Requires: both can_x follow, and arm again what says no.
  void be_silent() noexcept;
  [[nodiscard]] doorbell& read_bell() noexcept { return *mailbox_->read_bell; }
  [[nodiscard]] doorbell& write_bell() noexcept { return *mailbox_->write_bell; }

  // Any thread: what the counters do not say.
  void add_to(socket_statistics& figures) const { peers_.add_to(figures); }

 private:
  [[noreturn]] void fail(errc code, const char* action) const;
  // At the start of each call, never within: peers may go.
  void catch_up() {
    if (mailbox_->has_news() || subscriber_.has_backlog()) [[unlikely]] {
      take_news();
    }
  }
  void catch_up_if_possible();
  void take_news();
  void admit(pipe_mailbox::arrival& news);
  void forget(pipe_peer& who);

  // Receiving.
  [[nodiscard, gnu::always_inline]] bool fetch(message& into);
  [[nodiscard]] bool fetch_by_kind(message& into);
  [[nodiscard, gnu::always_inline]] bool receive_once(message& into);
  [[nodiscard, gnu::noinline]] bool wait_and_receive(message& into, time_point deadline);
  [[nodiscard]] bool receives() const noexcept;
  [[nodiscard]] bool receive_ready() const noexcept;

  // Sending.
  [[nodiscard, gnu::always_inline]] bool send_once(message& outgoing);
  [[nodiscard]] bool send_by_kind(message& outgoing);
  [[nodiscard, gnu::noinline]] bool wait_and_send(message& outgoing, time_point deadline);
  [[nodiscard]] bool send_ready() const noexcept;

  // True: nothing is ready, and if anybody watches, the bell is armed.
  template<class Ready>
  [[nodiscard]] bool rest(doorbell& bell, Ready ready);

  const std::shared_ptr<pipe_registry> registry_;
  const socket_kind kind_;
  const bool deals_;      // each message to the next in turn, whatever it is
  const bool takes_all_;  // and from each in turn
  const std::shared_ptr<pipe_mailbox> mailbox_;
  const socket_options& options_;
  socket_counters& counters_;
  bool watched_ = false;
  bool has_left_ = false;
  std::optional<message> fetched_;  // received by can_receive

  std::vector<std::string> bound_;
  std::multimap<std::string, std::uint64_t> connections_;
  std::uint64_t last_connection_ = 0;

  pipe_peers peers_;
  // What the kind does with messages; those of other kinds are idle.
  pipe_conversation conversation_;
  pipe_routes routes_;
  pipe_publisher publisher_;
  pipe_subscriber subscriber_;
};

}  // namespace parley::detail
