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
    done = 4,    // ticket, and count - 1 behind it; of one alone, body: the result
    ended = 5,   // ticket, how, text: otherwise
    leave = 6,   // it goes, and has nothing any more
    // Of a source.
    source = 16,  // id
    task = 17,    // ticket, number, attempt, time_left, key, body; or a run of tasks: see count
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
  // Of tasks with tickets and numbers in a row. Where it is not 1, a task's body is all their
  // bodies, packed.
  std::uint16_t count = 1;
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
// Tasks in a run.
inline constexpr std::size_t most_in_run = 64;
// Of a name and a key; a longer reason is cut.
inline constexpr std::size_t longest_task_text = 0xffff;

namespace wire {

// Octets of an entry for done tasks in front of its ranges, and of a range; and of a body in a run
// in front of it.
inline constexpr std::size_t done_head = 1 + 2;
inline constexpr std::size_t done_range = 8 + 2;
inline constexpr std::size_t body_head = 4;

}  // namespace wire

// The next of the bodies of a run; false: there is none, or it is cut short.
[[nodiscard]] inline bool next_body(std::string_view& left, std::string_view& into) noexcept {
  if (left.size() < wire::body_head) {
    return false;
  }
  const auto size = number_at<std::uint32_t>(left.data());
  if (left.size() - wire::body_head < size) {
    return false;
  }
  into = left.substr(wire::body_head, size);
  left.remove_prefix(wire::body_head + size);
  return true;
}

// Done tasks with tickets in a row.
struct done_tickets {
  task_ticket first;
  std::uint16_t count;
};

// Makes a frame of entries.
class task_writer {
 public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // Requires: its name or key is no longer than longest_task_text; its body follows, or is no
  // longer than most_packed.
  void add(const task_entry& entry);
  // As an entry `done` without a result, in less time.
  void add_done(task_ticket ticket) {
    if (run_at_ != 0 && ticket == next_done_ && last_count_ < 0xffff) [[likely]] {
      ++next_done_;
      put_number(bytes_.get() + size_ - sizeof last_count_, ++last_count_);
      return;
    }
    add_range({ticket, 1});
  }
  void add_range(const done_tickets& range);
  // So many that follow, one behind the other, need no memory any more.
  void reserve_ranges(std::size_t count);

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
  // The last entry is of done tasks, in so many ranges, and says so there; 0: it is another.
  std::size_t run_at_ = 0;
  std::uint16_t run_ = 0;
  // Of the last range: the ticket behind it, and how many it has.
  task_ticket next_done_ = 0;
  std::uint16_t last_count_ = 0;
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
  [[nodiscard]] bool next_done(done_tickets& into) noexcept {
    if (run_ == 0 && !open_run()) {
      return false;
    }
    into.first = number_at<task_ticket>(left_.data());
    into.count = number_at<std::uint16_t>(left_.data() + sizeof into.first);
    left_.remove_prefix(wire::done_range);
    --run_;
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
    if (count == 0 || (left_.size() - wire::done_head) / wire::done_range < count) {
      return false;
    }
    left_.remove_prefix(wire::done_head);
    run_ = count;
    return true;
  }

  std::string_view left_;
  std::size_t run_ = 0;  // ranges that come next
};

}  // namespace parley::detail
