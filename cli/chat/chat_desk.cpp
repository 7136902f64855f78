// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_desk.hpp"

#include "chat/visible_text.hpp"

#include <parley/text.hpp>

#include <algorithm>

namespace {

using kind = chat_event::kind;
using parley::peer_event;
using parley::peer_id;

// Whoever is found so soon was here before us.
constexpr auto early = std::chrono::seconds{3};
constexpr std::size_t longest_room = 255;               // octets; ZRE's
constexpr std::size_t longest_note = 1000;              // octets
constexpr std::string_view service_words = "service:";  // a group that is no room
constexpr std::size_t most_labels = 20;                 // in one line

// Not amid a character.
std::string cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) {
    return std::string{text};
  }
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0u) == 0x80u) {
    --most;
  }
  return std::string{text.substr(0, most)} + "…";
}

}  // namespace

chat_desk::chat_desk(const peer_id& own, std::string name, time_point now, bool accepts)
    : own_{own},
      name_{std::move(name)},
      early_until_{now + early},
      accepts_{accepts},
      people_{own, name_} {}

void chat_desk::begin(const std::string& room, time_point now) {
  static_cast<void>(pace_.take(now));
  rooms_.push_back(room);
  current_ = room;
  steps_.push_back({.what = chat_step::kind::join, .room = room});
  auto event = own(kind::started);
  event.others = rooms_;
  tell(std::move(event));
}

void chat_desk::type(std::string_view typed, time_point now) {
  if (!parley::detail::is_utf8(typed)) {
    return mistake("that is no UTF-8, and was not said");
  }
  if (typed.size() > longest_text) {
    return mistake("a line has 65,536 octets at most; that one was not said");
  }
  chat_line line = parse_chat_line(typed);
  switch (line.what) {
    case chat_line::kind::nothing:
      return;
    case chat_line::kind::say:
      return say(line, now);
    case chat_line::kind::join:
      return join(line.to, now);
    case chat_line::kind::leave:
      return leave(line.to.empty() ? current_ : line.to, now);
    case chat_line::kind::rooms:
      return list_rooms();
    case chat_line::kind::who:
      return list_people(line.to);
    case chat_line::kind::tell:
      return tell_one(line, now);
    case chat_line::kind::away:
      return go_away(line.text.empty() ? "away" : line.text, now);
    case chat_line::kind::back:
      return come_back(now);
    case chat_line::kind::history:
      return steps_.push_back({.what = chat_step::kind::recall, .text = line.to});
    case chat_line::kind::send:
      return send_file(line, now);
    case chat_line::kind::accept:
    case chat_line::kind::decline:
      return answer_offer(line);
    case chat_line::kind::files:
      return list_files();
    case chat_line::kind::help:
      return help();
    case chat_line::kind::quit:
      return steps_.push_back({.what = chat_step::kind::quit});
    case chat_line::kind::unknown:
      return mistake("there is no command " + line.to + "; /help lists them");
    case chat_line::kind::incomplete:
      return mistake("it is " + line.to + ' ' + line.text);
  }
}

void chat_desk::say(const chat_line& line, time_point now) {
  if (current_.empty()) {
    return mistake("you are in no room; /join one");
  }
  static_cast<void>(pace_.take(now));
  steps_.push_back({.what = chat_step::kind::shout, .room = current_, .text = line.text});
}

std::optional<peer_id> chat_desk::meant(const std::string& called) {
  const auto all = people_.called(called);
  if (all.size() == 1) {
    return all.front();
  }
  std::string labels;
  for (const peer_id& each : all) {
    labels += (labels.empty() ? "" : ", ") + people_.label(each);
  }
  mistake(all.empty() ? "nobody here is called " + called + "; /who tells who is here"
                      : "who of these? " + labels);
  return std::nullopt;
}

