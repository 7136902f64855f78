// SPDX-License-Identifier: MPL-2.0
#include "task_journal.hpp"

#include <parley/error.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/error_code.hpp"
#include "support/small_disk.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace std::chrono_literals;
using detail::journal_change;
using detail::task_draft;
using detail::task_journal;
using detail::task_news;
using std::chrono::steady_clock;
using support::code_of;

namespace {

task_draft draft(std::uint64_t number, std::string_view body, const task_options& how = {}) {
  task_draft made;
  made.number = number;
  made.body = frame{body};
  made.options = std::make_unique<task_options>(how);
  made.pushed = steady_clock::now();
  return made;
}

void push(task_journal& to, std::uint64_t number, std::string_view body,
          const task_options& how = {}) {
  const std::array drafts{draft(number, body, how)};
  to.write(drafts, {});
}

void change(task_journal& in, journal_change what) { in.write({}, std::array{std::move(what)}); }

journal_change ended(std::uint64_t number) {
  return {.what = task_news::kind::ended, .number = number};
}
journal_change tried(std::uint64_t number, std::uint32_t attempts) {
  return {.what = task_news::kind::tried, .number = number, .attempts = attempts};
}
journal_change buried(std::uint64_t number, std::uint32_t attempts, std::string why) {
  return {.what = task_news::kind::buried,
          .number = number,
          .attempts = attempts,
          .failure = std::move(why)};
}

struct kept {
  std::vector<task_draft> tasks;
  std::vector<dead_letter> dead;

  [[nodiscard]] task_journal::on_task on_task() {
    return [this](task_draft&& each) { tasks.push_back(std::move(each)); };
  }
  [[nodiscard]] task_journal::on_dead on_dead() {
    return [this](dead_letter&& each) { dead.push_back(std::move(each)); };
  }
  // "1 one, 2 two (tried once), 3 three +".
  [[nodiscard]] std::vector<std::string> words() const {
    std::vector<std::string> all;
    for (const task_draft& each : tasks) {
      all.push_back(std::to_string(each.number) + " " + each.body.str());
    }
    for (const dead_letter& each : dead) {
      all.push_back(std::to_string(each.id.number) + " " + each.body.str() + ": " + each.why);
    }
    return all;
  }
};

kept load(task_journal& from) {
  kept all;
  from.load(all.on_task(), all.on_dead());
  return all;
}

using words = std::vector<std::string>;

// In a child with a disk of so many bytes. False: there can be none here.
template<class Action>
bool on_small_disk(std::size_t bytes, Action action) {
  const support::temporary_directory directory;
  support::child owner{[&](support::child::line line) {
    if (!support::mount_small_disk(directory.path(), bytes)) {
      line.say("no small disk");
      return;
    }
    line.say("small disk");
    const std::string fault = action(directory.path());
    line.say(fault.empty() ? "as it should be" : fault);
  }};
  if (owner.hear() == "no small disk") {
    WARN("only root can mount a small disk: skipped");
    return false;
  }
  CHECK(owner.hear() == "as it should be");
  return true;
}

}  // namespace

TEST_CASE("a task journal keeps tasks in the order of their numbers") {
  const support::temporary_directory directory;
  std::uint64_t id = 0;
  {
    task_journal journal{directory / "tasks", durability::power_cut};
    id = journal.id();
    CHECK(journal.next_number() == 1);
    const std::array drafts{draft(2, "two"), draft(1, "one")};
    journal.write(drafts, {});
    push(journal, 3, "");
  }
  task_journal journal{directory / "tasks", durability::power_cut};
  CHECK(journal.id() == id);
  CHECK(journal.next_number() == 4);
  CHECK(load(journal).words() == words{"1 one", "2 two", "3 "});
}

TEST_CASE("two journals are different sources") {
  const support::temporary_directory directory;
  const task_journal one{directory / "one", durability::kill};
  const task_journal two{directory / "two", durability::kill};
  CHECK(one.id() != two.id());
  CHECK(one.id() != 0);
}

