// SPDX-License-Identifier: MPL-2.0
//
// What a source knows of its tasks and of its workers, and who is to get what. No I/O, no clock, no
// lock: it is told what came and what time it is.
//
// A task waits, by priority and number, until a worker has credit for it: of those who have, the
// one that is least loaded gets it. Then it is at that worker, until that says how it ended or is
// lost. Tasks of a key wait for the one in front of them, tasks for a name for the worker of that
// name, delayed ones for their time.
//
// Tasks that were pushed one after another, and want nothing special, are one record: a run, which
// is dealt and sent as a whole, or as much of it as the worker has room for. Answers are for any of
// its tasks. What happens to one alone, a failure or a loss, gives that one a record of its own.
//
// Attempts: a task whose handler failed is tried again after a growing delay. If a worker is lost,
// that counts for the tasks that it was known to have begun. The first one after them is a suspect:
// it may have killed the worker before that could say so, or the worker was dead before it came. If
// it is the suspect again when the next worker is lost, that counts too. The others wait again at
// once. One suspect at a time, though workers have several threads: so a task that kills
// comes to be tried apart from those that are done beside it.
#pragma once

#include <parley/message.hpp>
#include <parley/source.hpp>

#include "task_queue.hpp"
#include "task_slab.hpp"
#include "task_wire.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace parley::detail {

// A task as it was pushed; or a run of them: pack instead of a body, and nothing but the number of
// the first.
struct task_draft {
  std::uint64_t number = 0;
  frame body;
  task_pack_ref pack{};
  std::unique_ptr<task_options> options;  // null: as usual
  std::function<void(task_outcome&&)> when_ended;
  std::uint32_t attempts = 0;  // that failed before the source was restarted
  // From when options' delay and deadline count.
  std::chrono::steady_clock::time_point pushed{};
};

// What became of a task: of each one for a journal, without one for those who asked.
struct task_news {
  enum class kind : std::uint8_t {
    ended,   // it needs no memory any more: outcome
    tried,   // an attempt failed: number, attempts
    buried,  // it is a dead letter now, and kept: number, attempts, outcome
  };
  kind what = kind::ended;
  std::uint64_t number = 0;
  std::uint32_t attempts = 0;
  task_outcome outcome;
  std::function<void(task_outcome&&)> when_ended;
};

class task_desk {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using link = std::uint32_t;  // as the rim numbers them, from 1 on

  // first_deal: some random number, so that no ticket is one of a source that was here before.
  task_desk(const source_options& options, std::uint64_t id, std::uint32_t first_deal);

  // Tasks.

