// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_view.hpp"

#include "chat/chat_files.hpp"
#include "chat/visible_text.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <ctime>

namespace {

using kind = chat_event::kind;
using parley::peer_exit;

constexpr std::size_t longest_line = 4000;  // columns of text
constexpr std::size_t longest_room = 32;    // columns

constexpr std::string_view plain = "\x1b[0m";
constexpr std::string_view dim = "\x1b[2m";
constexpr std::string_view red = "\x1b[31m";
constexpr std::string_view magenta = "\x1b[35m";
// Of people: all but red, which is for mistakes, and what is hard to read on white or black.
constexpr std::array names{"\x1b[1;32m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[1;35m", "\x1b[1;36m",
                           "\x1b[32m",   "\x1b[33m",   "\x1b[34m",   "\x1b[35m",   "\x1b[36m"};

std::string time_text(std::int64_t at, const char* format, bool is_utc) {
  const std::time_t seconds = at / 1'000'000;
  std::tm parts{};
  is_utc ? ::gmtime_r(&seconds, &parts) : ::localtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& each : words) {
    all += (all.empty() ? "" : ", ") + visible(each, longest_room);
  }
  return all;
}

std::string_view why_gone(peer_exit reason) {
  switch (reason) {
    case peer_exit::left:
      return " left";
    case peer_exit::timed_out:
      return " is gone: nothing was heard for long";
    case peer_exit::link_lost:
      return " is gone: the connection was lost";
    case peer_exit::restarted:
      return " begins anew";
    case peer_exit::out_of_step:
      return " was misheard, and is greeted anew";
    case peer_exit::unreachable:
      return " is gone: cannot be reached from here";
    case peer_exit::closed:
      return " is gone";
  }
  return " is gone";
}

std::string lines(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " line" : " lines");
}

class painter {
 public:
  painter(const chat_event& event, bool has_colours) : event_{event}, has_colours_{has_colours} {}

  [[nodiscard]] std::string in(std::string_view colour, std::string_view text) const {
    return has_colours_ ? std::string{colour} + std::string{text} + std::string{plain}
                        : std::string{text};
  }
  [[nodiscard]] std::string label() const {
    const auto& bytes = event_.peer.bytes();
    return in(names[(bytes[0] ^ bytes[5] ^ bytes[15]) % names.size()], event_.label);
  }
  [[nodiscard]] std::string text() const { return visible(event_.text, longest_line); }
  [[nodiscard]] std::string file() const { return visible(event_.file.name, longest_line); }
  [[nodiscard]] std::string room() const { return visible(event_.room, longest_room); }

  // What was said, by whom and to whom.
  [[nodiscard]] std::string said(kind what) const {
    switch (what) {
      case kind::line:
      case kind::said:
        return in(dim, "[" + room() + "]") + ' ' + label() + ": " + text() +
               (what == kind::said && event_.what == kind::said && event_.count == 0
                    ? in(dim, "  (nobody else is in " + room() + ")")
                    : "");
      case kind::private_line:
        return label() +
               in(magenta, ", to you alone" +
                               (event_.written == 0 ? ""
                                                    : ", " + time_text(event_.written * 1'000'000,
                                                                       "%Y-%m-%d %H:%M", false)) +
                               ": ") +
               text();
      default:
        return in(magenta, "to ") + label() + in(magenta, " alone: ") + text() +
               in(dim, event_.is_kept ? "  (kept until they come)" : "") +
               (event_.away ? in(dim, "  (away: " + visible(*event_.away, longest_line) + ")")
                            : "");
    }
  }

