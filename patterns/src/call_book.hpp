// SPDX-License-Identifier: MPL-2.0
//
// A client's calls, from their start to their end, and the servers they go to. Does no I/O: it is
// told what came, and when; it sends through an outbox; it says which calls have ended, and how.
//
// Each call ends exactly once, and not after its deadline if somebody calls tick by then. What may
// happen to it on the way:
//  - It waits in line while no server can take it.
//  - It is out at one server, or at all of them (server_choice::all_at_once).
//  - Its server is lost, or refuses it. A call that was refused was not executed, one that is
//    idempotent may be executed again: they go on to another server. Others end: server_lost.
//  - Its caller gives up, or the deadline passes: the servers that work on it are told.
//  - There is no memory for its reply, or for what it would need to go on: server_lost.
// To end a call takes no memory: without any it is kept in its place until take_kept. What throws
// bad_alloc leaves each call either as it was or a step further: to try again is right.
// One thread at a time.
#pragma once

#include <parley/client.hpp>
#include <parley/message.hpp>

#include "call_bundle.hpp"
#include "call_deadlines.hpp"
#include "call_header.hpp"
#include "call_ids.hpp"
#include "chunk_list.hpp"
#include "server_link.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace parley::detail {

class call_book {
 public:
  using clock = std::chrono::steady_clock;
  using time_point = clock::time_point;
  using done = std::function<void(call_outcome&&)>;

  // Who hears of a call at once, while the book is being used. Outlives the call.
  class seat {
   public:
    // Does not throw.
    virtual void take_end(call_outcome&& how) = 0;
    // May throw bad_alloc: then the call ends.
    virtual void take_item(message&& item) = 0;

   protected:
    ~seat() = default;
  };

  class outbox {
   public:
    // False: not now; outgoing is unchanged.
    [[nodiscard]] virtual bool send(std::size_t link, message&& outgoing) = 0;

   protected:
    ~outbox() = default;
  };

  struct order {
    message payload{};
    time_point deadline{};
    bool idempotent = false;
    bool wait_for_server = true;
    bool wants_reply = true;
    // More than none: results come one by one. The server waits so long for more credit.
    std::uint32_t credit = 0;
    clock::duration patience{};
    // One of them. The function goes with what take_ended returns.
    seat* waiting = nullptr;
    done when_done{};
  };

  struct ended {
    ended(done&& told, call_outcome&& came) noexcept
        : when_done{std::move(told)}, how{std::move(came)} {}
    done when_done;
    call_outcome how;
  };

  call_book(outbox& out, const client_options& options);

  // Links are numbered from 0. The number of one that was removed may be used again.
  std::size_t add_link(bool several_servers);
  void remove_link(std::size_t which, time_point now);

  // Returns the call's id. It may have ended already. Throws when there is no memory for it: then
  // there is no such call, and never was, but that a server may execute it.
  std::uint64_t start(order&& what, time_point now);
  // Ends what was not started.
  void refuse(order&& what, call_outcome&& how);
  void cancel(std::uint64_t id) noexcept;
  // The same, of a call of whose end nobody hears: who waited could not, or there was no memory.
  void forget(std::uint64_t id) noexcept;
  // Whether some server had it, or is there to have it.
  [[nodiscard]] bool has_server(std::uint64_t id) const noexcept;
  // The caller of a call with several results takes so many more.
  void give_credit(std::uint64_t id, std::uint32_t amount);

  // The link's socket can send, or cannot.
  void set_ready(std::size_t which, bool can_send, time_point now);
  // It is known to have lost its server, however full it was.
  void disconnected(std::size_t which, time_point now);
  void receive(std::size_t which, message&& incoming, time_point now);
  // Something came from there that nobody saw. It may have been one of many results: such calls
  // end.
  void missed(std::size_t which) noexcept;
  // Looks after deadlines and silent servers.
  void tick(time_point now);
  [[nodiscard]] time_point next_tick() const noexcept;
  // Ends all calls, and those that are started later.
  void close() noexcept;

  // What is sent from here to the next flush may wait for it, to go out together. Whoever holds
  // flushes soon.
  void hold() noexcept { holds_ = true; }
  void flush();

  // The calls with a function that have ended since the last time, in order. The vector given is
  // empty, and kept for its memory.
  [[nodiscard]] std::vector<ended> take_ended(std::vector<ended> empty = {}) {
    return std::exchange(ended_, std::move(empty));
  }
  // One of those for whose end there was no memory; nothing: no more. Those are in no order.
  [[nodiscard]] std::optional<ended> take_kept() noexcept;
  [[nodiscard]] bool has_ended() const noexcept { return !ended_.empty() || kept_ > 0; }
  // Calls with a function that have not ended.
  [[nodiscard]] std::size_t unattended() const noexcept { return unattended_; }
  // Places in the line of those that no server can take, also left ones.
  [[nodiscard]] std::size_t in_line() const noexcept { return waiting_.size(); }
  [[nodiscard]] std::size_t live_servers() const noexcept;
  // Messages that a link's socket must be able to hold before it says that it cannot send.
  [[nodiscard]] std::uint64_t send_limit() const noexcept;
  [[nodiscard]] const server_link& link(std::size_t which) const { return links_.at(which); }
  [[nodiscard]] const client_statistics& statistics() const noexcept { return counts_; }

