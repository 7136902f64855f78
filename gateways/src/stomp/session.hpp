// SPDX-License-Identifier: MPL-2.0
//
// One client's side of the protocol, without I/O: frames and the time go in, bytes come out at
// output(), and what the rest of the gateway must do comes out as a request.
//
// One request at a time: after receive() made one, nothing else may be received until complete()
// or fail() is called. So a SEND can wait for room in a queue, and its RECEIPT is written only when
// the message was accepted. An error writes ERROR and closes the session: flush output(), then
// hang up.
#pragma once

#include <parley/stomp_limits.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stomp/frame.hpp"
#include "stomp/message.hpp"
#include "stomp/queue.hpp"

namespace parley::stomp {

using clock = std::chrono::steady_clock;

enum class ack_mode : std::uint8_t { automatic, cumulative, individual };

// A message that was written for a client and that it may have to acknowledge.
struct delivery {
  std::uint64_t number = 0;  // in its subscription
  queue* from = nullptr;
  queue::entry entry;
  bool in_transaction = false;  // acknowledged there, which ABORT takes back
};

struct subscription {
  std::uint64_t number = 0;  // in the session, never used twice
  std::string id;            // as the client wrote it; empty for a 1.0 client that gave none
  std::string destination;
  ack_mode mode = ack_mode::automatic;
  std::size_t window = 0;             // most unacknowledged messages
  std::size_t dropped = 0;            // not yet told to the client
  std::string opening;                // of each MESSAGE, up to the number of the delivery
  bool implicit = false;              // made by a reply-to, not by SUBSCRIBE
  queue::consumer* outlet = nullptr;  // for whoever feeds it
  std::uint64_t next_delivery = 0;
  std::deque<delivery> unsettled;  // ascending numbers
};

struct settlement {
  subscription* who;
  queue* from;
  queue::entry entry;
  bool accepted;
};

struct request {
  enum class kind : std::uint8_t {
    none,  // answered already
    log_in,
    publish,      // the messages, one of a SEND or all of a COMMIT, all or none; then settle
    subscribe,    // subject is new
    unsubscribe,  // subject ends; its unsettled messages are the receiver's to give back
    settle,
    leave,  // DISCONNECT
  };
  kind what = kind::none;
  subscription* subject = nullptr;
  std::string_view user, passcode;  // log_in: valid until the reader is used again
  std::vector<message_ptr> messages;
  std::vector<settlement> settlements;
};

class session {
 public:
  // `number` tells sessions apart in message ids; a reply-to /temp-queue/x becomes reply_prefix +
  // x, which others can send to.
  session(const session_limits& limits, std::uint64_t number, std::string reply_prefix,
          clock::time_point now);

  // Requires: no request is pending and the session is not closing.
  const request& receive(const frame& from_client, clock::time_point now);
  [[nodiscard]] const request& pending() const noexcept { return request_; }
  // The pending request was carried out.
  void complete();
  // It cannot be: ERROR, with the receipt of the frame that asked.
  void fail(std::string_view sentence);
  // The bytes were no STOMP: ERROR.
  void malformed(std::string_view sentence);

  // Whether a message could be handed over now: there is credit left.
  [[nodiscard]] bool has_credit(const subscription& to) const noexcept {
    return to.mode == ack_mode::automatic || to.unsettled.size() < to.window;
  }
  void deliver(subscription& to, const message& content);
  void deliver(subscription& to, const queue::entry& entry, queue& from);

  // Whatever came counts as a sign of life.
  void heard(clock::time_point now) noexcept { heard_ = now; }
  // While nothing is read, silence is our doing.
  void stop_listening() noexcept { listening_ = false; }
  void listen_again(clock::time_point now) noexcept {
    listening_ = true;
    heard_ = now;
  }

  // When tick() is next needed.
  [[nodiscard]] clock::time_point due() const noexcept;
  // Writes a heart-beat when one is due. False: the client is dead, drop it.
  [[nodiscard]] bool tick(clock::time_point now);

  // Swaps what is to be sent into `bytes`. Requires: bytes is empty, and what was taken before was
  // reported sent.
  void take_output(std::string& bytes, clock::time_point now);
  // Some of it is on its way.
  void sent_some(clock::time_point now) noexcept { spoke_ = now; }
  // All of it. Appends messages that auto-acknowledging subscriptions are now done with.
  void sent(clock::time_point now, std::vector<delivery>& done);
  [[nodiscard]] bool has_output() const noexcept { return !output_.empty(); }
  [[nodiscard]] std::size_t unsent_bytes() const noexcept { return output_.size() + sending_; }

  // After an ERROR or DISCONNECT: only what output() holds is still to be sent.
  [[nodiscard]] bool closing() const noexcept { return state_ == state::closing; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }  // closing with an ERROR
  [[nodiscard]] bool connected() const noexcept { return state_ == state::open; }
  [[nodiscard]] version negotiated() const noexcept { return version_; }
  [[nodiscard]] const std::string& reply_prefix() const noexcept { return reply_prefix_; }

  [[nodiscard]] std::vector<std::unique_ptr<subscription>>& subscriptions() noexcept {
    return subscriptions_;
  }
  // Of auto-acknowledging subscriptions, also ended ones; oldest first.
  [[nodiscard]] std::vector<delivery> take_unsent();
  // A subscription that the client never asked for: replies to /temp-queue/... need none.
  subscription& add_implicit(std::string_view destination);

 private:
  enum class state : std::uint8_t { connecting, open, closing };

  struct claim {
    std::uint64_t subscription, delivery;
    bool accepted;
  };
  struct transaction {
    std::string id;
    std::vector<message_ptr> messages;
    std::vector<claim> claims;
    std::size_t bytes = 0;
  };
  struct unsent {
    delivery what;
    std::uint64_t ends_at;  // in all bytes ever written to output
  };

  void on_connect(const frame& from_client);
  void on_send(const frame& from_client);
  void on_subscribe(const frame& from_client);
  void on_unsubscribe(const frame& from_client);
  void on_ack(const frame& from_client, bool accepted);
  void on_begin(const frame& from_client);
  void on_end(const frame& from_client, bool commits);

  void ask(request::kind what, subscription* subject = nullptr);
  std::unique_ptr<subscription> make_subscription(std::string_view id,
                                                  std::string_view destination);
  subscription* find_subscription(std::uint64_t number);
  transaction* find_transaction(const frame& from_client, std::string_view id);
  bool has_space(transaction& in, std::size_t bytes);
  void write_connected();
  void write_error(std::string_view sentence);
  std::uint64_t write_opening(subscription& to, bool redelivered);

  session_limits limits_;
  std::uint64_t number_;
  std::string reply_prefix_;
  state state_ = state::connecting;
  version version_ = version::v1_0;
  bool failed_ = false;
  bool names_version_ = false;  // the client sent accept-version, so it knows of them

  std::string output_;
  std::size_t sending_ = 0;    // taken and not yet reported sent
  std::uint64_t written_ = 0;  // bytes of all outputs taken so far
  std::deque<unsent> unsent_;

  clock::duration send_every_{};    // 0: never
  clock::duration expect_every_{};  // 0: never
  clock::time_point opened_;
  clock::time_point heard_;
  clock::time_point spoke_;
  bool listening_ = true;

  std::vector<std::unique_ptr<subscription>> subscriptions_;
  std::uint64_t next_subscription_ = 0;
  std::vector<transaction> transactions_;

  request request_;
  std::string receipt_;  // of the frame being handled
  bool wants_receipt_ = false;
};

}  // namespace parley::stomp
