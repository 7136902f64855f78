// SPDX-License-Identifier: MPL-2.0
//
// How many bytes of large bodies a socket has sent that somebody still holds: libzmq, until they
// are with the system; over pipe://, the pipe and then the receiver. The high-water mark in bytes.
//
// Counted by wrapping each body in an owner of ours, whose end says that all are done with it. The
// socket's thread: all words. Bodies may end on any thread, also after the socket.
#pragma once

#include <parley/message.hpp>

#include "pipe_mailbox.hpp"
#include "pipe_registry.hpp"

#include <chrono>
#include <cstddef>
#include <memory>

namespace parley::detail {

class byte_budget {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  // Smaller bodies are not counted: the high-water mark in messages bounds them well enough.
  static constexpr std::size_t smallest = 4097;

  byte_budget(std::shared_ptr<pipe_registry> registry, std::size_t limit);
  ~byte_budget();
  byte_budget(const byte_budget&) = delete;
  byte_budget& operator=(const byte_budget&) = delete;

  // Less than the limit is out.
  [[nodiscard]] bool has_room() noexcept;
  // False: the deadline has passed. Throws closed (the context was shut down).
  [[nodiscard]] bool wait_until(time_point deadline);
  // True: there is no room; when there is, bell()'s descriptor turns readable. Throws closed.
  [[nodiscard]] bool rest();
  [[nodiscard]] doorbell& bell() noexcept { return *mailbox_->write_bell; }

  // Counts the bodies of a message that is about to be sent, until their end.
  void charge(message& outgoing) const;

 private:
  struct account;
  struct counted_body;

  void check_open() const;

  const std::shared_ptr<pipe_registry> registry_;
  const std::shared_ptr<pipe_mailbox> mailbox_;  // hears of the context's end
  const std::shared_ptr<account> account_;
};

}  // namespace parley::detail
