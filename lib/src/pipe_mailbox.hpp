// SPDX-License-Identifier: MPL-2.0
//
// What other threads may touch of a socket that uses pipe://: its bells, and where they put the
// links that they have joined it to.
//
// Owner: take, put_back. Anyone: the rest. Each piece of news rings both bells, so no wait sleeps
// through it.
#pragma once

#include <parley/message.hpp>
#include <parley/pipe/doorbell.hpp>
#include <parley/socket.hpp>

#include "pipe_link.hpp"
#include "shared_options.hpp"
#include "subscription_set.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace parley::detail {

// Where a connected socket's messages wait until somebody binds the name. Who joins the two moves
// them into the link, also when the socket does nothing more or is gone.
struct waiting_room {
  explicit waiting_room(std::size_t most) : limit{most} {}

  std::mutex mutex;
  // Guarded by mutex.
  std::deque<message> messages;
  std::shared_ptr<pipe_link> link;  // not null: joined, emptied for good
  const std::size_t limit;
};

class pipe_mailbox {
 public:
  // Who may connect says it by a number that the socket gives each connect; 0 where it is bound.
  struct arrival {
    std::uint64_t connection;
    link_side side;
    std::shared_ptr<pipe_link> link;       // one of these two: joined,
    std::shared_ptr<waiting_room> room;    // or waiting, for the first time or again
    std::uint64_t subscription_bytes = 0;  // of the subscribing end's subscriptions, sent along
  };

  using arrival_list = std::list<arrival>;  // moved without memory, and whole

  pipe_mailbox(socket_kind socket_is, shared_options socket_has)
      : kind{socket_is}, options{std::move(socket_has)} {}

  const socket_kind kind;
  const shared_options options;
  const std::shared_ptr<doorbell> read_bell = std::make_shared<doorbell>();
  // A subscriber waits for room only to pass subscriptions on, and does so while it receives.
  const std::shared_ptr<doorbell> write_bell =
      subscribes(kind) ? read_bell : std::make_shared<doorbell>();

  // Guarded by subscriptions_mutex; changed by the owner only.
  std::mutex subscriptions_mutex;
  subscription_set subscriptions;

  void post(arrival_list next) noexcept {
    {
      const std::lock_guard lock{mutex_};
      inbox_.splice(inbox_.end(), next);
      has_news_.store(true, std::memory_order_relaxed);  // publishes nothing: take locks
    }
    ring();
  }
  void shut_down() noexcept {
    {
      const std::lock_guard lock{mutex_};
      is_shut_down_ = true;
      has_news_.store(true, std::memory_order_relaxed);
    }
    ring();
  }

  // Once shut down, there is news for ever.
  [[nodiscard]] bool has_news() const noexcept {
    return has_news_.load(std::memory_order_relaxed);  // acquires nothing: take locks
  }
  struct news {
    arrival_list arrivals;
    bool is_shut_down;
  };
  [[nodiscard]] news take() {
    const std::lock_guard lock{mutex_};
    has_news_.store(is_shut_down_, std::memory_order_relaxed);
    return {std::exchange(inbox_, {}), is_shut_down_};
  }
  // What was taken and not used: for the next take.
  void put_back(arrival_list rest) noexcept {
    const std::lock_guard lock{mutex_};
    inbox_.splice(inbox_.begin(), rest);
    has_news_.store(true, std::memory_order_relaxed);  // as in post
  }

 private:
  void ring() noexcept {
    read_bell->ring();
    write_bell->ring();
  }

  std::mutex mutex_;
  // Guarded by mutex_.
  arrival_list inbox_;
  bool is_shut_down_ = false;
  std::atomic<bool> has_news_{false};  // written with mutex_ held, read without
};

}  // namespace parley::detail
