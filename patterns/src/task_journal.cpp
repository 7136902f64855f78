// SPDX-License-Identifier: MPL-2.0
#include "task_journal.hpp"

#include <parley/error.hpp>

#include <sodium/crypto_shorthash.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <limits>
#include <memory>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>

namespace parley::detail {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The triggers are for who changes the table by hand: checksums that do not hold any more are taken
// away. They do not run for what Parley writes.
constexpr database::kind journal_file{0x50546173,  // "PTas"
                                      1, R"(
CREATE TABLE task (
  number     INTEGER PRIMARY KEY,
  state      TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'dead')),
  attempts   INTEGER NOT NULL DEFAULT 0,
  priority   INTEGER NOT NULL DEFAULT 0,
  key        TEXT,
  receiver   TEXT,
  not_before INTEGER,  -- milliseconds since 1970, as the others
  expires    INTEGER,
  pushed     INTEGER NOT NULL DEFAULT (unixepoch() * 1000),
  failure    TEXT,     -- the last one
  checksum   INTEGER,  -- of body and number; NULL: not known
  body       BLOB NOT NULL
);
CREATE TABLE meta (
  source   INTEGER NOT NULL,  -- its id, signed here
  next     INTEGER NOT NULL,  -- number of the next task
  tasks    INTEGER NOT NULL,  -- rows in task
  checksum INTEGER            -- of their numbers; NULL: not known
);
CREATE TRIGGER inserted_by_hand AFTER INSERT ON task BEGIN
  UPDATE meta SET checksum = NULL;
END;
CREATE TRIGGER deleted_by_hand AFTER DELETE ON task BEGIN
  UPDATE meta SET checksum = NULL;
END;
CREATE TRIGGER changed_by_hand AFTER UPDATE OF number, body ON task BEGIN
  UPDATE meta SET checksum = NULL;
  UPDATE task SET checksum = NULL WHERE number = new.number;
END;
)",
                                      "copy it, and its -wal, before all else; docs/pipeline.md "
                                      "says how to save what is left"};

constexpr const char* select_tasks =
    "SELECT number, state, attempts, priority, key, receiver, not_before, expires, pushed, failure,"
    " checksum, body FROM task";

// Some 140 years: what is longer is of no use, and does not fit clocks that count nanoseconds.
constexpr milliseconds longest{std::int64_t{1} << 42};

std::uint64_t random_id() {
  std::random_device device;
  const std::uint64_t id = (std::uint64_t{device()} << 32) | device();
  return id == 0 ? 1 : id;
}

// As if at random, so that sets of numbers differ in the exclusive or of their members: the last
// step of splitmix64.
std::uint64_t mix(std::uint64_t number) {
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
  number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
  return number ^ (number >> 31);
}

std::int64_t checksum_of(std::uint64_t number, std::string_view body) {
  std::array<unsigned char, crypto_shorthash_KEYBYTES> key{};
  for (std::size_t octet = 0; octet < sizeof number; ++octet) {
    key[octet] = static_cast<unsigned char>(number >> (8 * octet));
  }
  std::array<unsigned char, crypto_shorthash_BYTES> sum{};
  crypto_shorthash(sum.data(), reinterpret_cast<const unsigned char*>(body.data()), body.size(),
                   key.data());
  std::uint64_t value = 0;
  for (const unsigned char octet : sum) {
    value = value << 8 | octet;
  }
  return static_cast<std::int64_t>(value);
}

constexpr std::size_t page_bytes = 4096;  // SQLite's, unless somebody made the file otherwise
// For the log, when the table takes in all of it without getting larger.
constexpr std::size_t least_reserve = std::size_t{64} << 10;
constexpr std::size_t reserve_step = std::size_t{1} << 20;

// That a table grows by for them. What does not fit a page goes on in pages of its own.
std::size_t most_bytes_of(std::span<const task_draft> drafts) {
  constexpr std::size_t row = 128;  // all but the body, and what the tree needs
  std::size_t small = 0;
  std::size_t pages = 2;
  for (const task_draft& each : drafts) {
    std::size_t bytes = row + each.body.size();
    if (each.options) {
      bytes += each.options->key.size() + each.options->to.size();
    }
    if (bytes < page_bytes / 4) {
      small += bytes;
    } else {
      pages += bytes / (page_bytes - 100) + 2;
    }
  }
  return pages * page_bytes + small + small / 2;
}

