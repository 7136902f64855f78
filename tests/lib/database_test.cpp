// SPDX-License-Identifier: MPL-2.0
#include <parley/database.hpp>
#include <parley/error.hpp>

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/error_code.hpp"
#include "support/small_disk.hpp"
#include "support/temporary_directory.hpp"

using namespace parley;
using namespace std::chrono_literals;
using detail::transaction;
using support::code_of;

namespace {

constexpr database::kind notes{0x6e6f7465, 3, "CREATE TABLE note (number INTEGER, text BLOB);",
                               "write it anew"};

struct notebook {
  explicit notebook(const std::filesystem::path& where, std::chrono::milliseconds busy_timeout = 5s)
      : file{where, database::access::write, busy_timeout} {
    file.become(notes);
  }
  std::int64_t count() { return file.number("SELECT count(*) FROM note"); }
  void add(std::string_view text) { file.prepare("INSERT INTO note VALUES (1, ?)").run(text); }
  database file;
};

void write(const std::filesystem::path& where, const std::string& text) {
  std::ofstream{where, std::ios::binary} << text;
}

}  // namespace

TEST_CASE("a database gives back numbers, text and bytes as they were bound") {
  const support::temporary_directory directory;
  notebook book{directory / "notes"};
  const std::array bytes{std::byte{0}, std::byte{255}, std::byte{7}};
  auto insert = book.file.prepare("INSERT INTO note VALUES (?, ?)");
  insert.run(std::int64_t{-5}, std::span<const std::byte>{bytes});
  insert.run(std::numeric_limits<std::uint64_t>::max(), std::string_view{"a\0b", 3});
  insert.run(std::optional<int>{}, std::string_view{});

  auto select = book.file.prepare("SELECT number, text FROM note ORDER BY rowid");
  auto row = select.query();
  REQUIRE(row.next());
  CHECK(row.number(0) == -5);
  CHECK(row.bytes(1) == std::string_view{"\0\377\7", 3});
  REQUIRE(row.next());
  CHECK(static_cast<std::uint64_t>(row.number(0)) == std::numeric_limits<std::uint64_t>::max());
  CHECK(row.bytes(1) == std::string_view{"a\0b", 3});
  REQUIRE(row.next());
  CHECK(row.is_null(0));
  CHECK_FALSE(row.is_null(1));
  CHECK(row.bytes(1).empty());
  CHECK_FALSE(row.next());
}

TEST_CASE("a database gives back numbers with a fraction") {
  const support::temporary_directory directory;
  notebook book{directory / "notes"};
  book.file.prepare("INSERT INTO note VALUES (1, ?)").run(0.25);
  auto select = book.file.prepare("SELECT text FROM note");
  auto row = select.query();
  REQUIRE(row.next());
  CHECK(row.real(0) == 0.25);
}

TEST_CASE("a transaction that is not committed leaves nothing") {
  const support::temporary_directory directory;
  notebook book{directory / "notes"};
  {
    transaction all{book.file};
    book.add("kept");
    all.commit();
  }
  {
    const transaction all{book.file};
    book.add("not kept");
  }
  CHECK(book.count() == 1);
}

TEST_CASE("a file becomes what it is only once") {
  const support::temporary_directory directory;
  notebook{directory / "notes"}.add("here");
  CHECK(notebook{directory / "notes"}.count() == 1);
}

TEST_CASE("a file of another program or of a newer version is refused in words") {
  const support::temporary_directory directory;
  database{directory / "other", database::access::write}.execute("CREATE TABLE other (x);");
  CHECK_THROWS_WITH(notebook{directory / "other"},
                    (directory / "other").string() +
                        " (it is another sort of SQLite file): cannot read the file");

  notebook{directory / "newer"}.file.execute("PRAGMA user_version = 4");
  CHECK_THROWS_WITH(notebook{directory / "newer"},
                    (directory / "newer").string() +
                        " (a newer Parley made it: it has version 4, this one knows version 3): "
                        "cannot read the file");
}

