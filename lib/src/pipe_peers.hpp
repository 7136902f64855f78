// SPDX-License-Identifier: MPL-2.0
//
// The peers of a socket over pipe://: who is there, who comes and goes, and whose turn it is to be
// read from and sent to.
//
// One thread at a time, as the socket itself; add_to: any. What is sent counts, and what nobody
// takes any more counts as dropped.
#pragma once

#include <parley/message.hpp>
#include <parley/socket_options.hpp>
#include <parley/socket_statistics.hpp>

#include "pipe_mailbox.hpp"
#include "pipe_peer.hpp"
#include "socket_counters.hpp"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace parley::detail {

class pipe_peers {
 public:
  // forget(peer): it goes, nobody may point to it any more.
  pipe_peers(const socket_options& options, socket_counters& counters,
             std::function<void(pipe_peer&)> forget);
  ~pipe_peers();
  pipe_peers(const pipe_peers&) = delete;
  pipe_peers& operator=(const pipe_peers&) = delete;

  [[nodiscard]] std::size_t size() const noexcept { return peers_.size(); }
  [[nodiscard]] bool empty() const noexcept { return peers_.empty(); }
  [[nodiscard]] pipe_peer& operator[](std::size_t index) noexcept { return *peers_[index]; }
  [[nodiscard]] auto begin() const noexcept { return peers_.begin(); }
  [[nodiscard]] auto end() const noexcept { return peers_.end(); }

  // Coming and going.

  // Whose connect waits for a bind; null: nobody.
  [[nodiscard]] pipe_peer* find_waiting(std::uint64_t connection) const;
  pipe_peer& add(std::uint64_t connection, link_side side);
  // Takes from news the link, or the room to wait in.
  void join(pipe_peer& who, pipe_mailbox::arrival& news);
  // Lets go of who has left and has been read.
  void lose_gone();
  // The same, and none of what we sent is with anybody who has gone.
  void settle();
  // Lets go of whom we have left and who has read it all.
  void forget_parted();
  [[nodiscard]] bool has_parted() const noexcept { return !parting_.empty(); }
  void lose(std::size_t index) { take_out(index); }
  void lose(pipe_peer& who);
  // We leave; what we sent is still read.
  void part(std::uint64_t connection);
  void part(pipe_peer& who);
  void make_room_to_part();  // of memory, for one: then it does not throw
  // We leave all. True: somebody may still read what we sent, and the figures go on.
  // Requires: nothing but add_to is called afterwards.
  bool leave() noexcept;
  // Messages that wait for a bind.
  [[nodiscard]] std::size_t waiting_for_bind() const;
  // Throws them away, and says how many.
  [[nodiscard]] std::size_t clear_rooms();

  // Messages.

  // From each peer in turn: whom it came from. Null: there is nothing, into is as it was.
  [[nodiscard, gnu::always_inline]] pipe_peer* pop(message& into);
  // False: refused, and outgoing is unchanged.
  [[nodiscard, gnu::always_inline]] bool put(pipe_peer& to, message& outgoing);
  // The shortest way there is, which most messages go: to or from the only peer, while what is
  // known of its pipe will do. False: go the long way; the message is as it was.
  [[nodiscard, gnu::always_inline]] bool put_to_only(message& outgoing) noexcept;
  // Requires: into is as a message() is.
  [[nodiscard, gnu::always_inline]] bool pop_of_only(message& into) noexcept;
  void put_or_drop(pipe_peer& to, message&& outgoing);
  // To the next peer in turn that has room.
  [[nodiscard, gnu::always_inline]] bool put_to_next(message& outgoing);
  // Who has left has none: a wait for room waits for another peer.
  [[nodiscard]] bool has_room(const pipe_peer& who) const;
  // Leaves the turn at the one it returns, and lets go of who has left and has been read. Null:
  // nobody.
  [[nodiscard]] pipe_peer* next_with_room();
  void pass_turn() noexcept { ++send_next_; }

  // Any thread: what the counters do not say.
  void add_to(socket_statistics& figures) const;

 private:
  static constexpr std::size_t few = 4;