// False: the disk is full.
template<class Action>
bool has_room(const Action& write) {
  try {
    write();
    return true;
  } catch (const error& failure) {
    if (failure.code() != errc::disk_full) {
      throw;
    }
    return false;
  }
}

// Between the clock of tasks and that of the file.
class clocks {
 public:
  [[nodiscard]] std::int64_t to_file(steady_clock::time_point when) const {
    return unix_.count() + std::chrono::floor<milliseconds>(when - steady_).count();
  }
  // A time that is still to come counts as now: somebody set the clock back.
  [[nodiscard]] steady_clock::time_point from_file(std::int64_t when) const {
    const auto past = std::clamp<std::int64_t>(when, 0, unix_.count());
    return steady_ - std::min(milliseconds{unix_.count() - past}, longest);
  }

 private:
  steady_clock::time_point steady_ = steady_clock::now();
  milliseconds unix_ =
      std::chrono::floor<milliseconds>(std::chrono::system_clock::now().time_since_epoch());
};

std::optional<std::int64_t> after(std::int64_t pushed, milliseconds delay) {
  if (delay <= milliseconds{0}) {
    return {};
  }
  return pushed + std::min(delay, longest).count();
}

std::optional<std::string_view> unless_empty(std::string_view text) {
  return text.empty() ? std::nullopt : std::optional{text};
}

milliseconds span(const statement::rows& row, int column, std::int64_t pushed) {
  if (row.is_null(column)) {
    return milliseconds{0};
  }
  // One that was over when it began is not the same as none.
  const auto least = milliseconds{std::clamp<std::int64_t>(pushed, 0, longest.count())};
  return std::clamp(milliseconds{row.number(column)}, least + milliseconds{1}, 2 * longest) - least;
}

std::unique_ptr<task_options> options_of(const statement::rows& row) {
  const bool is_usual =
      row.number(3) == 0 && row.is_null(4) && row.is_null(5) && row.is_null(6) && row.is_null(7);
  if (is_usual) {
    return {};
  }
  auto options = std::make_unique<task_options>();
  options->priority = static_cast<int>(std::clamp<std::int64_t>(row.number(3), 0, 9));
  options->key = row.bytes(4);
  options->to = row.bytes(5);
  options->delay = span(row, 6, row.number(8));
  options->deadline = span(row, 7, row.number(8));
  return options;
}

// Why that row cannot be what was written; null: it can.
const char* fault_of(const statement::rows& row) {
  const std::int64_t number = row.number(0);
  const std::string_view state = row.bytes(1);
  if (number < 1 || number == std::numeric_limits<std::int64_t>::max()) {
    return "a task's number is not possible";
  }
  if (state != "waiting" && state != "dead") {
    return "a task's state is not possible";
  }
  if (!row.is_null(10) &&
      row.number(10) != checksum_of(static_cast<std::uint64_t>(number), row.bytes(11))) {
    return "a task's body has changed";
  }
  return nullptr;
}

void pass_on(const statement::rows& row, std::uint64_t id, const clocks& now,
             const task_journal::on_task& task, const task_journal::on_dead& dead) {
  const auto number = static_cast<std::uint64_t>(row.number(0));
  const auto attempts = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(row.number(2), 0, std::numeric_limits<std::uint32_t>::max()));
  auto options = options_of(row);
  if (row.bytes(1) == "dead") {
    dead({.id = {id, number},
          .body = frame{row.bytes(11)},
          .options = options ? std::move(*options) : task_options{},
          .attempts = attempts,
          .why = std::string{row.bytes(9)}});
    return;
  }
  task_draft draft;
  draft.number = number;
  draft.body = frame{row.bytes(11)};
  draft.options = std::move(options);
  draft.attempts = attempts;
  draft.pushed = now.from_file(row.number(8));
  task(std::move(draft));
}

