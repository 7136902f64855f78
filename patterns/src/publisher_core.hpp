// SPDX-License-Identifier: MPL-2.0
//
// The rim of a publisher: its socket, and the thread that serves it.
//
// Who publishes packs the message into the last bundle there is, and wakes the thread if it sleeps.
// The thread takes all bundles at once: while it is busy, messages gather, and leave together.
#pragma once

#include <parley/context.hpp>
#include <parley/endpoint.hpp>
#include <parley/monitor.hpp>
#include <parley/publisher.hpp>
#include <parley/socket.hpp>

#include "feed_desk.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

namespace parley::detail {

class publisher_core {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  publisher_core(context& owner, const publisher_options& options);
  ~publisher_core();
  publisher_core(const publisher_core&) = delete;
  publisher_core& operator=(const publisher_core&) = delete;

  endpoint bind(const endpoint& where);
  void connect(const endpoint& where);
  void disconnect(const endpoint& where);
  [[nodiscard]] monitor watch();
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

  // Gives it its number. Whole: the frame that the body is, if it is one; a large one is shared.
  std::uint64_t publish(std::string_view topic, std::string_view body, const frame* whole,
                        bool is_urgent);
  // What another published, or lost on the way here.
  void relay(const feed_entry& message, frame&& body);
  void relay_loss(const feed_entry& lost);
  // Before it has an endpoint.
  void on_demand(std::function<void(std::string_view prefix, bool is_wanted)> handler);

  template<class Question>
  [[nodiscard]] auto ask(Question&& question) const {
    const std::lock_guard lock{mutex_};
    return question(desk_);
  }
  // False: the deadline passed. Throws closed.
  template<class Question>
  [[nodiscard]] bool wait_until(time_point deadline, Question&& question) const {
    std::unique_lock lock{mutex_};
    ++waiting_;
    const bool is_so =
        changed_.wait_until(lock, deadline, [&] { return is_closed_ || question(desk_); });
    --waiting_;
    check_open();
    return is_so;
  }
  [[nodiscard]] bool wait_until_delivered(time_point deadline) const;

  void close() noexcept;

 private:
  void check_open() const;
  [[nodiscard]] std::uint64_t publish_large(std::string_view topic, frame&& body, bool is_urgent);
  [[nodiscard]] std::unique_lock<std::mutex> lock_for_draft();
  // The last one, or a new one.
  [[nodiscard]] feed_bundle& bundle_for(bool is_urgent, std::size_t topic, std::size_t body) {
    if (drafts_.empty() || drafts_.back()->is_urgent != is_urgent ||
        !drafts_.back()->has_room_for(topic, body)) [[unlikely]] {
      begin_bundle(is_urgent);
    }
    return *drafts_.back();
  }
  void begin_bundle(bool is_urgent);
  void count_draft(std::unique_lock<std::mutex>& lock, std::size_t bytes);
  void wake() const noexcept;
  void work() noexcept;
  void serve();
  [[nodiscard]] bool may_take(time_point now) const;
  [[nodiscard]] bool must_wait() const;
  [[nodiscard]] bool take_drafts(time_point now);
  [[nodiscard]] bool receive();
  [[nodiscard]] bool send(time_point now);
  void linger() const noexcept;
  void sleep(time_point until);

  const publisher_options options_;
  const std::uint64_t id_;
  const int wake_fd_;

  // The desk and the socket.
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::size_t waiting_ = 0;
  context context_;
  std::optional<socket> socket_;
  feed_desk desk_;
  std::function<void(std::string_view prefix, bool is_wanted)> on_demand_;
  std::vector<int> fds_;  // to sleep on; empty: to be asked for
  bool is_closed_ = false;

  // Drafts; never locked while the other one is waited for.
  mutable std::mutex drafts_mutex_;
  std::condition_variable room_;
  std::vector<feed_ref> drafts_;  // the last one is added to
  // Relaxed: written with the lock; a look without it may be old.
  std::atomic<std::size_t> draft_count_{0};
  std::size_t draft_bytes_ = 0;
  std::size_t usual_bytes_ = 0;  // of the last bundle, and parts: room for the next one
  std::size_t usual_parts_ = 0;
  time_point first_draft_{};
  std::uint64_t next_ = 1;
  std::uint64_t next_urgent_ = 1;
  std::size_t without_room_ = 0;
  bool sleeps_ = false;
  bool is_closing_ = false;

  std::vector<feed_ref> taken_;        // the thread's
  std::size_t next_taken_ = 0;         // those before it are published
  std::uint32_t next_part_ = 0;        // and of it those before this
  std::optional<time_point> overdue_;  // when it is published, though somebody has no room
  std::mutex joining_;
  std::thread thread_;
};

}  // namespace parley::detail
