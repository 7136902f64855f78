// SPDX-License-Identifier: MPL-2.0
//
// What sources and workers of Parley say to each other; docs/wire.md has the grammar.
//
// Of the two, the one that binds has a ROUTER socket, the one that connects a DEALER socket for
// each endpoint. Who connects speaks first, and says what it is; the other answers so. A message is
// a frame of entries, and a frame for each body in them that `follows`. No I/O; readers take any
// bytes, and point into them.
#pragma once

#include <parley/frame.hpp>

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "network_order.hpp"

namespace parley::detail {

// One attempt at one task, as its source knows it; opaque to workers.
using task_ticket = std::uint64_t;

struct task_entry {
  enum class kind : std::uint8_t {
    // Of a worker.
    worker = 1,  // who it is and what it wants: id, name, credit,
                 // credit_bytes, largest
    credit = 2,  // what it wants from now on
    begun = 3,   // ticket: somebody works on it, and has for a while
    done = 4,    // ticket; body: the result
    ended = 5,   // ticket, how, text: otherwise
    leave = 6,   // it goes, and has nothing any more
    // Of a source.
    source = 16,  // id
    task = 17,    // ticket, number, attempt, time_left, key, body
    cancel = 18,  // ticket: nobody waits for it any more
    // Of both: I am alive. A source asks, a worker answers.
    beat = 32,
  };
  enum class ending : std::uint8_t {
    failed = 1,
    rejected = 2,    // nobody else is to try
    given_back = 3,  // as if it had never been sent
    expired = 4,     // its deadline passed before it was begun
  };

  kind what = kind::beat;
  ending how = ending::failed;
  bool body_follows = false;  // it is a frame of its own, in the order of the entries
  task_ticket ticket = 0;
  std::uint64_t id = 0;  // of the worker or source; task: its number
  std::uint32_t attempt = 1;
  std::uint64_t time_left = 0;  // microseconds until the deadline; 0: none
  std::uint32_t credit = 0;
  std::uint64_t credit_bytes = 0;
  std::uint64_t largest = 0;  // body that a worker takes, in bytes
  std::string_view text{};    // worker: its name; task: the key; ended: why
  std::string_view body{};
};

// Bodies up to this size are packed among the entries, others follow.
inline constexpr std::size_t most_packed = 2048;
// Of a name and a key; a longer reason is cut.
inline constexpr std::size_t longest_task_text = 0xffff;

namespace wire {

// Octets of a usual task's entry in front of its body, and of an entry for done tasks in front of
// their tickets.
inline constexpr std::size_t task_head = 1 + 1 + 8 + 8 + 4;
inline constexpr std::size_t done_head = 1 + 2;

}  // namespace wire

// Nearly all tasks: the first attempt at one without key or deadline, its body packed.
struct usual_task {
  task_ticket ticket;
  std::uint64_t number;
  std::string_view body;
};

// Makes a frame of entries.
class task_writer {
 public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // Requires: its name or key is no longer than longest_task_text; its body follows, or is no
  // longer than most_packed.
  void add(const task_entry& entry);
  // As an entry `task`, in less time. Requires: the body is no longer than most_packed.
  void add_task(task_ticket ticket, std::uint64_t number, std::string_view body) {
    assert(body.size() <= most_packed);
    char* at = room(wire::task_head + body.size());
    *at++ = static_cast<char>(task_entry::kind::task);
    *at++ = 0;
    at = put_number(at, ticket);
    at = put_number(at, number);
    at = put_number(at, static_cast<std::uint32_t>(body.size()));
    std::memcpy(at, body.data(), body.size());
  }
  // As an entry `done` without a result, in less time.
  void add_done(task_ticket ticket) {
    if (run_at_ == 0 || run_ == 0xffff) {
      begin_run();
    }
    put_number(more_room(sizeof ticket), ticket);
    put_number(bytes_.get() + run_at_, ++run_);
  }

  // Then it is empty.
  [[nodiscard]] frame take();

 private:
  // Of a new entry.
  [[nodiscard]] char* room(std::size_t size) {
    if (size_ == 0) {
      begin();
    }
    run_at_ = 0;
    return more_room(size);
  }
  [[nodiscard]] char* more_room(std::size_t size) {
    if (capacity_ - size_ < size) {
      grow(size);
    }
    char* const at = bytes_.get() + size_;
    size_ += size;
    return at;
  }
  void begin();
  void begin_run();
  void grow(std::size_t size);

  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  // The last entry is for so many done tasks, and says so there; 0: it is another.
  std::size_t run_at_ = 0;
  std::uint16_t run_ = 0;
};

class task_reader {
 public:
  // Nothing: that is no frame of entries, or of another version.
  [[nodiscard]] static std::optional<task_reader> open(std::string_view bytes) noexcept;
  [[nodiscard]] bool has_more() const noexcept { return run_ > 0 || !left_.empty(); }
  // Nothing: the rest is malformed, and skipped.
  [[nodiscard]] std::optional<task_entry> next() noexcept;

  // As next, in less time. False: what comes is something else, malformed, or nothing, for next to
  // tell.
  [[nodiscard]] bool next_done(task_ticket& into) noexcept {
    if (run_ == 0 && !open_run()) {
      return false;
    }
    into = number_at<task_ticket>(left_.data());
    left_.remove_prefix(sizeof into);
    --run_;
    return true;
  }
  [[nodiscard]] bool next_task(usual_task& into) noexcept {
    const char* const at = left_.data();
    if (run_ > 0 || left_.size() < wire::task_head ||
        at[0] != static_cast<char>(task_entry::kind::task) || at[1] != 0) {
      return false;
    }
    const auto size = number_at<std::uint32_t>(at + 18);
    if (left_.size() - wire::task_head < size) {
      return false;
    }
    into.ticket = number_at<task_ticket>(at + 2);
    into.number = number_at<std::uint64_t>(at + 10);
    into.body = {at + wire::task_head, size};
    left_.remove_prefix(wire::task_head + size);
    return true;
  }

 private:
  explicit task_reader(std::string_view entries) noexcept : left_{entries} {}
  // False: what comes is not that, or malformed.
  [[nodiscard]] bool open_run() noexcept {
    if (left_.size() < wire::done_head || left_[0] != static_cast<char>(task_entry::kind::done)) {
      return false;
    }
    const auto count = number_at<std::uint16_t>(left_.data() + 1);
    if (count == 0 || (left_.size() - wire::done_head) / sizeof(task_ticket) < count) {
      return false;
    }
    left_.remove_prefix(wire::done_head);
    run_ = count;
    return true;
  }

  std::string_view left_;
  std::size_t run_ = 0;  // tickets that come next
};

}  // namespace parley::detail
