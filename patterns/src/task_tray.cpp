// SPDX-License-Identifier: MPL-2.0
#include "task_tray.hpp"

#include <algorithm>
#include <cassert>
#include <limits>
#include <new>
#include <utility>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;
using kind = task_entry::kind;
using ending = task_entry::ending;

// A message leaves before it gets larger, if its bodies let it.
constexpr std::size_t most_together = std::size_t{32} << 10;
// Of what a handler threw; the rest is cut off.
constexpr std::size_t most_words = 4096;
// How often the credit is looked at: after so long, or when so much was done.
constexpr std::chrono::milliseconds review_after = 1ms;

task_entry make(kind what, task_ticket ticket = 0) noexcept {
  task_entry made;
  made.what = what;
  made.ticket = ticket;
  return made;
}

held_task::time_point after(held_task::time_point now, std::uint64_t microseconds) noexcept {
  constexpr std::uint64_t most = 86'400'000'000ULL * 365 * 100;
  return microseconds >= most ? held_task::time_point::max()
                              : now + std::chrono::microseconds{microseconds};
}

}  // namespace

task_tray::task_tray(const worker_options& options, std::uint64_t id)
    : options_{options}, id_{id} {}

task_tray::~task_tray() {
  delete hatch_.run();
  for (row_of<task_run>* const row : {&waiting_, &spare_}) {
    while (task_run* const each = row->first()) {
      row->remove(*each);
      delete each;
    }
  }
}

// Links.

task_peer* task_tray::find(link which) noexcept {
  const auto found = peers_.find(which);
  return found != peers_.end() ? found->second.get() : nullptr;
}

task_peer& task_tray::make_peer(link which) {
  auto& made = peers_[which];
  made = std::make_unique<task_peer>(which);
  return *made;
}

void task_tray::opened(link which, time_point now) {
  if (task_peer* const before = find(which)) {
    forget_tasks(*before, now);
  }
  task_peer& to = make_peer(which);
  to.heard = now;
  if (!has_left_) {
    introduce(to);
  }
}

void task_tray::opened_plain(link which) {
  task_peer& made = make_peer(which);
  made.is_plain = true;
}

void task_tray::lost(link which, time_point now) {
  if (task_peer* const gone = find(which)) {
    count_idle(now);
    forget_tasks(*gone, now);
    peers_.erase(which);
  }
}

// Nobody waits for their answers.
void task_tray::forget_tasks(task_peer& of, time_point now) {
  call_in(now);
  for (task_run* each = waiting_.first(); each != nullptr;) {
    task_run& run = *std::exchange(each, each->next);
    if (run.from == &of) {
      drop_waiting(run, run.left);
    }
  }
  for (const task_row* row : {&begun_, &told_}) {
    for (held_task* each = row->first(); each != nullptr; each = each->next) {
      if (each->from == &of) {
        each->from = nullptr;
        ask_to_stop(*each);
      }
    }
  }
  of.working = 0;
}

void task_tray::introduce(task_peer& to) {
  to.is_introduced = true;
  to.credit = is_closing_ ? 0
                          : std::clamp<std::size_t>(pace_.threads_waiting() + working(), 1,
                                                    options_.credit);
  to.said_credit = to.credit;
  task_entry words = make(kind::worker);
  words.id = id_;
  words.text = options_.name;
  words.credit = static_cast<std::uint32_t>(to.credit);
  words.credit_bytes = options_.credit_bytes;
  words.largest = options_.max_frame_bytes;
  to.out.add(words);
  press(to);
}

// What comes.

