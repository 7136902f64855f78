// SPDX-License-Identifier: MPL-2.0
#include "done_journal.hpp"

#include <parley/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "shared_failure.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/error_code.hpp"
#include "support/small_disk.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using detail::done_journal;
using support::code_of;

namespace {

void add(done_journal& to, task_id id) { to.add(std::array{id}); }

std::size_t known(done_journal& of, std::uint64_t source, std::uint64_t up_to) {
  std::size_t count = 0;
  for (std::uint64_t number = 1; number <= up_to; ++number) {
    count += of.contains({source, number}) ? 1 : 0;
  }
  return count;
}

}  // namespace

TEST_CASE("a done journal remembers tasks by their source and number") {
  const support::temporary_directory directory;
  done_journal journal{directory / "done", 10};
  const std::uint64_t large = ~std::uint64_t{0};
  add(journal, {large, 1});
  add(journal, {large, 1});  // twice is once
  CHECK(journal.contains({large, 1}));
  CHECK_FALSE(journal.contains({large, 2}));
  CHECK_FALSE(journal.contains({1, 1}));
}

TEST_CASE("a done journal forgets the oldest beyond its limit") {
  const support::temporary_directory directory;
  done_journal journal{directory / "done", 10};
  for (std::uint64_t number = 1; number <= 25; ++number) {
    add(journal, {7, number});
  }
  CHECK(known(journal, 7, 25) == 10);
  CHECK_FALSE(journal.contains({7, 15}));
  CHECK(journal.contains({7, 16}));
}

TEST_CASE("a done journal takes many at once, and of those too keeps the last") {
  const support::temporary_directory directory;
  done_journal journal{directory / "done", 10};
  std::vector<task_id> ids;
  for (std::uint64_t number = 1; number <= 30; ++number) {
    ids.push_back({7, number});
  }
  journal.add(ids);
  CHECK(known(journal, 7, 30) == 10);
  CHECK(journal.contains({7, 30}));
}

TEST_CASE("all that threads add at the same time is remembered when add returns") {
  const support::temporary_directory directory;
  done_journal journal{directory / "done", 10'000};
  std::vector<std::thread> threads;
  std::vector<int> missing(16);
  for (std::uint64_t source = 0; source < 16; ++source) {
    threads.emplace_back([&, source] {
      for (std::uint64_t number = 1; number <= 20; ++number) {
        add(journal, {source, number});
        missing[source] += journal.contains({source, number}) ? 0 : 1;
      }
    });
  }
  for (std::thread& each : threads) {
    each.join();
  }
  CHECK(missing == std::vector<int>(16));
}

TEST_CASE("workers of several processes share a done journal") {
  const support::temporary_directory directory;
  std::vector<std::unique_ptr<support::child>> workers;
  for (std::uint64_t source = 1; source <= 4; ++source) {
    workers.push_back(std::make_unique<support::child>([&directory, source](auto) {
      done_journal journal{directory / "done", 1000};
      for (std::uint64_t number = 1; number <= 25; ++number) {
        add(journal, {source, number});
      }
    }));
  }
  for (auto& each : workers) {
    CHECK(each->finish() == 0);
  }
  done_journal journal{directory / "done", 1000};
  for (std::uint64_t source = 1; source <= 4; ++source) {
    CHECK(known(journal, source, 25) == 25);
  }
}

TEST_CASE("what add returned for is remembered when its process is killed") {
  const support::temporary_directory directory;
  support::child worker{[&](support::child::line line) {
    done_journal journal{directory / "done", 1000};
    for (std::uint64_t number = 1;; ++number) {
      add(journal, {7, number});
      line.say(std::to_string(number));
    }
  }};
  std::string last;
  for (int heard = 0; heard < 50; ++heard) {
    last = worker.hear();
  }
  worker.kill();
  done_journal journal{directory / "done", 1000};
  CHECK(known(journal, 7, std::stoull(last)) == std::stoull(last));
}

TEST_CASE("each of those whose tasks could not be written hears of it") {
  const support::temporary_directory directory;
  support::child worker{[&](support::child::line line) {
    if (!support::mount_small_disk(directory.path(), 800 * 1024)) {
      line.say("no small disk");
      return;
    }
    done_journal journal{directory / "done", 1'000'000};
    add(journal, {9, 1});
    std::vector<errc> ends(8);
    std::vector<std::uint64_t> added(8);
    std::vector<std::thread> threads;
    for (std::size_t source = 0; source < ends.size(); ++source) {
      threads.emplace_back([&, source] {
        while (ends[source] == errc{}) {
          ends[source] = code_of([&] { add(journal, {source, added[source] + 1}); });
          added[source] += ends[source] == errc{} ? 1 : 0;
        }
      });
    }
    for (std::thread& each : threads) {
      each.join();
    }
    line.say(ends == std::vector<errc>(8, errc::disk_full) ? "disk_full" : "something else");
    bool are_known = journal.contains({9, 1});
    for (std::size_t source = 0; source < ends.size(); ++source) {
      are_known = are_known && known(journal, source, added[source] + 1) == added[source];
    }
    line.say(are_known ? "all that was added is known" : "something else is known");
  }};
  const std::string said = worker.hear();
  if (said == "no small disk") {
    WARN("only root can mount a small disk: skipped");
    return;
  }
  CHECK(said == "disk_full");
  CHECK(worker.hear() == "all that was added is known");
}

TEST_CASE("an error that several threads hear says what the first one said") {
  detail::shared_failure failure;
  CHECK_FALSE(failure);
  try {
    throw error{errc::disk_full, "tasks.db (no room)"};
  } catch (...) {
    failure.catch_current();
  }
  REQUIRE(failure);
  CHECK_THROWS_WITH(failure.rethrow(), "tasks.db (no room): the disk is full");
  CHECK(code_of([&] { failure.rethrow(); }) == errc::disk_full);
}

TEST_CASE("a done journal refuses files that are something else") {
  const support::temporary_directory directory;
  std::ofstream{directory / "words"} << std::string(5000, 'x');
  CHECK(code_of([&] { done_journal(directory / "words", 1); }) == errc::damaged_file);
  database{directory / "other", database::access::write}.execute("CREATE TABLE other (x);");
  CHECK(code_of([&] { done_journal(directory / "other", 1); }) == errc::cannot_read);
}
