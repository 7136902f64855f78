// SPDX-License-Identifier: MPL-2.0
#include <parley/database.hpp>
#include <parley/error.hpp>

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

namespace parley {
namespace {

errc code_of(int result, int system_error) {
  switch (result & 0xff) {
    case SQLITE_FULL:
      return errc::disk_full;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return errc::file_in_use;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      return system_error == ENOSPC || system_error == EDQUOT ? errc::disk_full : errc::cannot_read;
    case SQLITE_READONLY:
    case SQLITE_TOOBIG:
      return errc::cannot_write;
    case SQLITE_NOMEM:
      return errc::out_of_resources;
    case SQLITE_IOERR:
      switch (result) {
        case SQLITE_IOERR_READ:
          return errc::cannot_read;
        case SQLITE_IOERR_SHORT_READ:
        case SQLITE_IOERR_DATA:
        case SQLITE_IOERR_CORRUPTFS:
          return errc::damaged_file;
        default:
          return system_error == ENOSPC || system_error == EDQUOT ? errc::disk_full
                                                                  : errc::cannot_write;
      }
    case SQLITE_MISUSE:
      return errc::internal;
    default:  // CORRUPT, NOTADB, and SQL that does not fit the file
      return errc::damaged_file;
  }
}

// The directory has the last word on whether a file is there: a link to nowhere is no file.
void check_regular(const std::filesystem::path& file) {
  std::error_code failure;
  const auto about = std::filesystem::status(file, failure);
  if (std::filesystem::exists(about) && !std::filesystem::is_regular_file(about)) {
    throw error{errc::cannot_read, file.string() + " (not a regular file)"};
  }
}

std::uintmax_t size_of(const std::filesystem::path& file) {
  std::error_code failure;
  const auto size = std::filesystem::file_size(file, failure);
  return failure ? 0 : size;
}

// SQLite would take the file for a new one, and throw its log away.
void check_not_orphaned(const std::filesystem::path& file) {
  const std::string log = file.string() + "-wal";
  if (size_of(file) == 0 && size_of(log) > 0) {
    throw error{errc::damaged_file, file.string() + " (it is empty, but " + log + " is not)"};
  }
}

}  // namespace

void database::closer::operator()(sqlite3* open) const noexcept { sqlite3_close_v2(open); }

database::database(std::filesystem::path file, access how, std::chrono::milliseconds busy_timeout)
    : file_{std::move(file)} {
  check_regular(file_);
  if (how == access::write) {
    check_not_orphaned(file_);
  }
  sqlite3* opened = nullptr;
  const int flags =
      (how == access::write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) |
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int result = sqlite3_open_v2(file_.c_str(), &opened, flags, nullptr);
  handle_.reset(opened);
  if (result != SQLITE_OK) {
    fail(result);
  }
  if (how == access::write && sqlite3_db_readonly(opened, "main") == 1) {
    throw error{errc::cannot_write, file_.string() + " (it may only be read)"};
  }
  sqlite3_busy_timeout(opened, static_cast<int>(busy_timeout.count()));
  // Nothing in the file may make SQLite run more than a plain read of a table would.
  sqlite3_db_config(opened, SQLITE_DBCONFIG_DEFENSIVE, how == access::salvage ? 0 : 1, nullptr);
  sqlite3_db_config(opened, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (how == access::salvage) {
    // Then SQLite reads also what is shorter than its header says.
    sqlite3_db_config(opened, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, nullptr);
  }
}

void database::execute(const char* sql) {
  const int result = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) {
    fail(result);
  }
}

statement database::prepare(std::string_view sql) {
  sqlite3_stmt* prepared = nullptr;
  const int result = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
  if (result != SQLITE_OK) {
    fail(result);
  }
  return statement{*this, prepared};
}

std::int64_t database::number(std::string_view sql) {
  statement asked = prepare(sql);
  auto row = asked.query();
  if (!row.next()) {
    fail_damaged("a row is missing");
  }
  return row.number(0);
}

std::int64_t database::changes() const noexcept { return sqlite3_changes64(handle_.get()); }

void database::disable_triggers() {
  sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
}

void database::become(const kind& wanted) {
  when_damaged_ = wanted.when_damaged;
  // Several processes may find it new at once, and SQLite does not wait when two of them switch the
  // log on.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  for (;;) {
    try {
      make(wanted);
      return;
    } catch (const error& failure) {
      if (failure.code() != errc::file_in_use || std::chrono::steady_clock::now() > end) {
        throw;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
}

void database::make(const kind& wanted) {
  const auto is_new = [&] {
    return number("PRAGMA application_id") == 0 && number("PRAGMA user_version") == 0 &&
           number("SELECT count(*) FROM sqlite_schema") == 0;
  };
  if (is_new()) {
    execute("PRAGMA journal_mode = WAL");
    detail::transaction all{*this};
    if (is_new()) {
      execute(("PRAGMA application_id = " + std::to_string(wanted.application_id)).c_str());
      execute(("PRAGMA user_version = " + std::to_string(wanted.version)).c_str());
      execute(wanted.schema);
    }
    all.commit();
  }
  if (number("PRAGMA application_id") != wanted.application_id) {
    throw error{errc::cannot_read, file_.string() + " (it is another sort of SQLite file)"};
  }
  if (const auto version = number("PRAGMA user_version"); version > wanted.version) {
    throw error{errc::cannot_read, file_.string() + " (a newer Parley made it: it has version " +
                                       std::to_string(version) + ", this one knows version " +
                                       std::to_string(wanted.version) + ")"};
  }
}

void database::fail(int result) const {
  if (!handle_) {
    throw error{errc::out_of_resources, file_.string()};
  }
  const int system_error = sqlite3_system_errno(handle_.get());
  const bool is_system = (result & 0xff) == SQLITE_IOERR || (result & 0xff) == SQLITE_CANTOPEN;
  std::string why = sqlite3_errmsg(handle_.get());
  if (is_system && system_error != 0) {
    why += ": " + std::generic_category().message(system_error);
  }
  const errc code = code_of(result, is_system ? system_error : 0);
  if (code == errc::damaged_file) {
    fail_damaged(why);
  }
  throw error{code, file_.string() + " (" + why + ")"};
}

void database::fail_damaged(const std::string& why) const {
  const std::string advice = when_damaged_.empty() ? "" : "; " + when_damaged_;
  throw error{errc::damaged_file, file_.string() + " (" + why + advice + ")"};
}

void statement::finalizer::operator()(sqlite3_stmt* prepared) const noexcept {
  sqlite3_finalize(prepared);
}

statement::rows::~rows() {
  sqlite3_reset(of_.handle_.get());
  sqlite3_clear_bindings(of_.handle_.get());
}

bool statement::rows::next() {
  const int result = sqlite3_step(of_.handle_.get());
  if (result == SQLITE_ROW) {
    return true;
  }
  if (result != SQLITE_DONE) {
    of_.owner_->fail(result);
  }
  return false;
}

bool statement::rows::is_null(int column) const {
  return sqlite3_column_type(of_.handle_.get(), column) == SQLITE_NULL;
}

std::int64_t statement::rows::number(int column) const {
  return sqlite3_column_int64(of_.handle_.get(), column);
}

double statement::rows::real(int column) const {
  return sqlite3_column_double(of_.handle_.get(), column);
}

std::string_view statement::rows::bytes(int column) const {
  const void* const data = sqlite3_column_blob(of_.handle_.get(), column);
  return {static_cast<const char*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(of_.handle_.get(), column))};
}

void statement::bind_number(int position, std::int64_t number) {
  check(sqlite3_bind_int64(handle_.get(), position, number));
}

// A null pointer would be NULL, not empty.
void statement::bind(int position, std::string_view text) {
  check(sqlite3_bind_text64(handle_.get(), position, text.empty() ? "" : text.data(), text.size(),
                            SQLITE_STATIC, SQLITE_UTF8));
}

void statement::bind(int position, std::span<const std::byte> bytes) {
  check(sqlite3_bind_blob64(handle_.get(), position,
                            bytes.empty() ? static_cast<const void*>("") : bytes.data(),
                            bytes.size(), SQLITE_STATIC));
}

void statement::bind(int position, std::nullopt_t) {
  check(sqlite3_bind_null(handle_.get(), position));
}

void statement::check(int result) const {
  if (result != SQLITE_OK) {
    owner_->fail(result);
  }
}

void statement::bind(int position, double number) {
  check(sqlite3_bind_double(handle_.get(), position, number));
}

detail::transaction::transaction(database& in) : in_{in} {
  roll_back();  // one that could not even be rolled back when it failed
  in_.execute("BEGIN IMMEDIATE");
}

detail::transaction::~transaction() { roll_back(); }

void detail::transaction::commit() { in_.execute("COMMIT"); }

void detail::transaction::roll_back() noexcept {
  if (sqlite3_get_autocommit(in_.handle_.get()) == 0) {
    sqlite3_exec(in_.handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

}  // namespace parley