void task_tray::receive(link which, message&& incoming, time_point now) {
  task_peer* from = find(which);
  if (has_left_ || incoming.empty()) {
    return;
  }
  if (from != nullptr && from->is_plain) {
    receive_plain(*from, std::move(incoming), now);
    return;
  }
  auto reader = task_reader::open(incoming.front().view());
  if (!reader || (from != nullptr && from->is_ignored)) {
    ++counts_.nonsense;
    return;
  }
  std::vector<task_ticket> cancelled;
  std::size_t next_body = 1;
  while (reader->has_more()) {
    const auto entry = reader->next();
    if (!entry || (entry->body_follows && next_body == incoming.size())) {
      ++counts_.nonsense;
      break;
    }
    if (from == nullptr && entry->what == kind::source) {
      from = &make_peer(which);
    }
    if (from == nullptr || (from->id == 0 && entry->what != kind::source)) {
      ++counts_.nonsense;
      if (from != nullptr && entry->what == kind::worker) {
        from->is_ignored = true;
      }
      break;
    }
    if (entry->what == kind::cancel) {
      cancelled.push_back(entry->ticket);
    } else {
      read(*from, *entry,
           entry->body_follows ? std::move(incoming[next_body++]) : frame{entry->body}, now);
    }
  }
  if (next_body < incoming.size() && from != nullptr && !reader->has_more()) {
    ++counts_.nonsense;  // frames that belong to nothing
  }
  if (from != nullptr && from->id != 0) {
    from->heard = now;
    from->is_here = true;
    cancel(cancelled, *from, now);
  }
}

void task_tray::read(task_peer& from, const task_entry& entry, frame&& body, time_point now) {
  switch (entry.what) {
    case kind::task:
      add(from, entry, std::move(body), now);
      break;
    case kind::beat:
      from.out.add(make(kind::beat));
      press(from);
      break;
    case kind::source:
      greet(from, entry.id, now);
      break;
    case kind::worker:
    case kind::credit:
    case kind::begun:
    case kind::done:
    case kind::ended:
    case kind::leave:
    case kind::cancel:
      ++counts_.nonsense;
      break;
  }
}

// A source that says again who it is has forgotten us, and what we had of it.
void task_tray::greet(task_peer& from, std::uint64_t id, time_point now) {
  if (id == 0) {
    ++counts_.nonsense;
    return;
  }
  if (from.id != 0) {
    count_idle(now);
    forget_tasks(from, now);
    from.say_nothing();
    from.is_introduced = false;
  }
  from.id = id;
  from.reviewed = now;
  from.idle_then = pace_.idle_until(now);
  look_at(now + options_.heartbeat_timeout);
  if (!from.is_introduced) {
    introduce(from);
  }
}

void task_tray::add(task_peer& from, const task_entry& entry, frame&& body, time_point now) {
  task_run* const added = admit(from, entry, now);
  if (added == nullptr) {
    return;
  }
  added->attempt = std::max(entry.attempt, 1U);
  added->key = entry.text;
  if (entry.time_left > 0) {
    added->deadline = after(now, entry.time_left);
    next_deadline_ = std::min(next_deadline_, added->deadline);
    look_at(next_deadline_);
  }
  enqueue(*added, std::move(body), now);
}

// Tasks that came, to be filled in; null: there will be none.
task_run* task_tray::admit(task_peer& from, const task_entry& entry, time_point now) {
  if (!from.is_plain && from.held() + entry.count > 2 * options_.credit) {
    ++counts_.nonsense;
    return nullptr;
  }
  counts_.received += entry.count;
  if (is_closing_) {
    counts_.given_back += entry.count;
    for (task_ticket each = entry.ticket; !from.is_plain && each != entry.ticket + entry.count;
         ++each) {
      task_entry back = make(kind::ended, each);
      back.how = ending::given_back;
      answer(from, back, {}, now);
    }
    return nullptr;
  }
  task_run* added = spare_.first();
  if (added != nullptr) {
    spare_.remove(*added);
  } else {
    added = new task_run;
  }
  added->count = entry.count;
  added->left = first_tasks(entry.count);
  added->id = {from.is_plain ? 0 : from.id, entry.id};
  added->ticket = entry.ticket;
  added->attempt = 1;
  added->deadline = time_point::max();
  added->from = &from;
  return added;
}

void task_tray::receive_plain(task_peer& from, message&& incoming, time_point now) {
  if (incoming.size() != 1) {
    ++counts_.nonsense;
    return;
  }
  task_entry words = make(kind::task);
  words.id = ++plain_count_;
  if (task_run* const added = admit(from, words, now)) {
    ++plain_waiting_;
    enqueue(*added, std::move(incoming[0]), now);
  }
}

void task_tray::enqueue(task_run& added, frame&& bodies, time_point now) {
  added.bodies = std::move(bodies);
  added.unread = added.bodies.view();
  added.next_body = 0;
  waiting_.push_back(added);
  task_peer& from = *added.from;
  from.waiting += added.count;
  from.most_held = std::max(from.most_held, from.held());
  const bool are_first = waiting_count_ == 0;
  waiting_count_ += added.count;
  if (are_first) {
    pace_.found(true);
    count_idle(now);
  }
}

