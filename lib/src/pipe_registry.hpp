// SPDX-License-Identifier: MPL-2.0
//
// The names of pipe:// endpoints in one context: joins who connects to who binds, in either order.
//
// A connect stands until it is taken back: when the bound socket goes, who was connected waits for
// the next one. Any thread; never calls out. Locks are taken in this order: registry,
// subscriptions, waiting room, mailbox.
#pragma once

#include "pipe_mailbox.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace parley::detail {

class pipe_registry {
 public:
  using mailbox = std::shared_ptr<pipe_mailbox>;

  // After shutdown, who enters is told at once.
  void enter(const mailbox& who);
  // Takes back all of who's binds and connects. What it sent to names that nobody has bound is kept
  // for its linger time.
  void leave(const mailbox& who) noexcept;
  void shut_down();

  // The words below change all or, out of memory, nothing.
  // False: the name is taken.
  [[nodiscard]] bool bind(const std::string& name, const mailbox& who);
  // False: it was not bound by who. Its links stay.
  [[nodiscard]] bool unbind(const std::string& name, const mailbox& who);
  // False: who has bound the name is of a kind that cannot talk to who.
  [[nodiscard]] bool connect(const std::string& name, const mailbox& who, std::uint64_t connection);
  void disconnect(const std::string& name, const mailbox& who, std::uint64_t connection);

 private:
  struct connection {
    mailbox who;
    std::uint64_t id;
    std::shared_ptr<waiting_room> room;  // null when joined
    mailbox joined_to;
    // The socket is gone, its messages wait until then.
    bool closed = false;
    std::chrono::steady_clock::time_point expires;
  };
  struct name {
    mailbox bound;
    std::vector<connection> connections;
  };

  struct joining;

  static joining prepare(pipe_mailbox& bound, connection& with);
  static void join(const mailbox& bound, joining& made) noexcept;
  static void join(const mailbox& bound, std::span<connection* const> all);
  static void wait_for_bind(connection& which);
  void forget_if_empty(std::map<std::string, name>::iterator at);

  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::string, name> names_;
  std::set<mailbox> members_;
  bool is_shut_down_ = false;
};

// Whether RFCs 28 to 31 let the two talk.
[[nodiscard]] bool may_talk(socket_kind one, socket_kind other) noexcept;

}  // namespace parley::detail