TEST_CASE("a task journal keeps how a task is to be treated, and from when that counts") {
  const support::temporary_directory directory;
  const auto before = steady_clock::now();
  {
    task_journal journal{directory / "tasks", durability::kill};
    push(journal, 1, std::string(100'000, 'x'),
         {.key = "a key", .to = "Anna", .priority = 7, .delay = 2s, .deadline = 5min});
    push(journal, 2, "usual");
    push(journal, 3, "never", {.deadline = std::chrono::milliseconds::max()});
    change(journal, tried(1, 4));
  }
  task_journal journal{directory / "tasks", durability::kill};
  const kept all = load(journal);
  REQUIRE(all.tasks.size() == 3);
  const task_draft& first = all.tasks.front();
  REQUIRE(first.options);
  CHECK(first.body.size() == 100'000);
  CHECK(first.options->key == "a key");
  CHECK(first.options->to == "Anna");
  CHECK(first.options->priority == 7);
  CHECK(first.options->delay == 2s);
  CHECK(first.options->deadline == 5min);
  CHECK(first.attempts == 4);
  // Milliseconds are all that the file knows, of two clocks.
  CHECK(first.pushed > before - 1s);
  CHECK(first.pushed <= steady_clock::now());
  CHECK_FALSE(all.tasks[1].options);
  REQUIRE(all.tasks[2].options);
  CHECK(all.tasks[2].options->deadline > std::chrono::years{100});
}

TEST_CASE("time passes for a task while no source has its journal") {
  const support::temporary_directory directory;
  {
    task_journal journal{directory / "tasks", durability::kill};
    task_draft old = draft(1, "old", {.deadline = 1min});
    old.pushed -= 1h;
    journal.write(std::array{std::move(old)}, {});
  }
  task_journal journal{directory / "tasks", durability::kill};
  const task_draft old = std::move(load(journal).tasks.at(0));
  CHECK(old.pushed <= steady_clock::now() - 1h);
  CHECK(old.pushed > steady_clock::now() - 2h);
  CHECK(old.options->deadline == 1min);
}

TEST_CASE("a task that ended is forgotten, and its number not used again") {
  const support::temporary_directory directory;
  {
    task_journal journal{directory / "tasks", durability::kill};
    push(journal, 1, "one");
    push(journal, 2, "two");
    const std::array changes{ended(1), ended(2), ended(2)};
    journal.write({}, changes);
  }
  task_journal journal{directory / "tasks", durability::kill};
  CHECK(load(journal).words().empty());
  CHECK(journal.next_number() == 3);
}

TEST_CASE("a dead letter is kept with its last failure, tried again or dropped") {
  const support::temporary_directory directory;
  {
    task_journal journal{directory / "tasks", durability::kill};
    push(journal, 1, "one", {.key = "k", .deadline = 1min});
    push(journal, 2, "two");
    push(journal, 3, "three");
    const std::array changes{buried(1, 5, "no paper"), buried(2, 5, "no ink"), buried(3, 1, "no")};
    journal.write({}, changes);
    // Tried again in the same write as its end became known.
    const std::array again{draft(2, "two")};
    const std::array drop{buried(2, 6, "no ink again"), ended(3)};
    journal.write(again, drop);
  }
  task_journal journal{directory / "tasks", durability::kill};
  const kept all = load(journal);
  CHECK(all.words() == words{"2 two", "1 one: no paper"});
  CHECK(all.tasks.at(0).attempts == 0);
  const dead_letter& dead = all.dead.at(0);
  CHECK(dead.id == task_id{journal.id(), 1});
  CHECK(dead.attempts == 5);
  CHECK(dead.options.key == "k");
  CHECK(dead.options.deadline == 1min);
}

TEST_CASE("what a desk tells of a task is a change of its journal") {
  task_news news;
  news.what = task_news::kind::buried;
  news.number = 7;
  news.attempts = 3;
  news.outcome.why = "no paper";
  const auto made = journal_change::of(news);
  CHECK(made.what == task_news::kind::buried);
  CHECK(made.number == 7);
  CHECK(made.attempts == 3);
  CHECK(made.failure == "no paper");
}

TEST_CASE("a task journal has one owner at a time, who is named") {
  const support::temporary_directory directory;
  task_journal first{directory / "tasks", durability::kill};
  CHECK_THROWS_WITH((task_journal{directory / "tasks", durability::kill}),
                    (directory / "tasks").string() + " (process " + std::to_string(::getpid()) +
                        " has it): the file is in use");
  push(first, 1, "still there");
  CHECK(load(first).words() == words{"1 still there"});
}

TEST_CASE("a journal whose owner was killed is taken over with all that was written") {
  for (const durability survives : {durability::power_cut, durability::kill}) {
    const support::temporary_directory directory;
    support::child owner{[&](support::child::line line) {
      task_journal journal{directory / "tasks", survives};
      for (std::uint64_t number = 1;; ++number) {
        push(journal, number, "task " + std::to_string(number));
        line.say(std::to_string(number));
      }
    }};
    std::uint64_t last = 0;
    while (last < 200) {
      last = std::stoull(owner.hear());
    }
    CHECK(code_of([&] { task_journal(directory / "tasks", survives); }) == errc::file_in_use);
    owner.kill();

    task_journal journal{directory / "tasks", survives};
    const kept all = load(journal);
    CHECK(all.tasks.size() >= last);
    CHECK(journal.next_number() == all.tasks.size() + 1);
    for (std::uint64_t number = 1; number <= all.tasks.size(); ++number) {
      REQUIRE(all.tasks[number - 1].number == number);
      REQUIRE(all.tasks[number - 1].body.view() == "task " + std::to_string(number));
    }
  }
}

TEST_CASE("a journal may be looked into and, while no source has it, changed by hand") {
  const support::temporary_directory directory;
  {
    task_journal journal{directory / "tasks", durability::kill};
    for (std::uint64_t number = 1; number <= 3; ++number) {
      push(journal, number, "by program");
    }
    database other{directory / "tasks", database::access::read};
    CHECK(other.number("SELECT count(*) FROM task WHERE state = 'waiting'") == 3);
  }
  {
    database hand{directory / "tasks", database::access::write};
    hand.execute(
        "DELETE FROM task WHERE number = 2;"
        "UPDATE task SET body = 'by hand' WHERE number = 3;"
        "INSERT INTO task (body) VALUES ('new');");
  }
  const words expected{"1 by program", "3 by hand", "4 new"};
  for (int time = 0; time < 2; ++time) {
    task_journal journal{directory / "tasks", durability::kill};
    CHECK(load(journal).words() == expected);
    CHECK(journal.next_number() == 5);
  }
}

TEST_CASE("a task journal refuses what is none") {
  const support::temporary_directory directory;
  const auto open = [&](const char* name) {
    return code_of([&] { task_journal(directory / name, durability::kill); });
  };
  std::ofstream{directory / "words"} << std::string(5000, 'x');
  CHECK(open("words") == errc::damaged_file);
  std::filesystem::create_directory(directory / "directory");
  CHECK(open("directory") == errc::cannot_read);
  database{directory / "other", database::access::write}.execute("CREATE TABLE other (x);");
  CHECK(open("other") == errc::cannot_read);
  { task_journal{directory / "newer", durability::kill}; }
  database{directory / "newer", database::access::write}.execute("PRAGMA user_version = 2");
  CHECK(open("newer") == errc::cannot_read);
  CHECK(open("missing/tasks") == errc::cannot_write);
}

TEST_CASE("what a failed write was to do is not done, and the next one may succeed") {
  on_small_disk(600 * 1024, [](const std::filesystem::path& disk) -> std::string {
    std::ofstream{disk / "other"} << std::string(200 * 1024, 'x');
    task_journal journal{disk / "tasks", durability::power_cut};
    std::uint64_t number = 0;
    errc failure{};
    while (failure == errc{}) {
      ++number;
      failure = code_of([&] { push(journal, number, std::string(2000, 'x')); });
    }
    if (failure != errc::disk_full) {
      return category().message(static_cast<int>(failure));
    }
    if (load(journal).tasks.size() != number - 1) {
      return "the failed task is there, or others are not";
    }
    std::filesystem::remove(disk / "other");
    std::vector<journal_change> done;
    for (std::uint64_t each = 1; each < number; ++each) {
      done.push_back(ended(each));
    }
    journal.write({}, done);
    push(journal, number, "has room");
    return load(journal).words() == words{std::to_string(number) + " has room"} ? "" : "no room";
  });
}

TEST_CASE("a journal that filled its disk is emptied by what is done, and takes tasks again") {
  const std::size_t disk_bytes = GENERATE(as<std::size_t>{}, 800, 3000, 12'000) * 1024;
  const std::size_t body_bytes = GENERATE(as<std::size_t>{}, 50, 2000, 40'000);
  const bool at_once = GENERATE(false, true);
  CAPTURE(disk_bytes, body_bytes, at_once);
  on_small_disk(disk_bytes, [&](const std::filesystem::path& disk) -> std::string {
    task_journal journal{disk / "tasks", durability::kill};
    const std::string body(body_bytes, 'x');
    std::uint64_t next = 1;
    std::uint64_t first = 1;
    for (int round = 0; round < 3; ++round) {
      errc failure{};
      while (failure == errc{}) {
        std::vector<task_draft> some;
        for (std::size_t bytes = 0; bytes < 20'000; bytes += body_bytes) {
          some.push_back(draft(next + some.size(), body));
        }
        failure = code_of([&] { journal.write(some, {}); });
        next += failure == errc{} ? some.size() : 0;
      }
      if (failure != errc::disk_full) {
        return category().message(static_cast<int>(failure));
      }
      if (next == first) {
        return "it takes none any more";
      }
      // Others want what is left, too.
      std::ofstream others{disk / "others"};
      while (others << std::string(4096, 'x') << std::flush) {
      }
      // One by one, or where that were too many, a thousand times some.
      const std::size_t run = at_once ? SIZE_MAX : (next - first) / 1000 + 1;
      std::vector<journal_change> changes;
      for (; first < next; ++first) {
        changes.push_back(ended(first));
        if (changes.size() == run) {
          journal.write({}, changes);
          changes.clear();
        }
      }
      journal.write({}, changes);
      if (!load(journal).tasks.empty()) {
        return "what was done is still there";
      }
      others.close();
      std::filesystem::remove(disk / "others");
    }
    return "";
  });
}

TEST_CASE("the reserve of a journal goes with it, also when its owner was killed") {
  const support::temporary_directory directory;
  support::child owner{[&](support::child::line line) {
    task_journal journal{directory / "tasks", durability::kill};
    push(journal, 1, "one");
    line.say("pushed");
    ::pause();
  }};
  CHECK(owner.hear() == "pushed");
  owner.kill();
  CHECK(std::filesystem::file_size(directory / "tasks-reserve") > 0);
  { task_journal journal{directory / "tasks", durability::kill}; }
  CHECK_FALSE(std::filesystem::exists(directory / "tasks-reserve"));
}

TEST_CASE("a journal that a full disk stopped is there with all its tasks after a kill") {
  const support::temporary_directory directory;
  on_small_disk(400 * 1024, [](const std::filesystem::path& disk) -> std::string {
    std::uint64_t kept_tasks = 0;
    support::child owner{[&](support::child::line line) {
      task_journal journal{disk / "tasks", durability::power_cut};
      for (std::uint64_t number = 1;; ++number) {
        if (code_of([&] { push(journal, number, std::string(500, 'x')); }) != errc{}) {
          line.say(std::to_string(number - 1));
          ::pause();
        }
      }
    }};
    kept_tasks = std::stoull(owner.hear());
    owner.kill();
    task_journal journal{disk / "tasks", durability::power_cut};
    return load(journal).tasks.size() == kept_tasks ? "" : "tasks were lost, or came back";
  });
}

namespace {

// What a source did to its journal, write by write: the same for the same seed.
class history {
 public:
  using state = std::map<std::uint64_t, std::string>;  // dead letters with a cross

  explicit history(unsigned seed) : random_{seed} {}

  void write_to(task_journal* journal) {
    std::vector<journal_change> changes;
    while (!tasks_.empty() && random_() % 3 != 0) {
      auto chosen = tasks_.begin();
      std::advance(chosen, static_cast<std::ptrdiff_t>(random_() % tasks_.size()));
      if (random_() % 4 == 0) {
        changes.push_back(buried(chosen->first, 5, "no"));
        chosen->second = "+" + body(chosen->first);
      } else {
        changes.push_back(ended(chosen->first));
        tasks_.erase(chosen);
      }
    }
    std::vector<task_draft> drafts;
    for (std::size_t count = random_() % 4; count > 0; --count) {
      drafts.push_back(draft(next_, body(next_)));
      tasks_[next_] = body(next_);
      ++next_;
    }
    if (journal != nullptr) {
      journal->write(drafts, changes);
    }
  }
  [[nodiscard]] const state& tasks() const noexcept { return tasks_; }

  // Short ones, and some that fill pages of their own, all different everywhere.
  static std::string body(std::uint64_t number) {
    std::mt19937_64 random{number};
    std::string bytes(number % 3 == 0 ? random() % 20'000 : random() % 300, '\0');
    for (char& each : bytes) {
      each = static_cast<char>(random());
    }
    return bytes;
  }

 private:
  std::mt19937_64 random_;
  state tasks_;
  std::uint64_t next_ = 1;
};

// Tasks were moved from the log to the table, and the log was not yet emptied.
enum class log : bool { in_use, moved };

// The files of a source that was killed after so many writes.
void leave_files(const std::filesystem::path& journal, unsigned seed, int writes, log how) {
  support::child owner{[&](support::child::line line) {
    task_journal to{journal, durability::kill};
    history made{seed};
    for (int write = 0; write < writes; ++write) {
      made.write_to(&to);
    }
    if (how == log::moved) {
      database{journal, database::access::write}.execute("PRAGMA wal_checkpoint(PASSIVE)");
    }
    line.say("written");
    ::pause();
  }};
  REQUIRE(owner.hear() == "written");
  owner.kill();
}

void copy_files(const std::filesystem::path& from, const std::filesystem::path& to) {
  for (const char* const part : {"", "-wal"}) {
    const std::string source = from.string() + part;
    std::filesystem::remove(to.string() + part);
    std::filesystem::remove(to.string() + "-shm");
    if (std::filesystem::exists(source)) {
      std::filesystem::copy_file(source, to.string() + part);
    }
  }
}

void check_salvage(const std::filesystem::path& journal) {
  const auto check = [](std::uint64_t number, const frame& read) {
    if (read.view() != history::body(number)) {
      FAIL("salvage gave a wrong body");
    }
  };
  std::size_t count = 0;
  try {
    const auto all = task_journal::salvage(
        journal,
        [&](task_draft&& each) {
          check(each.number, each.body);
          ++count;
        },
        [&](dead_letter&& each) {
          check(each.id.number, each.body);
          ++count;
        });
    CHECK(all.read == count);
  } catch (const error& failure) {
    CHECK((failure.code() == errc::damaged_file || failure.code() == errc::cannot_read));
  }
}

// True: the journal was as it had been after some write. False: it was refused.
bool is_refused_or_was_so(const std::filesystem::path& journal,
                          const std::vector<history::state>& states) {
  kept all;
  try {
    task_journal opened{journal, durability::kill};
    opened.load(all.on_task(), all.on_dead());
  } catch (const error& failure) {
    CHECK(failure.code() == errc::damaged_file);
    return false;
  }
  history::state found;
  for (const task_draft& each : all.tasks) {
    found[each.number] = each.body.str();
  }
  for (const dead_letter& each : all.dead) {
    found[each.id.number] = "+" + each.body.str();
  }
  if (std::find(states.begin(), states.end(), found) == states.end()) {
    FAIL("the journal holds what was never in it at once");
  }
  return true;
}

struct damaged_journal {
  damaged_journal(unsigned seed, int writes, log how) {
    leave_files(directory / "tasks", seed, writes, how);
    history made{seed};
    states.push_back(made.tasks());
    for (int write = 0; write < writes; ++write) {
      made.write_to(nullptr);
      states.push_back(made.tasks());
    }
  }
  // Spoils copies, and checks what becomes of them. How many were accepted, and refused.
  template<class Spoil>
  std::pair<int, int> check(int times, Spoil spoil) {
    int accepted = 0;
    for (int time = 0; time < times; ++time) {
      copy_files(directory / "tasks", directory / "copy");
      spoil(directory / "copy");
      check_salvage(directory / "copy");
      accepted += is_refused_or_was_so(directory / "copy", states) ? 1 : 0;
    }
    return {accepted, times - accepted};
  }

  support::temporary_directory directory;
  std::vector<history::state> states;
};

}  // namespace

TEST_CASE("a journal that was cut off anywhere is as it once was, or refused") {
  const auto [writes, how] = GENERATE(std::pair{60, log::in_use}, std::pair{900, log::moved},
                                      std::pair{900, log::in_use});  // emptied several times
  damaged_journal journal{1, writes, how};
  std::mt19937_64 random{2};
  const auto cut = [&](const std::filesystem::path& file) {
    std::filesystem::resize_file(file, random() % (std::filesystem::file_size(file) + 1));
  };
  const auto cut_log = [&](const std::filesystem::path& file) { cut(file.string() + "-wal"); };
  const auto remove_log = [](const std::filesystem::path& file) {
    std::filesystem::remove(file.string() + "-wal");
  };
  const auto [log_accepted, log_refused] = journal.check(30, cut_log);
  CHECK((how == log::moved ? log_refused : log_accepted) > 0);
  journal.check(20, cut);
  journal.check(20, [&](const std::filesystem::path& file) {
    cut(file);
    cut_log(file);
  });
  journal.check(20, [&](const std::filesystem::path& file) {
    remove_log(file);
    cut(file);
  });
  journal.check(1, remove_log);
}

TEST_CASE("a journal with octets that changed gives no wrong task") {
  damaged_journal journal{3, 900, log::in_use};
  std::mt19937_64 random{4};
  const auto [accepted, refused] = journal.check(100, [&](const std::filesystem::path& file) {
    std::filesystem::remove(file.string() + "-wal");
    std::fstream bytes{file, std::ios::in | std::ios::out | std::ios::binary};
    const auto size = std::filesystem::file_size(file);
    const std::string noise(random() % 2 == 0 ? 4096 : 20, static_cast<char>(random()));
    bytes.seekp(static_cast<std::streamoff>(random() % (size - noise.size())));
    bytes << noise;
  });
  CHECK(refused > 0);
}

TEST_CASE("salvage reads what is before and behind a damaged page, and says what is missing") {
  const support::temporary_directory directory;
  std::uint64_t id = 0;
  {
    task_journal journal{directory / "tasks", durability::kill};
    id = journal.id();
    for (std::uint64_t number = 1; number <= 1000; ++number) {
      push(journal, number, std::string(200, 'x'));
    }
    change(journal, buried(1000, 5, "no"));
  }
  std::fstream bytes{directory / "tasks", std::ios::in | std::ios::out | std::ios::binary};
  bytes.seekp(4096 * 30);
  bytes << std::string(4096, '\0');
  bytes.close();
  {
    task_journal journal{directory / "tasks", durability::kill};
    CHECK_THROWS_WITH(load(journal), Catch::Contains("docs/pipeline.md") &&
                                         Catch::Contains("the file is damaged"));
  }
  kept all;
  const auto result = task_journal::salvage(directory / "tasks", all.on_task(), all.on_dead());
  CHECK(result.id == id);
  CHECK(result.written == 1000);
  CHECK(result.read < 1000);
  CHECK(result.read > 970);
  CHECK(all.tasks.size() + all.dead.size() == result.read);
  REQUIRE(all.dead.size() == 1);
  CHECK(all.dead.front().id == task_id{id, 1000});
}

TEST_CASE("salvage of a sound journal gives all of it, also while its source has it") {
  const support::temporary_directory directory;
  task_journal journal{directory / "tasks", durability::kill};
  push(journal, 1, "one");
  push(journal, 2, "two");
  kept all;
  const auto result = task_journal::salvage(directory / "tasks", all.on_task(), all.on_dead());
  CHECK(all.words() == words{"1 one", "2 two"});
  CHECK(result.written == result.read);
}

// SQLite takes a log that was cut off for a shorter one, and the table, where newer pages are
// already, for older than it is.
TEST_CASE("a journal put together from two times is refused") {
  const support::temporary_directory directory;
  support::child owner{[&](support::child::line line) {
    task_journal journal{directory / "tasks", durability::kill};
    for (std::uint64_t number = 1; number <= 1000; ++number) {
      push(journal, number, std::string(200, 'x'));
    }
    const auto move = [&](const char* how) {
      database{directory / "tasks", database::access::write}.execute(how);
    };
    move("PRAGMA wal_checkpoint(TRUNCATE)");
    change(journal, ended(1));
    const auto size = std::filesystem::file_size(directory / "tasks-wal");
    change(journal, ended(900));
    move("PRAGMA wal_checkpoint(PASSIVE)");
    line.say(std::to_string(size));
    ::pause();
  }};
  const auto size = std::stoull(owner.hear());
  owner.kill();
  REQUIRE(std::filesystem::file_size(directory / "tasks-wal") > size);
  std::filesystem::resize_file(directory / "tasks-wal", size);
  task_journal journal{directory / "tasks", durability::kill};
  CHECK_THROWS_WITH(load(journal), Catch::Contains("998 tasks are there, 999 should be"));
}
