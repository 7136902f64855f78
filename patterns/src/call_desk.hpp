// SPDX-License-Identifier: MPL-2.0
//
// A server's calls, from their arrival to their reply. Does no I/O: it is given messages and the
// time, and says what to send and what to execute.
//
// Calls wait in line, so many of them; more are refused. What comes too late or is not wanted any
// more leaves the line unseen, at the latest when its place is needed. Replies to idempotent calls
// are remembered for a while: who asks again gets the same reply. One thread at a time.
//
// A handler that was asked to stop, or has looked at the deadline and is late, may leave but a part
// of the result: the call is cut short. Nobody gets what it leaves, and who asks for the call
// again, now or later, hears that it was cut short. Others could not know, and their results are as
// good as any.
//
// What throws bad_alloc leaves each call either as it was or done with: to try again is right, and
// what is in `out` by then is to be sent.
#pragma once

#include <parley/body_pool.hpp>
#include <parley/message.hpp>
#include <parley/server.hpp>

#include "call_bundle.hpp"
#include "call_header.hpp"
#include "id_table.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace parley::detail {

class server_core;

// A call that was taken and has not been answered. The desk's, but for what others are said to use.
struct open_call {
  using time_point = std::chrono::steady_clock::time_point;

  open_call() = default;
  open_call(message&& from, message&& asked) noexcept
      : address{std::move(from)}, payload{std::move(asked)} {}
  open_call(const message& from, frame&& asked) : address{from}, payload{std::move(asked)} {}

  // For the reply: the frames in front of the header, or of all if there is none.
  message address;
  std::optional<call_header> header;
  bool has_delimiter = false;
  std::vector<message> others;  // where it was asked for again
  std::size_t last_way = 0;     // where it was asked for last: 0: address, 1...: one of the others
  time_point deadline = time_point::max();
  time_point begun{};
  bool has_begun = false;
  bool is_dropped = false;    // nobody waits for the reply
  bool is_cut_short = false;  // the reply may be but a part of it
  bool is_answered = false;
  bool is_watched = false;
  bool runs = false;                        // its handler has not returned; who runs it says so
  std::stop_source stop{std::nostopstate};  // made when somebody asks for it
  std::atomic<bool> told_deadline{false};   // its handler has looked

  // Streams.
  std::uint32_t credit = 0;
  std::chrono::steady_clock::duration patience{};  // how long to wait for credit
  // Credit came, or it was dropped. Made by who waits for that.
  std::unique_ptr<std::condition_variable> changed;

  // For who executes it.
  message payload;
  std::uint32_t id = 0;  // MessagePack-RPC's
  bool wants_reply = true;
  std::vector<frame> items;  // for a caller that takes but one result
  bool is_given_up = false;  // its caller took too long to take more, or memory was missing
  std::weak_ptr<server_core> owner;

  // The caller takes that payload in the header's frame.
  [[nodiscard]] bool may_carry(const message& reply) const noexcept {
    return header && (header->flags & call_header::carries) != 0 && reply.size() == 1 &&
           reply.front().size() <= call_header::most_carried;
  }
  // The caller takes it in one frame with others.
  [[nodiscard]] bool may_bundle(const message& reply) const noexcept {
    return header && (header->flags & call_header::bundles) != 0 && may_carry(reply);
  }
  // Nobody hears of its end, or asks for it again.
  [[nodiscard]] bool is_unwanted() const noexcept {
    return is_dropped && header && (header->flags & call_header::idempotent) == 0;
  }
  [[nodiscard]] bool is_streamed() const noexcept {
    return header && (header->flags & call_header::streamed) != 0;
  }
  void tell_change() noexcept {
    if (changed) {
      changed->notify_all();
    }
  }
};

class call_desk {
 public:
  using time_point = open_call::time_point;
  using call = std::shared_ptr<open_call>;

  // salt: any number that no other server has. secret: one that no client can know.
  call_desk(const server_options& options, std::uint64_t salt, std::uint64_t secret);

  // Takes in a message. What is to be sent at once is added to `out`, what is to be asked to stop
  // to `stops`, for when no lock is held.
  void receive(message&& incoming, time_point now, std::vector<message>& out,
               std::vector<std::stop_source>& stops);
  // Somebody was told that a call is unknown, since this was asked last. That must not overtake
  // what any thread's `out` was given before: the call's reply, perhaps.
  [[nodiscard]] bool take_denial() noexcept { return std::exchange(has_denied_, false); }
  // The next call to be executed; null: there is none. Who takes it answers it.
  [[nodiscard]] call next(time_point now);
  [[nodiscard]] std::size_t waiting() const noexcept { return line_.size(); }

