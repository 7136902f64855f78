// SPDX-License-Identifier: MPL-2.0
#include "file_desk.hpp"

#include "file_name.hpp"

#include <algorithm>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;
using kind = file_mark::kind;
using job = file_job::kind;
using event = peer_event::kind;

constexpr auto silence = 5s;           // then the other side is asked
constexpr auto told_interval = 200ms;  // progress
// Of all that is sent, read and not on the receiver's disk; each has its share.
constexpr std::uint64_t sent_bytes = std::uint64_t{64} << 20;
constexpr std::uint64_t least_share = std::uint64_t{64} << 10;
// Of those that receive, so many get all the room.
constexpr std::size_t most_with_room = 4;
constexpr std::uint32_t less_room = std::uint32_t{1} << 20;
// What is written is told at once when nothing more is to be written, and else each so many bytes.
constexpr std::uint64_t have_interval = std::uint64_t{2} << 20;
// A receiver that allows less would never get anywhere.
constexpr std::uint32_t least_room = std::uint32_t{16} << 10;
// Refusals to one peer that takes nothing.
constexpr std::size_t most_words = 1000;
// Of a piece that is not the last: many small ones would take more memory than they carry.
constexpr std::uint64_t least_piece = std::uint64_t{16} << 10;

}  // namespace

file_desk::transfer* file_desk::find(std::uint64_t number) {
  const auto found = all_.find(number);
  return found == all_.end() ? nullptr : &found->second;
}

file_desk::transfer* file_desk::find_theirs(const peer_id& peer, std::uint64_t wire_number) {
  const auto found = by_wire_.find({peer, wire_number});
  return found == by_wire_.end() ? nullptr : find(found->second);
}

file_desk::transfer* file_desk::find_ours(const peer_id& peer, std::uint64_t number) {
  transfer* const found = find(number);
  return found != nullptr && found->file.is_ours && found->with.peer == peer ? found : nullptr;
}

void file_desk::go(transfer& of, stage to) {
  if (of.file.is_ours) {
    sending_ += to == stage::moving ? 1 : 0;
    sending_ -= of.at == stage::moving ? 1 : 0;
  }
  of.at = to;
}

// What the program does.

std::uint64_t file_desk::send(const person& to, const peer_file& file, time_point now) {
  if (ours_ >= most_sent) {
    return 0;
  }
  const std::uint64_t number = ++last_number_;
  transfer& made = all_.emplace(number, transfer{to, file, number}).first->second;
  made.file.is_ours = true;
  made.heard = now;
  due_ = std::min(due_, now + silence);
  ++ours_;
  say(made, {.what = kind::offer, .offset = file.size, .name = file.name});
  return number;
}

std::uint64_t file_desk::send_to_nobody(const person& to, const peer_file& file, file_failure why) {
  const std::uint64_t number = ++last_number_;
  transfer never{to, file, number};
  never.file.is_ours = true;
  never.file.why = why;
  events_.push_back(event_of(number, never, event::file_failed));
  return number;
}

const peer_file* file_desk::offered(std::uint64_t number) const {
  const auto found = all_.find(number);
  return found != all_.end() && !found->second.file.is_ours && found->second.at == stage::offered
             ? &found->second.file
             : nullptr;
}

bool file_desk::has_room_for(const peer_file& offered) const noexcept {
  return received_ < most_received && offered.size <= files_bytes_ - received_bytes_;
}

void file_desk::accept(std::uint64_t number, const std::filesystem::path& to, std::uint64_t part,
                       time_point now) {
  transfer& of = *find(number);
  drop_offer(of.with.peer);
  go(of, stage::checking);
  of.file.path = to;
  of.file.from = part <= of.file.size ? part : 0;  // a longer one is another file's
  of.room = received_ < most_with_room ? room : less_room;
  of.heard = now;
  ++received_;
  received_bytes_ += of.file.size;
  jobs_.push_back({job::check, number, of.file.from});
}

bool file_desk::cancel(std::uint64_t number) {
  transfer* const of = find(number);
  if (of == nullptr || is_whole(*of)) {
    return false;
  }
  const bool is_declined = !of->file.is_ours && of->at == stage::offered;
  fail(number, *of, is_declined ? file_failure::declined : file_failure::cancelled, true);
  return true;
}

// What is said.

void file_desk::say(const transfer& of, file_mark&& mark, frame&& content) {
  mark.number = of.wire_number;
  words_[of.with.peer].push_back({std::move(mark), std::move(content)});
}

