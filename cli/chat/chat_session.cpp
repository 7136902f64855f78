// SPDX-License-Identifier: MPL-2.0
#include "chat/chat_session.hpp"

#include "chat/file_completion.hpp"
#include "chat/visible_text.hpp"

#include <parley/error.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace {

using kind = chat_event::kind;
using clock = std::chrono::steady_clock;

constexpr std::size_t usual_lines = 20;  // of /history
constexpr std::size_t most_found = 100;
constexpr std::size_t lines_to_begin_with = 10;
constexpr std::size_t most_awaited = 1000;

parley::peers_options of_chat(parley::peers_options options) {
  options.headers.emplace(chat_header, chat_version);
  options.rate = {
      .messages = chat_desk::most_messages,
      .within = std::chrono::duration_cast<std::chrono::milliseconds>(chat_desk::window)};
  return options;
}

}  // namespace

chat_session::chat_session(parley::context& in, parley::peers_options options, chat_view view,
                           bool json, chat_downloads downloads)
    : peers_{in, of_chat(std::move(options))},
      desk_{peers_.id(), peers_.name(), clock::now(), downloads.accepts_all},
      view_{view},
      downloads_{std::move(downloads)},
      out_{json} {
  show_ = [this](const std::vector<std::string>& lines) {
    for (const std::string& each : lines) {
      out_.line(each);
    }
  };
}

void chat_session::keep_in(std::unique_ptr<chat_history> history, bool writes) {
  history_ = std::move(history);
  if (history_ && writes) {
    desk_.know(history_->contacts());
  }
}

void chat_session::look_back(const std::string& room) {
  if (!history_) {
    return;
  }
  try {
    show(history_->last(lines_to_begin_with, room));
  } catch (const parley::error& failure) {
    lose_history(failure);
  }
}

void chat_session::begin(const std::string& room) {
  first_room_ = room;
  desk_.begin(room, clock::now());
  carry_out();
}

chat_session::time_point chat_session::hear() {
  // In one go, so that a terminal is drawn once; but not without an end.
  bool is_news = false;
  for (int left = 100; left > 0; --left) {
    const auto heard = peers_.try_receive();
    if (!heard) {
      break;
    }
    desk_.hear(*heard, clock::now());
    is_news = true;
  }
  carry_out();
  return is_news ? clock::now() : time_point::max();
}

void chat_session::type(std::string_view line) {
  desk_.type(line, clock::now());
  carry_out();
}

void chat_session::tell(chat_event event) {
  desk_.tell(std::move(event));
  carry_out();
}

void chat_session::carry_out() {
  for (;;) {
    const auto events = desk_.take_events();
    auto steps = desk_.take_steps();
    if (events.empty() && steps.empty()) {
      if (std::string now = desk_.files().status(); show_status_ && now != status_) {
        status_ = std::move(now);
        show_status_(status_);
      }
      return;
    }
    show(events);
    for (chat_step& each : steps) {
      take(std::move(each));
    }
  }
}

void chat_session::show(const std::vector<chat_event>& events) {
  const std::int64_t now = chat_time();
  std::vector<std::string> lines;
  for (const chat_event& each : events) {
    if (each.what == kind::line || each.what == kind::private_line || each.what == kind::received) {
      ++lines_heard_;
    }
    if (each.what == kind::join && !each.is_own && each.room == first_room_ &&
        came_.size() < most_awaited) {
      came_.insert(each.peer);
    }
    if (out_.is_json()) {
      out_.line(to_json(each, now));
    } else if (each.what == kind::mistake && !view_.has_time) {
      say("parley: " + visible(each.text));
    } else if (std::string line = view_.line(each, now); !line.empty()) {
      lines.push_back(std::move(line));
    }
  }
  if (!lines.empty()) {
    show_(lines);
  }
  for (const chat_event& each : events) {
    keep(each);
  }
}

void chat_session::keep(const chat_event& event) {
  if (!history_) {
    return;
  }
  try {
    history_->add(event, chat_time());
  } catch (const parley::error& failure) {
    lose_history(failure);
  }
}

void chat_session::lose_history(const parley::error& why) {
  history_.reset();
  desk_.tell(
      {.what = kind::mistake, .text = std::string{"from now on nothing is kept: "} + why.what()});
}