std::string chat_desk::meant_away(const std::string& called) {
  const std::size_t mark = std::min(called.find('~'), called.size());
  const std::string name = folded(std::string_view{called}.substr(0, mark));
  const std::string digits =
      folded(std::string_view{called}.substr(std::min(mark + 1, called.size())));
  std::vector<std::string> found;
  std::string labels;
  for (const chat_contact& each : contacts_.value_or(std::vector<chat_contact>{})) {
    const std::string label = chat_people::plain_label(each.name);
    if (folded(label) == name && folded(each.identity).starts_with(digits)) {
      found.push_back(each.identity);
      labels += (labels.empty() ? "" : ", ") + label + '~' + each.identity.substr(0, 4);
    }
  }
  if (found.size() == 1) {
    return found.front();
  }
  mistake(found.empty() ? "nobody here is called " + called + "; /who tells who is here"
                        : "who of these, who are not here? " + labels);
  return {};
}

void chat_desk::tell_one(const chat_line& line, time_point now) {
  if (people_.called(line.to).empty()) {
    if (auto identity = meant_away(line.to); !identity.empty()) {
      steps_.push_back(
          {.what = chat_step::kind::letter, .text = line.text, .identity = std::move(identity)});
    }
    return;
  }
  const auto found = meant(line.to);
  if (!found) {
    return;
  }
  static_cast<void>(pace_.take(now));
  const peer_id& to = *found;
  chat_step step{.what = chat_step::kind::whisper, .peer = to, .text = line.text};
  if (people_.find(to)->has_chat) {
    asked_.push_back({++last_id_, to, line.text});
    if (asked_.size() > most_receipts) {
      asked_.pop_front();
    }
    step.content = write_chat(line.text, {.what = chat_mark::kind::ask, .id = last_id_});
  } else {
    step.content = line.text;
  }
  steps_.push_back(std::move(step));
}

void chat_desk::send_file(const chat_line& line, time_point now) {
  if (const auto to = meant(line.to)) {
    static_cast<void>(pace_.take(now));
    steps_.push_back({.what = chat_step::kind::send, .peer = *to, .text = line.text});
  }
}

void chat_desk::answer_offer(const chat_line& line) {
  const bool accepts = line.what == chat_line::kind::accept;
  std::string why;
  if (const auto number = files_.meant(line.to, accepts, why)) {
    steps_.push_back({.what = accepts ? chat_step::kind::accept : chat_step::kind::decline,
                      .text = files_.find(*number)->file.name,
                      .number = *number});
  } else {
    mistake(std::move(why));
  }
}

void chat_desk::list_files() {
  for (const auto& [number, each] : files_.all()) {
    auto event = about(!each.is_open       ? kind::progress
                       : each.file.is_ours ? kind::offering
                                           : kind::offered,
                       each.peer);
    event.is_own = true;  // asked for
    event.number = number;
    event.file = each.file;
    tell(std::move(event));
  }
  if (files_.all().empty()) {
    mistake("no file is offered or under way");
  }
}

void chat_desk::was_offered(const peer_id& to, std::uint64_t number,
                            const parley::peer_file& file) {
  auto event = about(kind::offering, to);
  event.number = number;
  event.file = file;
  files_.add(number, {.peer = to, .label = event.label, .file = file});
  tell(std::move(event));
}

void chat_desk::was_accepted(std::uint64_t number, const std::filesystem::path& to) {
  if (auto* const found = files_.find(number)) {
    found->is_open = false;
    found->file.path = to;
  }
}

void chat_desk::join(const std::string& room, time_point now) {
  if (room.size() > longest_room) {
    return mistake("the name of a room has 255 octets at most");
  }
  current_ = room;
  if (!is_in(room)) {
    static_cast<void>(pace_.take(now));
    rooms_.push_back(room);
    steps_.push_back({.what = chat_step::kind::join, .room = room});
    auto event = own(kind::join);
    event.room = room;
    event.others = labels_in(room);
    tell(std::move(event));
  }
}

