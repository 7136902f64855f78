// SPDX-License-Identifier: MPL-2.0
//
// The file in which letters outlive the program: those that nobody has taken yet, and which ones of
// others were taken here. SQLite; the program is told of a letter's safety by the return of add.
// One thread at a time.
#pragma once

#include <parley/database.hpp>

#include "letter_book.hpp"
#include "owner_lock.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace parley::detail {

class letter_journal {
 public:
  // Throws error: damaged_file, file_in_use by another program, ...
  explicit letter_journal(const std::filesystem::path& file);

  // Of whose letters it is; the same each time.
  [[nodiscard]] std::uint64_t session() const noexcept { return session_; }
  void restore(letter_book& into);

  void add(const std::string& to, const letter_book::letter& written);
  void received(const std::string& by, std::uint64_t up_to);
  void taken(const std::string& from, const letter_mark& came);

 private:
  owner_lock lock_;  // two would give the same numbers
  database file_;
  std::uint64_t session_;
  statement add_;
  statement received_;
  statement taken_;
};

}  // namespace parley::detail
