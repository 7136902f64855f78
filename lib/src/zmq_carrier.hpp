// SPDX-License-Identifier: MPL-2.0
//
// The side of a socket that talks over inproc://, ipc:// and tcp://: one libzmq socket.
//
// One thread at a time. Whatever libzmq reports leaves as parley::error.
#pragma once

#include <parley/context.hpp>
#include <parley/message.hpp>
#include <parley/socket.hpp>

#include "batch_reader.hpp"
#include "batch_sender.hpp"
#include "shared_options.hpp"
#include "socket_counters.hpp"
#include "zmq_part.hpp"

#include <cassert>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <zmq.hpp>

namespace parley::detail {

// Throws config_error. Called when a socket is made, long before it may need libzmq.
void check_options(const socket_options& options);

class zmq_carrier {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  zmq_carrier(const context& owner, socket_kind kind, const shared_options& options,
              socket_counters& counters);
  // What waits in a batch gets the linger time, in the background.
  ~zmq_carrier();
  zmq_carrier(const zmq_carrier&) = delete;
  zmq_carrier& operator=(const zmq_carrier&) = delete;

  endpoint bind(const endpoint& where);
  void connect(const endpoint& where);
  void unbind(const endpoint& where);
  void disconnect(const endpoint& where);
  void subscribe(std::string_view prefix);
  void unsubscribe(std::string_view prefix);

  // False: refused, and outgoing is unchanged. Send, which waits, refuses only what a router or
  // stream has no peer for.
  [[nodiscard]] bool try_send(message& outgoing) {
    return send_or_say(outgoing, ZMQ_DONTWAIT) == 0;
  }
  [[nodiscard]] bool send(message& outgoing);
  [[nodiscard]] bool send_until(message& outgoing, time_point deadline);
  // False: there is nothing, or a signal ended the wait. Requires: incoming is empty. What there is
  // no memory for (bad_alloc) waits for the next of these calls.
  [[nodiscard]] bool try_receive(message& incoming) { return receive(incoming, ZMQ_DONTWAIT); }
  [[nodiscard]] bool receive_once(message& incoming) { return receive(incoming, 0); }
  [[nodiscard]] bool receive_until(message& incoming, time_point deadline);

  // The shortest way, counted: one frame of few bytes, by a kind that asks nothing else of it.
  // False: not done, and the words above say why. Wait: ZMQ_DONTWAIT, or 0.
  [[nodiscard]] bool can_send_at_once() const noexcept;
  [[nodiscard, gnu::always_inline]] bool send_at_once(message& outgoing, int wait) {
    assert(!outgoing.empty());
    const std::size_t bytes = outgoing.front().size();
    if (outgoing.size() > 1 || bytes > cheaper_copied ||
        !send_copy(native_.handle(), outgoing.front(), wait)) {
      return false;
    }
    counters_.sent(bytes);
    outgoing.clear();
    return true;
  }
  [[nodiscard]] bool can_receive_at_once() const noexcept;
  // Requires: incoming is as a message() is.
  [[nodiscard, gnu::always_inline]] bool receive_at_once(message& incoming, int wait) {
    zmq_msg_t& part = *part_.handle();
    if (has_unpacked() || is_untaken_ || zmq_msg_recv(&part, native_.handle(), wait) < 0) {
      return false;
    }
    is_untaken_ = true;
    if (zmq_msg_more(&part) != 0) [[unlikely]] {
      return end_receive(incoming);
    }
    take(incoming);
    const frame& first = incoming.front();
    if (looks_like_batch(first.data(), first.size())) [[unlikely]] {
      return end_receive(incoming);
    }
    counters_.messages_received.add(1);
    counters_.bytes_received.add(first.size());
    return true;
  }

  [[nodiscard]] bool can_receive() { return has_unpacked() || is_untaken_ || is_ready(ZMQ_POLLIN); }
  [[nodiscard]] bool can_send() { return is_ready(ZMQ_POLLOUT); }
  // While it lives, can_receive and can_send answer as of when it was made.
  class one_look {
   public:
    explicit one_look(zmq_carrier& at) : at_{at} {
      at_.flush();  // who looks is about to wait
      at_.seen_ = at_.events();
    }
    ~one_look() { at_.seen_.reset(); }
    one_look(const one_look&) = delete;
    one_look& operator=(const one_look&) = delete;

   private:
    zmq_carrier& at_;
  };
  // For who is about to wait.
  void add_fds(std::vector<int>& fds);
  // To be used by somebody else as well: it does not batch any more.
  [[nodiscard]] zmq::socket_t& shared();
  // The same, and waits for what is in the batch to be sent; returns how many messages were not.
  [[nodiscard]] std::size_t end_batching(time_point deadline);
  [[nodiscard]] zmq::socket_t& native() noexcept { return native_; }

 private:
  [[nodiscard]] bool send_to_one_until(message& outgoing, time_point deadline);
  // Zero, or errno of what is no error: EAGAIN, there is no room; EHOSTUNREACH, a router or stream
  // has no such peer; EINTR, a signal ended the wait.
  [[nodiscard]] int send_or_say(message& outgoing, int wait);
  [[nodiscard]] bool receive(message& incoming, int wait);
  [[nodiscard]] bool receive_parts(message& incoming, int wait);
  // Appends what is in part_.
  void take(message& incoming) {
    take_part(*part_.handle(), incoming);
    is_untaken_ = false;
  }
  // What has come, from its first part, taken or not, to the last. False: it was a malformed batch.
  [[nodiscard, gnu::noinline]] bool end_receive(message& incoming);
  [[nodiscard]] bool has_unpacked() const noexcept { return unpacked_ && unpacked_->has_more(); }
  [[nodiscard]] bool is_batch(const message& incoming);
  void open_batch(message& incoming);
  void apply_subscription(const message& incoming);
  void prepare(const endpoint& where);
  void prepare_for_connections();
  void flush();
  // While libzmq's socket is used: a batching one is not used by this thread alone.
  [[nodiscard]] std::unique_lock<std::mutex> hold() {
    return batch_ ? batch_->hold() : std::unique_lock<std::mutex>{};
  }
  [[nodiscard]] bool is_ready(int event) { return ((seen_ ? *seen_ : events()) & event) != 0; }
  [[nodiscard]] int events();
  [[nodiscard]] bool wait_until(short events, time_point deadline);
  [[nodiscard]] bool wait_beside_keeper(short wanted, time_point deadline);

  const socket_kind kind_;
  const socket_options& options_;  // the socket's
  batch_keeper& keeper_;
  socket_counters& counters_;
  zmq::socket_t native_;
  bool is_prepared_ = false;
  bool is_untaken_ = false;              // part_ has what there was no memory for
  std::unique_ptr<batch_sender> batch_;  // none: it does not batch
  // Received, to be taken out one by one; none: no peer was told that we unpack.
  std::unique_ptr<batch_reader> unpacked_;
  std::optional<int> seen_;  // by one_look
  zmq::message_t part_;  // received into again and again; may hold the bytes of the last small part
  std::unique_ptr<message> torn_;  // what came before it; made for the first message of many parts
};

}  // namespace parley::detail
