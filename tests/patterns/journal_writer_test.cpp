// SPDX-License-Identifier: MPL-2.0
#include "journal_writer.hpp"

#include <parley/error.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/await.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/error_code.hpp"
#include "support/small_disk.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using detail::journal_change;
using detail::journal_writer;
using detail::task_draft;
using detail::task_journal;
using detail::task_news;
using support::code_of;

namespace {

task_draft draft(std::string_view body) {
  task_draft made;
  made.body = frame{body};
  made.pushed = std::chrono::steady_clock::now();
  return made;
}

std::vector<journal_change> ended(std::uint64_t number) {
  return {{.what = task_news::kind::ended, .number = number}};
}

std::vector<std::uint64_t> numbers_in(const std::filesystem::path& file) {
  task_journal journal{file, durability::kill};
  std::vector<std::uint64_t> numbers;
  journal.load([&](task_draft&& each) { numbers.push_back(each.number); }, [](dead_letter&&) {});
  return numbers;
}

// A writer, and the numbers of what it told that is written.
struct written_journal {
  explicit written_journal(const std::filesystem::path& where) : file{where} {}

  std::filesystem::path file;
  task_journal journal{file, durability::power_cut};
  std::mutex mutex;
  std::vector<std::uint64_t> told;
  journal_writer writer{journal, [this](std::vector<task_draft>&& drafts) {
                          const std::lock_guard lock{mutex};
                          for (const task_draft& each : drafts) {
                            told.push_back(each.number);
                          }
                        }};
};

}  // namespace

TEST_CASE("what was pushed is on disk, and told, when write returns") {
  const support::temporary_directory directory;
  written_journal to{directory / "tasks"};
  CHECK(to.writer.write(draft("one")) == 1);
  database other{to.file, database::access::read};
  CHECK(other.number("SELECT count(*) FROM task") == 1);
  CHECK(to.told == std::vector<std::uint64_t>{1});

  std::vector<task_draft> more;
  for (const char* const body : {"two", "three", "four"}) {
    more.push_back(draft(body));
  }
  CHECK(to.writer.write(std::move(more)) == 2);
  CHECK(other.number("SELECT count(*) FROM task") == 4);
  CHECK(to.told == std::vector<std::uint64_t>{1, 2, 3, 4});
}

TEST_CASE("a dead letter that is tried again keeps its number") {
  const support::temporary_directory directory;
  written_journal to{directory / "tasks"};
  to.writer.write(draft("one"));
  to.writer.write(draft("two"));
  to.writer.note({{.what = task_news::kind::buried, .number = 1, .attempts = 5, .failure = "no"}});
  task_draft again = draft("one");
  again.number = 1;
  CHECK(to.writer.write(std::move(again)) == 1);
  CHECK(to.writer.write(draft("three")) == 3);
  database other{to.file, database::access::read};
  CHECK(other.number("SELECT count(*) FROM task WHERE state = 'waiting'") == 3);
}

TEST_CASE("64 threads that push have their tasks written in the order of numbers") {
  constexpr std::size_t threads = 64;
  constexpr std::size_t each_pushes = 20;
  const support::temporary_directory directory;
  {
    written_journal to{directory / "tasks"};
    std::mutex mutex;
    std::set<std::uint64_t> numbers;
    std::vector<std::thread> pushers;
    for (std::size_t thread = 0; thread < threads; ++thread) {
      pushers.emplace_back([&] {
        for (std::size_t push = 0; push < each_pushes; ++push) {
          const std::uint64_t number = to.writer.write(draft("a task"));
          const std::lock_guard lock{mutex};
          numbers.insert(number);
        }
      });
    }
    for (std::thread& each : pushers) {
      each.join();
    }
    CHECK(numbers.size() == threads * each_pushes);
    CHECK(to.told == std::vector<std::uint64_t>(numbers.begin(), numbers.end()));
  }
  CHECK(numbers_in(directory / "tasks").size() == threads * each_pushes);
}

TEST_CASE("what became of tasks is written soon, though nobody pushes") {
  const support::temporary_directory directory;
  written_journal to{directory / "tasks"};
  to.writer.write(draft("one"));
  to.writer.note(ended(1));
  database other{to.file, database::access::read};
  CHECK(support::await([&] { return other.number("SELECT count(*) FROM task") == 0; }));
}

