// SPDX-License-Identifier: MPL-2.0
//
// An SQLite file, as Parley's own journals use it, and what handlers do in the file of
// worker_options::once. SQLite's result codes become parley::error here and nowhere else:
// disk_full, cannot_write, cannot_read, file_in_use, damaged_file; what() names the file. SQL that
// does not fit the file means a damaged file.
//
// Threads: one at a time for a database and all that it made. A file may be opened many times, by
// many processes. Nobody may open and close it by other means while a database of this process has
// it: that would drop SQLite's locks.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace parley {

class statement;
namespace detail {
class transaction;
}

class database {
 public:
  enum class access : std::uint8_t {
    read,     // throws cannot_read when it is not there
    write,    // makes it when it is not there
    salvage,  // read, as much as can be of a damaged one
  };

  // Waits that long when others are writing.
  database(std::filesystem::path file, access how,
           std::chrono::milliseconds busy_timeout = std::chrono::seconds{5});
  database(const database&) = delete;
  database& operator=(const database&) = delete;

  [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }

  // One or more statements, their rows ignored.
  void execute(const char* sql);
  [[nodiscard]] statement prepare(std::string_view sql);
  // For all else that SQLite can do. This object's, as long as it lives.
  [[nodiscard]] sqlite3* handle() const noexcept { return handle_.get(); }
  // The first column of the first row.
  [[nodiscard]] std::int64_t number(std::string_view sql);
  // Rows that the last statement inserted, updated or deleted.
  [[nodiscard]] std::int64_t changes() const noexcept;
  // Those in the file do not run for what is done here.
  void disable_triggers();

  // What sort of file it is to be: whose, which version, and what is in it when it is new.
  struct kind {
    std::int32_t application_id;
    std::int32_t version;
    const char* schema;
    const char* when_damaged;  // what to do then, for who reads the error
  };
  // Makes a new file one of that kind, with a write-ahead log; checks one that is there. Throws
  // cannot_read for another program's, and for a newer version.
  void become(const kind& wanted);

  [[noreturn]] void fail(int result) const;
  [[noreturn]] void fail_damaged(const std::string& why) const;

 private:
  friend class detail::transaction;
  struct closer {
    void operator()(sqlite3* open) const noexcept;
  };

  void make(const kind& wanted);

  std::filesystem::path file_;
  std::string when_damaged_;
  std::unique_ptr<sqlite3, closer> handle_;
};

// A prepared statement. Its arguments are numbers, text, bytes, or std::nullopt; they need not live
// longer than run, or than the rows.
class statement {
 public:
  class rows {
   public:
    rows(const rows&) = delete;
    rows& operator=(const rows&) = delete;
    ~rows();
    // True: it is at a row, the first one to begin with.
    [[nodiscard]] bool next();
    [[nodiscard]] bool is_null(int column) const;
    [[nodiscard]] std::int64_t number(int column) const;
    [[nodiscard]] double real(int column) const;
    // Valid until next.
    [[nodiscard]] std::string_view bytes(int column) const;

   private:
    friend class statement;
    explicit rows(statement& of) noexcept : of_{of} {}
    statement& of_;
  };

  // Until its end.
  template<class... Arguments>
  void run(const Arguments&... arguments) {
    rows all = query(arguments...);
    while (all.next()) {
    }
  }
  // One at a time. Requires: it outlives its rows.
  template<class... Arguments>
  [[nodiscard]] rows query(const Arguments&... arguments) & {
    int position = 0;
    (bind(++position, arguments), ...);
    return rows{*this};
  }

 private:
  friend class database;
  struct finalizer {
    void operator()(sqlite3_stmt* prepared) const noexcept;
  };
  statement(database& owner, sqlite3_stmt* prepared) noexcept : owner_{&owner}, handle_{prepared} {}

  template<std::integral T>
  void bind(int position, T number) {
    bind_number(position, static_cast<std::int64_t>(number));
  }
  void bind(int position, double number);
  void bind(int position, std::string_view text);
  void bind(int position, std::span<const std::byte> bytes);
  void bind(int position, std::nullopt_t);
  template<class T>
  void bind(int position, const std::optional<T>& maybe) {
    maybe ? bind(position, *maybe) : bind(position, std::nullopt);
  }
  void bind_number(int position, std::int64_t number);
  void check(int result) const;

  database* owner_;
  std::unique_ptr<sqlite3_stmt, finalizer> handle_;
};

namespace detail {

// All that is done while it lives, or nothing, unless it is committed. Others may read meanwhile.
class transaction {
 public:
  explicit transaction(database& in);
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;
  ~transaction();
  void commit();

 private:
  void roll_back() noexcept;
  database& in_;
};

}  // namespace detail
}  // namespace parley
