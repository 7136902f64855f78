// SPDX-License-Identifier: MPL-2.0
#include "task_wire.hpp"

#include "number_reader.hpp"

#include <algorithm>

namespace parley::detail {
namespace {

// And the version.
constexpr std::string_view head{"PT\1", 3};

// On the wire `done` is some ranges of tickets; a task that has a result has an entry of its own.
constexpr std::uint8_t result_mark = 7;

// Of task and result: what is there besides, in this order.
constexpr std::uint8_t follows = 1;
constexpr std::uint8_t has_attempt = 2;
constexpr std::uint8_t has_time_left = 4;
constexpr std::uint8_t has_key = 8;
constexpr std::uint8_t has_count = 16;  // of task, and alone but for follows

// The longest of what an entry has besides text and body.
constexpr std::size_t most_numbers = 64;

char* put_bytes(char* at, std::string_view bytes) noexcept {
  return std::copy(bytes.begin(), bytes.end(), at);
}
char* put_text(char* at, std::string_view text) noexcept {
  return put_bytes(put_number(at, static_cast<std::uint16_t>(text.size())), text);
}
char* put_body(char* at, const task_entry& entry) noexcept {
  return entry.body_follows
             ? at
             : put_bytes(put_number(at, static_cast<std::uint32_t>(entry.body.size())), entry.body);
}

}  // namespace

void task_writer::begin() { put_bytes(more_room(head.size()), head); }

void task_writer::begin_run() {
  char* const at = room(wire::done_head);
  *at = static_cast<char>(task_entry::kind::done);
  run_at_ = size_ - 2;
  run_ = 0;
}

void task_writer::add_range(const done_tickets& range) {
  if (run_at_ == 0 || run_ == 0xffff) {
    begin_run();
  }
  put_number(put_number(more_room(wire::done_range), range.first), range.count);
  put_number(bytes_.get() + run_at_, ++run_);
  next_done_ = range.first + range.count;
  last_count_ = range.count;
}

void task_writer::reserve_ranges(std::size_t count) {
  // They may begin a frame, and two runs.
  const std::size_t size = head.size() + 2 * wire::done_head + count * wire::done_range;
  if (capacity_ - size_ < size) {
    grow(size);
  }
}

void task_writer::grow(std::size_t size) {
  const std::size_t capacity = std::max({std::size_t{256}, 2 * capacity_, size_ + size});
  std::unique_ptr<char[]> grown{new char[capacity]};
  if (size_ > 0) {
    std::memcpy(grown.get(), bytes_.get(), size_);
  }
  bytes_ = std::move(grown);
  capacity_ = capacity;
}

void task_writer::add(const task_entry& entry) {
  using kind = task_entry::kind;
  assert(entry.text.size() <= longest_task_text || entry.what == kind::ended);
  assert(entry.body_follows || entry.body.size() <= most_packed);
  assert(entry.count == 1 || entry.what == kind::done ||
         (entry.attempt == 1 && entry.time_left == 0 && entry.text.empty()));
  const std::string_view text = entry.text.substr(0, longest_task_text);
  const std::size_t most =
      most_numbers + text.size() + (entry.body_follows ? 0 : entry.body.size());
  if (entry.what == kind::done && !entry.body_follows && entry.body.empty()) {
    entry.count == 1 ? add_done(entry.ticket) : add_range({entry.ticket, entry.count});
    return;
  }
  char* at = room(most);
  char* const from = at;
  at = put_number(at, static_cast<std::uint8_t>(entry.what));
  switch (entry.what) {
    case kind::worker:
      at = put_number(at, entry.id);
      at = put_number(at, entry.credit);
      at = put_number(at, entry.credit_bytes);
      at = put_number(at, entry.largest);
      at = put_text(at, text);
      break;
    case kind::credit:
      at = put_number(at, entry.credit);
      at = put_number(at, entry.credit_bytes);
      break;
    case kind::begun:
    case kind::cancel:
      at = put_number(at, entry.ticket);
      break;
    case kind::done:
      at = put_number(from, result_mark);
      at = put_number(at, static_cast<std::uint8_t>(entry.body_follows ? follows : 0));
      at = put_number(at, entry.ticket);
      at = put_body(at, entry);
      break;
    case kind::ended:
      at = put_number(at, static_cast<std::uint8_t>(entry.how));
      at = put_number(at, entry.ticket);
      at = put_text(at, text);
      break;
    case kind::source:
      at = put_number(at, entry.id);
      break;
    case kind::task:
      at = put_number(at, static_cast<std::uint8_t>((entry.body_follows ? follows : 0) |
                                                    (entry.attempt != 1 ? has_attempt : 0) |
                                                    (entry.time_left > 0 ? has_time_left : 0) |
                                                    (text.empty() ? 0 : has_key) |
                                                    (entry.count != 1 ? has_count : 0)));
      at = put_number(at, entry.ticket);
      at = put_number(at, entry.id);
      if (entry.attempt != 1) {
        at = put_number(at, entry.attempt);
      }
      if (entry.time_left > 0) {
        at = put_number(at, entry.time_left);
      }
      if (!text.empty()) {
        at = put_text(at, text);
      }
      if (entry.count != 1) {
        at = put_number(at, entry.count);
      }
      at = put_body(at, entry);
      break;
    case kind::leave:
    case kind::beat:
      break;
  }
  size_ -= most - static_cast<std::size_t>(at - from);
}

frame task_writer::take() {
  frame made{bytes_.get(), size_};
  size_ = 0;
  run_at_ = 0;
  return made;
}

std::optional<task_reader> task_reader::open(std::string_view bytes) noexcept {
  if (!bytes.starts_with(head)) {
    return std::nullopt;
  }
  return task_reader{bytes.substr(head.size())};
}

std::optional<task_entry> task_reader::next() noexcept {
  using kind = task_entry::kind;
  task_entry entry;
  if (done_tickets range{}; next_done(range)) {
    entry.what = kind::done;
    entry.ticket = range.first;
    entry.count = range.count;
    return entry;
  }
  // Until it is known to be good.
  std::string_view rest = left_;
  left_ = {};
  number_reader read{rest};
  std::uint8_t what = 0;
  std::uint8_t flags = 0;
  std::uint8_t how = 0;
  read(what);
  if (what == static_cast<std::uint8_t>(kind::done)) {
    return std::nullopt;  // a run that is not as long as it says
  }
  entry.what = what == result_mark ? kind::done : static_cast<kind>(what);
  switch (entry.what) {
    case kind::worker:
      read(entry.id)(entry.credit)(entry.credit_bytes)(entry.largest)
          .text<std::uint16_t>(entry.text);
      break;
    case kind::credit:
      read(entry.credit)(entry.credit_bytes);
      break;
    case kind::begun:
    case kind::cancel:
      read(entry.ticket);
      break;
    case kind::done:
      read(flags)(entry.ticket);
      break;
    case kind::ended:
      read(how)(entry.ticket).text<std::uint16_t>(entry.text);
      if (how < 1 || how > static_cast<std::uint8_t>(task_entry::ending::expired)) {
        return std::nullopt;
      }
      entry.how = static_cast<task_entry::ending>(how);
      break;
    case kind::source:
      read(entry.id);
      break;
    case kind::task:
      read(flags)(entry.ticket)(entry.id);
      if ((flags & has_attempt) != 0) {
        read(entry.attempt);
      }
      if ((flags & has_time_left) != 0) {
        read(entry.time_left);
      }
      if ((flags & has_key) != 0) {
        read.text<std::uint16_t>(entry.text);
      }
      if ((flags & has_count) != 0) {
        read(entry.count);
        if ((flags & ~(has_count | follows)) != 0 || entry.count < 2 || entry.count > most_in_run) {
          return std::nullopt;
        }
      }
      break;
    case kind::leave:
    case kind::beat:
      break;
    default:
      return std::nullopt;
  }
  if (entry.what == kind::task || entry.what == kind::done) {
    const int known = entry.what == kind::task ? 31 : follows;
    if ((flags & ~known) != 0) {
      return std::nullopt;
    }
    entry.body_follows = (flags & follows) != 0;
    if (!entry.body_follows) {
      read.text<std::uint32_t>(entry.body);
    }
  }
  if (!read.is_good()) {
    return std::nullopt;
  }
  left_ = rest;
  return entry;
}

}  // namespace parley::detail