// Reads the tasks of a damaged table from both ends. What lies between two places that cannot be
// read is halved, the widest such gaps first, until nothing is left or it has failed too often:
// where the root is damaged, all gaps are.
class salvager {
 public:
  salvager(database& from, std::uint64_t id, const task_journal::on_task& task,
           const task_journal::on_dead& dead)
      : id_{id},
        task_{task},
        dead_{dead},
        up_{from.prepare(std::string{select_tasks} +
                         " WHERE number BETWEEN ? AND ? ORDER BY number")},
        down_{from.prepare(std::string{select_tasks} +
                           " WHERE number BETWEEN ? AND ? ORDER BY number DESC")} {}

  void read() {
    std::deque<gap> gaps{{1, std::numeric_limits<std::int64_t>::max() - 1}};
    for (int failures = 0; !gaps.empty() && failures < most_failures; ++failures) {
      gap left = gaps.front();
      gaps.pop_front();
      const bool is_read = read_up(left) || left.first > left.last || read_down(left);
      if (!is_read && left.first < left.last) {
        const std::int64_t middle = left.first + (left.last - left.first) / 2;
        gaps.push_back({left.first, middle});
        gaps.push_back({middle + 1, left.last});
      }
    }
  }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

 private:
  struct gap {
    std::int64_t first;
    std::int64_t last;
  };
  static constexpr int most_failures = 5000;  // some 20 microseconds each

  // False: not to the end; then the gap is what is left.
  bool read_up(gap& left) {
    return read(up_, left, [&](std::int64_t number) { left.first = number + 1; });
  }
  bool read_down(gap& left) {
    return read(down_, left, [&](std::int64_t number) { left.last = number - 1; });
  }
  template<class Seen>
  bool read(statement& select, const gap& left, const Seen& seen) {
    try {
      auto row = select.query(left.first, left.last);
      while (row.next()) {
        const std::int64_t number = row.number(0);
        if (number < left.first || number > left.last) {
          return false;  // the order is damaged too
        }
        if (fault_of(row) == nullptr) {
          pass_on(row, id_, now_, task_, dead_);
          ++count_;
        }
        seen(number);
      }
      return true;
    } catch (const error& failure) {
      if (failure.code() != errc::damaged_file && failure.code() != errc::cannot_read) {
        throw;
      }
      return false;
    }
  }

  const clocks now_;
  const std::uint64_t id_;
  const task_journal::on_task& task_;
  const task_journal::on_dead& dead_;
  statement up_;
  statement down_;
  std::size_t count_ = 0;
};

}  // namespace

journal_change journal_change::of(const task_news& news) {
  return {.what = news.what,
          .number = news.number,
          .attempts = news.attempts,
          .failure = news.what == task_news::kind::buried ? news.outcome.why : std::string{}};
}

task_journal::task_journal(const std::filesystem::path& file, durability survives)
    : lock_{file}, reserve_{file.string() + "-reserve"}, file_{file, database::access::write} {
  file_.become(journal_file);
  file_.disable_triggers();
  file_.execute(survives == durability::power_cut ? "PRAGMA synchronous = FULL"
                                                  : "PRAGMA synchronous = NORMAL");
  if (file_.number("SELECT count(*) FROM meta") == 0) {
    file_.prepare("INSERT INTO meta VALUES (?, 1, 0, 0)").run(random_id());
  }
  count_pages_ = file_.prepare("PRAGMA page_count");
  count_free_pages_ = file_.prepare("PRAGMA freelist_count");
  read_contents_ = file_.prepare("SELECT source, next, tasks, checksum FROM meta");
  write_contents_ = file_.prepare("UPDATE meta SET next = ?, tasks = ?, checksum = ?");
  insert_ = file_.prepare(
      "INSERT INTO task (number, state, attempts, priority, key, receiver, not_before,"
      " expires, pushed, failure, checksum, body)"
      " VALUES (?, 'waiting', ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)");
  remove_ = file_.prepare("DELETE FROM task WHERE number = ?");
  try_ = file_.prepare("UPDATE task SET attempts = ? WHERE number = ?");
  bury_ =
      file_.prepare("UPDATE task SET state = 'dead', attempts = ?, failure = ? WHERE number = ?");

  const contents there = read_contents();
  id_ = there.id;
  // Somebody may have inserted by hand.
  const std::int64_t last = file_.number("SELECT ifnull(max(number), 0) FROM task");
  next_ = std::max(there.next, static_cast<std::uint64_t>(std::max<std::int64_t>(last, 0)) + 1);
}