void chat_desk::leave(std::string room, time_point now) {
  const auto found = std::ranges::find(rooms_, room);
  if (found == rooms_.end()) {
    return mistake(room.empty() ? "you are in no room" : "you are not in " + room);
  }
  static_cast<void>(pace_.take(now));
  rooms_.erase(found);
  if (current_ == room) {
    current_ = rooms_.empty() ? "" : rooms_.back();
  }
  steps_.push_back({.what = chat_step::kind::leave, .room = room});
  auto event = own(kind::leave);
  event.room = std::move(room);
  tell(std::move(event));
}

void chat_desk::go_away(std::string note, time_point now) {
  static_cast<void>(pace_.take(now));
  away_ = cut(note, longest_note);
  send_away_to_all();
  auto event = own(kind::away);
  event.text = *away_;
  tell(std::move(event));
}

void chat_desk::come_back(time_point now) {
  if (!away_) {
    return mistake("you are not away");
  }
  static_cast<void>(pace_.take(now));
  away_.reset();
  send_away_to_all();
  for (peer_event& each : std::exchange(unread_letters_, {})) {
    steps_.push_back({.what = chat_step::kind::read, .letter = std::move(each)});
  }
  for (const auto& [whom, id] : std::exchange(unread_, {})) {
    send_mark(whom, {.what = chat_mark::kind::read, .id = id});
  }
  tell(own(kind::back));
}

void chat_desk::list_people(const std::string& room) {
  const std::size_t before = events_.size();
  const auto add = [&](chat_event event, std::vector<std::string> rooms) {
    if (room.empty() || std::ranges::find(rooms, room) != rooms.end()) {
      event.others = std::move(rooms);
      tell(std::move(event));
    }
  };
  auto self = own(kind::person);
  self.away = away_;
  add(std::move(self), rooms_);
  for (const auto& [id, who] : people_.all()) {
    auto event = about(kind::person, id);
    event.address = who.address;
    event.away = who.away;
    add(std::move(event), {who.rooms.begin(), who.rooms.end()});
  }
  if (events_.size() == before) {
    mistake("nobody is in " + room);
  }
}

std::set<std::string> chat_desk::all_rooms() const {
  std::set<std::string> all{rooms_.begin(), rooms_.end()};
  for (const auto& [id, who] : people_.all()) {
    all.insert(who.rooms.begin(), who.rooms.end());
  }
  return all;
}

void chat_desk::list_rooms() {
  for (const std::string& room : all_rooms()) {
    chat_event event{.what = kind::room, .is_own = is_in(room), .room = room};
    event.count = event.is_own ? 1 : 0;
    for (const auto& [id, who] : people_.all()) {
      event.count += who.rooms.count(room);
    }
    tell(std::move(event));
  }
}

void chat_desk::help() {
  for (const chat_command& each : chat_commands()) {
    std::string text{each.word};
    text += each.arguments.empty() ? "" : " ";
    text += each.arguments;
    text.resize(std::max<std::size_t>(text.size(), 18), ' ');
    tell({.what = kind::help, .text = text + "  " + std::string{each.summary}});
  }
  tell({.what = kind::help, .text = "Tab completes. Anything else is said; // says a slash."});
}

void chat_desk::mistake(std::string text) {
  tell({.what = kind::mistake, .text = std::move(text)});
}

