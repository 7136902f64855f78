// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_history.hpp"

#include "chat/visible_text.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <span>
#include <utility>

namespace {

using kind = chat_event::kind;
using parley::database;
using parley::statement;

constexpr database::kind chat_file{
    .application_id = 0x50437631,  // "PCv1"
    .version = 1,
    .schema =
        "CREATE TABLE lines("
        "  number INTEGER PRIMARY KEY,"
        "  at INTEGER NOT NULL,"  // microseconds since 1970
        "  own TEXT NOT NULL,"    // what we were called
        "  kind TEXT NOT NULL,"   // line, private, said, told
        "  room TEXT NOT NULL,"
        "  peer BLOB NOT NULL,"
        "  name TEXT NOT NULL,"
        "  text TEXT NOT NULL,"
        "  folded TEXT NOT NULL)",  // for search
    .when_damaged = "move it out of the way, and the chat begins a new one",
};

constexpr const char* letter_tables =
    "CREATE TABLE IF NOT EXISTS self("
    "  own TEXT PRIMARY KEY,"  // what we are called
    "  identity TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS contacts("
    "  own TEXT NOT NULL,"
    "  identity TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  PRIMARY KEY(own, identity));"
    "CREATE TABLE IF NOT EXISTS letters("  // ours, that nobody has read yet
    "  own TEXT NOT NULL,"
    "  receiver TEXT NOT NULL,"  // identity
    "  number INTEGER NOT NULL,"
    "  text TEXT NOT NULL,"
    "  has_it INTEGER NOT NULL,"
    "  PRIMARY KEY(own, receiver, number))";

struct word {
  kind what;
  std::string_view text;
};
constexpr std::array words{word{kind::line, "line"}, word{kind::private_line, "private"},
                           word{kind::said, "said"}, word{kind::told, "told"}};

std::filesystem::path made(const std::filesystem::path& file) {
  std::error_code ignored;  // the database says better what is wrong
  const auto directory = file.parent_path();
  if (!directory.empty() && std::filesystem::create_directories(directory, ignored)) {
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, ignored);
  }
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) {
    ::close(fd);
  }
  return file;
}

std::vector<chat_event> read(statement::rows found) {
  std::vector<chat_event> all;
  while (found.next()) {
    chat_event event{.what = kind::past, .is_near = true, .at = found.number(0)};
    const auto* const was = std::ranges::find(words, found.bytes(1), &word::text);
    event.was = was == words.end() ? kind::line : was->what;
    event.is_own = event.was == kind::said;
    event.room = found.bytes(2);
    event.peer = parley::peer_id::from_bytes(found.bytes(3)).value_or(parley::peer_id{});
    event.name = found.bytes(4);
    event.label = chat_people::plain_label(event.name);
    event.text = found.bytes(5);
    all.push_back(std::move(event));
  }
  std::ranges::reverse(all);
  return all;
}

constexpr std::string_view insert =
    "INSERT INTO lines(at, own, kind, room, peer, name, text, folded) VALUES(?, ?, ?, ?, ?, ?, ?, "
    "?)";
constexpr std::string_view select_last =
    "SELECT at, kind, room, peer, name, text FROM lines WHERE own = ?1 AND (?2 = '' OR room = ?2) "
    "ORDER BY number DESC LIMIT ?3";
constexpr std::string_view select_word =
    "SELECT at, kind, room, peer, name, text FROM lines WHERE own = ?1 AND instr(folded, ?2) > 0 "
    "ORDER BY number DESC LIMIT ?3";

}  // namespace

chat_history::chat_history(const std::filesystem::path& file, std::string own_name)
    : file_{made(file), database::access::write},
      own_{std::move(own_name)},
      add_{(file_.become(chat_file),
            // Who pulls the plug loses a few lines, not the file.
            file_.execute("PRAGMA synchronous = NORMAL"), file_.prepare(insert))},
      last_{file_.prepare(select_last)},
      find_{file_.prepare(select_word)} {
  file_.execute(letter_tables);  // an older file has none
  file_.prepare("INSERT OR IGNORE INTO self VALUES(?, ?)")
      .run(own_, parley::peer_id::random().str());
  auto self = file_.prepare("SELECT identity FROM self WHERE own = ?");
  for (auto rows = self.query(own_); rows.next();) {
    identity_ = rows.bytes(0);
  }
  made(letters_file());
  file_.prepare("DELETE FROM lines WHERE number <= (SELECT max(number) FROM lines) - ?")
      .run(most_lines);
}

std::filesystem::path chat_history::letters_file() const {
  return file_.file().string() + '.' + identity_;
}

void chat_history::remember(const chat_contact& met) {
  file_.prepare("INSERT OR REPLACE INTO contacts VALUES(?, ?, ?)")
      .run(own_, met.identity, met.name);
}

std::vector<chat_contact> chat_history::contacts() {
  std::vector<chat_contact> all;
  auto known = file_.prepare("SELECT identity, name FROM contacts WHERE own = ?");
  for (auto rows = known.query(own_); rows.next();) {
    all.push_back({std::string{rows.bytes(0)}, std::string{rows.bytes(1)}});
  }
  return all;
}

void chat_history::wrote(const std::string& to, std::uint64_t number, std::string_view text) {
  file_.prepare("INSERT OR REPLACE INTO letters VALUES(?, ?, ?, ?, 0)").run(own_, to, number, text);
}

std::vector<std::string> chat_history::delivered(const std::string& to, std::uint64_t up_to) {
  std::vector<std::string> texts;
  auto waiting = file_.prepare(
      "SELECT text FROM letters WHERE own = ? AND receiver = ? AND number <= ? AND NOT has_it "
      "ORDER BY number");
  for (auto rows = waiting.query(own_, to, up_to); rows.next();) {
    texts.emplace_back(rows.bytes(0));
  }
  file_.prepare("UPDATE letters SET has_it = 1 WHERE own = ? AND receiver = ? AND number <= ?")
      .run(own_, to, up_to);
  return texts;
}

std::string chat_history::was_read(const std::string& by, std::uint64_t number) {
  std::string text;
  auto letter =
      file_.prepare("SELECT text FROM letters WHERE own = ? AND receiver = ? AND number = ?");
  for (auto rows = letter.query(own_, by, number); rows.next();) {
    text = rows.bytes(0);
  }
  file_.prepare("DELETE FROM letters WHERE own = ? AND receiver = ? AND number = ?")
      .run(own_, by, number);
  return text;
}

std::filesystem::path chat_history::usual_file() {
  const char* const state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state == '/') {
    return std::filesystem::path{state} / "parley" / "chat.db";
  }
  const char* const home = std::getenv("HOME");
  return home == nullptr || *home == '\0'
             ? std::filesystem::path{}
             : std::filesystem::path{home} / ".local" / "state" / "parley" / "chat.db";
}

void chat_history::add(const chat_event& event, std::int64_t at) {
  const auto* const known = std::ranges::find(words, event.what, &word::what);
  if (known != words.end()) {
    add_.run(at, own_, known->text, event.room, std::as_bytes(std::span{event.peer.bytes()}),
             event.name, event.text, folded(event.text));
  }
}

std::vector<chat_event> chat_history::last(std::size_t count, std::string_view room) {
  return read(last_.query(own_, room, count));
}

std::vector<chat_event> chat_history::find(std::string_view word, std::size_t count) {
  return read(find_.query(own_, folded(word), count));
}