task_journal::contents task_journal::read_contents() {
  auto row = read_contents_->query();
  if (!row.next()) {
    file_.fail_damaged("a row is missing");
  }
  contents there{.id = static_cast<std::uint64_t>(row.number(0)),
                 .next = static_cast<std::uint64_t>(row.number(1)),
                 .tasks = row.number(2),
                 .checksum = {}};
  if (!row.is_null(3)) {
    there.checksum = static_cast<std::uint64_t>(row.number(3));
  }
  return there;
}

void task_journal::load(const on_task& task, const on_dead& dead) {
  // What lies on no way to a task: free pages, above all.
  if (auto check = file_.prepare("PRAGMA quick_check(1)"); true) {
    auto row = check.query();
    if (!row.next() || row.bytes(0) != "ok") {
      file_.fail_damaged("SQLite's check failed: " + std::string{row.bytes(0)});
    }
  }
  const contents written = read_contents();
  const clocks now;
  contents found{.id = id_, .next = next_, .tasks = 0, .checksum = 0};
  std::int64_t last = 0;
  {
    statement select = file_.prepare(std::string{select_tasks} + " ORDER BY number");
    auto row = select.query();
    while (row.next()) {
      if (const char* const fault = fault_of(row)) {
        file_.fail_damaged(fault);
      }
      if (row.number(0) <= last) {
        file_.fail_damaged("tasks are out of order");
      }
      last = row.number(0);
      ++found.tasks;
      *found.checksum ^= mix(static_cast<std::uint64_t>(last));
      pass_on(row, id_, now, task, dead);
    }
  }
  if (!written.checksum) {
    write_contents_->run(found.next, found.tasks, found.checksum);
  } else if (written.checksum != found.checksum || written.tasks != found.tasks) {
    file_.fail_damaged(std::to_string(found.tasks) + " tasks are there, " +
                       std::to_string(written.tasks) + " should be, or not the same ones");
  }
}

void task_journal::find(std::uint64_t number, const on_task& task, const on_dead& dead) {
  statement select = file_.prepare(std::string{select_tasks} + " WHERE number = ?");
  auto row = select.query(number);
  if (!row.next()) {
    return;
  }
  if (const char* const fault = fault_of(row)) {
    file_.fail_damaged(fault);
  }
  pass_on(row, id_, clocks{}, task, dead);
}

void task_journal::write(std::span<const task_draft> drafts,
                         std::span<const journal_change> changes) {
  keep_reserve(drafts);
  if (has_room([&] { write_now(drafts, changes); })) {
    return;
  }
  checkpoint();
  if (!drafts.empty()) {
    write_now(drafts, changes);
  } else if (!has_room([&] { write_now({}, changes); })) {
    reserve_.release();
    write_in_parts(changes);
  }
}

// What is in the log moves to the table, where tasks that are gone have left room, and the log
// begins anew.
void task_journal::checkpoint() noexcept {
  try {
    file_.execute("PRAGMA wal_checkpoint(PASSIVE)");
  } catch (const error&) {
    // No room for that either: the next write tells.
  }
}

// The log may have room for some when it has not for all.
void task_journal::write_in_parts(std::span<const journal_change> changes) {
  checkpoint();
  if (changes.size() <= 1) {
    write_now({}, changes);
  } else if (!has_room([&] { write_now({}, changes); })) {
    const std::size_t half = changes.size() / 2;
    write_in_parts(changes.first(half));
    write_in_parts(changes.subspan(half));
  }
}