// To what is of no transfer, or of none any more.
void file_desk::answer(const peer_id& to, file_mark&& mark) {
  std::deque<word>& words = words_[to];
  if (words.size() < most_words) {
    words.push_back({std::move(mark), {}});
  }
}

void file_desk::say_accept(const transfer& of) {
  say(of, {.what = kind::accept, .offset = of.file.from, .room = of.room, .digest = of.digest});
}

// In place of one that the peer has not taken yet.
void file_desk::say_have(const transfer& of) {
  if (const auto words = words_.find(of.with.peer); words != words_.end()) {
    for (word& each : words->second) {
      if (each.mark.what == kind::have && each.mark.number == of.wire_number) {
        each.mark.offset = of.file.done;
        return;
      }
    }
  }
  say(of, {.what = kind::have, .offset = of.file.done});
}

const file_desk::word* file_desk::next(const peer_id& to) const {
  const auto words = words_.find(to);
  return words == words_.end() ? nullptr : &words->second.front();
}

void file_desk::said(const peer_id& to, time_point now) {
  const auto words = words_.find(to);
  const word& first = words->second.front();
  if (first.mark.what == kind::piece) {
    if (transfer* const of = find(first.mark.number)) {
      of->window.said(first.mark.offset + first.content.size(), now);
    }
  }
  words->second.pop_front();
  if (words->second.empty()) {
    words_.erase(words);
  }
}

std::vector<peer_id> file_desk::listeners() const {
  std::vector<peer_id> all;
  for (const auto& [to, words] : words_) {
    all.push_back(to);
  }
  return all;
}

file_desk::time_point file_desk::tick(time_point now) {
  if (now < due_) {
    return due_;
  }
  due_ = time_point::max();
  for (auto& [number, of] : all_) {
    if (now - of.heard >= silence) {
      of.heard = now;
      const bool has_words = words_.contains(of.with.peer);  // it takes nothing
      if (of.file.is_ours && of.at != stage::checking && !has_words) {
        say(of, {.what = kind::ask});
      } else if (of.at == stage::accepted && !has_words) {
        say_accept(of);
      } else if (!of.file.is_ours && of.at == stage::moving && !has_words) {
        say_have(of);
      }
    }
    due_ = std::min(due_, of.heard + silence);
  }
  return due_;
}

// What is heard.

std::optional<peer_event> file_desk::heard(const person& from, file_mark&& mark, frame&& content,
                                           time_point now) {
  if (mark.what == kind::offer) {
    return hear_offer(from, std::move(mark), now);
  }
  const bool is_ours = mark.is_of_receiver();
  transfer* const of =
      is_ours ? find_ours(from.peer, mark.number) : find_theirs(from.peer, mark.number);
  if (of == nullptr) {
    const bool is_end =
        mark.what == kind::withdraw || mark.what == kind::refuse || mark.what == kind::done;
    if (!is_end) {
      answer(from.peer, {.what = is_ours ? kind::withdraw : kind::refuse,
                         .number = mark.number,
                         .why = file_failure::peer_gone});
    }
    return std::nullopt;
  }
  of->heard = now;
  if (is_ours) {
    hear_receiver(mark.number, *of, mark, now);
  } else {
    hear_sender(by_wire_.at({from.peer, mark.number}), *of, mark, std::move(content));
  }
  return std::nullopt;
}

std::optional<peer_event> file_desk::hear_offer(const person& from, file_mark&& mark,
                                                time_point now) {
  if (find_theirs(from.peer, mark.number) != nullptr) {
    return std::nullopt;  // said twice
  }
  const auto offers = offers_.find(from.peer);
  const bool is_busy = offers != offers_.end() && offers->second >= most_offers_of_peer;
  if (is_busy || mark.offset > files_bytes_ - received_bytes_) {
    answer(from.peer, {.what = kind::refuse,
                       .number = mark.number,
                       .why = is_busy ? file_failure::busy : file_failure::too_large});
    return std::nullopt;
  }
  const std::uint64_t number = ++last_number_;
  transfer& made = all_.emplace(number, transfer{from, {}, mark.number}).first->second;
  made.file.name = harmless_file_name(mark.name);
  made.file.size = mark.offset;
  made.heard = now;
  due_ = std::min(due_, now + silence);
  by_wire_.emplace(std::pair{from.peer, mark.number}, number);
  ++offers_[from.peer];
  return event_of(number, made, event::file_offered);
}

void file_desk::refuse(std::uint64_t number) {
  const transfer& of = *find(number);
  answer(of.with.peer, {.what = kind::refuse, .number = of.wire_number, .why = file_failure::busy});
  forget(number, of);
}