TEST_CASE("several processes may make the same file at once") {
  const support::temporary_directory directory;
  std::vector<std::unique_ptr<support::child>> makers;
  for (int maker = 0; maker < 6; ++maker) {
    makers.push_back(
        std::make_unique<support::child>([&](auto) { notebook{directory / "notes"}.add("one"); }));
  }
  for (auto& each : makers) {
    CHECK(each->finish() == 0);
  }
  CHECK(notebook{directory / "notes"}.count() == 6);
}

TEST_CASE("what is no SQLite file is damaged, and stays as it is") {
  const support::temporary_directory directory;
  const std::string words(5000, 'x');
  write(directory / "words", words);
  CHECK(code_of([&] { notebook{directory / "words"}; }) == errc::damaged_file);
  std::ifstream in{directory / "words"};
  CHECK(std::string{std::istreambuf_iterator<char>{in}, {}} == words);
}

TEST_CASE("SQL that does not fit the file means that it is damaged") {
  const support::temporary_directory directory;
  notebook book{directory / "notes"};
  book.file.execute("DROP TABLE note");
  CHECK(code_of([&] { book.add("x"); }) == errc::damaged_file);
  CHECK_THROWS_WITH(book.add("x"),
                    (directory / "notes").string() +
                        " (no such table: note; write it anew): the file is damaged");
}

TEST_CASE("an empty file beside a log that is not empty is damaged, and the log is kept") {
  const support::temporary_directory directory;
  write(directory / "notes", "");
  write(directory / "notes-wal", "what was written");
  CHECK(code_of([&] { notebook{directory / "notes"}; }) == errc::damaged_file);
  CHECK(std::filesystem::file_size(directory / "notes-wal") == 16);
}

TEST_CASE("a directory, a missing one and a missing file cannot be read") {
  const support::temporary_directory directory;
  CHECK(code_of([&] { notebook{directory.path()}; }) == errc::cannot_read);
  CHECK(code_of([&] { notebook{directory / "missing" / "notes"}; }) == errc::cannot_read);
  CHECK(code_of([&] { database(directory / "notes", database::access::read); }) ==
        errc::cannot_read);
}

TEST_CASE("a file without permission cannot be read, and one for reading only not be written") {
  const support::temporary_directory directory;
  { notebook{directory / "notes"}; }
  const auto code_with = [&](std::filesystem::perms permissions) {
    std::filesystem::permissions(directory / "notes", permissions);
    support::child opener{[&](support::child::line line) {
      // Root may do everything, and nobody next to nothing.
      std::filesystem::current_path(directory.path());
      const bool is_other = ::getuid() != 0 || ::setuid(65534) == 0;
      line.say(is_other ? category().message(static_cast<int>(code_of([] { notebook{"notes"}; })))
                        : "still root");
    }};
    return opener.hear();
  };
  std::filesystem::permissions(directory.path(), std::filesystem::perms::all);
  CHECK(code_with(std::filesystem::perms::none) == "cannot read the file");
  CHECK(code_with(std::filesystem::perms{0444}) == "cannot write the file");
}

TEST_CASE("who waits too long for another writer hears that the file is in use") {
  const support::temporary_directory directory;
  notebook first{directory / "notes"};
  notebook second{directory / "notes", 1ms};
  const transaction all{first.file};
  CHECK(code_of([&] { second.add("x"); }) == errc::file_in_use);
  CHECK(second.count() == 0);
}

TEST_CASE("a full disk is told, and leaves what was there") {
  const support::temporary_directory directory;
  support::child writer{[&](support::child::line line) {
    if (!support::mount_small_disk(directory.path(), 400 * 1024)) {
      line.say("no small disk");
      return;
    }
    notebook book{directory / "notes"};
    std::int64_t kept = 0;
    errc failure{};
    while (failure == errc{}) {
      failure = code_of([&] { book.add(std::string(3000, 'x')); });
      kept += failure == errc{} ? 1 : 0;
    }
    line.say(failure == errc::disk_full ? "disk_full" : std::to_string(static_cast<int>(failure)));
    line.say(kept > 0 && book.count() == kept ? "all are there" : "some are missing");
  }};
  const std::string said = writer.hear();
  if (said == "no small disk") {
    WARN("only root can mount a small disk: skipped");
    return;
  }
  CHECK(said == "disk_full");
  CHECK(writer.hear() == "all are there");
}