void chat_session::take(chat_step&& step) {
  switch (step.what) {
    case chat_step::kind::join:
      return peers_.join(step.room);
    case chat_step::kind::leave:
      return peers_.leave(step.room);
    case chat_step::kind::shout:
      return desk_.was_said(step.room, step.text, peers_.shout(step.room, step.text));
    case chat_step::kind::whisper: {
      const bool is_there = peers_.whisper_message(step.peer, std::move(step.content));
      if (!step.text.empty()) {
        desk_.was_told(step.peer, step.text, is_there);
      }
      return;
    }
    case chat_step::kind::letter:
      return write_letter(step);
    case chat_step::kind::read:
      return peers_.mark_read(step.letter);
    case chat_step::kind::meet:
      return remember(step);
    case chat_step::kind::receipt:
      return tell_receipt(step.letter);
    case chat_step::kind::send:
      return send_file(step);
    case chat_step::kind::accept:
      return accept_file(step);
    case chat_step::kind::decline:
      static_cast<void>(peers_.cancel_file(step.number));
      return;
    case chat_step::kind::recall:
      return recall(step.text);
    case chat_step::kind::quit:
      is_over_ = true;
      return;
  }
}

void chat_session::write_letter(const chat_step& step) {
  constexpr std::int64_t second = 1'000'000;
  try {
    const auto number = peers_.send_letter_message(
        step.identity,
        write_chat(step.text, {.what = chat_mark::kind::written,
                               .id = static_cast<std::uint64_t>(chat_time() / second)}));
    desk_.was_written(step.identity, step.text);
    if (history_) {
      history_->wrote(step.identity, number, step.text);
    }
  } catch (const parley::error& failure) {
    desk_.tell(
        {.what = kind::mistake, .text = std::string{"not kept for them: "} + failure.what()});
  }
}

void chat_session::tell_receipt(const parley::peer_event& receipt) {
  if (!history_) {
    return;
  }
  try {
    if (receipt.what == parley::peer_event::kind::delivered) {
      for (const std::string& each : history_->delivered(receipt.identity, receipt.number)) {
        desk_.has_receipt(receipt, each);
      }
    } else if (const std::string text = history_->was_read(receipt.identity, receipt.number);
               !text.empty()) {
      desk_.has_receipt(receipt, text);
    }
  } catch (const parley::error& failure) {
    lose_history(failure);
  }
}

void chat_session::remember(const chat_step& met) {
  if (!history_) {
    return;
  }
  try {
    history_->remember({met.identity, met.text});
  } catch (const parley::error& failure) {
    lose_history(failure);
  }
}

void chat_session::send_file(const chat_step& step) {
  const std::filesystem::path path = at_home(step.text);
  try {
    const std::uint64_t number = peers_.send_file(step.peer, path);
    std::error_code gone;
    const auto size = std::filesystem::file_size(path, gone);
    desk_.was_offered(step.peer, number,
                      {.name = path.filename().string(), .size = gone ? 0 : size, .is_ours = true});
  } catch (const parley::error& failure) {
    desk_.tell({.what = kind::mistake, .text = failure.what()});
  }
}

void chat_session::accept_file(const chat_step& step) {
  try {
    std::error_code ignored;  // what is wrong is told below
    std::filesystem::create_directories(downloads_.directory, ignored);
    const std::filesystem::path to = free_path(step.text);
    if (peers_.accept_file(step.number, to)) {
      desk_.was_accepted(step.number, to);
    }
  } catch (const parley::error& failure) {
    desk_.tell({.what = kind::mistake, .text = failure.what()});
    if (downloads_.accepts_all) {
      static_cast<void>(peers_.cancel_file(step.number));  // nobody will accept it later
    }
  }
}

// What is there already, or on its way, stays: "cat 2.jpg" goes beside "cat.jpg".
std::filesystem::path chat_session::free_path(const std::string& name) const {
  const std::filesystem::path wanted = downloads_.directory / name;
  std::filesystem::path path = wanted;
  const auto is_taken = [&] {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored) ||
           std::ranges::any_of(desk_.files().all(), [&](const auto& each) {
             return !each.second.file.is_ours && each.second.file.path == path;
           });
  };
  for (int count = 2; is_taken(); ++count) {
    path = downloads_.directory /
           (wanted.stem().string() + ' ' + std::to_string(count) + wanted.extension().string());
  }
  return path;
}

void chat_session::recall(const std::string& what) {
  if (!history_) {
    return desk_.tell({.what = kind::mistake, .text = "nothing is kept here; see --history"});
  }
  std::size_t count = usual_lines;
  const auto* const end = what.data() + what.size();
  const bool is_count = what.empty() || std::from_chars(what.data(), end, count).ptr == end;
  try {
    auto found = is_count ? history_->last(std::min<std::size_t>(count, chat_history::most_lines))
                          : history_->find(what, most_found);
    if (found.empty()) {
      desk_.tell({.what = kind::notice,
                  .text = "nothing was said yet" + (is_count ? "" : " with " + what)});
    }
    for (chat_event& each : found) {
      desk_.tell(std::move(each));
    }
  } catch (const parley::error& failure) {
    lose_history(failure);
  }
}