void file_desk::hear_sender(std::uint64_t number, transfer& of, const file_mark& mark,
                            frame&& content) {
  switch (mark.what) {
    case kind::begin:
      hear_begin(number, of, mark.offset);
      break;
    case kind::piece:
      hear_piece(number, of, mark.offset, std::move(content));
      break;
    case kind::end:
      hear_end(number, of, mark);
      break;
    case kind::ask:
      if (words_.contains(of.with.peer)) {
        break;  // it has yet to take what was said
      }
      if (of.at == stage::accepted) {
        say_accept(of);
      } else if (of.at == stage::moving) {
        say_have(of);
      }
      break;
    default:
      if (!is_whole(of)) {
        fail(number, of, mark.why, false);
      }
      break;
  }
}

void file_desk::hear_begin(std::uint64_t number, transfer& of, std::uint64_t offset) {
  if (of.at != stage::accepted || (offset != 0 && offset != of.file.from)) {
    fail(number, of, file_failure::nonsense, true);
    return;
  }
  of.file.from = offset;
  of.file.done = offset;
  of.reached = offset;
  of.answered = offset;
  go(of, stage::moving);
  jobs_.push_back({job::begin, number, offset});
}

void file_desk::hear_piece(std::uint64_t number, transfer& of, std::uint64_t offset,
                           frame&& content) {
  const std::uint64_t size = content.size();
  if (of.at != stage::moving || offset != of.reached || size == 0 || size > of.file.size - offset ||
      (size < least_piece && offset + size < of.file.size) ||
      offset - of.answered + size > of.room) {
    fail(number, of, file_failure::nonsense, true);
    return;
  }
  of.reached += size;
  jobs_.push_back({.what = job::write, .number = number, .content = std::move(content)});
}

void file_desk::hear_end(std::uint64_t number, transfer& of, const file_mark& mark) {
  if (of.at != stage::moving || of.reached != of.file.size || mark.offset != of.file.size) {
    fail(number, of, file_failure::nonsense, true);
    return;
  }
  go(of, stage::ending);
  jobs_.push_back({.what = job::finish, .number = number, .digest = mark.digest});
}

void file_desk::hear_receiver(std::uint64_t number, transfer& of, const file_mark& mark,
                              time_point now) {
  switch (mark.what) {
    case kind::accept:
      if (of.at == stage::offered) {  // else it asks again
        hear_accept(number, of, mark);
      }
      break;
    case kind::have:
      hear_have(number, of, mark.offset, now);
      break;
    case kind::done:
      if (of.at != stage::ending) {
        fail(number, of, file_failure::nonsense, true);
        return;
      }
      of.file.done = of.file.size;
      finish(number, of);
      break;
    default:
      fail(number, of, mark.why, false);
      break;
  }
}

void file_desk::hear_accept(std::uint64_t number, transfer& of, const file_mark& mark) {
  if (mark.offset > of.file.size || mark.room < least_room) {
    fail(number, of, file_failure::nonsense, true);
    return;
  }
  of.room = mark.room;
  if (mark.offset == 0) {
    begin(number, of, 0);
    return;
  }
  of.digest = mark.digest;
  go(of, stage::checking);
  jobs_.push_back({job::check, number, mark.offset});
}

void file_desk::hear_have(std::uint64_t number, transfer& of, std::uint64_t offset,
                          time_point now) {
  const bool is_moving = of.at == stage::moving || of.at == stage::ending;
  if (!is_moving || offset > of.reached || offset < of.file.done) {
    fail(number, of, file_failure::nonsense, true);
    return;
  }
  of.file.done = offset;
  of.window.had(offset, now);
  tell_progress(number, of, now);
  read_more(number, of);
}

void file_desk::gone(const peer_id& who) {
  words_.erase(who);
  std::vector<std::uint64_t> lost;
  for (auto& [number, of] : all_) {
    if (of.with.peer == who) {
      of.is_alone = true;
      if (!is_whole(of)) {
        lost.push_back(number);
      }
    }
  }
  for (const std::uint64_t number : lost) {
    fail(number, *find(number), file_failure::peer_gone, false);
  }
}

// What is sent.

void file_desk::begin(std::uint64_t number, transfer& of, std::uint64_t offset) {
  of.file.from = offset;
  of.file.done = offset;
  of.reached = offset;
  go(of, stage::moving);
  say(of, {.what = kind::begin, .offset = offset});
  if (offset == of.file.size) {
    jobs_.push_back({job::read, number, offset, 0});  // its digest is missing
  } else {
    read_more(number, of);
  }
}

