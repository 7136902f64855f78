// SPDX-License-Identifier: MPL-2.0
#include "letter_journal.hpp"

#include <parley/codec.hpp>

#include "call_ids.hpp"

#include <vector>

namespace parley::detail {
namespace {

constexpr database::kind letter_file{0x504c7472,  // "PLtr"
                                     1, R"(
CREATE TABLE session (number INTEGER NOT NULL);  -- 64 bits, signed here
CREATE TABLE letter (
  receiver TEXT NOT NULL,
  number   INTEGER NOT NULL,
  about    INTEGER NOT NULL,  -- 0: a letter; else: this one of the receiver's was read
  content  BLOB NOT NULL,     -- MessagePack: an array of frames
  PRIMARY KEY (receiver, number)
) WITHOUT ROWID;
CREATE TABLE numbered (
  receiver TEXT PRIMARY KEY,
  last     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE taken (
  sender  TEXT PRIMARY KEY,
  session INTEGER NOT NULL,
  number  INTEGER NOT NULL
) WITHOUT ROWID;
)",
                                     "remove it, and its -wal, to begin anew"};

database& prepare(database& file) {
  file.become(letter_file);
  file.execute("PRAGMA synchronous = FULL");
  return file;
}

std::uint64_t session_in(database& file) {
  if (file.number("SELECT count(*) FROM session") == 0) {
    file.prepare("INSERT INTO session VALUES (?)").run(call_ids{}.next());
  }
  return static_cast<std::uint64_t>(file.number("SELECT number FROM session"));
}

frame pack(const message& content) {
  std::vector<std::string> frames;
  for (const frame& each : content) {
    frames.push_back(each.str());
  }
  return encode(frames);
}

message unpack(std::string_view bytes) {
  message content;
  for (const std::string& each : decode<std::vector<std::string>>(frame{bytes})) {
    content.push_back(frame{each});
  }
  return content;
}

}  // namespace

letter_journal::letter_journal(const std::filesystem::path& file)
    : lock_{file},
      file_{file, database::access::write},
      session_{session_in(prepare(file_))},
      add_{file_.prepare("INSERT INTO letter VALUES (?, ?, ?, ?)")},
      received_{file_.prepare("DELETE FROM letter WHERE receiver = ? AND number <= ?")},
      taken_{file_.prepare("INSERT OR REPLACE INTO taken VALUES (?, ?, ?)")} {}

void letter_journal::restore(letter_book& into) {
  auto numbered = file_.prepare("SELECT receiver, last FROM numbered");
  for (auto rows = numbered.query(); rows.next();) {
    into.restore_number(std::string{rows.bytes(0)}, static_cast<std::uint64_t>(rows.number(1)));
  }
  auto letters = file_.prepare(
      "SELECT receiver, number, about, content FROM letter ORDER BY receiver, number");
  for (auto rows = letters.query(); rows.next();) {
    const auto about = static_cast<std::uint64_t>(rows.number(2));
    into.restore(std::string{rows.bytes(0)},
                 {{about == 0 ? letter_mark::kind::letter : letter_mark::kind::read, session_,
                   static_cast<std::uint64_t>(rows.number(1)), about},
                  unpack(rows.bytes(3))});
  }
  auto taken = file_.prepare("SELECT sender, session, number FROM taken");
  for (auto rows = taken.query(); rows.next();) {
    into.restore_taken(std::string{rows.bytes(0)}, static_cast<std::uint64_t>(rows.number(1)),
                       static_cast<std::uint64_t>(rows.number(2)));
  }
}

void letter_journal::add(const std::string& to, const letter_book::letter& written) {
  transaction both{file_};
  add_.run(to, written.mark.number, written.mark.about, pack(written.content).view());
  file_.prepare("INSERT OR REPLACE INTO numbered VALUES (?, ?)").run(to, written.mark.number);
  both.commit();
}

void letter_journal::received(const std::string& by, std::uint64_t up_to) {
  received_.run(by, up_to);
}

void letter_journal::taken(const std::string& from, const letter_mark& came) {
  taken_.run(from, came.session, came.number);
}

}  // namespace parley::detail
