// SPDX-License-Identifier: MPL-2.0
#include "letter_carrier.hpp"

#include "call_ids.hpp"

#include <parley/error.hpp>

#include <algorithm>
#include <utility>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;

// How often a peer that takes nothing is tried.
constexpr auto late_interval = 100ms;

}  // namespace

letter_carrier::letter_carrier(const peers_options& options, peer_desk& desk, peer_lines& lines,
                               const identity_table& identities, event_queue& events)
    : desk_{desk},
      lines_{lines},
      identities_{identities},
      events_{events},
      journal_{options.journal.empty()
                   ? std::nullopt
                   : std::optional<letter_journal>{std::in_place, options.journal}},
      book_{journal_ ? journal_->session() : call_ids{}.next(), options.letters,
            options.letters_bytes} {
  if (journal_) {
    journal_->restore(book_);
  }
}

std::uint64_t letter_carrier::write(const std::string& to, message content, time_point now) {
  if (to.empty() || to.size() > longest_identity) {
    throw config_error{"an identity has 1 to 200 octets"};
  }
  const letter_book::letter* const written = book_.write(to, std::move(content));
  keep(to, written);
  const std::uint64_t number = written->mark.number;
  send(to, now);
  return number;
}

void letter_carrier::mark_read(const peer_event& letter, time_point now) {
  keep(letter.identity, book_.write_read(letter.identity, letter.number));
  send(letter.identity, now);
}

void letter_carrier::keep(const std::string& to, const letter_book::letter* written) {
  if (written == nullptr) {
    throw overloaded{"letters for " + to, 0ms};
  }
  if (journal_) {
    try {
      journal_->add(to, *written);
    } catch (...) {
      book_.take_back(to);
      throw;
    }
  }
}

bool letter_carrier::handed_out(const peer_event& event, time_point now) {
  if (event.what != peer_event::kind::letter && !book_.has_refused()) {
    return false;
  }
  if (event.what == peer_event::kind::letter) {
    take(event.peer, event.identity, {letter_mark::kind::letter, event.session, event.number, 0},
         now);
  }
  // There is room for others.
  if (const std::string* const known = identities_.of(event.peer)) {
    if (const auto again = book_.again(*known)) {
      answer(event.peer, *again, now);
    }
  }
  return true;
}

void letter_carrier::entered(const std::string& identity, time_point now) {
  book_.begin_anew(identity);
  send(identity, now);
}

void letter_carrier::send(const std::string& to, time_point now) {
  late_.erase(to);
  const auto who = identities_.who_is(to);
  if (!who) {
    return;
  }
  while (const letter_book::letter* const next = book_.next(to)) {
    const auto ear = lines_.ear_of(*who);
    if (ear != peer_lines::ear::open) {
      if (ear == peer_lines::ear::full) {
        late_.insert(to);
      }
      return;
    }
    message said = next->content;
    if (said.empty()) {
      said.push_back(frame{});
    }
    said.push_back(frame{write_letter_mark(next->mark)});
    book_.sent(to, now);
    lines_.whisper(*who, said, now);
  }
}

void letter_carrier::tick(time_point now) {
  for (const std::string& each : book_.tick(now)) {
    late_.insert(each);
  }
  for (const std::string& each : std::set{late_}) {
    send(each, now);
  }
}

letter_carrier::time_point letter_carrier::due(time_point now) const {
  return late_.empty() ? book_.due() : std::min(book_.due(), now + late_interval);
}

// If he takes nothing just now, he asks again by sending the letter again.
void letter_carrier::answer(const peer_id& to, const letter_mark& said, time_point now) {
  if (lines_.ear_of(to) == peer_lines::ear::open) {
    message content{frame{}};
    content.push_back(frame{write_letter_mark(said)});
    lines_.whisper(to, content, now);
  }
}

bool letter_carrier::hear(peer_event& came, time_point now) {
  const std::string* const known = identities_.of(came.peer);
  const auto mark = known == nullptr || came.content.size() < 2
                        ? std::nullopt
                        : read_letter_mark(came.content.back().view());
  if (!mark) {
    return false;
  }
  came.identity = *known;
  came.number = mark->number;
  if (mark->what == letter_mark::kind::received || mark->what == letter_mark::kind::again) {
    hear_answer(came, *mark, now);
  } else {
    hear_letter(came, *mark, now);
  }
  return true;
}

void letter_carrier::hear_answer(peer_event& came, const letter_mark& mark, time_point now) {
  const std::string by = came.identity;
  const auto delivered = book_.received(by, mark, now);
  if (journal_ && mark.session == book_.session()) {
    try {
      journal_->received(by, mark.number);
    } catch (const error&) {
      // He is sent it again when we start anew, and knows that he has it.
    }
  }
  if (!delivered.empty()) {
    came.what = peer_event::kind::delivered;
    came.number = delivered.back();
    came.content.clear();
    events_.push(std::move(came));
  }
  send(by, now);
}

void letter_carrier::hear_letter(peer_event& came, const letter_mark& mark, time_point now) {
  if (!book_.is_next(came.identity, mark)) {
    book_.refused(came.identity, mark);  // if it is behind one that was
    if (const auto answered = book_.known(came.identity, mark)) {
      answer(came.peer, *answered, now);
    }
    return;
  }
  const bool is_read = mark.what == letter_mark::kind::read;
  if (!is_read && !desk_.takes_letter(came.peer, came.content.bytes(), now)) {
    return;  // it is sent again
  }
  came.what = is_read ? peer_event::kind::read : peer_event::kind::letter;
  came.number = is_read ? mark.about : mark.number;
  came.session = mark.session;
  came.content.drop_back();
  const std::string from = came.identity;
  const peer_id peer = came.peer;
  if (is_read) {
    came.content.clear();
  }
  if (!events_.offer(std::move(came))) {
    book_.refused(from, mark);
    return;
  }
  book_.offered(from, mark);
  if (is_read) {
    take(peer, from, mark, now);
  }
}

void letter_carrier::take(const peer_id& peer, const std::string& from, const letter_mark& which,
                          time_point now) {
  const letter_mark answered = book_.taken(from, which);
  if (journal_) {
    try {
      journal_->taken(from, which);
    } catch (const error&) {
      // If we start anew before the next one it may come twice.
    }
  }
  answer(peer, answered, now);
}

}  // namespace parley::detail
