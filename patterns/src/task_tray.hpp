// SPDX-License-Identifier: MPL-2.0
//
// What a worker knows of the tasks that it has, and what it owes its sources. No I/O, no clock, no
// lock: it is told what came and what time it is. One thread at a time, but for release and what
// is served.
//
// Tasks are taken one by one. Runs of short ones are served: see served_run.
//
// Credit: a worker wants as many tasks ahead as it does in some 20 ms, between one for each thread
// and worker_options::credit, of each source. It begins with one, and wants more when threads had
// nothing to do though the source had given all it might; fewer, when more wait here than that.
//
// Answers gather while tasks wait: those of a source leave when nothing waits any more, when they
// are for half of its credit, when one of them is a failure, or after a millisecond.
//
// Hostile sources: what is not understood is ignored and counted, and so are tasks beyond twice the
// credit that the worker could ever have given.
#pragma once

#include <parley/message.hpp>
#include <parley/worker.hpp>

#include "held_task.hpp"
#include "task_hatch.hpp"
#include "task_peer.hpp"
#include "task_wire.hpp"
#include "work_pace.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace parley::detail {

class task_tray {
 public:
  using time_point = held_task::time_point;
  using duration = time_point::duration;
  using link = std::uint32_t;  // as the rim numbers them

  // What is done ahead.
  static constexpr std::chrono::milliseconds ahead{20};
  // A source is told of a task that has been worked on for so long.
  static constexpr std::chrono::milliseconds telling{10};
  // For how long answers gather.
  static constexpr std::chrono::milliseconds gathering{1};

  task_tray(const worker_options& options, std::uint64_t id);
  ~task_tray();
  task_tray(const task_tray&) = delete;
  task_tray& operator=(const task_tray&) = delete;

  // Links.

  // We connected there, or did so again.
  void opened(link which, time_point now);
  // A PULL socket: each message is a task, and answers go nowhere.
  void opened_plain(link which);
  void lost(link which, time_point now);
  void receive(link which, message&& incoming, time_point now);

  // Whether something should leave at once, since the last time that sending was begun.
  [[nodiscard]] bool should_send() const noexcept { return should_send_; }
  void begin_sending() noexcept { should_send_ = false; }
  // The next message for that link; nothing: there is none now. What it contains counts as sent.
  [[nodiscard]] std::optional<message> next_message(link which, time_point now);
  // Whether there are answers that did not leave.
  [[nodiscard]] bool owes() const noexcept;
  // More plain tasks would be too many.
  [[nodiscard]] bool is_full_of_plain() const noexcept;

  // The program.

