// SPDX-License-Identifier: MPL-2.0
#include "feed_link.hpp"

#include <algorithm>
#include <optional>

namespace parley::detail {
namespace {

// What it says that was lost, if that is what it says.
std::optional<feed_entry> lost_in(const feed_range& told) {
  if (told.of->what != feed_entry::kind::lost) {
    return std::nullopt;
  }
  std::string_view bytes = told.of->packed(told.begin, told.end);
  return take_entry(bytes);
}

// A request to send again that comes sooner after another is the same one.
constexpr std::chrono::milliseconds between_repeats{20};

// A link begins with `joined`, a prefix with `active`, whatever was lost meanwhile.
bool is_news(const feed_range& entries) noexcept {
  return !entries.of->is_message() && entries.of->what != feed_entry::kind::lost;
}

// Bytes of messages; what is told costs nothing.
std::size_t cost(const feed_range& entries) noexcept {
  return entries.of->is_message() ? entries.cost() : 0;
}

// A range as large travels by itself, without being copied.
constexpr std::size_t worth_a_batch = feed_bundle::most_bytes / 4;

}  // namespace

feed_link::feed_link(const publisher_options& options, const std::size_t& way_bytes,
                     const feed_wishes& wishes, std::uint64_t id)
    : options_{options}, way_bytes_{way_bytes}, wishes_{wishes}, id_{id} {
  regain_connection(wishes);
}

// Prefixes.

void feed_link::add_prefix(std::string_view prefix) {
  const auto [known, is_new] =
      book_by_prefix_.try_emplace(std::string{prefix}, static_cast<std::uint32_t>(books_.size()));
  if (is_new) {
    books_.emplace_back().prefix = prefix;
  }
  prefixes_.at(prefix) = known->second;
  book_by_topic_.clear();
}

void feed_link::remove_prefix(std::string_view prefix) {
  prefixes_.erase(prefix);
  book_by_topic_.clear();
}

std::vector<std::string> feed_link::prefixes() const {
  std::vector<std::string> all;
  all.reserve(prefixes_.size());
  for (const auto& [prefix, book] : prefixes_) {
    all.push_back(prefix);
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::uint32_t feed_link::longest(std::string_view topic) const {
  std::uint32_t found = no_prefix;
  prefixes_.match(topic, [&](std::uint32_t book) { found = book; });
  return found;
}

// The slot of a topic says it faster than the topic.
std::uint32_t feed_link::book_of(const feed_bundle& from, std::uint32_t index) {
  const std::uint32_t slot = from.parts[index].topic;
  if (slot >= book_by_topic_.size()) {
    book_by_topic_.resize(slot + 1, unknown);
  }
  std::uint32_t& known = book_by_topic_[slot];
  if (known == unknown) {
    known = longest(from.topic(index));
  }
  return known;
}

void feed_link::forget_topic(std::uint32_t topic) noexcept {
  if (topic < book_by_topic_.size()) {
    book_by_topic_[topic] = unknown;
  }
  urgent_.newest.erase(topic);
  usual_.newest.erase(topic);
}

// Queues.

bool feed_link::is_full(const lane& which) const noexcept {
  return which.messages >= options_.limit || which.bytes >= options_.limit_bytes;
}

bool feed_link::is_full() const noexcept { return is_full(usual_) || is_full(urgent_); }

void feed_link::choose(const feed_range& messages, std::vector<share>& chosen) {
  chosen.clear();
  if (is_cut_off_) {
    return;
  }
  std::uint32_t topic = feed_bundle::as_before;
  std::uint32_t book = no_prefix;
  for (std::uint32_t index = messages.begin; index < messages.end; ++index) {
    // Messages on one topic mostly come together.
    if (const std::uint32_t its_topic = messages.of->parts[index].topic; its_topic != topic) {
      topic = its_topic;
      book = book_of(*messages.of, index);
    }
    if (book == no_prefix) {
      continue;
    }
    if (!chosen.empty() && chosen.back().end == index && chosen.back().book == book) {
      ++chosen.back().end;
    } else {
      chosen.push_back({{messages.of, index, index + 1}, book});
    }
  }
}

std::uint32_t feed_link::room_for(const feed_range& messages) const noexcept {
  const lane& to = messages.of->is_urgent ? urgent_ : usual_;
  if (is_full()) {
    return 0;
  }
  auto count = static_cast<std::uint32_t>(
      std::min<std::size_t>(messages.size(), options_.limit - to.messages));
  while (count > 1 && to.bytes + messages.of->cost(messages.begin, messages.begin + count - 1) >=
                          options_.limit_bytes) {
    --count;
  }
  return count;
}

void feed_link::push(share messages) {
  if (is_cut_off_) {
    return;  // by those just before
  }
  books_[messages.book].published += messages.size();
  lane& to = messages.of->is_urgent ? urgent_ : usual_;
  if (!is_here_ && !wishes_.recovers) {
    note(to.behind, messages, loss_reason::away);
    return;
  }
  if (is_here_ && to.is_idle() && (to.is_urgent || urgent_.is_idle())) {
    if (const std::uint32_t room = room_in_row(messages); room > 0) {
      enter_row({messages.take(room), messages.book});  // it does not lag
    }
  }
  const loss_reason reason = is_here_ ? loss_reason::lagged : loss_reason::away;
  while (messages.size() > 0) {
    share next{messages.take(1), messages.book};
    if (options_.when_lagging == lag_policy::newest_by_topic && supersede(to, next)) {
      while (to.bytes > options_.limit_bytes && to.messages > 1) {
        drop_oldest(to, loss_reason::lagged);  // it is larger than the one whose place it took
      }
      continue;
    }
    if (is_full(to)) {
      if (is_here_ && options_.when_lagging == lag_policy::cut_off) {
        books_[next.book].published -= 1 + messages.size();  // they are not meant for it any more
        cut_off();
        return;
      }
      if (options_.when_lagging == lag_policy::drop_newest) {
        note(to.behind, next, reason);
        continue;
      }
      while (is_full(to) && to.messages > 0) {
        drop_oldest(to, reason);
      }
    }
    append(to, std::move(next));
  }
}

void feed_link::push_remembered(const feed_range& message) {
  // Its topic may have lost its slot meanwhile.
  const std::uint32_t book = longest(message.of->topic(message.begin));
  if (book != no_prefix && !is_cut_off_) {
    ++books_[book].published;
    append(message.of->is_urgent ? urgent_ : usual_, {message, book});
  }
}

void feed_link::push_loss_upstream(const feed_entry& lost) {
  if (is_cut_off_) {
    return;
  }
  const std::string_view prefix = lost.topic;
  std::uint32_t book = longest(prefix);
  for (auto at = prefixes_.begin(); book == no_prefix && at != prefixes_.end(); ++at) {
    if (at->first.starts_with(prefix)) {
      book = at->second;  // it wants a part of what was lost
    }
  }
  if (book != no_prefix) {
    feed_entry told = lost;
    told.topic = books_[book].prefix;
    push_loss(book, told);
  }
}

void feed_link::append(lane& to, share&& messages) {
  tell(to.behind, to);
  to.messages += messages.size();
  to.bytes += cost(messages);
  if (options_.when_lagging == lag_policy::newest_by_topic) {
    to.waiting.push_back({messages.alone(), messages.book});  // it may outlive its bundle by far
  } else if (to.waiting.empty() || to.waiting.back().book != messages.book ||
             !to.waiting.back().join(messages)) {
    to.waiting.push_back(std::move(messages));
  }
}

void feed_link::push_news(const feed_entry& news) {
  tell(usual_.behind, usual_);
  usual_.waiting.push_back({feed_range::of_one(news), no_prefix});
}

void feed_link::push_lost(std::uint64_t first, std::uint64_t last, bool is_urgent,
                          loss_reason reason, std::uint64_t count) {
  if (books_.empty() || is_cut_off_) {
    return;
  }
  feed_entry lost;
  lost.what = feed_entry::kind::lost;
  lost.is_urgent = is_urgent;
  lost.reason = reason;
  lost.sequence = first;
  lost.last = last;
  lost.count = count > 0 ? count : last - first + 1;
  lost.topic = books_[0].prefix;
  push_loss(0, lost);
}

void feed_link::push_loss(std::uint32_t book, const feed_entry& lost) {
  books_[book].published += lost.count;
  books_[book].dropped.add(lost.reason, lost.count);
  lane& to = lost.is_urgent ? urgent_ : usual_;
  tell(to.behind, to);
  to.waiting.push_back({feed_range::of_one(lost), no_prefix});
}

// True: the message took the place of an older one of its topic that waits.
bool feed_link::supersede(lane& in, share& message) {
  const auto [at, is_new] = in.newest.try_emplace(message.of->parts[message.begin].topic, 0);
  const std::uint64_t next = in.first_index + in.waiting.size() + in.behind.size();
  if (!is_new && at->second >= in.first_index) {
    share& older = in.waiting[at->second - in.first_index];
    in.bytes += cost(message);
    in.bytes -= cost(older);
    note(in.before, older, loss_reason::superseded);
    // In the row it is where the older one was: the prefixes of then are served there.
    --books_[message.book].published;
    ++books_[older.book].published;
    older = {message.alone(), older.book};
    return true;
  }
  at->second = next;
  return false;
}

void feed_link::drop_oldest(lane& from, loss_reason reason) {
  while (!from.waiting.empty()) {
    share& first = from.waiting.front();
    const share oldest{first.take(1), first.book};
    if (first.size() == 0) {
      from.waiting.pop_front();
      ++from.first_index;
    }
    if (oldest.of->is_message()) {
      --from.messages;
      from.bytes -= cost(oldest);
      note(from.before, oldest, reason);
      return;
    }
    // What is to be told is told, a little early, and what comes before it too.
    if (!is_news(oldest)) {
      enter_notes(from);
    }
    enter_row(share{oldest});
  }
}

bool feed_link::drop_half() {
  lane& from = usual_.bytes >= urgent_.bytes ? usual_ : urgent_;
  if (from.messages == 0) {
    return false;
  }
  const std::size_t left = from.bytes / 2;
  do {
    drop_oldest(from, is_here_ ? loss_reason::lagged : loss_reason::away);
  } while (from.messages > 0 && from.bytes > left);
  return true;
}

// Notes.

void feed_link::note(losses& where, const share& messages, loss_reason reason) {
  books_[messages.book].dropped.add(reason, messages.size());
  const auto [at, is_new] = where.try_emplace({messages.book, reason});
  loss& noted = at->second;
  noted.first = is_new ? messages.first() : std::min(noted.first, messages.first());
  noted.last = std::max(noted.last, messages.last());
  noted.count += messages.size();
}

feed_link::share feed_link::told(std::uint32_t book, loss_reason reason, const loss& what,
                                 bool is_urgent) const {
  feed_entry lost;
  lost.what = feed_entry::kind::lost;
  lost.is_urgent = is_urgent;
  lost.reason = reason;
  lost.sequence = what.first;
  lost.last = what.last;
  lost.count = what.count;
  lost.topic = books_[book].prefix;
  return {feed_range::of_one(lost), no_prefix};
}

// Puts notes behind what waits.
void feed_link::tell(losses& notes, lane& to) {
  if (notes.empty()) {
    return;
  }
  for (const auto& [key, what] : notes) {
    to.waiting.push_back(told(key.first, key.second, what, to.is_urgent));
  }
  notes.clear();
}

// Coming and going.

void feed_link::lose_connection(time_point now) {
  is_here_ = false;
  connections_ = 0;
  changed_ = now;
  sent_ = 0;
  if (!wishes_.recovers) {
    drop_waiting(loss_reason::away);
  }
}

void feed_link::regain_connection(const feed_wishes& wishes) {
  wishes_ = wishes;
  const std::size_t most = std::max<std::size_t>(1, options_.limit / 2);
  window_ = std::clamp<std::size_t>(wishes.limit, 1, most);
  is_here_ = true;
  sent_ = 0;
}

void feed_link::drop_waiting(loss_reason reason) {
  for (lane* each : {&urgent_, &usual_}) {
    while (each->messages > 0) {
      drop_oldest(*each, reason);
    }
  }
}

void feed_link::cut_off() {
  drop_waiting(loss_reason::cut_off);
  for (lane* each : {&urgent_, &usual_}) {
    tell(each->before, *each);
    tell(each->behind, *each);
    for (share& last : each->waiting) {
      enter_row(std::move(last));
    }
    each->first_index += each->waiting.size();
    each->waiting.clear();
  }
  feed_entry last;
  last.what = feed_entry::kind::cut_off;
  enter_row({feed_range::of_one(last), no_prefix});
  is_cut_off_ = true;
}

void feed_link::unbook(const share& which) {
  if (which.of->is_message()) {
    books_[which.book].published -= which.size();
  } else if (const auto lost = lost_in(which)) {
    unbook(book_by_prefix_.at(std::string{lost->topic}), lost->reason, lost->count);
  }
}

void feed_link::unbook(std::uint32_t book, loss_reason reason, std::uint64_t count) noexcept {
  books_[book].published -= count;
  books_[book].dropped.remove(reason, count);
}

void feed_link::begin_anew(std::uint64_t id) {
  for (const share& each : row_) {
    unbook(each);
  }
  for (lane* each : {&urgent_, &usual_}) {
    for (const share& waiting : each->waiting) {
      unbook(waiting);
    }
    each->first_index += each->waiting.size();
    each->waiting.clear();
    each->messages = 0;
    each->bytes = 0;
    for (losses* const notes : {&each->before, &each->behind}) {
      for (const auto& [key, what] : *notes) {
        unbook(key.first, key.second, what.count);
      }
      notes->clear();
    }
    each->newest.clear();
  }
  row_.clear();
  entries_ = 0;
  sent_ = 0;
  row_bytes_ = 0;
  acknowledged_ = 0;
  is_cut_off_ = false;
  id_ = id;
}

void feed_link::begin_again(std::uint64_t id, const feed_entry& joined) {
  const std::deque<placed> kept = std::exchange(row_, {});
  id_ = id;
  entries_ = 0;
  sent_ = 0;
  row_bytes_ = 0;
  acknowledged_ = 0;
  enter_row({feed_range::of_one(joined), no_prefix});
  for (const std::string& prefix : prefixes()) {
    feed_entry active;
    active.what = feed_entry::kind::active;
    active.topic = prefix;
    enter_row({feed_range::of_one(active), no_prefix});
  }
  for (const share& each : kept) {
    enter_row(share{each});
  }
}

// From the subscriber.

bool feed_link::received(std::uint64_t position) {
  if (position < acknowledged_) {
    return true;  // an old word, which took its time
  }
  const std::uint64_t count = position - acknowledged_;
  if (count > entries_) {
    return false;
  }
  for (std::uint64_t left = count; left > 0;) {
    placed& first = row_.front();
    const auto some = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, first.size()));
    const feed_range taken = first.take(some);
    first.position += some;
    left -= some;
    row_bytes_ -= cost(taken);
    if (taken.of->is_message()) {
      books_[first.book].delivered += some;
    }
    if (first.size() == 0) {
      row_.pop_front();
    }
  }
  acknowledged_ = position;
  entries_ -= count;
  sent_ -= std::min<std::size_t>(sent_, count);
  return true;
}

bool feed_link::send_again(std::uint64_t position, time_point now) {
  if (position <= acknowledged_ || position > acknowledged_ + entries_ + 1) {
    return false;
  }
  if (now - last_again_ >= between_repeats) {
    last_again_ = now;
    sent_ = std::min<std::size_t>(sent_, position - acknowledged_ - 1);
  }
  return true;
}

// The row.

bool feed_link::has_room() const noexcept {
  return entries_ < window_ && (entries_ == 0 || row_bytes_ < most_row_bytes());
}

// A subscriber may wish for any number.
std::size_t feed_link::most_row_bytes() const noexcept {
  return static_cast<std::size_t>(std::min<std::uint64_t>(wishes_.limit_bytes, way_bytes_));
}

std::uint32_t feed_link::room_in_row(const feed_range& messages) const noexcept {
  if (!has_room()) {
    return 0;
  }
  auto count =
      static_cast<std::uint32_t>(std::min<std::size_t>(messages.size(), window_ - entries_));
  const std::size_t most = most_row_bytes();
  while (count > 1 &&
         row_bytes_ + messages.of->cost(messages.begin, messages.begin + count - 1) >= most) {
    --count;
  }
  return count;
}

void feed_link::raise_greatest(bool is_urgent, std::uint64_t number) noexcept {
  std::uint64_t& greatest = (is_urgent ? urgent_ : usual_).greatest;
  greatest = std::max(greatest, number);
}

void feed_link::enter_row(share&& next) {
  const std::uint32_t count = next.size();
  row_bytes_ += cost(next);
  if (next.of->is_message()) {
    raise_greatest(next.of->is_urgent, next.last());
  } else if (const auto lost = lost_in(next)) {
    raise_greatest(lost->is_urgent, lost->last);
  }
  if (row_.empty() || row_.back().book != next.book || !row_.back().join(next)) {
    row_.push_back({std::move(next), acknowledged_ + entries_ + 1});
  }
  entries_ += count;
}

// All of them, room or not: what is told of one prefix must not seem to be all there was.
void feed_link::enter_notes(lane& from) {
  for (const auto& [key, what] : from.before) {
    enter_row(told(key.first, key.second, what, from.is_urgent));
  }
  from.before.clear();
}

void feed_link::fill_row(time_point now) {
  if (!is_here_ || is_cut_off_) {
    return;
  }
  fill_row_from(urgent_, now);
  fill_row_from(usual_, now);
}

void feed_link::fill_row_from(lane& from, time_point now) {
  if (!from.behind.empty() && has_room()) {
    tell(from.behind, from);
  }
  // What was lost together is told together, room or not: the last of it must not seem to be all.
  const auto belongs = [&] {
    return !row_.empty() && !from.waiting.empty() &&
           row_.back().of->what == feed_entry::kind::lost &&
           from.waiting.front().of->what == feed_entry::kind::lost;
  };
  while ((has_room() && (!from.waiting.empty() || !from.before.empty())) || belongs()) {
    if (!from.before.empty() && (from.waiting.empty() || !is_news(from.waiting.front()))) {
      enter_notes(from);
      continue;
    }
    share& first = from.waiting.front();
    const bool is_too_old = first.of->is_message() && options_.max_age.count() > 0 &&
                            now - first.of->at > options_.max_age;
    const std::uint32_t count =
        is_too_old ? first.size() : std::max<std::uint32_t>(1, room_in_row(first));
    share next{first.take(count), first.book};
    if (first.size() == 0) {
      from.waiting.pop_front();
      ++from.first_index;
    }
    if (next.of->is_message()) {
      from.messages -= count;
      from.bytes -= cost(next);
    }
    if (is_too_old) {
      note(from.before, next, loss_reason::too_old);
    } else {
      enter_row(std::move(next));
    }
  }
}

std::size_t feed_link::next_batch(std::vector<feed_range>& into) const {
  into.clear();
  std::uint64_t position = next_position();
  auto at = std::upper_bound(
      row_.begin(), row_.end(), position,
      [](std::uint64_t wanted, const placed& each) { return wanted < each.position; });
  at = at == row_.begin() ? at : std::prev(at);
  std::size_t bytes = 0;
  std::size_t count = 0;
  for (; at != row_.end(); ++at) {
    feed_range next{at->of, at->begin, at->end};
    static_cast<void>(next.take(static_cast<std::uint32_t>(position - at->position)));
    if (next.size() == 0) {
      continue;
    }
    const std::size_t size = next.of->packed(next.begin, next.end).size();
    if (!into.empty() && (size >= worth_a_batch || bytes + size > feed_bundle::most_bytes)) {
      break;
    }
    position += next.size();
    bytes += size;
    count += next.size();
    const bool is_last = size >= worth_a_batch || next.of->is_followed(next.end);
    into.push_back(std::move(next));
    if (is_last) {
      break;
    }
  }
  return count;
}

void feed_link::mark_sent(std::size_t count, time_point now) noexcept {
  sent_ += count;
  last_sent_ = now;
}

bool feed_link::has_all_sent() const noexcept {
  return sent_ == entries_ && (is_cut_off_ || (urgent_.is_idle() && usual_.is_idle()));
}

bool feed_link::has_received(std::uint64_t sequence, std::uint64_t urgent) const noexcept {
  const auto is_awaited = [&](const feed_range& each) {
    return each.of->is_message() && each.first() <= (each.of->is_urgent ? urgent : sequence);
  };
  return std::none_of(row_.begin(), row_.end(), is_awaited) &&
         std::none_of(urgent_.waiting.begin(), urgent_.waiting.end(), is_awaited) &&
         std::none_of(usual_.waiting.begin(), usual_.waiting.end(), is_awaited);
}

std::uint64_t feed_link::least_awaited(bool is_urgent, std::uint64_t otherwise) const noexcept {
  std::uint64_t least = otherwise;
  const auto look = [&](const feed_range& each) {
    if (each.of->is_message() && each.of->is_urgent == is_urgent) {
      least = std::min(least, each.first());
    }
  };
  std::for_each(row_.begin(), row_.end(), look);
  const lane& waits = is_urgent ? urgent_ : usual_;
  std::for_each(waits.waiting.begin(), waits.waiting.end(), look);
  return least;
}

void feed_link::unheard::add(std::uint64_t from, std::uint64_t to,
                             std::uint64_t messages) noexcept {
  first = count == 0 ? from : std::min(first, from);
  last = std::max(last, to);
  count += messages;
}

feed_link::unheard feed_link::unheard_before(std::uint64_t number, bool is_urgent) const {
  unheard found;
  const auto add = [&](std::uint64_t first, std::uint64_t last, std::uint64_t count) {
    if (first < number) {
      found.add(first, std::min(last, number - 1), std::min(count, number - first));
    }
  };
  const auto look = [&](const feed_range& each) {
    if (each.of->is_message()) {
      for (std::uint32_t index = each.begin; each.of->is_urgent == is_urgent && index < each.end;
           ++index) {
        add(each.of->sequence(index), each.of->sequence(index), 1);
      }
    } else if (const auto lost = lost_in(each); lost && lost->is_urgent == is_urgent) {
      add(lost->sequence, lost->last, lost->count);
    }
  };
  std::for_each(row_.begin(), row_.end(), look);
  const lane& waits = is_urgent ? urgent_ : usual_;
  std::for_each(waits.waiting.begin(), waits.waiting.end(), look);
  for (const losses* const notes : {&waits.before, &waits.behind}) {
    for (const auto& [key, what] : *notes) {
      add(what.first, what.last, what.count);
    }
  }
  return found;
}

subscriber_ledger feed_link::ledger() const {
  subscriber_ledger told;
  told.id = wishes_.subscriber;
  told.is_here = is_here_;
  told.is_cut_off = is_cut_off_;
  told.prefixes = books_;
  for (prefix_ledger& each : told.prefixes) {
    each.queued = each.published - each.delivered - each.dropped.total();
  }
  std::sort(told.prefixes.begin(), told.prefixes.end(),
            [](const auto& left, const auto& right) { return left.prefix < right.prefix; });
  return told;
}

}  // namespace parley::detail