  [[nodiscard]] std::string of_others() const {
    switch (event_.what) {
      case kind::exit:
        return event_.label + std::string{why_gone(event_.reason)};
      case kind::join:
        return event_.label + (event_.is_early ? " is in " : " entered ") + room();
      case kind::leave:
        return event_.label + " left " + room();
      case kind::away:
        return event_.label + " is away: " + text();
      case kind::back:
        return event_.label + " is back";
      case kind::evasive:
        return event_.label + " does not answer";
      case kind::returned:
        return event_.label + " answers again";
      case kind::read:
        return event_.label + " has read: " + visible(event_.text, 60);
      case kind::delivered:
        return event_.label + " has received: " + visible(event_.text, 60);
      default:
        return {};
    }
  }
  [[nodiscard]] std::string of_ourselves() const {
    switch (event_.what) {
      case kind::started:
        return "you are " + event_.label + ", in " + joined(event_.others) +
               "; /help tells what you can type";
      case kind::join:
        return "you entered " + room() +
               (event_.others.empty() ? "; nobody else is there"
                                      : "; here: " + joined(event_.others));
      case kind::leave:
        return "you left " + room();
      case kind::away:
        return "you are away: " + text();
      case kind::back:
        return "you are back";
      default:
        return {};
    }
  }

  [[nodiscard]] std::string line() const {
    switch (event_.what) {
      case kind::line:
      case kind::private_line:
      case kind::said:
      case kind::told:
        return said(event_.what);
      case kind::past:
        return in(dim, time_text(event_.at, "%Y-%m-%d %H:%M ", false)) + said(event_.was);
      case kind::muted:
        return in(red, event_.label + " says too much, and is muted until quiet for 10 s");
      case kind::unmuted:
        return in(dim,
                  event_.label + " is heard again; " + lines(event_.count) + " did not reach you");
      case kind::muted_by:
        return in(red, event_.label + " does not hear you: you said too much. Be quiet for " +
                           std::to_string(event_.count) + " s");
      case kind::lost:
        return in(red, lines(event_.count) + " of " + event_.label + " were lost");
      case kind::person:
        return label() + (event_.is_own ? " (you)" : "") +
               (event_.others.empty() ? "" : " in " + joined(event_.others)) +
               in(dim, event_.address.empty() ? "" : "  " + visible(event_.address)) +
               (event_.away ? "  away: " + visible(*event_.away, longest_line) : "");
      case kind::room:
        return room() + ": " + std::to_string(event_.count) + (event_.is_own ? ", with you" : "");
      case kind::offering:
        return file() + ", " + size_text(event_.file.size) + ", is offered to " + label();
      case kind::offered:
        return label() + " offers " + file() + ", " + size_text(event_.file.size) + "; /accept " +
               std::to_string(event_.number) + " takes it";
      case kind::progress:
        return in(dim, file() + (event_.file.is_ours ? " to " : " from ") + event_.label + ": " +
                           std::to_string(percent(event_.file)) + " %");
      case kind::sent:
        return label() + " has " + file();
      case kind::received:
        return file() + " of " + label() + " is here: " + visible(event_.file.path.string());
      case kind::file_failed:
        return in(red, file() + (event_.file.is_ours ? " to " : " from ") + event_.label +
                           " did not arrive: " + std::string{to_string(event_.file.why)});
      case kind::mistake:
        return in(red, text());
      case kind::notice:
      case kind::help:
        return text();
      default: {
        const std::string sentence = event_.is_own ? of_ourselves() : of_others();
        return sentence.empty() ? sentence : in(dim, sentence);
      }
    }
  }

 private:
  const chat_event& event_;
  bool has_colours_;
};

std::string_view json_word(kind what) {
  constexpr std::array<std::string_view, 31> words{
      "started",  "enter",    "exit",    "join",      "leave",    "line",   "private",
      "said",     "told",     "read",    "delivered", "away",     "back",   "evasive",
      "returned", "muted",    "unmuted", "muted_by",  "lost",     "person", "room",
      "past",     "offering", "offered", "progress",  "received", "sent",   "file_failed",
      "mistake",  "notice",   "help"};
  static_assert(words.size() == static_cast<std::size_t>(kind::help) + 1);
  return words[static_cast<std::size_t>(what)];
}

