// SPDX-License-Identifier: MPL-2.0
//
// The side of a socket that talks over pipe://: its links, and what its kind does with them, as in
// RFCs 28 (request-reply), 29 (publish-subscribe), 30 (pipeline) and 31 (exclusive pair).
//
// One thread at a time, as the socket itself; figures may be asked for by any.
// Every word may throw closed (the context was shut down), or error: unsupported (this kind does
// not send, or receive), out_of_turn (req and rep).
#pragma once

#include <parley/error.hpp>
#include <parley/message.hpp>
#include <parley/socket.hpp>
#include <parley/socket_statistics.hpp>

#include "pipe_mailbox.hpp"
#include "pipe_registry.hpp"
#include "socket_counters.hpp"
#include "subscription_table.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace parley::detail {

class pipe_carrier {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  pipe_carrier(std::shared_ptr<pipe_registry> registry, socket_kind kind,
               const socket_options& options, socket_counters& counters);
  ~pipe_carrier();
  pipe_carrier(const pipe_carrier&) = delete;
  pipe_carrier& operator=(const pipe_carrier&) = delete;

  // Throw error: cannot_bind, cannot_connect, invalid_endpoint; what() says what was tried.
  void bind(const std::string& name);
  void connect(const std::string& name);
  void unbind(const std::string& name);
  void disconnect(const std::string& name);
  [[nodiscard]] bool has_endpoints() const noexcept {
    return !bound_.empty() || !connections_.empty() || !peers_.empty();
  }

  // Waits until nothing is left that waits for a bind. Throws away the rest, and says how many.
  // Requires: nothing else is called afterwards.
  [[nodiscard]] std::size_t close_until(time_point deadline) noexcept;

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

  // For sockets with libzmq beside: which of the two a message belongs to.
  [[nodiscard]] bool knows(std::string_view routing_id);  // router: a peer of ours
  [[nodiscard]] std::size_t targets() const noexcept { return peers_.size(); }
  [[nodiscard]] bool in_turn_to_receive() const noexcept { return turn_ == turn::receive; }
  [[nodiscard]] bool in_turn_to_send() const noexcept { return turn_ == turn::send; }

  // From now on each "no" of try_x and can_x arms the bell of its direction: the next change makes
  // the bell's descriptor readable. Bells: reading, writing; the same one for subscribers.
  void watch();
  // Quiets bells that have rung. Requires: both can_x follow, and arm again what says no.
  void be_silent() noexcept;
  [[nodiscard]] doorbell& read_bell() noexcept { return *mailbox_->read_bell; }
  [[nodiscard]] doorbell& write_bell() noexcept { return *mailbox_->write_bell; }

  // Any thread: what the counters do not say.
  void add_to(socket_statistics& figures) const;

 private:
  // Our end of a link, or of a connect that waits for its name to be bound.
  struct peer {
    std::uint64_t connection = 0;  // 0: we are bound
    link_side side = link_side::bound;
    std::shared_ptr<pipe_link> link;
    spsc_pipe<message>* in = nullptr;    // null: waiting for a bind
    spsc_pipe<message>* out = nullptr;   // null as well when the peer has left
    std::shared_ptr<waiting_room> room;  // not null: waiting for a bind
    std::string routing_id;              // router: what the program calls it
    std::uint64_t matched = 0;           // pub: the last topic that it was found for
    std::deque<message> backlog;         // sub: subscriptions that found no room yet
  };
  enum class turn { send, receive, either };

  [[nodiscard]] std::size_t waiting_for_bind() const;
  [[noreturn]] void fail(errc code, const char* action) const;
  // At the start of each call, never within: peers may go.
  void catch_up() {
    if (mailbox_->has_news() || has_backlog_) [[unlikely]] {
      take_news();
    }
  }
  void take_news();
  void admit(pipe_mailbox::arrival& news);
  [[nodiscard]] bool name_peer(peer& who);
  void pass_on_backlog();

  // Peers come and go under mutex_, for whoever asks for figures.
  std::unique_ptr<peer> lose(std::size_t index);
  void lose(peer& who);
  void close_out(peer& who);  // nobody reads it any more
  void part(std::unique_ptr<peer> who);

  // Receiving.
  [[nodiscard, gnu::always_inline]] bool pop(message& into, peer*& from);
  [[nodiscard, gnu::always_inline]] bool fetch(message& into);
  [[nodiscard]] bool fetch_by_kind(message& into);
  [[nodiscard]] bool fetch_request(message& into);
  [[nodiscard]] bool fetch_reply(message& into);
  [[nodiscard]] bool fetch_named(message& into);
  [[nodiscard]] bool fetch_wanted(message& into);
  [[nodiscard]] bool fetch_told(message& into);
  [[nodiscard, gnu::always_inline]] bool receive_once(message& into);
  [[nodiscard, gnu::noinline]] bool wait_and_receive(message& into, time_point deadline);
  [[nodiscard]] bool receives() const noexcept;
  [[nodiscard]] bool receive_ready() const noexcept;
  void unwanted() noexcept { counters_.dropped_unwanted.add(1); }

  // Sending.
  [[nodiscard, gnu::always_inline]] bool put(peer& to, message& outgoing);
  void put_or_drop(peer& to, message&& outgoing);
  [[nodiscard, gnu::always_inline]] bool send_to_next(message& outgoing);
  [[nodiscard]] bool has_room(const peer& who) const;
  [[nodiscard]] peer* next_with_room();
  [[nodiscard]] bool send_request(message& outgoing);
  void send_reply(message& outgoing);
  [[nodiscard]] bool send_named(message& outgoing);
  void publish(message& outgoing);
  void send_upstream(message& outgoing);
  [[nodiscard, gnu::always_inline]] bool send_once(message& outgoing);
  [[nodiscard]] bool send_by_kind(message& outgoing);
  [[nodiscard, gnu::noinline]] bool wait_and_send(message& outgoing, time_point deadline);
  [[nodiscard]] bool send_ready() const noexcept;

  // Subscriptions.
  void take_subscriptions();
  void take_subscription(peer& from, message&& incoming);
  void tell_peers(char what, std::string_view prefix);

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

  mutable std::mutex mutex_;                    // see lose
  std::vector<std::unique_ptr<peer>> peers_;    // changed with mutex_ held
  std::vector<std::unique_ptr<peer>> parting_;  // left by us, and still read; likewise
  std::size_t read_next_ = 0;                   // fair queueing
  std::size_t send_next_ = 0;                   // load balancing
  std::optional<message> fetched_;              // received by can_receive

  std::vector<std::string> bound_;
  std::multimap<std::string, std::uint64_t> connections_;
  std::uint64_t last_connection_ = 0;

  // req, rep
  turn turn_ = turn::either;
  peer* talking_to_ = nullptr;  // who was asked, or who asks; null when gone
  message envelope_;            // rep: what a reply begins with
  std::uint32_t request_id_ = 0;

  // router
  struct text_hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, peer*, text_hash, std::equal_to<>> routes_;
  std::uint64_t last_name_ = 0;
  std::string refused_by_;  // who had no room for the last message; empty: there was no such peer

  // pub, xpub
  subscription_table<peer> subscribers_;
  std::uint64_t topics_ = 0;
  std::vector<peer*> matching_;
  std::deque<message> told_;  // xpub: for the program

  // sub: there may be messages on the way that are not wanted any more
  bool filters_ = false;
  bool has_backlog_ = false;
};

}  // namespace parley::detail