void chat_desk::hear(const peer_event& heard, time_point now) {
  if (heard.what == peer_event::kind::enter) {
    return enter(heard);
  }
  if (heard.what == peer_event::kind::file_failed || heard.what == peer_event::kind::file_done) {
    return hear_file(heard);  // also of who is gone
  }
  chat_person* const who = people_.find(heard.peer);
  if (who == nullptr) {
    return;
  }
  switch (heard.what) {
    case peer_event::kind::exit:
      return exit(heard);
    case peer_event::kind::join:
    case peer_event::kind::leave:
      return change_room(*who, heard, now);
    case peer_event::kind::shout:
      return hear_shout(heard);
    case peer_event::kind::whisper:
      return hear_whisper(*who, heard);
    case peer_event::kind::evasive:
      return tell(about(kind::evasive, heard.peer));
    case peer_event::kind::returned:
      return tell(about(kind::returned, heard.peer));
    case peer_event::kind::lost: {
      auto event = about(kind::lost, heard.peer);
      event.count = heard.count;
      return tell(std::move(event));
    }
    case peer_event::kind::muted:
      return hear_muted(*who);
    case peer_event::kind::unmuted: {
      muted_.erase(heard.peer);
      auto event = about(kind::unmuted, heard.peer);
      event.count = heard.count;
      return tell(std::move(event));
    }
    case peer_event::kind::muted_by: {
      auto event = about(kind::muted_by, heard.peer);
      event.count = heard.count / 1000;  // milliseconds
      return tell(std::move(event));
    }
    case peer_event::kind::file_offered:
    case peer_event::kind::file_progress:
    case peer_event::kind::file_done:
    case peer_event::kind::file_failed:
      return hear_file(heard);
    case peer_event::kind::letter:
      return hear_letter(heard);
    case peer_event::kind::delivered:
    case peer_event::kind::read:
      return steps_.push_back({.what = chat_step::kind::receipt, .letter = heard});
    case peer_event::kind::enter:
      return;
  }
}

void chat_desk::was_said(const std::string& room, const std::string& text, std::size_t to) {
  auto event = own(kind::said);
  event.room = room;
  event.text = text;
  event.count = to;
  tell(std::move(event));
}

void chat_desk::was_told(const peer_id& to, const std::string& text, bool is_there) {
  if (const chat_person* const who = people_.find(to);
      !is_there && contacts_ && who != nullptr && !who->identity.empty()) {
    return steps_.push_back(
        {.what = chat_step::kind::letter, .text = text, .identity = who->identity});
  }
  if (!is_there) {
    return mistake(people_.label(to) + " could not be told: " + text);
  }
  talked_to_.insert(to);
  auto event = about(kind::told, to);
  event.text = text;
  if (const chat_person* const who = people_.find(to)) {
    event.away = who->away;
  }
  tell(std::move(event));
}

void chat_desk::enter(const peer_event& heard) {
  const auto version = heard.headers.find(std::string{chat_header});
  const chat_person& who =
      people_.add({.id = heard.peer,
                   .name = heard.name,
                   .address = heard.address,
                   .identity = heard.identity == heard.peer.str() ? "" : heard.identity,
                   .has_chat = version != heard.headers.end() && version->second == chat_version,
                   .is_parley = heard.headers.contains("X-PARLEY")});
  auto event = about(kind::enter, heard.peer);
  event.address = heard.address;
  tell(std::move(event));
  if (contacts_ && who.has_chat && !who.identity.empty()) {
    std::erase_if(*contacts_, [&](const auto& each) { return each.identity == who.identity; });
    contacts_->push_back({who.identity, who.name});
    steps_.push_back({.what = chat_step::kind::meet, .text = who.name, .identity = who.identity});
  }
  if (away_ && who.has_chat) {
    send_mark(heard.peer, {.what = chat_mark::kind::away, .note = *away_});
  }
}

void chat_desk::exit(const peer_event& heard) {
  auto event = about(kind::exit, heard.peer);
  event.reason = heard.reason;
  tell(std::move(event));
  people_.remove(heard.peer);
  talked_to_.erase(heard.peer);
  muted_.erase(heard.peer);
  std::erase_if(asked_, [&](const asked& each) { return each.whom == heard.peer; });
  std::erase_if(unread_, [&](const auto& each) { return each.first == heard.peer; });
}

