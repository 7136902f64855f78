// SPDX-License-Identifier: MPL-2.0
#include <parley/context.hpp>
#include <parley/pipeline.hpp>
#include <parley/task_archive.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include "support/await.hpp"
#include "support/catch.hpp"
#include "support/error_code.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace std::chrono_literals;
using support::await;
using support::code_of;

namespace {

// A journal with the dead letter 1 and the waiting task 2.
class kept {
 public:
  kept() {
    context owner;
    source tasks{owner, {.attempts = 1, .journal = file(), .linger = 0ms}};
    {
      worker failing{owner, tasks.bind("inproc://tasks"), {}};
      tasks.push("bad", {.key = "k"});
      failing.receive().reject("no such user");
      REQUIRE(await([&] { return tasks.statistics().dead_letters == 1; }));
    }
    tasks.push("good", {.to = "printer", .priority = 3});
  }
  [[nodiscard]] std::filesystem::path file() const { return directory_ / "tasks.db"; }

 private:
  support::temporary_directory directory_;
};

std::vector<archived_task> all_of(task_archive& archive) {
  std::vector<archived_task> all;
  archive.read([&](archived_task&& each) { all.push_back(std::move(each)); });
  return all;
}

}  // namespace

TEST_CASE("an archive has the waiting tasks and the dead letters of a journal") {
  const kept journal;
  task_archive archive{journal.file()};
  const auto all = all_of(archive);
  REQUIRE(all.size() == 2);
  CHECK(all[0].is_dead);
  CHECK(all[0].id.number == 1);
  CHECK(all[0].body == "bad");
  CHECK(all[0].options.key == "k");
  CHECK(all[0].why == "no such user");
  CHECK_FALSE(all[1].is_dead);
  CHECK(all[1].options.to == "printer");
  CHECK(all[1].id.source == all[0].id.source);
  CHECK(archive.find(2)->body == "good");
  CHECK_FALSE(archive.find(3));
}

TEST_CASE("a dead letter that an archive retries waits for the next source, with its options") {
  const kept journal;
  {
    task_archive archive{journal.file()};
    CHECK(archive.retry(1));
    CHECK_FALSE(archive.retry(1));
    CHECK_FALSE(archive.retry(2));
    CHECK_FALSE(archive.retry(3));
    const auto found = archive.find(1);
    CHECK_FALSE(found->is_dead);
    CHECK(found->attempts == 0);
    CHECK(found->options.key == "k");
  }
  context owner;
  const source next{owner, {.journal = journal.file(), .linger = 0ms}};
  CHECK(next.statistics().waiting == 2);
}

TEST_CASE("a dead letter that an archive drops is gone") {
  const kept journal;
  {
    task_archive archive{journal.file()};
    CHECK(archive.drop(1));
    CHECK_FALSE(archive.drop(1));
    CHECK_FALSE(archive.drop(2));
  }
  task_archive again{journal.file()};
  CHECK(all_of(again).size() == 1);
}

TEST_CASE("an archive refuses a file that is not there, and one that a source has") {
  const support::temporary_directory directory;
  CHECK(code_of([&] { task_archive{directory / "none.db"}; }) == errc::cannot_read);
  CHECK(std::filesystem::is_empty(directory.path()));
  const kept journal;
  context owner;
  const source running{owner, {.journal = journal.file(), .linger = 0ms}};
  CHECK(code_of([&] { task_archive{journal.file()}; }) == errc::file_in_use);
}