  // The time is to be exact, for the next task to be taken. Otherwise it may be some milliseconds
  // old: clocks cost more than a short task.
  [[nodiscard]] bool wants_exact_time() noexcept {
    return hatch_.run() != nullptr || waiting_count_ <= 1 || !pace_.is_quick() ||
           taken_++ % timed_one_in == 0 || waiting_.first()->count > 1 ||
           waiting_.first()->deadline != time_point::max();
  }
  // The next task to be done, begun now; null: there is none. The caller's, until release.
  [[nodiscard]] held_task* take(time_point told, bool is_exact = true);
  // Any thread. A task of those that are served; none: ask serve, then take.
  [[nodiscard]] served_task take_served() noexcept { return hatch_.take(); }
  // The next task, if it can be one of those: serves more of them. The time is exact.
  [[nodiscard]] served_task serve(const std::shared_ptr<worker_core>& owner, time_point told);
  // The same task, for who took it and is to end it in another way than served_run::done does. The
  // caller's, until release. passing: it is that if nothing else is known by it yet, and no memory
  // is needed; for who ends it at once, and does not release it.
  [[nodiscard]] held_task& claim(const served_task& which, time_point now,
                                 held_task* passing = nullptr);
  // Some of those that are served may be gone.
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_count_; }
  [[nodiscard]] std::size_t working() const noexcept {
    return begun_.size() + told_.size() + hatch_.count().in_hand;
  }
  // So many threads wait for a task.
  void idle(std::size_t threads, time_point now);
  // The first answer counts. True: it did. For a task that is not timed, began does for now.
  bool done(held_task& which, frame result, time_point now);
  bool end(held_task& which, task_entry::ending how, std::string_view why, time_point now);
  // It was done before: `done` to its source, but nobody worked on it.
  void repeat(held_task& which, time_point now);
  bool renew(held_task& which, time_point now);
  // Another object takes its place, the caller's until release; which has ended.
  // Requires: it had not.
  [[nodiscard]] held_task& take_over(held_task& which);
  [[nodiscard]] std::stop_token stop_token(held_task& which);
  // Any thread. Requires: it has ended. It may be the last that keeps its worker, and this.
  void release(held_task& which) noexcept {
    if (!pool_.give(which)) {
      const auto last = std::move(which.owner);
      delete &which;
    }
  }
  // Nothing more is taken; what is not released yet is destroyed then.
  void close_pool() noexcept {
    hatch_.close();
    pool_.close();
  }

  // Time. Whom to ask to stop is added, for when no lock is held.

  void tick(time_point now, std::vector<std::stop_source>& stops);
  [[nodiscard]] time_point next_tick() const noexcept { return next_tick_; }
  // Gives back what has not begun, and asks the rest to stop. What comes from now on goes back.
  void close(time_point now);
  // What still works has failed; takes leave of all sources.
  void leave(time_point now);

  [[nodiscard]] worker_statistics statistics() const;

 private:
  [[nodiscard]] task_peer* find(link which) noexcept;
  task_peer& make_peer(link which);
  void read(task_peer& from, const task_entry& entry, frame&& body, time_point now);
  void greet(task_peer& from, std::uint64_t id, time_point now);
  void add(task_peer& from, const task_entry& entry, frame&& body, time_point now);
  [[nodiscard]] task_run* admit(task_peer& from, const task_entry& entry, time_point now);
  void receive_plain(task_peer& from, message&& incoming, time_point now);
  void enqueue(task_run& added, frame&& bodies, time_point now);
  void cancel(const std::vector<task_ticket>& tickets, task_peer& of, time_point now);
  void forget_tasks(task_peer& of, time_point now);
  void give_back(task_peer& of, time_point now);

  // Takes it out of its row: it has ended.
  void retire(held_task& which, time_point now) noexcept;
  [[nodiscard]] held_task* begin(task_run& of, time_point now);
  void hold(held_task& made, task_peer& from, time_point began) noexcept;
  void hold(held_task& made, const served_run& of, std::uint32_t place, task_peer& from,
            time_point now) noexcept;
  static void name(held_task& made, const served_run& of, std::uint32_t place) noexcept;
  void know(served_run& of, std::uint32_t place, task_peer& from, time_point now) noexcept;
  [[nodiscard]] bool set_out(const std::shared_ptr<worker_core>& owner, time_point now);
  void count_taken(task_run& of, std::uint32_t count, time_point now) noexcept;
  void call_in(time_point now);
  void answer_served(const served_run& of, task_peer& to, time_point now);
  void spare(task_run& over) noexcept;
  void wait_no_more(task_run& of, task_set which, std::uint32_t count) noexcept;
  void drop_waiting(task_run& of, task_set which) noexcept;
  void expire(task_run& which, time_point now);
  void ask_to_stop(held_task& which);
  void answer(task_peer& to, const task_entry& entry, frame&& body, time_point now);
  void answer_ended(held_task& which, task_entry::ending how, std::string_view why, time_point now);
  void owe(task_peer& to, time_point told, std::size_t answers = 1) noexcept;
  void press(task_peer& to) noexcept;
  void press_all() noexcept;
  void introduce(task_peer& to);

  void look(time_point now);
  void tell_begun(time_point now);
  void end_leases(time_point now);
  void drop_expired(time_point now);
  void look_after(task_peer& of, time_point now);
  void count_idle(time_point now) noexcept { pace_.count(waiting_count_ > 0, now); }
  void review(task_peer& of, time_point now);
  void look_at(time_point when) noexcept;
  // Time as exact as it is known.
  [[nodiscard]] time_point latest(time_point now) noexcept {
    return latest_ = std::max(latest_, now);
  }

  // Quick tasks are not all timed, but one in so many.
  static constexpr std::uint32_t timed_one_in = 16;

  const worker_options options_;
  const std::uint64_t id_;
  task_pool pool_;

  std::unordered_map<link, std::unique_ptr<task_peer>> peers_;
  row_of<task_run> waiting_;
  task_hatch hatch_;
  std::size_t waiting_count_ = 0;  // tasks; of the run that is set out, those not counted as taken
  row_of<task_run> spare_;         // to be used again
  task_row begun_;                 // in the order of their beginning, and so of their leases
  task_row told_;                  // in the order of their leases

  bool should_send_ = false;
  time_point first_answer_ = time_point::max();  // of those that gather
  time_point latest_{};
  time_point next_tick_ = time_point::max();
  time_point next_deadline_ = time_point::max();  // of those that wait, or earlier
  std::vector<std::stop_source> stops_;
  bool is_closing_ = false;
  bool has_left_ = false;

  work_pace pace_;  // the credit depends on it
  std::uint32_t taken_ = 0;

  std::size_t plain_waiting_ = 0;
  std::uint64_t plain_count_ = 0;
  worker_statistics counts_;
};

}  // namespace parley::detail
