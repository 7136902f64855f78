// SPDX-License-Identifier: MPL-2.0
//
// Tasks that are on disk when push returns, against the same rows inserted by plain SQLite, one
// commit each, and against RabbitMQ's durable queues, whose broker confirms persistent messages by
// STOMP receipts. And how long a source takes to read a million tasks of its journal, against
// SQLite's plain select of them.
#include <parley/pipeline.hpp>

#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "benches.hpp"
#include "rabbit.hpp"
#include "support/temporary_directory.hpp"

namespace parley::bench {
namespace {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t body_size = 64;
constexpr auto measured_for = 700ms;
constexpr std::size_t recovered = 1'000'000;

double seconds_since(clock::time_point start) {
  return std::chrono::duration<double>(clock::now() - start).count();
}

// push is called again and again in so many threads: thousands of calls a second.
template<class Push>
double rate_of(std::size_t threads, const Push& push) {
  std::atomic<std::size_t> count{0};
  std::vector<std::thread> all;
  const auto start = clock::now();
  for (std::size_t which = 0; which < threads; ++which) {
    all.emplace_back([&] {
      while (clock::now() < start + measured_for) {
        push();
        count.fetch_add(1, std::memory_order_relaxed);  // read when they are joined
      }
    });
  }
  for (std::thread& each : all) {
    each.join();
  }
  return static_cast<double>(count) / seconds_since(start) / 1e3;
}

double ours(std::size_t threads) {
  const support::temporary_directory directory;
  context owner;
  source tasks{owner, {.limit = 10'000'000, .journal = directory / "tasks.db", .linger = 0ms}};
  const frame body{std::string(body_size, 'x')};
  return rate_of(threads, [&] { tasks.push(body); });
}

// SQLite by its C interface.
class plain_file {
 public:
  explicit plain_file(const fs::path& file) {
    require(sqlite3_open(file.c_str(), &handle_) == SQLITE_OK, "cannot open a database");
  }
  plain_file(const plain_file&) = delete;
  plain_file& operator=(const plain_file&) = delete;
  ~plain_file() {
    sqlite3_finalize(statement_);
    sqlite3_close(handle_);
  }
  void execute(const char* sql) {
    require(sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) == SQLITE_OK, sql);
  }
  sqlite3_stmt* prepare(const char* sql) {
    require(sqlite3_prepare_v2(handle_, sql, -1, &statement_, nullptr) == SQLITE_OK, sql);
    return statement_;
  }

 private:
  sqlite3* handle_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
};

double plain() {
  const support::temporary_directory directory;
  {
    // The table is the journal's.
    context owner;
    const source maker{owner, {.journal = directory / "tasks.db"}};
  }
  plain_file file{directory / "tasks.db"};
  file.execute(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
      "DROP TRIGGER inserted_by_hand");
  sqlite3_stmt* const insert = file.prepare(
      "INSERT INTO task (attempts, priority, pushed, checksum, body)"
      " VALUES (0, 0, 1700000000000, 1234567890123456789, ?)");
  const std::string body(body_size, 'x');
  return rate_of(1, [&] {
    sqlite3_bind_blob(insert, 1, body.data(), static_cast<int>(body.size()), SQLITE_STATIC);
    require(sqlite3_step(insert) == SQLITE_DONE, "cannot insert");
    sqlite3_reset(insert);
  });
}

// A journal of a million tasks, made when it is first asked for.
fs::path full_journal() {
  static const support::temporary_directory directory;
  const fs::path file = directory / "tasks.db";
  if (!fs::exists(file)) {
    context owner;
    source tasks{
        owner,
        {.limit = recovered + 1, .journal = file, .survives = durability::kill, .linger = 0ms}};
    const frame body{std::string(body_size, 'x')};
    std::atomic<std::size_t> count{0};
    std::vector<std::thread> all;
    for (std::size_t which = 0; which < 256; ++which) {
      all.emplace_back([&] {
        while (count.fetch_add(1) < recovered) {
          tasks.push(body);
        }
      });
    }
    for (std::thread& each : all) {
      each.join();
    }
  }
  return file;
}

double recovery() {
  const fs::path file = full_journal();
  context owner;
  const auto start = clock::now();
  const source tasks{owner, {.limit = recovered + 1, .journal = file, .linger = 0ms}};
  const double taken = seconds_since(start);
  require(tasks.statistics().accepted == recovered, "not all was recovered");
  return taken;
}

double plain_select() {
  const fs::path path = full_journal();
  const auto start = clock::now();
  plain_file file{path};
  sqlite3_stmt* const select = file.prepare("SELECT * FROM task");
  std::vector<std::string> bodies;
  while (sqlite3_step(select) == SQLITE_ROW) {
    const int body = sqlite3_column_count(select) - 1;
    bodies.emplace_back(static_cast<const char*>(sqlite3_column_blob(select, body)),
                        static_cast<std::size_t>(sqlite3_column_bytes(select, body)));
  }
  const double taken = seconds_since(start);
  require(bodies.size() == recovered, "not all was selected");
  return taken;
}

}  // namespace

std::vector<bench_case> durable_pipeline() {
  const peer sqlite{"plain SQLite, a commit each", plain, std::nullopt};
  std::vector<peer> of_many{sqlite};
  of_many.front().target = 20;
  if (rabbit::is_installed()) {
    of_many.push_back({"RabbitMQ, one connection",
                       [] {
                         static const rabbit broker;  // until the end: it takes seconds to start
                         return broker.rate(body_size);
                       },
                       1});
  }
  return {
      {"durable 64 B, 1 thread", "k/s", better::more, [] { return ours(1); }, {sqlite}},
      {"durable 64 B, 64 threads", "k/s", better::more, [] { return ours(64); }, of_many},
      {"recovery of 1,000,000 tasks",
       "s",
       better::less,
       recovery,
       {{"plain SQLite's select", plain_select, std::nullopt}}},
  };
}

}  // namespace parley::bench