void task_tray::cancel(const std::vector<task_ticket>& tickets, task_peer& of, time_point now) {
  if (tickets.empty()) {
    return;
  }
  call_in(now);
  std::vector<task_ticket> sorted{tickets};
  std::sort(sorted.begin(), sorted.end());
  const auto is_meant = [&](const task_peer* from, task_ticket ticket) {
    return from == &of && std::binary_search(sorted.begin(), sorted.end(), ticket);
  };
  for (task_run* each = waiting_.first(); each != nullptr;) {
    task_run& run = *std::exchange(each, each->next);
    task_set meant = 0;
    for_each(run.left, [&](std::uint32_t index) {
      meant |= is_meant(run.from, run.ticket + index) ? one_task(index) : 0;
    });
    drop_waiting(run, meant);
  }
  for (const task_row* row : {&begun_, &told_}) {
    for (held_task* each = row->first(); each != nullptr; each = each->next) {
      if (is_meant(each->from, each->ticket)) {
        each->from = nullptr;
        --of.working;
        ask_to_stop(*each);
      }
    }
  }
}

void task_tray::wait_no_more(task_run& of, task_set which, std::uint32_t count) noexcept {
  waiting_count_ -= count;
  of.from->waiting -= count;
  plain_waiting_ -= of.from->is_plain ? count : 0;
  of.left &= ~which;
  if (of.left == 0) {
    waiting_.remove(of);
    spare(of);
  }
}

void task_tray::spare(task_run& over) noexcept {
  over.bodies = frame{};
  over.key.clear();
  spare_.push_back(over);
}

// Of some that nobody has begun: as if they had never come.
void task_tray::drop_waiting(task_run& of, task_set which) noexcept {
  if (which != 0) {
    const std::uint32_t count = size_of(which);
    counts_.given_back += count;
    wait_no_more(of, which, count);
  }
}

void task_tray::ask_to_stop(held_task& which) {
  if (!std::exchange(which.should_stop, true) && which.stop.stop_possible()) {
    stops_.push_back(which.stop);
    look_at(time_point::min());
  }
}

// The program.

held_task* task_tray::take(time_point told, bool is_exact) {
  const time_point now = latest(told);
  call_in(now);
  while (task_run* const next = waiting_.first()) {
    if (next->deadline <= now) [[unlikely]] {
      expire(*next, now);
      continue;
    }
    held_task* const taken = begin(*next, now);
    if (waiting_count_ == 0) {
      count_idle(now);
    }
    if (taken != nullptr) [[likely]] {
      taken->is_timed = is_exact;
      return taken;
    }
  }
  pace_.found(false);
  count_idle(now);
  return nullptr;
}

// The next of a run; null: it is not as long as its source said, and dropped.
held_task* task_tray::begin(task_run& of, time_point now) {
  const std::uint32_t index = first_of(of.left);
  std::string_view body;
  std::string_view unread = of.unread;
  for (std::uint32_t next = of.next_body; of.count > 1 && next <= index; ++next) {
    if (!next_body(unread, body)) [[unlikely]] {
      ++counts_.nonsense;
      drop_waiting(of, of.left);
      return nullptr;
    }
  }
  // Whatever there is no memory for, before anything changes.
  frame copy{body};
  held_task& begun = pool_.take();
  hold(begun, *of.from, now);
  begun.id = {of.id.source, of.id.number + index};
  begun.attempt = of.attempt;
  begun.ticket = of.ticket + index;
  if (of.count == 1) {
    begun.body = std::move(of.bodies);
    begun.key = std::move(of.key);
  } else {
    begun.body = std::move(copy);
    of.unread = unread;
    of.next_body = index + 1;
  }
  pace_.at_work(working());
  ++of.from->working;
  wait_no_more(of, one_task(index), 1);
  return &begun;
}

// One that somebody has begun.
void task_tray::hold(held_task& made, task_peer& from, time_point began) noexcept {
  made.from = &from;
  made.at = held_task::place::begun;
  made.began = began;
  made.lease = options_.lease.count() > 0 ? began + options_.lease : time_point::max();
  held_task* before = begun_.last();
  while (before != nullptr && before->began > began) {
    before = before->previous;
  }
  begun_.insert(before, made);
  if (before == nullptr) {
    look_at(std::min(began + telling, made.lease));
  }
}

