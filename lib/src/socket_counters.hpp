// SPDX-License-Identifier: MPL-2.0
//
// A socket's figures: written by the thread that owns the socket, read by any.
#pragma once

#include <parley/message.hpp>

#include <atomic>
#include <cstdint>

namespace parley::detail {

class counter {
 public:
  // Not a read-modify-write: there is one writer.
  void add(std::uint64_t amount) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed);  // a figure, it publishes nothing
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct socket_counters {
  counter messages_sent, bytes_sent;
  counter messages_received, bytes_received;
  counter batches_sent;  // written by the context's batch_keeper too, under the sender's lock
  counter batches_received;
  counter dropped_full, dropped_gone, dropped_unwanted;

  void sent(std::size_t bytes) noexcept {
    messages_sent.add(1);
    bytes_sent.add(bytes);
  }
  void received(const message& incoming) noexcept {
    messages_received.add(1);
    bytes_received.add(incoming.bytes());
  }
};

}  // namespace parley::detail