 private:
  using link_set = std::uint64_t;  // a bit a link
  static constexpr std::size_t most_links = 64;

  struct call {
    std::uint64_t id = 0;  // 0: free
    order what;
    link_set asked = 0;    // was sent there
    link_set out = 0;      // and neither answer nor loss was seen since
    link_set refused = 0;  // these are overloaded
    bool lost = false;     // some server may have executed it, and will not say
    std::chrono::milliseconds retry_after{0};
    std::uint64_t number = 0;  // of the message on the last link it was sent to
    std::uint64_t credit = 0;  // results that may still come
    // It has ended, and is kept here: how, its reply for a payload, and retry_after.
    std::optional<call_end> kept{};
  };

  [[nodiscard]] static link_set bit(std::size_t which) noexcept { return link_set{1} << which; }
  [[nodiscard]] call& take_place(order&& what);
  void free_place(call& which) noexcept;
  void stop_counting(const call& which) noexcept;
  [[nodiscard]] call* find(std::uint64_t id) noexcept;
  [[nodiscard]] bool is_open(std::uint64_t id) const noexcept;
  [[nodiscard]] std::size_t open_calls() const noexcept { return calls_.size() - free_.size(); }
  // After a server may have executed it.
  [[nodiscard]] static bool may_go_again(const call& which) noexcept {
    return which.what.idempotent && which.what.credit == 0;
  }
  [[nodiscard]] bool place(call& which, time_point now);
  [[nodiscard]] static call_header header_to(const server_link& to, const call& which,
                                             time_point now) noexcept;
  [[nodiscard]] bool deliver(std::size_t link, const call& which, time_point now);
  [[nodiscard]] bool bundle(std::size_t link, const call_header& header, const frame* payload);
  [[nodiscard]] bool flush(std::size_t link);
  void drop_bundle(std::size_t link) noexcept;
  [[nodiscard]] bool send_to(std::size_t link, call& which, time_point now);
  [[nodiscard]] std::size_t best_link(link_set excluded) const noexcept;
  void place_or_wait(call& which, time_point now);
  void wait_in_line(const call& which);
  [[nodiscard]] bool is_full(const server_link& link) const noexcept;
  void place_waiting(time_point now);
  void leave(call& which, std::size_t link) noexcept;
  [[nodiscard]] bool place_again(call& which, time_point now) noexcept;
  void go_on_without(call& which, std::size_t link, time_point now) noexcept;
  void lose(std::size_t which, time_point now) noexcept;
  void ask_after(std::size_t which) noexcept;
  [[nodiscard]] bool send_control(std::size_t link, const call_header& header);
  bool control(std::size_t link, const call_header& header) noexcept;
  void take_back(call& which) noexcept;
  void tell(seat* waiting, done&& when_done, call_outcome&& how);
  void end(call& which, call_outcome&& how) noexcept;
  [[nodiscard]] bool has_room_for_end() noexcept;
  void end_late(call& which) noexcept;
  [[nodiscard]] bool has_server(const call& which) const noexcept;
  void count(call_end how) noexcept;
  void take(std::size_t link, std::string_view bytes, message&& whole, time_point now) noexcept;
  void settle(std::size_t link, const call_header& header, call_outcome&& came, bool had_memory,
              time_point now) noexcept;

  outbox& out_;
  const server_choice choice_;
  const std::size_t limit_;
  const std::chrono::nanoseconds heartbeat_;
  const std::chrono::nanoseconds heartbeat_timeout_;
  call_ids ids_;
  bool closed_ = false;

  std::vector<server_link> links_;
  std::vector<bundle_writer> bundles_;  // of each link: what is to be sent first
  link_set held_ = 0;                   // those of them that are not empty
  bool holds_ = false;
  std::vector<std::vector<std::uint64_t>> cancels_owed_;  // of each link: until it is known as ours
  link_set asks_owed_ = 0;                                // there was no memory to ask them
  link_set removed_ = 0;                                  // their numbers are free
  mutable std::size_t turn_ = 0;                          // the link that was chosen last

  chunk_list<call, 16> calls_;  // by the low bits of their ids
  std::vector<std::uint32_t> free_;
  std::size_t unattended_ = 0;
  std::deque<std::uint64_t> waiting_;  // ids; some may have ended
  call_deadlines deadlines_;
  std::vector<ended> ended_;
  std::size_t kept_ = 0;
  client_statistics counts_;
};

}  // namespace parley::detail