void file_desk::read_more(std::uint64_t number, transfer& of) {
  const std::uint64_t share =
      std::max(least_share, sent_bytes / std::max<std::size_t>(sending_, 1));
  const std::uint64_t most = std::min({of.window.size(), std::uint64_t{of.room}, share});
  while (of.reached < of.file.size) {
    const std::uint64_t size =
        std::min({of.window.piece(), of.file.size - of.reached, std::uint64_t{of.room}});
    const std::uint64_t under_way = of.reached - of.file.done;
    if (under_way > 0 && under_way + size > most) {
      return;
    }
    jobs_.push_back({job::read, number, of.reached, size});
    of.reached += size;
  }
}

void file_desk::was_read(transfer& of, file_result&& what) {
  const std::uint64_t end = what.offset + what.content.size();
  if (!what.content.empty()) {
    say(of, {.what = kind::piece, .offset = what.offset}, std::move(what.content));
  }
  if (end == of.file.size) {
    go(of, stage::ending);
    say(of, {.what = kind::end, .offset = end, .digest = what.digest});
  }
}

// What became of the jobs.

void file_desk::done(file_result&& what, time_point now) {
  transfer* const of = find(what.number);
  if (of == nullptr) {
    return;  // it ended meanwhile
  }
  const std::uint64_t number = what.number;
  if (what.why != file_failure::none) {
    fail(number, *of, what.why, true);
    return;
  }
  switch (what.what) {
    case job::check:
      if (of->file.is_ours) {
        begin(number, *of, what.digest == of->digest ? what.offset : 0);
      } else {
        of->digest = what.digest;
        go(*of, stage::accepted);
        of->heard = now;
        say_accept(*of);
      }
      break;
    case job::read:
      was_read(*of, std::move(what));
      break;
    case job::write:
      was_written(number, *of, what.offset, now);
      break;
    case job::finish:
      of->file.done = of->file.size;
      if (!of->is_alone) {
        say(*of, {.what = kind::done});
      }
      finish(number, *of);
      break;
    default:
      break;
  }
}

void file_desk::was_written(std::uint64_t number, transfer& of, std::uint64_t offset,
                            time_point now) {
  of.file.done = offset;
  if (!of.is_alone && (offset == of.reached || offset - of.answered >= have_interval)) {
    of.answered = offset;
    say_have(of);
  }
  tell_progress(number, of, now);
}

// What the program is told.

peer_event file_desk::event_of(std::uint64_t number, const transfer& of, peer_event::kind what) {
  peer_event told{.what = what, .peer = of.with.peer, .name = of.with.name};
  told.identity = of.with.identity;
  told.number = number;
  told.file = of.file;
  return told;
}

void file_desk::tell_progress(std::uint64_t number, transfer& of, time_point now) {
  if (now - of.told >= told_interval) {
    of.told = now;
    events_.push_back(event_of(number, of, event::file_progress));
  }
}

void file_desk::refresh(peer_event& progress) const {
  if (const auto found = all_.find(progress.number); found != all_.end()) {
    progress.file.done = found->second.file.done;
  }
}

void file_desk::finish(std::uint64_t number, transfer& of) {
  events_.push_back(event_of(number, of, event::file_done));
  forget(number, of);
}

void file_desk::fail(std::uint64_t number, transfer& of, file_failure why, bool tells_peer) {
  if (const auto words = words_.find(of.with.peer); words != words_.end()) {
    std::erase_if(words->second, [&](const word& each) {
      return each.mark.number == of.wire_number && each.mark.is_of_receiver() != of.file.is_ours;
    });
    if (words->second.empty()) {
      words_.erase(words);
    }
  }
  if (tells_peer && !of.is_alone) {
    answer(of.with.peer, {.what = of.file.is_ours ? kind::withdraw : kind::refuse,
                          .number = of.wire_number,
                          .why = why});
  }
  of.file.why = why;
  events_.push_back(event_of(number, of, event::file_failed));
  forget(number, of);
}

void file_desk::drop_offer(const peer_id& from) {
  if (const auto offers = offers_.find(from); --offers->second == 0) {
    offers_.erase(offers);
  }
}

void file_desk::forget(std::uint64_t number, const transfer& of) {
  if (of.file.is_ours) {
    --ours_;
    sending_ -= of.at == stage::moving ? 1 : 0;
  } else {
    by_wire_.erase({of.with.peer, of.wire_number});
    if (of.at != stage::offered) {
      --received_;
      received_bytes_ -= of.file.size;
    } else {
      drop_offer(of.with.peer);
    }
  }
  if (of.file.is_ours || of.at != stage::offered) {
    jobs_.push_back({job::close, number});
  }
  all_.erase(number);
}

}  // namespace parley::detail
