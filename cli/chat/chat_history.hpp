// SPDX-License-Identifier: MPL-2.0
//
// What was said, kept in an SQLite file: one for all chats of an account, told apart by the name
// that somebody has there. Everything throws parley::error when the file is no good. Not
// thread-safe.
#pragma once

#include "chat/chat_event.hpp"
#include "chat/chat_people.hpp"

#include <parley/database.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

class chat_history {
 public:
  static constexpr std::int64_t most_lines = 100'000;

  // The file, and directories on the way to it, are made if they are not there; for their owner
  // alone.
  chat_history(const std::filesystem::path& file, std::string own_name);

  // XDG_STATE_HOME/parley/chat.db. Empty: there is no home.
  [[nodiscard]] static std::filesystem::path usual_file();

  // A line, private_line, said or told; nothing of others. at: microseconds since 1970.
  void add(const chat_event& event, std::int64_t at);

  // Who we are to those who write to us while we are away: the same each time, of this name.
  [[nodiscard]] const std::string& identity() const noexcept { return identity_; }
  // Where what we write to others waits for them; for its owner alone.
  [[nodiscard]] std::filesystem::path letters_file() const;

  // Whom one can write to.
  void remember(const chat_contact& met);
  [[nodiscard]] std::vector<chat_contact> contacts();

  // What was written to somebody, until it has been read.
  void wrote(const std::string& to, std::uint64_t number, std::string_view text);
  // Those up to that number, once each.
  [[nodiscard]] std::vector<std::string> delivered(const std::string& to, std::uint64_t up_to);
  // Empty: none.
  [[nodiscard]] std::string was_read(const std::string& by, std::uint64_t number);

  // The last ones, oldest first, as events `past`. An empty room: all rooms, and what was said
  // alone.
  [[nodiscard]] std::vector<chat_event> last(std::size_t count, std::string_view room = {});
  // With that in their text, in capitals or not.
  [[nodiscard]] std::vector<chat_event> find(std::string_view word, std::size_t count);

 private:
  parley::database file_;
  std::string own_;
  parley::statement add_;
  parley::statement last_;
  parley::statement find_;
  std::string identity_;
};