void put_said(json_object& object, const chat_event& event, kind what) {
  if (what == kind::line || what == kind::said) {
    put(object, "room", event.room);
  }
  put(object, "text", event.text);
}

void put_file(json_object& object, const chat_event& event) {
  object["number"] = event.number;
  put(object, "file", event.file.name);
  object["size"] = event.file.size;
  if (event.what == kind::progress) {
    object["done"] = event.file.done;
  } else if (event.what == kind::received || event.what == kind::sent) {
    put(object, "path", event.file.path.string());
    object["from"] = event.file.from;
  } else if (event.what == kind::file_failed) {
    object["reason"] = to_string(event.file.why);
  }
}

std::string utc(std::int64_t at) {
  std::array<char, 16> micros{};
  std::snprintf(micros.data(), micros.size(), ".%06dZ", static_cast<int>(at % 1'000'000));
  return time_text(at, "%Y-%m-%dT%H:%M:%S", true) + micros.data();
}

}  // namespace

std::int64_t chat_time() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string chat_view::line(const chat_event& event, std::int64_t now) const {
  const bool is_said = event.what == kind::said || event.what == kind::told;
  const bool is_far =
      !event.is_near && !event.is_own &&
      (event.what == kind::exit || event.what == kind::away || event.what == kind::back ||
       event.what == kind::evasive || event.what == kind::returned);
  const bool is_in_between =
      event.what == kind::progress && !event.is_own && (event.is_early || has_status);
  if (event.what == kind::enter || is_far || is_in_between || (is_said && !shows_own)) {
    return {};
  }
  const painter paint{event, has_colours};
  const bool is_answer = event.what == kind::past || event.what == kind::help ||
                         event.what == kind::person || event.what == kind::room;
  return (has_time && !is_answer ? paint.in(dim, time_text(now, "%H:%M ", false)) : "") +
         paint.line();
}

std::string chat_view::prompt(std::string_view room) const {
  return (room.empty() ? "(no room)" : visible(room, longest_room)) + "> ";
}

json_object to_json(const chat_event& event, std::int64_t now) {
  json_object object{{"event", json_word(event.what)},
                     {"at", utc(event.what == kind::past ? event.at : now)}};
  if (event.what == kind::past) {
    object["was"] = json_word(event.was);
  }
  if (event.peer != parley::peer_id{}) {
    object["peer"] = event.peer.str();
    put(object, "name", event.name);
  }
  switch (event.what) {
    case kind::enter:
      put(object, "address", event.address);
      break;
    case kind::exit:
      object["reason"] = parley::to_string(event.reason);
      break;
    case kind::join:
    case kind::leave:
      put(object, "room", event.room);
      break;
    case kind::line:
    case kind::private_line:
    case kind::told:
      put_said(object, event, event.what);
      if (event.is_kept) {
        object["kept"] = true;
      }
      if (event.written != 0) {
        object["written"] = utc(event.written * 1'000'000);
      }
      break;
    case kind::said:
      put_said(object, event, event.what);
      object["to"] = event.count;
      break;
    case kind::past:
      put_said(object, event, event.was);
      break;
    case kind::unmuted:
    case kind::lost:
      object["count"] = event.count;
      break;
    case kind::person:
      put(object, "address", event.address);
      object["rooms"] = json_object::array();
      for (const std::string& room : event.others) {
        object["rooms"].push_back(visible(room));
      }
      if (event.away) {
        put(object, "away", *event.away);
      }
      break;
    case kind::room:
      put(object, "room", event.room);
      object["count"] = event.count;
      object["joined"] = event.is_own;
      break;
    case kind::offering:
    case kind::offered:
    case kind::progress:
    case kind::received:
    case kind::sent:
    case kind::file_failed:
      put_file(object, event);
      break;
    case kind::read:
    case kind::delivered:
    case kind::away:
    case kind::mistake:
    case kind::notice:
    case kind::help:
      put(object, "text", event.text);
      break;
    default:
      break;
  }
  return object;
}
