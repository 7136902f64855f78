// SPDX-License-Identifier: MPL-2.0
//
// What a client knows of one server: connected or not, alive or not, how busy. Does no I/O: it is
// told what happened and when.
//
// A server of ours says so with its first reply, and before that if it is asked by a request. Such
// a server answers pings: one that nothing follows for `timeout` means that it is gone, whatever
// the transport says. Other servers are there as long as they are connected. Behind an endpoint
// that we bound there may be several servers, and who answers is anybody's guess: they are not
// pinged.
#pragma once

#include "call_header.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace parley::detail {

class server_link {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  server_link(bool several, duration interval, duration timeout) noexcept
      : pings_{!several && interval > duration::zero()}, interval_{interval}, timeout_{timeout} {}

  [[nodiscard]] bool connected() const noexcept { return connected_; }
  [[nodiscard]] bool live() const noexcept { return connected_ && !silent_; }
  // A server of ours has been heard over this connection.
  [[nodiscard]] bool ours() const noexcept { return ours_; }
  [[nodiscard]] bool takes_bundles() const noexcept { return takes_bundles_; }
  // It will be heard that what was sent arrived, whatever it was. Else only replies tell.
  [[nodiscard]] bool acknowledges() const noexcept { return pings_ && ours_; }
  // How much lies between us and the server, as far as it has not been heard that it arrived.
  [[nodiscard]] std::uint64_t unacknowledged() const noexcept { return sent_ - acknowledged_; }
  [[nodiscard]] std::uint64_t load() const noexcept { return in_flight + reported_load_; }

  void connect(time_point now) noexcept {
    if (!connected_) {
      link_ = 0;  // what was out by the connection before is lost, and known to be
    }
    connected_ = true;
    blocked = false;
    silent_ = ours_ = takes_bundles_ = false;
    sent_ = acknowledged_ = 0;
    reported_load_ = 0;
    waiting_.reset();
    clock_.reset();
    next_ping_ = now;
  }
  void disconnect() noexcept { connected_ = false; }

  // Numbers what is sent over this connection, from 1.
  std::uint64_t sent() noexcept { return ++sent_; }

  // True: the server was given up, and is back.
  bool heard(time_point now) noexcept {
    last_heard_ = now;
    return std::exchange(silent_, false);
  }
  // The server has received what was sent up to number.
  void acknowledge(std::uint64_t number) noexcept {
    acknowledged_ = std::max(acknowledged_, std::min(number, sent_));
  }
  void acknowledge_one() noexcept { acknowledge(acknowledged_ + 1); }
  // The header of a reply or pong. True: it is another server than before, or came by another
  // connection that was made unnoticed. What was sent before may not have arrived.
  bool heard_from(const call_header& header) noexcept {
    ours_ = true;
    takes_bundles_ = (header.flags & call_header::bundles) != 0;
    reported_load_ = header.load;
    if (!pings_ || header.link == 0) {
      return false;
    }
    const std::uint64_t before = std::exchange(link_, header.link);
    const bool another = before != 0 && before != header.link;
    if (another) {
      clock_.reset();  // the other may be on another machine
    }
    return another;
  }
  void take_pong(const call_header& pong) noexcept {
    if (waiting_ && waiting_->number == pong.id) {
      acknowledge(waiting_->number);
      clock_ = known_clock{waiting_->at, pong.time};
      waiting_.reset();
    }
  }

  [[nodiscard]] static std::uint64_t micros(duration time) noexcept {
    return static_cast<std::uint64_t>(
        std::max<std::int64_t>(std::chrono::ceil<std::chrono::microseconds>(time).count(), 1));
  }
  // The deadline as the server is to be told. By its own clock if we know that: a request may lie
  // between us for longer than it is worth. Late by as much as the ping took to get there.
  void put_deadline(call_header& request, time_point deadline, time_point now) const noexcept {
    if (deadline == time_point::max()) {
      request.time = 0;
    } else if (clock_) {
      request.flags |= call_header::absolute_time;
      request.time = clock_->theirs + micros(deadline - clock_->ours);
    } else {
      request.time = micros(deadline - now);
    }
  }

  enum class duty { nothing, ping, give_up };
  // What to do now. Give up: calls that wait for it wait in vain.
  [[nodiscard]] duty tick(time_point now) noexcept {
    if (!pings_ || !connected_ || !ours_) {
      return duty::nothing;
    }
    if (is_waiting()) {
      if (now < waiting_->until) {
        return duty::nothing;
      }
      if (!silent_ && now - waiting_->until > late && !waiting_->is_put_off) {
        waiting_->until = now + reprieve();
        waiting_->is_put_off = true;
        return duty::nothing;
      }
      if (!std::exchange(silent_, true)) {
        return duty::give_up;
      }
    }
    return now >= next_ping_ ? duty::ping : duty::nothing;
  }
  // A ping went out, as that number.
  void pinged(std::uint64_t number, time_point now) noexcept {
    waiting_ = ping{number, now, now + timeout_};
    next_ping_ = now + interval_;
  }
  // When tick will have something to do.
  [[nodiscard]] time_point next() const noexcept {
    if (!pings_ || !connected_ || !ours_) {
      return time_point::max();
    }
    if (!is_waiting()) {
      return next_ping_;
    }
    return silent_ ? std::max(waiting_->until, next_ping_) : waiting_->until;
  }

  // The owner's.
  std::uint64_t in_flight = 0;  // calls
  bool blocked = false;         // its socket cannot send; whether it is full or gone is not known

 private:
  struct ping {
    std::uint64_t number;
    time_point at;
    time_point until;  // silence up to then means that the server is gone
    bool is_put_off = false;
  };
  struct known_clock {
    time_point ours;
    std::uint64_t theirs;  // microseconds
  };

  // Who looks that much after the time has not run, or not long enough to see what has come: it was
  // stopped, or its machine slept. Silence is judged only by time in which it could have heard, so
  // it judges a little later, once, what libzmq's thread will have read by then.
  static constexpr std::chrono::milliseconds late{10};
  [[nodiscard]] duration reprieve() const noexcept {
    constexpr duration most = std::chrono::milliseconds{100};
    return std::min(most, timeout_ / 4);
  }

  // A ping was sent, and nothing has come since.
  [[nodiscard]] bool is_waiting() const noexcept { return waiting_ && last_heard_ < waiting_->at; }

  bool pings_;
  duration interval_;
  duration timeout_;

  bool connected_ = false;
  bool silent_ = false;  // given up
  bool ours_ = false;
  bool takes_bundles_ = false;
  std::uint64_t link_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t reported_load_ = 0;
  time_point last_heard_{};
  time_point next_ping_{};
  std::optional<ping> waiting_;
  std::optional<known_clock> clock_;
};

}  // namespace parley::detail