  // A result of several.
  [[nodiscard]] static message item(const open_call& of, frame&& result);
  // Ends a call; the replies to be sent are added to `out`. An empty payload: there is none, as
  // for a notification. The second answer to a call is dropped. While quick handlers run one after
  // the other, replies may be held, to go out together.
  void answer(open_call& which, const message& payload, time_point now, std::vector<message>& out);
  // Ends a call without the reply that there was no memory for.
  void abandon(open_call& which, time_point now) noexcept;
  [[nodiscard]] bool holds_replies() const noexcept { return held_clients_ > 0; }
  void release_replies(std::vector<message>& out);
  // That could not be delivered: streams to a client that is gone are asked to stop.
  void undelivered(message&& outgoing, std::vector<std::stop_source>& stops);

  // Makes the call's stop source, which fires at once when nobody waits for it. Requires: there is
  // none.
  void make_stop(const call& which, time_point now);
  // Somebody wants to hear when nobody waits for this call any more. So look has it asked to stop
  // when its deadline passes, and drops its reply, which may be but part of one; the client of a
  // stream, which has none, it calls up every now and then. Calls that nobody watches cost nothing.
  void watch(const call& which, time_point now);
  void look(time_point now, std::vector<message>& out, std::vector<std::stop_source>& stops);
  // When look will have something to do.
  [[nodiscard]] time_point next_look() const noexcept;

  // Drops what waits.
  void close() noexcept;
  // After that, for when no lock is held: the next one that is to be asked to stop. Nothing: that
  // were all.
  [[nodiscard]] std::optional<std::stop_source> next_to_stop() noexcept;

  [[nodiscard]] server_statistics statistics() const noexcept;

 private:
  struct memory {
    time_point until;
    message payload;  // empty: it was cut short
  };

  // Replies that wait for others to the same client.
  struct held {
    message address;
    std::uint64_t link = 0;
    bundle_writer replies;

    void pack(std::vector<message>& out);
  };
  static constexpr std::size_t most_held_clients = 16;

  struct watched {
    time_point due;
    std::weak_ptr<open_call> which;
    friend bool operator>(const watched& one, const watched& other) noexcept {
      return one.due > other.due;
    }
  };

  // What came in one frame, or in one of a bundle's. False: it is none of that.
  [[nodiscard]] bool take_compact(const message& address, std::string_view bytes, time_point now,
                                  std::vector<message>& out, std::vector<std::stop_source>& stops);
  void take_control(const message& address, const call_header& header, time_point now,
                    std::vector<message>& out, std::vector<std::stop_source>& stops);
  // Made has an address and a payload.
  void take_call(call&& made, const std::optional<call_header>& header, time_point now,
                 std::vector<message>& out);
  void hold(const message& address, const open_call& to, const frame& payload,
            std::vector<message>& out);
  [[nodiscard]] static std::size_t way_of(const open_call& which, const message& address) noexcept;
  void join(open_call& which, const message& address, std::vector<message>& out);
  static void drop(open_call& which, std::vector<std::stop_source>& stops);
  [[nodiscard]] message last_words(const message& address, const open_call& to,
                                   const message& payload, bool is_cut_short) const;
  void put_last_words(const open_call& of, const message& payload, bool is_cut_short, bool may_wait,
                      std::vector<message>& out);
  void finish(open_call& which, time_point now) noexcept;
  [[nodiscard]] bool is_over(const open_call& which, time_point now);
  void sweep(time_point now);
  void refuse(const open_call& which, std::vector<message>& out);
  [[nodiscard]] message reply(const message& address, const open_call& to,
                              const message& payload) const;
  [[nodiscard]] call_header reply_header(std::uint64_t link, std::uint64_t id) const noexcept;
  [[nodiscard]] message repeat(const message& address, const open_call& to,
                               const message& known) const;
  [[nodiscard]] message control(const message& address, call_header header) const;
  [[nodiscard]] message cut_short(const message& address, std::uint64_t id) const;
  [[nodiscard]] std::uint64_t link_of(const message& address) const noexcept;
  [[nodiscard]] std::uint32_t load() const noexcept;
  void remember(std::uint64_t id, const message& payload, time_point now);
  void forget_old(time_point now);
  [[nodiscard]] const message* recall(std::uint64_t id, time_point now);
  [[nodiscard]] std::chrono::milliseconds retry_hint() const noexcept;

  const std::size_t queue_;
  const unsigned workers_;
  const std::size_t remembered_;
  const std::chrono::nanoseconds remembered_for_;
  const std::uint64_t salt_;

  std::deque<call> line_;
  time_point next_sweep_{};
  bool is_closed_ = false;
  bool has_denied_ = false;
  id_table<call> known_;                    // open ones that have a header
  std::vector<call> nameless_;              // begun, and without a header
  std::size_t open_ = 0;                    // taken, and not answered
  std::vector<watched> watched_;            // the earliest in front (a heap); some may be answered
  std::chrono::nanoseconds usual_time_{0};  // a handler's, of late

  std::vector<held> held_;  // the first held_clients_ of them; the others are kept for their memory
  std::size_t held_clients_ = 0;

  std::deque<std::uint64_t> memory_order_;
  std::unordered_map<std::uint64_t, memory> memory_;
  std::size_t memory_bytes_ = 0;

  server_statistics counts_;
};

}  // namespace parley::detail
