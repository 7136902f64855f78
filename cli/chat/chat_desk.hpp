// SPDX-License-Identifier: MPL-2.0
//
// A chat without terminal and network: it is told what was typed, what was heard and what the time
// is, and says what the person is told, and what to do. Not thread-safe.
//
// Events are to be shown before steps are done: what was read has been shown.
#pragma once

#include "chat/chat_event.hpp"
#include "chat/chat_files.hpp"
#include "chat/chat_line.hpp"
#include "chat/chat_mark.hpp"
#include "chat/chat_people.hpp"
#include "chat/rate_limit.hpp"

#include <parley/message.hpp>
#include <parley/peer_event.hpp>
#include <parley/peer_id.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct chat_step {
  enum class kind {
    join,     // room
    leave,    // room
    shout,    // room, text; then was_said
    whisper,  // peer, content; with a text: then was_told
    letter,   // identity, text; then was_written, or tell the mistake
    meet,     // identity, text: the name; to be remembered
    read,     // letter: it was
    receipt,  // letter: one that ours were delivered or read; then has_receipt
    send,     // peer, text: which file; then was_offered, or tell the mistake
    accept,   // number, text: under which name
    decline,  // number
    recall,   // text: how many lines, or which word; tell them with past
    quit,
  };
  kind what;
  std::string room{};
  parley::peer_id peer{};
  std::string text{};
  parley::message content{};
  std::uint64_t number = 0;
  std::string identity{};
  parley::peer_event letter{};  // without its content
};

class chat_desk {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  // We say no more lines, rooms entered and left, and away notes than that within the window. Who
  // sends us twice as much, for each of our lines may be answered with a receipt, is muted.
  static constexpr std::size_t most_lines = 20;
  static constexpr std::size_t most_messages = 2 * most_lines + 10;
  static constexpr duration window = std::chrono::seconds{10};
  // Ourselves keep below it by that much, as what is said may be held up on its way.
  static constexpr duration margin = std::chrono::seconds{1};
  static constexpr std::size_t longest_text = 64 * 1024;  // octets
  // Texts that we asked a receipt for, and receipts that wait until we are back.
  static constexpr std::size_t most_receipts = 1000;

  // accepts: all files that are offered, without a word.
  chat_desk(const parley::peer_id& own, std::string name, time_point now, bool accepts = false);

  // Whom one can write to while they are away; before it is begun. Without it nobody.
  void know(std::vector<chat_contact> contacts) { contacts_ = std::move(contacts); }
  // Enters it.
  void begin(const std::string& room, time_point now);
  void type(std::string_view typed, time_point now);
  // When the next line may be typed: now, or later.
  [[nodiscard]] time_point next_line(time_point now) const { return pace_.next(now); }
  void hear(const parley::peer_event& heard, time_point now);

  void was_said(const std::string& room, const std::string& text, std::size_t to);
  void was_told(const parley::peer_id& to, const std::string& text, bool is_there);
  void was_written(const std::string& identity, const std::string& text);
  void has_receipt(const parley::peer_event& receipt, const std::string& text);
  void was_offered(const parley::peer_id& to, std::uint64_t number, const parley::peer_file& file);
  void was_accepted(std::uint64_t number, const std::filesystem::path& to);
  void tell(chat_event event) { events_.push_back(std::move(event)); }

  [[nodiscard]] std::vector<chat_step> take_steps() { return std::exchange(steps_, {}); }
  [[nodiscard]] std::vector<chat_event> take_events() { return std::exchange(events_, {}); }

  [[nodiscard]] const std::string& room() const noexcept { return current_; }  // empty: none
  [[nodiscard]] const std::vector<std::string>& own_rooms() const noexcept { return rooms_; }
  [[nodiscard]] std::set<std::string> all_rooms() const;
  [[nodiscard]] const chat_files& files() const noexcept { return files_; }
  [[nodiscard]] const chat_people& people() const noexcept { return people_; }

 private:
  void say(const chat_line& line, time_point now);
  void tell_one(const chat_line& line, time_point now);
  void join(const std::string& room, time_point now);
  void leave(std::string room, time_point now);  // by value: it may be the current one
  void go_away(std::string note, time_point now);
  void come_back(time_point now);
  void send_file(const chat_line& line, time_point now);
  void answer_offer(const chat_line& line);
  void list_files();
  void list_people(const std::string& room);
  void list_rooms();
  void help();
  void mistake(std::string text);

  void enter(const parley::peer_event& heard);
  void exit(const parley::peer_event& heard);
  void change_room(chat_person& who, const parley::peer_event& heard, time_point now);
  void hear_shout(const parley::peer_event& heard);
  void hear_whisper(chat_person& who, const parley::peer_event& heard);
  void hear_letter(const parley::peer_event& heard);
  void hear_file(const parley::peer_event& heard);
  void hear_mark(chat_person& who, const chat_mark& mark);
  void hear_muted(const chat_person& who);

  void send_mark(const parley::peer_id& to, const chat_mark& mark);
  void send_away_to_all();
  // The identity of who is not here, and called so. Empty: nobody, or several; that is told.
  [[nodiscard]] std::string meant_away(const std::string& called);
  // Nothing: nobody, or several; that is told.
  [[nodiscard]] std::optional<parley::peer_id> meant(const std::string& called);
  [[nodiscard]] bool is_in(std::string_view room) const;
  [[nodiscard]] bool is_near(const chat_person& who) const;
  [[nodiscard]] std::vector<std::string> labels_in(const std::string& room) const;
  [[nodiscard]] chat_event about(chat_event::kind what, const parley::peer_id& who);
  [[nodiscard]] chat_event own(chat_event::kind what) const;

  struct asked {
    std::uint64_t id;
    parley::peer_id whom;
    std::string text;
  };

  const parley::peer_id own_;
  const std::string name_;
  const time_point early_until_;
  const bool accepts_;
  chat_people people_;
  chat_files files_;
  std::set<parley::peer_id> muted_;
  std::optional<std::vector<chat_contact>> contacts_;
  std::deque<parley::peer_event> unread_letters_;
  rate_limit pace_{most_lines, window + margin};
  std::vector<std::string> rooms_;  // in the order in which we entered them
  std::string current_;
  std::optional<std::string> away_;
  std::set<parley::peer_id> talked_to_;
  std::deque<asked> asked_;
  std::uint64_t last_id_ = 0;
  std::deque<std::pair<parley::peer_id, std::uint64_t>> unread_;
  std::vector<chat_step> steps_;
  std::vector<chat_event> events_;
};
