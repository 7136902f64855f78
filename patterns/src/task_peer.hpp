// SPDX-License-Identifier: MPL-2.0
//
// What a worker's tray knows of a source at the end of a link, or of all PUSH sockets together:
// what it has of its tasks, what it owes it, and how much it wants.
#pragma once

#include <parley/frame.hpp>
#include <parley/message.hpp>

#include "held_task.hpp"
#include "task_wire.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

namespace parley::detail {

struct task_peer {
  using time_point = held_task::time_point;

  explicit task_peer(std::uint32_t link) noexcept : which{link} {}

  std::uint32_t which;  // as the rim numbers them
  bool is_plain = false;
  bool is_ignored = false;     // it is no source
  bool is_introduced = false;  // it was told who we are
  std::uint64_t id = 0;        // the source's, when it has said it
  bool is_here = false;        // it was heard lately
  time_point heard{};

  std::size_t waiting = 0;
  std::size_t working = 0;
  // Answers that did not leave yet.
  std::size_t owed = 0;
  task_writer out;
  std::size_t out_owed = 0;    // answers in it
  std::size_t body_bytes = 0;  // of those behind it
  std::vector<frame> bodies;
  std::deque<std::pair<message, std::size_t>> ready;  // in front of it, and answers in each
  bool must_send = false;

  std::size_t credit = 1;
  std::size_t said_credit = 1;
  std::size_t most_held = 0;  // since the review, with what is owed: as the source sees it
  std::size_t ended = 0;      // since the review
  time_point reviewed{};
  time_point::duration idle_then{0};

  [[nodiscard]] std::size_t held() const noexcept { return waiting + working + owed; }

  [[nodiscard]] bool has_words() const noexcept { return !ready.empty() || !out.empty(); }
  void cut() {
    // Whatever there is no memory for, before anything changes.
    message cut;
    cut.reserve(1 + bodies.size());
    ready.emplace_back();
    try {
      cut.push_back(out.take());
    } catch (...) {
      ready.pop_back();
      throw;
    }
    for (frame& each : bodies) {
      cut.push_back(std::move(each));
    }
    bodies.clear();
    body_bytes = 0;
    ready.back() = {std::move(cut), std::exchange(out_owed, 0)};
  }
  // What credit it is to have, if so much is to wait here, and threads were idle for so long in
  // all. True: it is to be told.
  [[nodiscard]] bool reconsider(std::size_t target, time_point::duration idle, std::size_t most,
                                time_point now) noexcept {
    // Idle for one part in so many, and credit was short.
    constexpr int idle_part = 8;
    constexpr std::size_t most_growth = 4;
    const bool had_all = most_held >= said_credit;
    if (had_all && (idle - idle_then) * idle_part > now - reviewed) {
      credit = std::max(2 * credit, std::min(target, most_growth * credit));
    } else if (waiting > target) {
      credit = std::max(target, credit - std::min(credit, waiting - target));
    } else if (had_all && credit < target) {
      credit = std::min(target, most_growth * credit);
    }
    credit = std::clamp<std::size_t>(credit, 1, most);
    reviewed = now;
    idle_then = idle;
    ended = 0;
    most_held = held();
    const std::size_t change = std::max(credit, said_credit) - std::min(credit, said_credit);
    if (4 * change <= said_credit) {
      return false;
    }
    said_credit = credit;
    return true;
  }
  void say_nothing() {
    out = task_writer{};
    bodies.clear();
    ready.clear();
    body_bytes = out_owed = owed = 0;
    must_send = false;
  }
};

}  // namespace parley::detail