// Serving.

served_task task_tray::serve(const std::shared_ptr<worker_core>& owner, time_point told) {
  served_task taken = hatch_.take();  // another thread may have set a run out
  if (taken.run == nullptr) {
    const time_point now = latest(told);
    call_in(now);
    if (set_out(owner, now)) {
      taken = hatch_.take();
    }
  }
  return taken;
}

bool task_tray::set_out(const std::shared_ptr<worker_core>& owner, time_point now) {
  task_run* const first = waiting_.first();
  if (first == nullptr || first->count == 1 || !pace_.is_known() || !pace_.is_quick() ||
      first->left != (first_tasks(first->count) & ~first_tasks(first_of(first->left))) ||
      !hatch_.set_out(*first, owner, now)) {
    return false;
  }
  waiting_.remove(*first);
  pace_.at_work(working() + 1);
  look_at(now + gathering);
  return true;
}

// Of the run that is, or was just, set out.
void task_tray::count_taken(task_run& of, std::uint32_t count, time_point now) noexcept {
  waiting_count_ -= count;
  of.from->waiting -= count;
  of.from->working += count;
  if (count > 0) {
    of.left &= ~first_tasks(first_of(of.left) + count);  // there are no gaps
  }
  if (waiting_count_ == 0) {
    count_idle(now);
  }
}

void task_tray::call_in(time_point now) {
  task_run* const run = hatch_.run();
  if (run == nullptr) {
    return;
  }
  served_run& served = hatch_.served();
  task_peer& from = *run->from;
  const task_set known_before = served.known();
  from.out.reserve_ranges(most_in_run / 2);  // whatever there is no memory for, before it changes
  count_taken(*run, hatch_.call_in(), now);
  if (run->left == 0) {
    spare(*run);
  } else {
    run->unread = run->bodies.view();
    run->next_body = 0;
    waiting_.insert(nullptr, *run);
  }
  answer_served(served, from, now);
  for_each(served.known() & ~known_before,
           [&](std::uint32_t place) { know(served, place, from, now); });
}

// Of those that are in somebody's hands. One for which there is no memory has failed: its source is
// to have it done again.
void task_tray::know(served_run& of, std::uint32_t place, task_peer& from,
                     time_point now) noexcept {
  if (held_task* const made = pool_.try_take()) {
    hold(*made, of, place, from, now);
    of.know_by(place, *made);
    return;
  }
  held_task passing;
  hold(passing, of, place, from, now);
  try {
    static_cast<void>(end(passing, ending::failed, "there was no memory for it", now));
  } catch (const std::bad_alloc&) {
    // Nobody hears of it; the source gives the task up with the worker.
  }
}

// Those that were done.
void task_tray::answer_served(const served_run& of, task_peer& to, time_point now) {
  const std::uint32_t count = size_of(of.done());
  if (count == 0) {
    return;
  }
  counts_.done += count;
  to.working -= count;
  to.ended += count;
  if (const auto took = of.took()) {
    pace_.took(*took);
  }
  for_each_piece(of.done(), [&](std::uint32_t begin, std::uint32_t end) {
    to.out.add_range({of.ticket(begin), static_cast<std::uint16_t>(end - begin)});
  });
  owe(to, now, count);
}

void task_tray::hold(held_task& made, const served_run& of, std::uint32_t place, task_peer& from,
                     time_point now) noexcept {
  made.is_timed = of.is_timed(place);
  made.ticket = of.ticket(place);
  name(made, of, place);
  hold(made, from, made.is_timed ? of.since() : now);
}

void task_tray::name(held_task& made, const served_run& of, std::uint32_t place) noexcept {
  if (!made.owner) {
    made.owner = of.owner;
  }
  made.id = of.id(place);
  made.attempt = 1;
}