  [[nodiscard, gnu::noinline]] pipe_peer* pop_of_many(message& into);
  [[nodiscard]] bool find_lively();
  void find_only() noexcept;  // after each change
  // It takes nothing any more, and there is nothing more of it.
  [[nodiscard]] static bool is_over(const pipe_peer& who) noexcept {
    return who.out == nullptr && who.in != nullptr && who.in->drained();
  }
  [[nodiscard]] std::size_t place_of(const pipe_peer& who) const;
  std::unique_ptr<pipe_peer> take_out(std::size_t index);
  void part_at(std::size_t index);
  void close_out(pipe_peer& who);  // nobody reads it any more

  const socket_options& options_;
  socket_counters& counters_;
  const std::function<void(pipe_peer&)> forget_;

  // Peers come and go under mutex_, for whoever asks for figures.
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<pipe_peer>> peers_;    // changed with mutex_ held
  std::vector<std::unique_ptr<pipe_peer>> parting_;  // left by us, and still read; likewise
  std::size_t read_next_ = 0;                        // fair queueing
  std::size_t send_next_ = 0;                        // load balancing

  // Of the only peer; null: it has none, or there are others.
  spsc_pipe<message>* only_in_ = nullptr;
  spsc_pipe<message>* only_out_ = nullptr;

  // With more than a few peers, those that had something when all were looked at last. The others
  // are looked at again after as many messages as there are peers, or when these have no more.
  std::vector<pipe_peer*> lively_;
  std::size_t lively_next_ = 0;
  std::size_t lively_pops_ = 0;  // before the next look at all
};

inline pipe_peer* pipe_peers::pop(message& into) {
  if (peers_.size() > few) [[unlikely]] {
    return pop_of_many(into);
  }
  for (std::size_t tried = 0; tried < peers_.size();) {
    if (read_next_ >= peers_.size()) {
      read_next_ = 0;
    }
    pipe_peer& next = *peers_[read_next_];
    if (next.in != nullptr) {
      if (next.in->try_pop_n(
              [&](auto&& each) { std::forward<decltype(each)>(each).unpack_into(into); }, 1) != 0) {
        ++read_next_;
        counters_.received(into);
        return &next;
      }
      if (next.in->drained()) {
        lose(read_next_);
        continue;
      }
    }
    ++read_next_;
    ++tried;
  }
  return nullptr;
}

inline bool pipe_peers::put_to_only(message& outgoing) noexcept {
  assert(!outgoing.empty());
  spsc_pipe<message>* const out = only_out_;
  if (out == nullptr || !out->sees_room() || !packed_message::is_short(outgoing)) {
    return false;
  }
  counters_.sent(outgoing.bytes());
  send_next_ = 1;
  out->push_one(std::move(outgoing));
  return true;
}

inline bool pipe_peers::pop_of_only(message& into) noexcept {
  spsc_pipe<message>* const in = only_in_;
  if (in == nullptr || !in->sees_item()) {
    return false;
  }
  in->pop_one([&](packed_message && next) __attribute__((always_inline)) {
    std::move(next).unpack_into_empty(into);
    counters_.received(into);
    read_next_ = 1;
  });
  return true;
}

inline bool pipe_peers::put(pipe_peer& to, message& outgoing) {
  const std::size_t bytes = outgoing.bytes();
  if (to.out != nullptr) {
    switch (to.out->try_push(std::move(outgoing))) {
      case push_result::pushed:
        counters_.sent(bytes);
        return true;
      case push_result::full:
        return false;
      case push_result::closed:
        close_out(to);
        return false;
    }
  }
  if (to.room && !options_.only_connected) {
    const std::lock_guard lock{to.room->mutex};
    if (!to.room->link && to.room->messages.size() < to.room->limit) {
      to.room->messages.push_back(std::move(outgoing));
      counters_.sent(bytes);
      return true;
    }
  }
  return false;
}

inline bool pipe_peers::put_to_next(message& outgoing) {
  for (std::size_t tried = 0; tried < peers_.size();) {
    if (send_next_ >= peers_.size()) {
      send_next_ = 0;
    }
    pipe_peer& next = *peers_[send_next_];
    if (put(next, outgoing)) {
      ++send_next_;
      return true;
    }
    if (is_over(next)) {
      lose(send_next_);
      continue;
    }
    ++send_next_;
    ++tried;
  }
  return false;
}

}  // namespace parley::detail