TEST_CASE("close writes what is left, and later pushes are refused") {
  const support::temporary_directory directory;
  {
    written_journal to{directory / "tasks"};
    to.writer.write(draft("one"));
    to.writer.write(draft("two"));
    to.writer.note(ended(1));
    to.writer.close();
    CHECK_THROWS_AS(to.writer.write(draft("three")), closed);
    to.writer.close();
  }
  CHECK(numbers_in(directory / "tasks") == std::vector<std::uint64_t>{2});
}

TEST_CASE("threads that push while it closes are either written or refused") {
  const support::temporary_directory directory;
  std::atomic<std::size_t> accepted{0};
  {
    written_journal to{directory / "tasks"};
    std::vector<std::thread> pushers;
    for (int thread = 0; thread < 8; ++thread) {
      pushers.emplace_back([&] {
        while (code_of([&] { to.writer.write(draft("a task")); }) == errc{}) {
          ++accepted;
        }
      });
    }
    CHECK(support::await([&] { return accepted > 20; }));
    to.writer.close();
    for (std::thread& each : pushers) {
      each.join();
    }
    CHECK(to.told.size() == accepted);
  }
  CHECK(numbers_in(directory / "tasks").size() == accepted);
}

TEST_CASE("a full disk is told to each who pushes, and when there is room again all goes on") {
  const support::temporary_directory directory;
  support::child owner{[&](support::child::line line) {
    if (!support::mount_small_disk(directory.path(), 1200 * 1024)) {
      line.say("no small disk");
      return;
    }
    std::ofstream{directory / "other"} << std::string(600 * 1024, 'x');
    std::size_t kept = 0;
    {
      written_journal to{directory / "tasks"};
      std::vector<errc> ends(16);
      std::vector<std::thread> pushers;
      for (errc& end : ends) {
        pushers.emplace_back([&] {
          while (end == errc{}) {
            end = code_of([&] { to.writer.write(draft(std::string(1000, 'x'))); });
          }
        });
      }
      for (std::thread& each : pushers) {
        each.join();
      }
      line.say(std::count(ends.begin(), ends.end(), errc::disk_full) == 16 ? "disk_full" : "else");
      to.writer.note(ended(1));
      std::filesystem::remove(directory / "other");
      to.writer.write(draft("has room"));
      kept = to.told.size() - 1;
    }
    line.say(numbers_in(directory / "tasks").size() == kept ? "all are there" : "some are missing");
  }};
  const std::string said = owner.hear();
  if (said == "no small disk") {
    WARN("only root can mount a small disk: skipped");
    return;
  }
  CHECK(said == "disk_full");
  CHECK(owner.hear() == "all are there");
}

TEST_CASE("what could not be written is tried again, and counted") {
  const support::temporary_directory directory;
  written_journal to{directory / "tasks"};
  to.writer.write(draft("one"));
  database other{to.file, database::access::write};
  other.execute("ALTER TABLE task RENAME TO elsewhere");
  to.writer.note(ended(1));
  CHECK(support::await([&] { return to.writer.failures() > 0; }));
  CHECK(code_of([&] { to.writer.write(draft("two")); }) == errc::damaged_file);
  other.execute("ALTER TABLE elsewhere RENAME TO task");
  CHECK(to.writer.write(draft("three")) == 3);
  CHECK(other.number("SELECT count(*) FROM task") == 1);
}

TEST_CASE("what 64 threads heard is written is there when their process was killed") {
  const support::temporary_directory directory;
  support::child owner{[&](support::child::line line) {
    written_journal to{directory / "tasks"};
    std::vector<std::thread> pushers;
    for (int thread = 0; thread < 64; ++thread) {
      pushers.emplace_back([&] {
        for (;;) {
          line.say(std::to_string(to.writer.write(draft("a task"))));
        }
      });
    }
    for (std::thread& each : pushers) {
      each.join();
    }
  }};
  std::vector<std::uint64_t> heard;
  while (heard.size() < 2000) {
    heard.push_back(std::stoull(owner.hear()));
  }
  owner.kill();
  std::sort(heard.begin(), heard.end());
  const std::vector<std::uint64_t> there = numbers_in(directory / "tasks");
  CHECK(std::includes(there.begin(), there.end(), heard.begin(), heard.end()));
}