  // Without memory for it throws bad_alloc, and all is as it was, the draft too. Of old ones that
  // were to give way it may hold one more then, until the next is added.
  void add(task_draft&& draft, time_point now);
  // A dead letter that the journal kept.
  void add_dead(dead_letter&& letter);
  // Accepted tasks that have not ended, and bytes of their bodies.
  [[nodiscard]] std::size_t held() const noexcept { return held_; }
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_bytes_; }

  // Links.

  // We connected there, or did so again.
  void opened(link which, time_point now);
  // A PUSH socket.
  void opened_plain(link which);
  void lost(link which, time_point now);
  void receive(link which, message&& incoming, time_point now);

  // The next message for that link; nothing: there is none now. What it contains counts as sent.
  // The rim asks each link again until it has none, or cannot send. For a plain link a task is
  // done with that, so the rim asks only when the socket can send.
  [[nodiscard]] std::optional<message> next_message(link which, time_point now);

  // Time.

  void tick(time_point now);
  [[nodiscard]] time_point next_tick() const noexcept;

  // What became of tasks since the last time.
  [[nodiscard]] std::vector<task_news> take_news() { return std::exchange(news_, {}); }
  [[nodiscard]] bool has_news() const noexcept { return !news_.empty(); }

  // For who looks in.

  [[nodiscard]] source_statistics statistics() const;
  [[nodiscard]] std::vector<worker_status> workers() const;
  [[nodiscard]] std::size_t worker_count() const noexcept { return workers_.size(); }
  [[nodiscard]] std::vector<dead_letter> dead_letters(std::size_t at_most) const;
  // Null: there is none of that number. Valid until letters come or go.
  [[nodiscard]] const dead_letter* find_dead(std::uint64_t number) const noexcept;
  // Takes it out of the dead letters: to be added anew under that number, or dropped.
  std::optional<dead_letter> take_dead(std::uint64_t number) noexcept;
  // All ends: what is held is unfinished. It stays in the statistics as it was.
  void close() noexcept { is_closed_ = true; }
  // After that: one whose pusher is to hear of it. Nothing: that were all.
  [[nodiscard]] std::optional<task_news> next_unfinished() noexcept;

 private:
  struct packed {
    message bytes;
    std::uint32_t last_deal;
  };
  // Who is at the other end of a link: somebody who said nothing yet, a worker, or one no more.
  struct peer {
    link which = 0;
    bool is_ours = false;  // we connected; it is there until it is lost
    bool is_plain = false;
    bool is_worker = false;
    bool owes_source = false;  // we did not say who we are, or it should say again who it is
    bool has_heard = false;    // since the last look
    bool has_sent = false;     // tasks
    time_point heard_at{};     // or the look after that
    // A worker's.
    std::uint64_t id = 0;
    std::string name;
    task_lane* lane = nullptr;
    std::uint64_t credit = 0;
    std::uint64_t credit_bytes = 0;
    std::uint64_t largest = 0;
    std::uint64_t working = 0;
    std::uint64_t working_bytes = 0;
    std::uint64_t done = 0;
    std::uint64_t turn = 0;  // when it was dealt to last
    task_list tasks;         // in the order in which it got them
    // What it is to get, and the last task of what it got.
    std::deque<packed> outgoing;
    task_writer packing;
    std::vector<frame> following;
    std::size_t following_bytes = 0;
    std::uint32_t packed_deal = 0;
    std::uint32_t sent_deal = 0;

    [[nodiscard]] bool has_room(std::size_t bytes) const noexcept {
      return working < credit && (working == 0 || working_bytes + bytes <= credit_bytes);
    }
  };

  [[nodiscard]] peer& peer_of(link which, time_point now);
  // False: it is nothing for a source.
  [[nodiscard]] bool take(peer& from, const task_entry& entry, frame&& body, time_point now);
  void welcome(peer& who, const task_entry& said);
  // It is no worker any more; how: of the tasks that it has.
  enum class parting : std::uint8_t {
    lost,   // it may have died
    again,  // it lives, and has forgotten what it had not begun
    left,
  };
  void part(peer& from, parting how, std::string_view why, time_point now);

  void deal(time_point now);
  [[nodiscard]] peer* least_loaded(std::size_t& with_room) noexcept;
  [[nodiscard]] std::uint32_t fitting(const peer& to, const task_record& run,
                                      std::size_t most) const noexcept;
  void give(peer& to, task_slot which, time_point now);
  void pack(peer& to, task_slot which, time_point now);
  void seal(peer& to);
  [[nodiscard]] std::optional<message> next_plain(time_point now);

  // Those of that run.
  struct some_tasks {
    task_slot of = no_slot;
    task_set which = 0;
  };
  // The tasks of those tickets that are there; counts the others.
  [[nodiscard]] some_tasks find(const peer& from, const done_tickets& tickets) noexcept;
  // They are at their worker no more.
  void detach(peer& from, const some_tasks& tasks) noexcept;
  // The one task of that ticket, detached, in a slot of its own; no_slot: it is not there.
  [[nodiscard]] task_slot take_from(peer& from, task_ticket ticket);
  [[nodiscard]] task_slot take_from(peer& from, task_slot which, std::uint32_t index);
  void done(peer& from, const done_tickets& tickets, frame&& result, time_point now);
  void fail(task_slot which, std::string_view why, time_point now);
  void bury(task_slot which, std::string_view why, time_point now);
  void give_back(task_slot which);
  void give_back_rest(peer& from, task_slot which);
  void enter(task_slot which, task_draft& draft, time_point now);
  void keep_dead(dead_letter&& letter);
  void drop_oldest(time_point now);
  void end(task_slot which, task_end how, frame&& result, time_point now);
  void release(task_slot which, time_point now);
  task_news& tell(task_slot which, task_news::kind what, std::uint32_t index = 0);
  void look(time_point now);

  const source_options& options_;
  const std::uint64_t id_;
  const bool has_journal_;
  const std::chrono::steady_clock::duration between_looks_;

  task_slab tasks_;
  task_queue queue_;
  std::size_t held_ = 0;
  std::size_t held_bytes_ = 0;
  std::size_t working_ = 0;
  std::deque<dead_letter> dead_;

  std::unordered_map<link, std::unique_ptr<peer>> peers_;
  std::vector<peer*> workers_;
  bool may_deal_ = false;  // something changed since nobody could be dealt to
  std::uint32_t deals_;
  std::uint64_t turns_ = 0;
  time_point last_look_{};
  time_point next_look_ = time_point::max();

  std::vector<task_news> news_;
  source_statistics counts_;
  bool is_closed_ = false;
  task_slot unfinished_ = 0;  // the next to be looked at
};

}  // namespace parley::detail