// How much larger the table is than its file.
std::size_t task_journal::growth_to_come() {
  auto pages = count_pages_->query();
  if (!pages.next()) {
    return 0;
  }
  const std::size_t wanted = static_cast<std::size_t>(pages.number(0)) * page_bytes;
  std::error_code failure;
  const std::uintmax_t there = std::filesystem::file_size(file_.file(), failure);
  return failure || there >= wanted ? 0 : wanted - static_cast<std::size_t>(there);
}

// Tasks are accepted only if the disk has room to take them out again: throws disk_full.
void task_journal::keep_reserve(std::span<const task_draft> drafts) {
  if (drafts.empty()) {
    return;
  }
  const std::size_t added = most_bytes_of(drafts);
  growth_ += added;
  if (growth_ + least_reserve <= reserve_.size()) {
    return;
  }
  std::size_t spare = 0;
  if (auto row = count_free_pages_->query(); row.next()) {
    spare = static_cast<std::size_t>(row.number(0)) * page_bytes;
  }
  const std::size_t lacking = added - std::min(added, spare);
  const auto has_enough = [&] {
    growth_ = growth_to_come() + lacking;
    const std::size_t needed = growth_ + least_reserve;
    return reserve_.hold((needed + reserve_step - 1) / reserve_step * reserve_step) ||
           reserve_.hold(needed) || growth_ == 0;
  };
  if (has_enough()) {
    return;
  }
  checkpoint();
  if (!has_enough()) {
    growth_ -= lacking;
    throw error{errc::disk_full, file_.file().string() + " (there is no room for its reserve)"};
  }
}

void task_journal::write_now(std::span<const task_draft> drafts,
                             std::span<const journal_change> changes) {
  transaction all{file_};
  contents now = read_contents();
  now.next = std::max(now.next, next_);
  for (const journal_change& each : changes) {
    apply(each, now);
  }
  const clocks clock;
  for (const task_draft& each : drafts) {
    insert(each, now, clock.to_file(each.pushed));
  }
  write_contents_->run(now.next, now.tasks, now.checksum);
  all.commit();
  next_ = now.next;
}

void task_journal::apply(const journal_change& change, contents& now) {
  switch (change.what) {
    case task_news::kind::ended:
      remove(change.number, now);
      break;
    case task_news::kind::tried:
      try_->run(change.attempts, change.number);
      break;
    case task_news::kind::buried:
      bury_->run(change.attempts, std::string_view{change.failure}, change.number);
      break;
  }
}

void task_journal::remove(std::uint64_t number, contents& now) {
  remove_->run(number);
  if (file_.changes() == 1) {
    --now.tasks;
    if (now.checksum) {
      *now.checksum ^= mix(number);
    }
  }
}

void task_journal::insert(const task_draft& draft, contents& now, std::int64_t pushed) {
  static const task_options usual;
  const task_options& how = draft.options ? *draft.options : usual;
  if (draft.number < now.next) {
    remove(draft.number, now);
  }
  insert_->run(draft.number, draft.attempts, how.priority, unless_empty(how.key),
               unless_empty(how.to), after(pushed, how.delay), after(pushed, how.deadline), pushed,
               checksum_of(draft.number, draft.body.view()), draft.body.bytes());
  ++now.tasks;
  if (now.checksum) {
    *now.checksum ^= mix(draft.number);
  }
  now.next = std::max(now.next, draft.number + 1);
}

task_journal::salvaged task_journal::salvage(const std::filesystem::path& file, const on_task& task,
                                             const on_dead& dead) {
  database from{file, database::access::salvage};
  if (from.number("PRAGMA application_id") != journal_file.application_id) {
    throw error{errc::cannot_read, file.string() + " (it is another sort of file)"};
  }
  salvaged all;
  try {
    all.id = static_cast<std::uint64_t>(from.number("SELECT source FROM meta"));
    all.written = static_cast<std::size_t>(from.number("SELECT tasks FROM meta"));
  } catch (const error&) {
    // They lie elsewhere than the tasks do.
  }
  salvager reader{from, all.id.value_or(0), task, dead};
  reader.read();
  all.read = reader.count();
  return all;
}

}  // namespace parley::detail
