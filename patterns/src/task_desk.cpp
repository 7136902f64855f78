// SPDX-License-Identifier: MPL-2.0
#include "task_desk.hpp"

#include <algorithm>
#include <cassert>
#include <new>

namespace parley::detail {
namespace {

// A message ends when it has as many bytes.
constexpr std::size_t most_batched = 32 << 10;

using clock = std::chrono::steady_clock;

// Whoever says longer means for ever, and must not overflow.
clock::time_point after(clock::time_point from, std::chrono::milliseconds time) noexcept {
  constexpr std::chrono::hours for_ever{24 * 365 * 100};
  return time >= for_ever ? clock::time_point::max() : from + time;
}

std::chrono::milliseconds retry_delay(const source_options& options, std::uint32_t failures) {
  std::chrono::milliseconds delay = options.retry_delay;
  for (; failures > 1 && delay.count() > 0 && delay < options.retry_delay_max; --failures) {
    delay = delay > options.retry_delay_max / 2 ? options.retry_delay_max : 2 * delay;
  }
  return std::min(delay, options.retry_delay_max);
}

// Microseconds; 0: none.
std::uint64_t time_left(const task_record& record, clock::time_point now) noexcept {
  if (record.more == nullptr || record.more->deadline == clock::time_point::max()) {
    return 0;
  }
  const auto left =
      std::chrono::duration_cast<std::chrono::microseconds>(record.more->deadline - now).count();
  return static_cast<std::uint64_t>(std::max<std::chrono::microseconds::rep>(1, left));
}

// Deals are counted round and round.
bool is_after(std::uint32_t left, std::uint32_t right) noexcept {
  return left != right && left - right <= UINT32_MAX / 2;
}

}  // namespace

task_desk::task_desk(const source_options& options, std::uint64_t id, std::uint32_t first_deal)
    : options_{options},
      id_{id},
      has_journal_{!options.journal.empty()},
      between_looks_{
          std::max<clock::duration>(std::chrono::milliseconds{1},
                                    std::min(options.heartbeat, options.heartbeat_timeout / 3))},
      queue_{tasks_, options.when_full == full_policy::drop_oldest},
      deals_{first_deal} {}

// Tasks.

void task_desk::add(task_draft&& draft, time_point now) {
  if (draft.pack && draft.pack->count == 1) {
    draft.body = frame{draft.pack->bytes.view().substr(wire::body_head)};
    draft.pack = {};
  }
  const task_slot which = tasks_.take();
  try {
    enter(which, draft, now);
  } catch (...) {
    tasks_.give(which);
    throw;
  }
  const task_record& record = tasks_[which];
  counts_.accepted += record.count();
  held_ += record.count();
  held_bytes_ += record.bodies.size();
  may_deal_ = true;
  if (options_.when_full == full_policy::drop_oldest) {
    try {
      drop_oldest(now);
    } catch (const std::bad_alloc&) {
      // When the next one is added.
    }
  }
}

void task_desk::enter(task_slot which, task_draft& draft, time_point now) {
  task_record& record = tasks_[which];
  if (draft.options != nullptr || draft.when_ended) {
    record.more = std::make_unique<task_extras>();
    task_extras& more = *record.more;
    more.when_ended = std::move(draft.when_ended);
    if (draft.options != nullptr) {
      more.options = std::move(*draft.options);
      record.priority = static_cast<std::uint8_t>(
          std::clamp(more.options.priority, 0, static_cast<int>(task_priorities) - 1));
      if (more.options.delay.count() > 0) {
        more.not_before = after(draft.pushed, more.options.delay);
      }
      if (more.options.deadline.count() > 0) {
        more.deadline = after(draft.pushed, more.options.deadline);
      }
    }
  }
  record.number = draft.number;
  record.attempts = draft.attempts;
  record.bodies =
      draft.pack ? task_bodies{std::move(draft.pack)} : task_bodies{std::move(draft.body)};
  try {
    queue_.add(which, now);
  } catch (...) {
    record.bodies.give_back(draft.body, draft.pack);
    if (record.more != nullptr) {
      draft.when_ended = std::move(record.more->when_ended);
      if (draft.options != nullptr) {
        *draft.options = std::move(record.more->options);
      }
    }
    throw;
  }
}

void task_desk::drop_oldest(time_point now) {
  while (held_ > 1 && (held_ > options_.limit || held_bytes_ > options_.limit_bytes)) {
    task_slot oldest = queue_.oldest();
    if (oldest == no_slot) {
      return;
    }
    // What may fail comes first.
    if (news_.size() == news_.capacity()) {
      news_.reserve(2 * news_.size() + 8);
    }
    if (tasks_[oldest].count() > 1) {
      oldest = queue_.take(oldest, 1);
    } else {
      queue_.make_room_to_forget(oldest);
      queue_.remove(oldest);
    }
    ++counts_.dropped;
    end(oldest, task_end::dropped, {}, now);
  }
}

void task_desk::add_dead(dead_letter&& letter) {
  ++counts_.accepted;
  ++counts_.failed;
  keep_dead(std::move(letter));
}

void task_desk::keep_dead(dead_letter&& letter) {
  dead_.push_back(std::move(letter));
  if (dead_.size() > options_.dead_letters) {
    --counts_.failed;
    ++counts_.dropped;
    if (has_journal_) {
      task_news& said = news_.emplace_back();
      said.number = dead_.front().id.number;
      said.attempts = dead_.front().attempts;
      said.outcome.id = dead_.front().id;
      said.outcome.how = task_end::dropped;
    }
    dead_.pop_front();
  }
}

std::vector<dead_letter> task_desk::dead_letters(std::size_t at_most) const {
  const auto count = static_cast<std::ptrdiff_t>(std::min(at_most, dead_.size()));
  return {dead_.begin(), dead_.begin() + count};
}

const dead_letter* task_desk::find_dead(std::uint64_t number) const noexcept {
  const auto at = std::find_if(dead_.begin(), dead_.end(), [number](const dead_letter& each) {
    return each.id.number == number;
  });
  return at == dead_.end() ? nullptr : &*at;
}

std::optional<dead_letter> task_desk::take_dead(std::uint64_t number) noexcept {
  const auto at = std::find_if(dead_.begin(), dead_.end(), [number](const dead_letter& each) {
    return each.id.number == number;
  });
  if (at == dead_.end()) {
    return std::nullopt;
  }
  dead_letter taken = std::move(*at);
  dead_.erase(at);
  return taken;
}

// How attempts end.

task_news& task_desk::tell(task_slot which, task_news::kind what, std::uint32_t index) {
  const task_record& record = tasks_[which];
  task_news& said = news_.emplace_back();
  said.what = what;
  said.number = record.number + index;
  said.attempts = record.attempts;
  said.outcome.id = {id_, said.number};
  if (record.more != nullptr && what != task_news::kind::tried) {
    said.when_ended = std::move(record.more->when_ended);
  }
  return said;
}

// Requires: it is alone in its slot, and neither in the queue nor at a worker.
void task_desk::end(task_slot which, task_end how, frame&& result, time_point now) {
  const task_record& record = tasks_[which];
  if (has_journal_ || (record.more != nullptr && record.more->when_ended)) {
    task_news& said = tell(which, task_news::kind::ended);
    said.outcome.how = how;
    said.outcome.result = std::move(result);
  }
  release(which, now);
}

void task_desk::release(task_slot which, time_point now) {
  --held_;
  held_bytes_ -= tasks_[which].bodies.size();
  queue_.forget(which, now);
  tasks_.give(which);
  may_deal_ = true;
}

task_desk::some_tasks task_desk::find(const peer& from, const done_tickets& tickets) noexcept {
  const auto which = static_cast<task_slot>(tickets.first >> 32);
  if (which >= tasks_.size()) {
    ++counts_.nonsense;
    return {};
  }
  const task_record& record = tasks_[which];
  const std::uint32_t begin = static_cast<std::uint32_t>(tickets.first) - record.deal;
  if (record.where != task_record::place::working || begin >= record.count()) {
    counts_.late += tickets.count;
    return {};
  }
  if (record.link != from.which) {
    ++counts_.nonsense;
    return {};
  }
  const std::uint32_t end = std::min<std::uint32_t>(begin + tickets.count, record.count());
  const task_set found = record.left & first_tasks(end) & ~first_tasks(begin);
  counts_.late += tickets.count - size_of(found);
  return {which, found};
}

void task_desk::detach(peer& from, const some_tasks& tasks) noexcept {
  task_record& record = tasks_[tasks.of];
  const std::uint32_t count = size_of(tasks.which);
  for_each_piece(tasks.which, [&](std::uint32_t begin, std::uint32_t end) {
    from.working_bytes -= record.bodies.size(begin, end);
  });
  from.working -= count;
  working_ -= count;
  record.left &= ~tasks.which;
  record.begun &= record.left;
  may_deal_ = true;
  if (record.left == 0) {
    from.tasks.remove(tasks_, tasks.of);
    record.where = task_record::place::nowhere;
  }
}

task_slot task_desk::take_from(peer& from, task_ticket ticket) {
  const some_tasks found = find(from, {ticket, 1});
  return found.which == 0 ? no_slot : take_from(from, found.of, first_of(found.which));
}

task_slot task_desk::take_from(peer& from, task_slot which, std::uint32_t index) {
  detach(from, {which, one_task(index)});
  task_slot taken = which;
  if (tasks_[which].count() > 1) {
    taken = tasks_.copy(which, index, index + 1);
    if (tasks_[which].left == 0) {
      tasks_.give(which);
    }
  }
  tasks_[taken].bodies.stand_alone();
  return taken;
}

void task_desk::done(peer& from, const done_tickets& tickets, frame&& result, time_point now) {
  const some_tasks found = find(from, tickets);
  const std::uint32_t count = size_of(found.which);
  if (count == 0) {
    return;
  }
  const std::uint64_t bytes_before = from.working_bytes;
  detach(from, found);
  from.done += count;
  counts_.done += count;
  const task_record& record = tasks_[found.of];
  if (record.count() == 1) {
    end(found.of, task_end::done, std::move(result), now);
    return;
  }
  held_ -= count;
  held_bytes_ -= bytes_before - from.working_bytes;
  if (has_journal_) {
    for_each(found.which, [&](std::uint32_t index) {
      tell(found.of, task_news::kind::ended, index).outcome.how = task_end::done;
    });
  }
  if (record.left == 0) {
    tasks_.give(found.of);
  }
}

// Requires: it was detached, and is alone in its slot.
void task_desk::fail(task_slot which, std::string_view why, time_point now) {
  task_record& record = tasks_[which];
  ++counts_.failures;
  record.link = 0;
  if (++record.attempts >= options_.attempts) {
    bury(which, why, now);
    return;
  }
  if (has_journal_) {
    static_cast<void>(tell(which, task_news::kind::tried));
  }
  queue_.put_off(which, after(now, retry_delay(options_, record.attempts)));
}

void task_desk::bury(task_slot which, std::string_view why, time_point now) {
  task_record& record = tasks_[which];
  ++counts_.failed;
  if (has_journal_ || (record.more != nullptr && record.more->when_ended)) {
    task_news& said = tell(which, task_news::kind::buried);
    said.outcome.how = task_end::failed;
    said.outcome.why = why;
  }
  dead_letter letter;
  letter.id = {id_, record.number};
  letter.body = record.bodies.one(0);
  letter.attempts = record.attempts;
  letter.why = why;
  if (record.more != nullptr) {
    letter.options = record.more->options;
  }
  release(which, now);
  keep_dead(std::move(letter));
}

void task_desk::give_back(task_slot which) {
  counts_.given_back += tasks_[which].count();
  queue_.put_back(which);
}

// What is left of it goes back, in as few slots as there are pieces of it.
void task_desk::give_back_rest(peer& from, task_slot which) {
  const task_set all = tasks_[which].left;
  detach(from, {which, all});
  if (all == first_tasks(tasks_[which].count())) {
    give_back(which);
    return;
  }
  for_each_piece(all, [&](std::uint32_t begin, std::uint32_t end) {
    give_back(tasks_.copy(which, begin, end));
  });
  tasks_.give(which);
}

// Links.

task_desk::peer& task_desk::peer_of(link which, time_point now) {
  std::unique_ptr<peer>& at = peers_[which];
  if (at == nullptr) {
    at = std::make_unique<peer>();
    at->which = which;
    at->heard_at = now;
    at->owes_source = true;
    if (next_look_ == time_point::max()) {
      last_look_ = now;
      next_look_ = now + between_looks_;
    }
  }
  return *at;
}

void task_desk::opened(link which, time_point now) {
  peer& who = peer_of(which, now);
  if (who.is_worker) {
    part(who, parting::lost, "the connection to its worker broke", now);
  }
  who.is_ours = true;
  who.heard_at = now;
  who.packing = {};
  who.outgoing.clear();
  who.packing.add({.what = task_entry::kind::source, .id = id_});
  who.owes_source = false;
}

void task_desk::opened_plain(link which) {
  auto made = std::make_unique<peer>();
  made->which = which;
  made->is_ours = true;
  made->is_plain = true;
  peers_[which] = std::move(made);
}

void task_desk::lost(link which, time_point now) {
  const auto at = peers_.find(which);
  if (at == peers_.end() || is_closed_) {
    return;
  }
  if (at->second->is_worker) {
    part(*at->second, parting::lost, "its worker was lost", now);
  }
  peers_.erase(at);
}

void task_desk::part(peer& from, parting how, std::string_view why, time_point now) {
  // The first that it may have begun without having said so.
  bool lacks_suspect = how == parting::lost;
  while (!from.tasks.empty()) {
    const task_slot which = from.tasks.first;
    const task_record& record = tasks_[which];
    const task_set begun = how != parting::left ? record.begun : 0;
    task_set rest = record.left & ~begun;
    for_each(begun, [&](std::uint32_t index) { fail(take_from(from, which, index), why, now); });
    if (lacks_suspect && rest != 0 && !is_after(record.deal, from.sent_deal)) {
      lacks_suspect = false;
      const task_slot suspect = take_from(from, which, first_of(rest));
      rest &= rest - 1;
      if (std::exchange(tasks_[suspect].is_suspect, true)) {
        fail(suspect, why, now);
      } else {
        give_back(suspect);
      }
    }
    if (rest != 0) {
      give_back_rest(from, which);
    }
  }
  queue_.close_lane(std::exchange(from.lane, nullptr));
  std::erase(workers_, &from);
  from.is_worker = false;
  from.credit = 0;
  from.outgoing.clear();
  from.packing = {};
  from.following.clear();
  from.following_bytes = 0;
}

void task_desk::welcome(peer& who, const task_entry& said) {
  who.is_worker = true;
  who.id = said.id;
  who.name = said.text;
  who.lane = queue_.open_lane(who.name);
  who.credit = said.credit;
  who.credit_bytes = said.credit_bytes;
  who.largest = said.largest;
  who.done = 0;
  who.turn = 0;
  who.packed_deal = deals_;
  who.sent_deal = deals_;
  workers_.push_back(&who);
  may_deal_ = true;
}

void task_desk::receive(link which, message&& incoming, time_point now) {
  if (is_closed_) {
    return;
  }
  const frame entries = incoming.empty() ? frame{} : std::move(incoming[0]);
  auto reader = task_reader::open(entries.view());
  const auto known = peers_.find(which);
  if (!reader || (known != peers_.end() && known->second->is_plain)) {
    ++counts_.nonsense;
    return;
  }
  peer& from = known == peers_.end() ? peer_of(which, now) : *known->second;
  from.has_heard = true;
  std::size_t following = 1;
  while (reader->has_more()) {
    if (done_tickets range{}; reader->next_done(range)) {
      done(from, range, {}, now);
      continue;
    }
    const auto entry = reader->next();
    if (!entry || (entry->body_follows && following == incoming.size())) {
      ++counts_.nonsense;
      break;
    }
    if (!take(from, *entry,
              entry->body_follows ? std::move(incoming[following++]) : frame{entry->body}, now)) {
      ++counts_.nonsense;
      break;
    }
  }
  if (from.owes_source) {
    from.packing.add({.what = task_entry::kind::source, .id = id_});
    from.owes_source = false;
  }
}

bool task_desk::take(peer& from, const task_entry& entry, frame&& body, time_point now) {
  using kind = task_entry::kind;
  using ending = task_entry::ending;
  switch (entry.what) {
    case kind::worker:
      if (from.is_worker) {
        part(from, parting::again, "its worker began anew", now);
      }
      welcome(from, entry);
      return true;
    case kind::credit:
      if (from.is_worker) {
        from.credit = entry.credit;
        from.credit_bytes = entry.credit_bytes;
        may_deal_ = true;
      }
      return true;
    case kind::begun:
      if (const some_tasks begun = find(from, {entry.ticket, 1}); begun.which != 0) {
        tasks_[begun.of].begun |= begun.which;
      }
      return true;
    case kind::done:
      done(from, {entry.ticket, entry.count}, std::move(body), now);
      return true;
    case kind::ended: {
      const task_slot which = take_from(from, entry.ticket);
      if (which == no_slot) {
        return true;
      }
      tasks_[which].is_suspect = false;  // it has spared its worker
      if (entry.how == ending::failed) {
        fail(which, entry.text, now);
      } else if (entry.how == ending::rejected) {
        ++counts_.failures;
        ++tasks_[which].attempts;
        bury(which, entry.text, now);
      } else if (entry.how == ending::expired && tasks_[which].more != nullptr &&
                 tasks_[which].more->deadline != time_point::max()) {
        ++counts_.given_back;
        ++counts_.expired;
        end(which, task_end::expired, {}, now);
      } else {
        give_back(which);
      }
      return true;
    }
    case kind::leave:
      if (from.is_worker) {
        part(from, parting::left, "", now);
      }
      return true;
    case kind::beat:
      return true;
    case kind::source:
    case kind::task:
    case kind::cancel:
      break;
  }
  return false;
}

// Dealing.

task_desk::peer* task_desk::least_loaded(std::size_t& with_room) noexcept {
  peer* best = nullptr;
  bool best_gave_back = false;
  with_room = 0;
  for (peer* const each : workers_) {
    const task_slot next = queue_.next(each->lane);
    if (next == no_slot || !each->has_room(tasks_[next].bodies.size(0, 1))) {
      continue;
    }
    ++with_room;
    const bool gave_back = tasks_[next].link == each->which;
    if (best != nullptr) {
      const std::uint64_t load = each->working * best->credit;
      const std::uint64_t best_load = best->working * each->credit;
      if (gave_back != best_gave_back
              ? gave_back
              : (load != best_load ? load > best_load : each->turn >= best->turn)) {
        continue;
      }
    }
    best = each;
    best_gave_back = gave_back;
  }
  return best;
}

void task_desk::deal(time_point now) {
  may_deal_ = false;
  while (queue_.ready() > 0) {
    std::size_t with_room = 0;
    peer* const to = least_loaded(with_room);
    if (to == nullptr) {
      return;
    }
    to->turn = ++turns_;
    // Runs pack well, but each who has room is to get some.
    std::size_t left = with_room == 1 ? queue_.ready()
                                      : std::max<std::size_t>(1, queue_.ready() / (2 * with_room));
    task_slot next = queue_.next(to->lane);
    do {
      const std::uint32_t count = fitting(*to, tasks_[next], left);
      left -= count;
      give(*to, queue_.take(next, count), now);
      next = queue_.next(to->lane);
    } while (left > 0 && next != no_slot && to->has_room(tasks_[next].bodies.size(0, 1)) &&
             tasks_[next].link != to->which);
  }
}

// Tasks of a run whose first has room there. Of the others only as many as `most`, and none if each
// must be looked at by itself.
std::uint32_t task_desk::fitting(const peer& to, const task_record& run,
                                 std::size_t most) const noexcept {
  if (run.count() == 1 || to.largest < most_packed) {
    return 1;
  }
  auto count = static_cast<std::uint32_t>(
      std::min<std::uint64_t>({run.count(), most, to.credit - to.working}));
  while (count > 1 && to.working_bytes + run.bodies.size(0, count) > to.credit_bytes) {
    --count;
  }
  return count;
}

// Requires: it was taken from the queue.
void task_desk::give(peer& to, task_slot which, time_point now) {
  task_record& record = tasks_[which];
  const std::uint32_t count = record.count();
  const std::size_t bytes = record.bodies.size();
  counts_.attempts += count;
  if (count == 1 && bytes > to.largest) {
    record.bodies.stand_alone();
    fail(which, "it is larger than the worker takes", now);
    return;
  }
  if (deals_ > UINT32_MAX - count) {
    deals_ = 0;  // tickets of a run count on in these bits alone
  }
  record.where = task_record::place::working;
  record.link = to.which;
  record.deal = deals_ + 1;
  record.left = first_tasks(count);
  deals_ += count;
  to.packed_deal = deals_;
  to.tasks.push_back(tasks_, which);
  to.has_sent = true;
  to.working += count;
  to.working_bytes += bytes;
  working_ += count;
  task_entry entry;
  entry.what = task_entry::kind::task;
  entry.ticket = std::uint64_t{which} << 32 | record.deal;
  entry.id = record.number;
  entry.count = static_cast<std::uint16_t>(count);
  entry.attempt = record.attempts + 1;
  entry.time_left = time_left(record, now);
  if (record.more != nullptr) {
    entry.text = record.more->options.key;
  }
  const std::string_view body = count > 1 ? record.bodies.packed() : record.bodies.view(0);
  entry.body_follows = body.size() > most_packed;
  if (entry.body_follows) {
    to.following.push_back(count > 1 ? record.bodies.packed_frame() : record.bodies.one(0));
    to.following_bytes += body.size();
  } else {
    entry.body = body;
  }
  to.packing.add(entry);
  if (to.packing.size() + to.following_bytes >= most_batched) {
    seal(to);
  }
}

void task_desk::seal(peer& to) {
  packed& made = to.outgoing.emplace_back();
  made.last_deal = to.packed_deal;
  made.bytes.reserve(1 + to.following.size());
  made.bytes.push_back(to.packing.take());
  for (frame& each : to.following) {
    made.bytes.push_back(std::move(each));
  }
  to.following.clear();
  to.following_bytes = 0;
}

std::optional<message> task_desk::next_message(link which, time_point now) {
  const auto at = peers_.find(which);
  if (at == peers_.end() || is_closed_) {
    return std::nullopt;
  }
  peer& to = *at->second;
  if (to.is_plain) {
    return next_plain(now);
  }
  if (may_deal_) {
    deal(now);
  }
  if (to.outgoing.empty()) {
    if (to.packing.empty()) {
      return std::nullopt;
    }
    seal(to);
  }
  message next = std::move(to.outgoing.front().bytes);
  to.sent_deal = to.outgoing.front().last_deal;
  to.outgoing.pop_front();
  return next;
}

std::optional<message> task_desk::next_plain(time_point now) {
  task_slot which = queue_.next(nullptr);
  if (which == no_slot) {
    return std::nullopt;
  }
  which = queue_.take(which, 1);
  message next{tasks_[which].bodies.one(0)};
  ++counts_.attempts;
  ++counts_.done;
  end(which, task_end::done, {}, now);
  return next;
}

// Time.

void task_desk::tick(time_point now) {
  if (is_closed_) {
    return;
  }
  if (queue_.next_pass() <= now) {
    for (task_slot which = queue_.pass(now); which != no_slot; which = queue_.pass(now)) {
      queue_.remove(which);
      ++counts_.expired;
      end(which, task_end::expired, {}, now);
    }
    may_deal_ = true;
  }
  if (now >= next_look_) {
    look(now);
  }
}

task_desk::time_point task_desk::next_tick() const noexcept {
  return is_closed_ ? time_point::max() : std::min(queue_.next_pass(), next_look_);
}

void task_desk::look(time_point now) {
  // If nobody looked for long, what came meanwhile may not have been received yet.
  const clock::duration slept =
      std::max<clock::duration>(clock::duration::zero(), now - last_look_ - 2 * between_looks_);
  last_look_ = now;
  std::vector<link> strangers;
  for (const auto& [which, each] : peers_) {
    if (each->is_plain) {
      continue;
    }
    each->heard_at = each->has_heard ? now : each->heard_at + slept;
    const bool is_silent = now - each->heard_at > options_.heartbeat_timeout;
    if (each->is_worker && is_silent) {
      part(*each, parting::lost, "its worker was not heard any more", now);
      each->owes_source = true;
    } else if (each->is_worker && (!each->has_heard || !each->has_sent)) {
      each->packing.add({.what = task_entry::kind::beat});
    } else if (!each->is_worker && !each->is_ours && is_silent) {
      strangers.push_back(which);
    }
    each->has_heard = false;
    each->has_sent = false;
  }
  for (const link each : strangers) {
    peers_.erase(each);
  }
  next_look_ = peers_.empty() ? time_point::max() : now + between_looks_;
}

// For who looks in.

source_statistics task_desk::statistics() const {
  source_statistics counts = counts_;
  counts.waiting = queue_.waiting();
  counts.delayed = queue_.delayed();
  counts.working = working_;
  counts.dead_letters = dead_.size();
  return counts;
}

std::vector<worker_status> task_desk::workers() const {
  std::vector<worker_status> all;
  all.reserve(workers_.size());
  for (const peer* const each : workers_) {
    worker_status& status = all.emplace_back();
    status.id = each->id;
    status.name = each->name;
    status.working = each->working;
    status.credit = each->credit;
    status.done = each->done;
  }
  return all;
}

std::optional<task_news> task_desk::next_unfinished() noexcept {
  while (unfinished_ < tasks_.size()) {
    const task_record& record = tasks_[unfinished_++];
    if (record.where != task_record::place::nowhere && record.more != nullptr &&
        record.more->when_ended) {
      std::optional<task_news> said{std::in_place};
      said->number = record.number;
      said->outcome.id = {id_, record.number};
      said->outcome.how = task_end::unfinished;
      said->when_ended = std::move(record.more->when_ended);
      return said;
    }
  }
  return std::nullopt;
}

}  // namespace parley::detail
