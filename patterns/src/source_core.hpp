// SPDX-License-Identifier: MPL-2.0
//
// The rim of a source: its links, and the thread that serves them.
//
// Who pushes leaves a draft, and wakes the thread if it sleeps; with a journal, the draft goes
// there first, and whoever pushed waits until it is written. The thread takes all drafts there are
// at once: while it is busy, tasks gather, and leave together.
//
// Usual tasks go into a pack that is open, without a lock. It has no more room than there is for
// tasks at all, and while one is open the thread does not sleep: so nothing else is to be looked
// at. Whoever finds no room there, or has something else, locks, closes it, and counts.
#pragma once

#include <parley/context.hpp>
#include <parley/endpoint.hpp>
#include <parley/monitor.hpp>
#include <parley/source.hpp>

#include "flow_nap.hpp"
#include "journal_writer.hpp"
#include "link_set.hpp"
#include "open_pack.hpp"
#include "task_desk.hpp"
#include "task_journal.hpp"
#include "waker.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

namespace parley::detail {

class source_core {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = time_point::duration;

  source_core(context& owner, const source_options& options);
  ~source_core();
  source_core(const source_core&) = delete;
  source_core& operator=(const source_core&) = delete;

  // Runs action(link_set&), which may throw.
  template<class Action>
  auto with_links(Action&& action) {
    const std::lock_guard lock{mutex_};
    check_open();
    const waking after{*this};
    return action(links_);
  }
  void on_connection(std::function<void(const connection_event&)> told);
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

  // A usual task with a short body: its number; 0: push it.
  static constexpr std::size_t longest_short = open_pack::longest_short;
  [[nodiscard]] std::uint64_t try_pack_short(std::string_view body) noexcept {
    return journal_ == nullptr ? open_.try_add_short(body) : 0;
  }
  // Nothing: there was no room within limit. Throws closed. whole: body is of that, if it is not
  // null; how: null, as usual.
  std::optional<task_id> push(std::string_view body, const frame* whole, const task_options* how,
                              duration limit);
  std::optional<task_id> push(frame&& body, const task_options& how, duration limit,
                              std::function<void(task_outcome&&)>&& when_ended);
  bool retry(std::uint64_t number);
  bool drop(std::uint64_t number);

  template<class Question>
  [[nodiscard]] auto ask(Question&& question) const {
    const std::lock_guard lock{mutex_};
    return question(desk_);
  }
  [[nodiscard]] source_statistics statistics() const;
  // False: the deadline passed. Throws closed.
  [[nodiscard]] bool wait_until_done(time_point deadline) const;
  [[nodiscard]] std::size_t worker_count() const noexcept { return workers_; }
  [[nodiscard]] bool wait_for_workers(std::size_t count, time_point deadline) const;

  void close() noexcept;

 private:
  struct waking {
    source_core& self;
    ~waking() { self.waker_.wake(); }
  };

  void check_open() const;
  void load();
  void take_written(std::vector<task_draft>&& drafts) noexcept;
  std::uint64_t write(task_draft&& draft);
  [[nodiscard]] bool has_room(std::size_t bytes);
  template<class HasRoom>
  [[nodiscard]] bool wait_for_room(std::unique_lock<std::mutex>& lock, time_point deadline,
                                   HasRoom&& has_some);
  void leave(task_draft&& draft);
  [[nodiscard]] bool try_to_leave(task_draft& draft) noexcept;
  std::optional<task_id> push(std::string_view body, time_point deadline);
  std::optional<task_id> push(task_draft&& draft, time_point deadline);
  void begin_pack(std::uint64_t number, std::string_view body, bool is_limited);
  void close_pack() noexcept;
  // A usual task whose body has so many octets.
  [[nodiscard]] bool packs(std::size_t size) const noexcept {
    return size <= most_packed && journal_ == nullptr;
  }
  void wake(std::unique_lock<std::mutex>& lock) noexcept;
  void work() noexcept;
  void serve();
  [[nodiscard]] bool receive(time_point now);
  [[nodiscard]] std::size_t take_drafts(time_point now);
  void add_taken(time_point now);
  struct amount {
    std::size_t tasks = 0;
    std::size_t bytes = 0;
  };
  [[nodiscard]] amount left_over() const noexcept;
  void keep_up(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool send(time_point now);
  void settle();
  void tell_unfinished(task_draft& draft) const;
  void tell_all_unfinished();
  void tell_marks(std::size_t held);
  void sleep(time_point until);

  const source_options options_;
  const std::unique_ptr<task_journal> journal_;  // null: none
  const std::uint64_t id_;
  waker waker_;

  // The desk and the links.
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::size_t waiting_ = 0;
  link_set links_;
  task_desk desk_;
  // Drafts on their way to the desk: while that is locked, or when there was no memory for them.
  std::vector<task_draft> taken_;
  bool is_closed_ = false;

  std::atomic<std::size_t> workers_{0};
  std::mutex telling_;  // locked first
  std::function<void(const connection_event&)> on_connection_;

  // Drafts. Locked last, and never while something is waited for.
  mutable std::mutex drafts_mutex_;
  std::condition_variable room_;
  std::vector<task_draft> drafts_;
  open_pack open_;               // the last draft's, if it is one
  std::size_t draft_count_ = 0;  // tasks, but for those in it
  std::size_t draft_bytes_ = 0;
  std::size_t usual_bytes_ = 0;  // for the next pack
  std::size_t in_writing_ = 0;   // on their way into the journal
  std::size_t in_writing_bytes_ = 0;
  std::size_t held_ = 0;  // the desk's, as far as the thread has told
  std::size_t held_bytes_ = 0;
  std::uint64_t next_ = 1;
  std::uint64_t refused_ = 0;
  std::size_t without_room_ = 0;
  bool sleeps_ = false;
  bool is_closing_ = false;

  // The thread's.
  std::vector<link_set::news> came_;
  std::vector<int> fds_;
  flow_nap nap_;
  std::vector<bool> above_;  // options_.marks, whether there is as much
  std::mutex joining_;
  std::thread thread_;
  std::optional<journal_writer> writer_;
};

}  // namespace parley::detail
