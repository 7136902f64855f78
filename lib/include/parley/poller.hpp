// SPDX-License-Identifier: MPL-2.0
//
// Waits on sockets, pipes, file descriptors and timers together, and calls what was given for each.
//
// Belongs to one thread at a time, as do the sockets and the ends of pipes in it, which must
// outlive the poller or be removed first. Handlers run inside wait, on its thread; they may add and
// remove, also themselves. What a handler throws leaves wait; handlers not yet called are called by
// the next wait. What is ready is reported as long as it is (level-triggered): a socket or pipe
// until it is read empty, a pipe that is closed until it is removed.
#pragma once

#include <parley/pipe/doorbell.hpp>
#include <parley/socket.hpp>

#include <cassert>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <utility>

namespace parley {

enum class interest { input, output };

namespace detail {
template<class End>
concept read_end = requires(End& end) {
  end.readable();
  end.read_bell();
};
template<class End>
concept write_end = requires(End& end) {
  end.writable();
  end.write_bell();
};
}  // namespace detail

class poller {
 public:
  using handler = std::function<void()>;
  using key = std::size_t;  // never used twice by one poller
  using duration = std::chrono::steady_clock::duration;

  poller();
  ~poller();
  poller(const poller&) = delete;
  poller& operator=(const poller&) = delete;

  key add(socket& source, interest what, handler on_ready);
  key add(int fd, interest what, handler on_ready);
  // The end of a pipe that this thread holds: input of an spsc_pipe or mpsc_pipe, output of an
  // spsc_pipe or of an mpsc_pipe's writer. Ready when try_pop, or try_push, may find work.
  template<class End>
  requires detail::read_end<End> || detail::write_end<End> key add(End& pipe, interest what,
                                                                   handler on_ready);
  // Whatever rings bell, which is this thread's: ready when is_ready says so.
  key add(doorbell& bell, std::function<bool()> is_ready, handler on_ready);

  // Calls on_due once, when delay has passed; then it is removed.
  key after(duration delay, handler on_due);
  // Calls on_due each time that interval has passed, by the beat of the first: a late call does not
  // move the next, and calls that were missed are left out. Requires: interval > 0.
  key every(duration interval, handler on_due);

  // Nothing happens when it has gone already.
  void remove(key which);

  [[nodiscard]] std::size_t size() const noexcept;

  // How many handlers were called; 0 when the stop was requested or the time ran out first.
  std::size_t wait(const std::stop_token& stop = {});
  std::size_t wait_for(duration limit, const std::stop_token& stop = {});
  // Until the stop.
  void run(const std::stop_token& stop);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

template<class End>
requires detail::read_end<End> || detail::write_end<End> poller::key poller::add(End& pipe,
                                                                                 interest what,
                                                                                 handler on_ready) {
  if constexpr (detail::read_end<End>) {
    if (what == interest::input) {
      return add(
          pipe.read_bell(), [&pipe] { return pipe.readable(); }, std::move(on_ready));
    }
  }
  if constexpr (detail::write_end<End>) {
    if (what == interest::output) {
      return add(
          pipe.write_bell(), [&pipe] { return pipe.writable(); }, std::move(on_ready));
    }
  }
  assert(false && "this end of a pipe does not work in that direction");
  return 0;
}

}  // namespace parley