held_task& task_tray::claim(const served_task& which, time_point now, held_task* passing) {
  served_run& of = *which.run;
  const bool is_known = (of.known() & one_task(which.place)) != 0;
  if (!is_known || !of.is_held(which.place)) {
    held_task& made = passing != nullptr ? *passing : pool_.take();
    if (is_known) {
      name(made, of, which.place);  // it has ended
    } else {
      task_run& run = *hatch_.run();  // else all that was taken of it would be known
      count_taken(run, of.count_taken(), now);
      hold(made, of, which.place, *run.from, now);
      of.know(which.place);
    }
    of.know_by(which.place, made);
  }
  return hatch_.claim(which);
}

void task_tray::expire(task_run& which, time_point now) {
  task_entry words = make(kind::ended, which.ticket);
  words.how = ending::expired;
  task_peer& from = *which.from;
  drop_waiting(which, which.left);
  answer(from, words, {}, now);
}

void task_tray::retire(held_task& which, time_point now) noexcept {
  (which.at == held_task::place::begun ? begun_ : told_).remove(which);
  which.at = held_task::place::nowhere;
  if (which.is_timed) {
    pace_.took(now - which.began);
  }
  if (which.from != nullptr) {
    --which.from->working;
    ++which.from->ended;
  }
}

bool task_tray::done(held_task& which, frame result, time_point now) {
  if (which.at == held_task::place::nowhere) {
    ++counts_.late;
    return false;
  }
  retire(which, now);
  ++counts_.done;
  task_peer* const to = which.from;
  if (to == nullptr || to->is_plain) {
    return true;
  }
  if (result.empty()) [[likely]] {
    to->out.add_done(which.ticket);
    owe(*to, now);
  } else {
    answer(*to, make(kind::done, which.ticket), std::move(result), now);
  }
  return true;
}

bool task_tray::end(held_task& which, ending how, std::string_view why, time_point now) {
  if (which.at == held_task::place::nowhere) {
    ++counts_.late;
    return false;
  }
  retire(which, now);
  ++(how == ending::failed     ? counts_.failed
     : how == ending::rejected ? counts_.rejected
                               : counts_.given_back);
  answer_ended(which, how, why, now);
  return true;
}

void task_tray::repeat(held_task& which, time_point now) {
  if (which.at == held_task::place::nowhere) {
    ++counts_.late;
    return;
  }
  (which.at == held_task::place::begun ? begun_ : told_).remove(which);
  which.at = held_task::place::nowhere;
  ++counts_.repeated;
  if (which.from != nullptr) {
    --which.from->working;
    if (!which.from->is_plain) {
      which.from->out.add_done(which.ticket);
      owe(*which.from, now);
    }
  }
}

bool task_tray::renew(held_task& which, time_point now) {
  if (which.at == held_task::place::nowhere) {
    return false;
  }
  if (options_.lease.count() == 0) {
    return true;
  }
  (which.at == held_task::place::begun ? begun_ : told_).remove(which);
  if (which.at == held_task::place::begun && which.from != nullptr && !which.from->is_plain) {
    which.from->out.add(make(kind::begun, which.ticket));
    press(*which.from);
  }
  which.at = held_task::place::told;
  which.lease = now + options_.lease;
  told_.push_back(which);
  return true;
}

held_task& task_tray::take_over(held_task& which) {
  held_task& made = pool_.take();
  made.id = which.id;
  made.attempt = which.attempt;
  made.stop = which.stop;
  made.should_stop = which.should_stop;
  made.at = which.at;
  made.from = which.from;
  made.ticket = which.ticket;
  made.began = which.began;
  made.is_timed = which.is_timed;
  made.lease = which.lease;
  task_row& row = which.at == held_task::place::begun ? begun_ : told_;
  row.insert(&which, made);
  row.remove(which);
  which.at = held_task::place::nowhere;
  return made;
}

std::stop_token task_tray::stop_token(held_task& which) {
  if (!which.stop.stop_possible()) {
    which.stop = std::stop_source{};
    if (which.should_stop) {
      which.stop.request_stop();  // nobody has registered anything yet: it calls nobody
    }
  }
  return which.stop.get_token();
}

// Answers.

void task_tray::answer(task_peer& to, const task_entry& entry, frame&& body, time_point now) {
  task_entry words = entry;
  words.body_follows = body.size() > most_packed;
  if (words.body_follows) {
    to.body_bytes += body.size();
    to.bodies.push_back(std::move(body));
  } else {
    words.body = body.view();
  }
  to.out.add(words);
  owe(to, now);
  if (entry.what == kind::ended) {
    press(to);
  }
}