void chat_desk::change_room(chat_person& who, const peer_event& heard, time_point now) {
  if (heard.group.starts_with(service_words)) {
    return;
  }
  const bool joins = heard.what == peer_event::kind::join;
  joins ? static_cast<void>(who.rooms.insert(heard.group))
        : static_cast<void>(who.rooms.erase(heard.group));
  if (!is_in(heard.group) || muted_.contains(heard.peer)) {
    return;
  }
  auto event = about(joins ? kind::join : kind::leave, heard.peer);
  event.room = heard.group;
  event.is_early = now < early_until_;
  tell(std::move(event));
}

void chat_desk::hear_shout(const peer_event& heard) {
  const std::string_view text = heard.content.front().view();
  if (text.empty() || !is_in(heard.group)) {
    return;
  }
  auto event = about(kind::line, heard.peer);
  event.room = heard.group;
  event.text = cut(text, longest_text);
  tell(std::move(event));
}

void chat_desk::hear_whisper(chat_person& who, const peer_event& heard) {
  const std::string_view text = heard.content.front().view();
  const auto mark = read_mark(heard.content);
  if (text.empty()) {
    if (mark && who.has_chat) {
      hear_mark(who, *mark);
    }
    return;
  }
  talked_to_.insert(heard.peer);
  auto event = about(kind::private_line, heard.peer);
  event.text = cut(text, longest_text);
  tell(std::move(event));
  if (!mark || mark->what != chat_mark::kind::ask || !who.has_chat) {
    return;
  }
  if (!away_) {
    return send_mark(heard.peer, {.what = chat_mark::kind::read, .id = mark->id});
  }
  unread_.emplace_back(heard.peer, mark->id);
  if (unread_.size() > most_receipts) {
    unread_.pop_front();
  }
}

// It waited for us, so it is no flood of the moment.
void chat_desk::hear_letter(const peer_event& heard) {
  auto event = about(kind::private_line, heard.peer);
  event.text = cut(heard.content.front().view(), longest_text);
  if (const auto mark = read_mark(heard.content); mark && mark->what == chat_mark::kind::written) {
    constexpr std::uint64_t most = 0xffff'ffff;  // later than that is no time
    event.written = static_cast<std::int64_t>(std::min(mark->id, most));
  }
  if (!event.text.empty()) {
    tell(std::move(event));
  }
  peer_event letter{.what = heard.what, .peer = heard.peer};
  letter.identity = heard.identity;
  letter.number = heard.number;
  if (!away_) {
    steps_.push_back({.what = chat_step::kind::read, .letter = std::move(letter)});
    return;
  }
  unread_letters_.push_back(std::move(letter));
  if (unread_letters_.size() > most_receipts) {
    unread_letters_.pop_front();
  }
}

void chat_desk::was_written(const std::string& identity, const std::string& text) {
  for (const chat_contact& each : *contacts_) {
    if (each.identity == identity) {
      tell({.what = kind::told,
            .name = each.name,
            .label = chat_people::plain_label(each.name),
            .text = text,
            .is_kept = true});
    }
  }
}

void chat_desk::has_receipt(const peer_event& receipt, const std::string& text) {
  auto event =
      about(receipt.what == peer_event::kind::read ? kind::read : kind::delivered, receipt.peer);
  event.is_near = true;
  event.text = text;
  tell(std::move(event));
}

