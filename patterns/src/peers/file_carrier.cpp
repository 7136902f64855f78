// SPDX-License-Identifier: MPL-2.0
#include "file_carrier.hpp"

#include <parley/error.hpp>

#include <utility>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;

// How often a peer that takes nothing is tried: what is to be said may be much.
constexpr auto late_interval = 5ms;

}  // namespace

std::uint64_t file_carrier::send(const peer_id& to, sent_file&& opened, time_point now) {
  const auto here = desk_.status(to);
  const std::string* const known = identities_.of(to);
  if (!here || known == nullptr) {
    return files_.send_to_nobody({to}, opened.about(),
                                 here ? file_failure::unsupported : file_failure::peer_gone);
  }
  const std::uint64_t number = files_.send({to, here->name, *known}, opened.about(), now);
  if (number == 0) {
    throw overloaded{"files to be sent", 0ms};
  }
  porter_.add(number, std::move(opened));
  return number;
}

const peer_file* file_carrier::offered(std::uint64_t number) const {
  const peer_file* const found = files_.offered(number);
  if (found != nullptr && !files_.has_room_for(*found)) {
    throw overloaded{"files to be received", 0ms};
  }
  return found;
}

void file_carrier::accept(std::uint64_t number, const std::filesystem::path& to,
                          received_file&& opened, time_point now) {
  files_.accept(number, to, opened.part_size(), now);
  porter_.add(number, std::move(opened));
}

bool file_carrier::hear(peer_event& came, time_point now) {
  const std::string* const known = identities_.of(came.peer);
  auto mark = known == nullptr || came.content.size() > 2
                  ? std::nullopt
                  : read_file_mark(came.content.back().view());
  if (!mark || (came.content.size() == 2) != (mark->what == file_mark::kind::piece)) {
    return false;
  }
  frame content = mark->what == file_mark::kind::piece ? std::move(came.content[0]) : frame{};
  if (auto told =
          files_.heard({came.peer, came.name, *known}, std::move(*mark), std::move(content), now)) {
    const std::uint64_t number = told->number;
    if (!events_.offer(std::move(*told))) {
      files_.refuse(number);
    }
  }
  return true;
}

void file_carrier::gone(const peer_id& who) {
  files_.gone(who);
  static_cast<void>(tell_all());
}

bool file_carrier::serve(time_point now) {
  for (file_job& each : files_.take_jobs()) {
    porter_.push(std::move(each));
  }
  is_late_ = false;
  for (const peer_id& each : files_.listeners()) {
    say(each, now);
  }
  return tell_all();
}

file_carrier::time_point file_carrier::due(time_point now) const {
  return is_late_ ? now + late_interval : time_point::max();
}

void file_carrier::say(const peer_id& to, time_point now) {
  while (const file_desk::word* const next = files_.next(to)) {
    const auto ear = lines_.ear_of(to);
    if (ear != peer_lines::ear::open) {
      is_late_ = is_late_ || ear == peer_lines::ear::full;
      return;
    }
    message said;
    if (next->mark.what == file_mark::kind::piece) {
      said.push_back(next->content);
    }
    said.push_back(frame{write_file_mark(next->mark)});
    files_.said(to, now);
    lines_.whisper(to, said, now);
  }
}

bool file_carrier::tell_all() {
  auto news = files_.take_events();
  for (peer_event& each : news) {
    tell(std::move(each));
  }
  return !news.empty();
}

// How it ended is told even if the program takes nothing, as many times as it was told of an offer
// or began to send; how far it is, once in what it has not taken.
void file_carrier::tell(peer_event&& event) {
  const bool is_end = event.what != peer_event::kind::file_progress;
  if (!is_end && !progress_told_.insert(event.number).second) {
    return;
  }
  const std::uint64_t number = event.number;
  if ((is_end && !ends_.empty()) || !events_.offer(std::move(event))) {
    if (is_end) {
      ends_.push_back(std::move(event));
    } else {
      progress_told_.erase(number);
    }
  }
}

void file_carrier::handed_out(peer_event& event) {
  if (event.what == peer_event::kind::file_progress) {
    progress_told_.erase(event.number);
    files_.refresh(event);
  }
  while (!ends_.empty() && events_.offer(std::move(ends_.front()))) {
    ends_.pop_front();
  }
}

}  // namespace parley::detail