void task_tray::answer_ended(held_task& which, ending how, std::string_view why, time_point now) {
  if (which.from != nullptr && !which.from->is_plain) {
    task_entry words = make(kind::ended, which.ticket);
    words.how = how;
    words.text = why.substr(0, most_words);
    answer(*which.from, words, {}, now);
  }
}

void task_tray::owe(task_peer& to, time_point told, std::size_t answers) noexcept {
  const time_point now = latest(told);
  to.owed += answers;
  to.out_owed += answers;
  if (to.out.size() + to.body_bytes >= most_together) {
    try {
      to.cut();
    } catch (const std::bad_alloc&) {
      // It is cut when it leaves.
    }
  }
  if (waiting_count_ == 0 || 2 * to.owed >= to.said_credit) {
    press(to);
  } else if (first_answer_ == time_point::max()) {
    first_answer_ = now;
    look_at(now + gathering);
  } else if (now >= first_answer_ + gathering) {
    press_all();
  }
}

void task_tray::press(task_peer& to) noexcept {
  if (!std::exchange(to.must_send, true)) {
    should_send_ = true;
  }
}

void task_tray::press_all() noexcept {
  first_answer_ = time_point::max();
  for (const auto& [which, each] : peers_) {
    if (each->has_words()) {
      press(*each);
    }
  }
}

std::optional<message> task_tray::next_message(link which, time_point now) {
  task_peer* const to = find(which);
  if (to == nullptr || to->is_plain) {
    return std::nullopt;
  }
  review(*to, now);
  if (!to->must_send) {
    return std::nullopt;
  }
  if (to->ready.empty() && !to->out.empty()) {
    to->cut();
  }
  if (to->ready.empty()) {
    to->must_send = false;
    return std::nullopt;
  }
  auto [outgoing, answers] = std::move(to->ready.front());
  to->ready.pop_front();
  to->owed -= answers;
  to->must_send = to->has_words();
  return std::move(outgoing);
}

bool task_tray::owes() const noexcept {
  return std::any_of(peers_.begin(), peers_.end(),
                     [](const auto& each) { return each.second->has_words(); });
}

bool task_tray::is_full_of_plain() const noexcept { return plain_waiting_ >= options_.credit; }

// Time.

void task_tray::look_at(time_point when) noexcept { next_tick_ = std::min(next_tick_, when); }

void task_tray::tick(time_point now, std::vector<std::stop_source>& stops) {
  latest_ = std::max(latest_, now);
  if (now < next_tick_) {
    return;
  }
  try {
    next_tick_ = time_point::max();
    look(now);
  } catch (...) {
    next_tick_ = now;  // when there is memory
    throw;
  }
  for (std::stop_source& each : stops_) {
    stops.push_back(std::move(each));
  }
  stops_.clear();
  if (next_tick_ == time_point::min()) {
    next_tick_ = now;  // of those just asked; and of whatever else is due
  }
}

void task_tray::look(time_point now) {
  if (first_answer_ != time_point::max()) {
    if (now >= first_answer_ + gathering) {
      press_all();
    } else {
      look_at(first_answer_ + gathering);
    }
  }
  if (hatch_.run() != nullptr) {
    if (now >= hatch_.served().since() + gathering) {
      call_in(now);
      press_all();  // they may have been done as long ago
    } else {
      look_at(hatch_.served().since() + gathering);
    }
  }
  tell_begun(now);
  end_leases(now);
  drop_expired(now);
  for (const auto& [which, each] : peers_) {
    look_after(*each, now);
  }
}

void task_tray::tell_begun(time_point now) {
  while (held_task* const oldest = begun_.first()) {
    if (oldest->began + telling > now) {
      look_at(oldest->began + telling);
      return;
    }
    begun_.remove(*oldest);
    oldest->at = held_task::place::told;
    held_task* before = told_.last();
    while (before != nullptr && before->lease > oldest->lease) {
      before = before->previous;
    }
    told_.insert(before, *oldest);
    if (oldest->from != nullptr && !oldest->from->is_plain) {
      oldest->from->out.add(make(kind::begun, oldest->ticket));
      press(*oldest->from);
    }
  }
}