void chat_desk::hear_file(const peer_event& heard) {
  auto event = about(kind::progress, heard.peer);
  event.name = heard.name;
  event.number = heard.number;
  event.file = heard.file;
  if (heard.what == peer_event::kind::file_offered) {
    if (muted_.contains(heard.peer)) {
      steps_.push_back({.what = chat_step::kind::decline, .number = heard.number});
      return;
    }
    files_.add(heard.number, {.peer = heard.peer, .label = event.label, .file = heard.file});
    event.what = kind::offered;
    tell(std::move(event));
    if (accepts_) {
      steps_.push_back(
          {.what = chat_step::kind::accept, .text = heard.file.name, .number = heard.number});
    }
    return;
  }
  chat_files::entry* const found = files_.find(heard.number);
  if (found == nullptr) {
    return;
  }
  event.label = found->label;  // of who may be gone
  event.is_near = true;
  if (heard.what == peer_event::kind::file_progress) {
    constexpr std::uint64_t quarter = 25;
    found->file = heard.file;
    found->is_open = false;
    event.count = percent(heard.file) / quarter;
    event.is_early = event.count <= found->told;  // between two quarters
    found->told = event.count;
  } else {
    event.what = heard.what == peer_event::kind::file_failed ? kind::file_failed
                 : heard.file.is_ours                        ? kind::sent
                                                             : kind::received;
    files_.remove(heard.number);
  }
  tell(std::move(event));
}

void chat_desk::hear_mark(chat_person& who, const chat_mark& mark) {
  switch (mark.what) {
    case chat_mark::kind::ask:
    case chat_mark::kind::written:
      return;
    case chat_mark::kind::read: {
      const auto found = std::ranges::find_if(
          asked_, [&](const asked& each) { return each.id == mark.id && each.whom == who.id; });
      if (found != asked_.end()) {
        auto event = about(kind::read, who.id);
        event.text = std::move(found->text);
        asked_.erase(found);
        tell(std::move(event));
      }
      return;
    }
    case chat_mark::kind::away: {
      const auto before = who.away;
      who.away.reset();
      if (!mark.note.empty()) {
        who.away = cut(mark.note, longest_note);
      }
      if (who.away != before) {
        auto event = about(who.away ? kind::away : kind::back, who.id);
        event.text = who.away.value_or("");
        tell(std::move(event));
      }
      return;
    }
  }
}

// parley::peers throws away what he says, and has told him if he understands it.
void chat_desk::hear_muted(const chat_person& who) {
  muted_.insert(who.id);
  tell(about(kind::muted, who.id));
  if (!who.is_parley) {
    constexpr auto seconds = std::chrono::duration_cast<std::chrono::seconds>(window).count();
    steps_.push_back({.what = chat_step::kind::whisper,
                      .peer = who.id,
                      .content = "(" + name_ + " does not hear you: that was more than " +
                                 std::to_string(most_messages) + " lines in " +
                                 std::to_string(seconds) + " s. Be quiet for as long.)"});
  }
}

void chat_desk::send_mark(const peer_id& to, const chat_mark& mark) {
  steps_.push_back({.what = chat_step::kind::whisper, .peer = to, .content = write_chat({}, mark)});
}

void chat_desk::send_away_to_all() {
  for (const auto& [id, who] : people_.all()) {
    if (who.has_chat) {
      send_mark(id, {.what = chat_mark::kind::away, .note = away_.value_or("")});
    }
  }
}

bool chat_desk::is_in(std::string_view room) const {
  return std::ranges::find(rooms_, room) != rooms_.end();
}

bool chat_desk::is_near(const chat_person& who) const {
  return talked_to_.contains(who.id) ||
         std::ranges::any_of(rooms_, [&](const auto& room) { return who.rooms.contains(room); });
}

std::vector<std::string> chat_desk::labels_in(const std::string& room) const {
  std::vector<std::string> all;
  for (const auto& [id, who] : people_.all()) {
    if (who.rooms.contains(room)) {
      if (all.size() == most_labels) {
        all.push_back("…");
        break;
      }
      all.push_back(people_.label(id));
    }
  }
  return all;
}

chat_event chat_desk::about(kind what, const peer_id& who) {
  chat_event event{.what = what, .peer = who, .label = people_.label(who)};
  if (const chat_person* const known = people_.find(who)) {
    event.name = known->name;
    event.is_near = is_near(*known);
  }
  return event;
}

chat_event chat_desk::own(kind what) const {
  return {.what = what,
          .peer = own_,
          .name = name_,
          .label = people_.label(own_),
          .is_own = true,
          .is_near = true};
}
