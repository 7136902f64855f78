// SPDX-License-Identifier: MPL-2.0
//
// A client's links and what one waits for them by: their descriptors in one epoll, which a wake-up
// ends too. Knows nothing of calls. One thread at a time, but for wake and wait: one thread may
// wait while another does anything else, and wakes it.
#pragma once

#include <parley/monitor.hpp>
#include <parley/socket_rest.hpp>

#include "call_link.hpp"

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace parley::detail {

class call_links {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  // Throws error (out_of_resources).
  call_links();
  ~call_links();
  call_links(const call_links&) = delete;
  call_links& operator=(const call_links&) = delete;

  // Numbers are the caller's, from 0 to 63.
  void add(std::unique_ptr<call_link> made, std::size_t number);
  void remove(std::size_t number) noexcept;
  void clear() noexcept { links_.clear(); }
  [[nodiscard]] std::optional<std::size_t> find(const endpoint& where) const;
  // Null: none has that number.
  [[nodiscard]] call_link* at(std::size_t number) const noexcept {
    return number < links_.size() ? links_[number].get() : nullptr;
  }
  [[nodiscard]] std::size_t size() const noexcept { return links_.size(); }

  // False: not now, and outgoing is unchanged.
  [[nodiscard]] bool send(std::size_t number, message&& outgoing);

  // Gives up what the link's socket has to send.
  void close(std::size_t number) noexcept;
  // Gets it a new one. False: descriptors are used up, and renewal() says when to try again.
  [[nodiscard]] bool renew(std::size_t number);
  [[nodiscard]] time_point renewal() const noexcept { return renews_; }
  void forget_renewal() noexcept { renews_ = time_point::max(); }

  // Links that were used since somebody looked at them: their descriptors tell of no news.
  [[nodiscard]] std::uint64_t touched() const noexcept { return touched_; }
  void touch(std::size_t number) noexcept { touched_ |= bit(number); }
  void touch_all() noexcept;
  void looked_at(std::size_t number) noexcept { touched_ &= ~bit(number); }

  [[nodiscard]] bool has_pipes() const noexcept { return pipes_ != 0; }
  // Calls use(number) for each link over pipe://.
  template<class Use>
  void for_each_pipe(Use use) {
    for (std::uint64_t left = pipes_; left != 0; left &= left - 1) {
      use(static_cast<std::size_t>(std::countr_zero(left)));
    }
  }

  // What woke who waited.
  struct news {
    std::size_t number;
    bool is_event;  // of its monitor; else its socket may have something
  };
  using some_news = std::array<news, 8>;
  // Waits for so many milliseconds at most, -1: for ever. Returns how many came.
  [[nodiscard]] std::size_t wait(int limit, some_news& what) const;
  void wake() const noexcept;

 private:
  [[nodiscard]] static std::uint64_t bit(std::size_t number) noexcept {
    return std::uint64_t{1} << number;
  }
  void watch(call_link& of, std::size_t number);
  void forget(std::size_t number) noexcept;

  const int epoll_fd_;
  const int wake_fd_;
  std::vector<std::unique_ptr<call_link>> links_;  // null: gone
  std::vector<std::vector<int>> watched_;          // of each link: its descriptors in the epoll
  std::uint64_t touched_ = 0;                      // a bit each
  std::uint64_t pipes_ = 0;
  time_point renews_ = time_point::max();
};

}  // namespace parley::detail