void task_tray::end_leases(time_point now) {
  for (const task_row* row : {&begun_, &told_}) {
    while (held_task* const oldest = row->first()) {
      if (oldest->lease > now) {
        look_at(oldest->lease);
        break;
      }
      static_cast<void>(end(*oldest, ending::failed, "its lease ended", now));
      ask_to_stop(*oldest);
    }
  }
}

void task_tray::drop_expired(time_point now) {
  if (next_deadline_ <= now) {
    next_deadline_ = time_point::max();
    for (task_run* each = waiting_.first(); each != nullptr;) {
      task_run& which = *std::exchange(each, each->next);
      if (which.deadline <= now) {
        expire(which, now);
      } else {
        next_deadline_ = std::min(next_deadline_, which.deadline);
      }
    }
  }
  look_at(next_deadline_);
}

// A source that says nothing may come back, and wait for what we have of it; but others could do
// what nobody has begun here.
void task_tray::look_after(task_peer& of, time_point now) {
  if (!of.is_here) {
    return;
  }
  if (now >= of.heard + options_.heartbeat_timeout) {
    of.is_here = false;
    give_back(of, now);
    return;
  }
  look_at(of.heard + options_.heartbeat_timeout);
  review(of, now);
  if (pace_.is_idle() && of.held() >= of.said_credit && of.said_credit < options_.credit) {
    look_at(now + telling);
  }
}

void task_tray::give_back(task_peer& of, time_point now) {
  call_in(now);
  for (task_run* each = waiting_.first(); each != nullptr;) {
    task_run& run = *std::exchange(each, each->next);
    if (run.from != &of) {
      continue;
    }
    const task_ticket first = run.ticket;
    const task_set all = run.left;
    drop_waiting(run, all);
    for_each(of.is_plain ? 0 : all, [&](std::uint32_t index) {
      task_entry words = make(kind::ended, first + index);
      words.how = ending::given_back;
      answer(of, words, {}, now);
    });
  }
}

void task_tray::close(time_point now) {
  if (std::exchange(is_closing_, true)) {
    return;
  }
  for (const auto& [which, each] : peers_) {
    if (each->is_introduced) {
      each->credit = each->said_credit = 0;
      task_entry words = make(kind::credit);
      words.credit_bytes = options_.credit_bytes;
      each->out.add(words);
      press(*each);
    }
    give_back(*each, now);
  }
  for (const task_row* row : {&begun_, &told_}) {
    for (held_task* each = row->first(); each != nullptr; each = each->next) {
      ask_to_stop(*each);
    }
  }
}

void task_tray::leave(time_point now) {
  if (std::exchange(has_left_, true)) {
    return;
  }
  call_in(now);
  for (const task_row* row : {&begun_, &told_}) {
    while (held_task* const each = row->first()) {
      static_cast<void>(end(*each, ending::failed, "its worker was closed", now));
    }
  }
  for (const auto& [which, each] : peers_) {
    if (each->is_introduced) {
      each->out.add(make(kind::leave));
      press(*each);
    }
  }
}

// Credit.

void task_tray::idle(std::size_t threads, time_point now) {
  pace_.wait(threads);
  count_idle(now);
}

void task_tray::review(task_peer& of, time_point now) {
  const duration passed = now - of.reviewed;
  if (is_closing_ || of.id == 0 || passed <= duration::zero() ||
      (passed < review_after && of.ended < of.said_credit)) {
    return;
  }
  const std::size_t target = pace_.done_in(ahead, working(), options_.credit);
  const bool is_to_be_said = of.reconsider(target, pace_.idle_until(now), options_.credit, now);
  pace_.look_back(working(), now);
  if (is_to_be_said) {
    task_entry words = make(kind::credit);
    words.credit = static_cast<std::uint32_t>(of.credit);
    words.credit_bytes = options_.credit_bytes;
    of.out.add(words);
    press(of);
  }
}

worker_statistics task_tray::statistics() const {
  worker_statistics known = counts_;
  const served_run::census served = hatch_.count();
  known.done += served.done;
  known.waiting = waiting_count_ - served.uncounted;
  known.working = begun_.size() + told_.size() + served.in_hand;
  known.sources = static_cast<std::size_t>(std::count_if(
      peers_.begin(), peers_.end(), [](const auto& each) { return each.second->is_here; }));
  return known;
}

}  // namespace parley::detail
