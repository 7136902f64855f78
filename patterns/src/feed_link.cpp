// SPDX-License-Identifier: MPL-2.0
#include "feed_link.hpp"

#include <algorithm>

namespace parley::detail {
namespace {

// A request to send again that comes sooner after another is the same one.
constexpr std::chrono::milliseconds between_repeats{20};

// A link begins with `joined`, a prefix with `active`, whatever was lost meanwhile.
bool is_news(const feed_item& item) noexcept {
  return !item.is_message() && item.what != feed_entry::kind::lost;
}

std::size_t cost(const feed_item& item) noexcept { return item.topic.size() + item.body.size(); }

}  // namespace

feed_link::feed_link(const publisher_options& options, const feed_wishes& wishes, std::uint64_t id)
    : options_{options}, wishes_{wishes}, id_{id} {
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
std::uint32_t feed_link::book_of(const feed_item& message) {
  if (message.topic_slot >= book_by_topic_.size()) {
    book_by_topic_.resize(message.topic_slot + 1, unknown);
  }
  std::uint32_t& known = book_by_topic_[message.topic_slot];
  if (known == unknown) {
    known = longest(message.topic.view());
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

void feed_link::push(const feed_ref& message) {
  if (is_cut_off_) {
    return;
  }
  const std::uint32_t book = book_of(*message);
  if (book == no_prefix) {
    return;
  }
  ++books_[book].published;
  lane& to = message->is_urgent ? urgent_ : usual_;
  if (!is_here_ && !wishes_.recovers) {
    note(to.behind, *message, book, loss_reason::away);
    return;
  }
  if (is_here_ && to.is_idle() && (to.is_urgent || urgent_.is_idle()) && has_room()) {
    enter_row({message, book});  // it does not lag
    return;
  }
  if (options_.when_lagging == lag_policy::newest_by_topic && supersede(to, message, book)) {
    while (to.bytes > options_.limit_bytes && to.messages > 1) {
      drop_oldest(to, loss_reason::lagged);  // it is larger than the one that it took the place of
    }
    return;
  }
  if (is_full(to)) {
    if (is_here_ && options_.when_lagging == lag_policy::cut_off) {
      --books_[book].published;  // it is not meant for it any more
      cut_off();
      return;
    }
    if (options_.when_lagging == lag_policy::drop_newest) {
      note(to.behind, *message, book, is_here_ ? loss_reason::lagged : loss_reason::away);
      return;
    }
    while (is_full(to) && to.messages > 0) {
      drop_oldest(to, is_here_ ? loss_reason::lagged : loss_reason::away);
    }
  }
  append(to, message, book);
}

void feed_link::push_remembered(const feed_ref& message) {
  // Its topic may have lost its slot meanwhile.
  const std::uint32_t book = longest(message->topic.view());
  if (book != no_prefix && !is_cut_off_) {
    ++books_[book].published;
    append(message->is_urgent ? urgent_ : usual_, message, book);
  }
}

void feed_link::push_loss_upstream(const feed_item& lost) {
  if (is_cut_off_) {
    return;
  }
  const std::string_view prefix = lost.topic.view();
  std::uint32_t book = longest(prefix);
  for (auto at = prefixes_.begin(); book == no_prefix && at != prefixes_.end(); ++at) {
    if (at->first.starts_with(prefix)) {
      book = at->second;  // it wants a part of what was lost
    }
  }
  if (book != no_prefix) {
    feed_item told = lost;
    told.topic = frame{books_[book].prefix};
    push_loss(book, std::move(told));
  }
}

void feed_link::append(lane& to, const feed_ref& message, std::uint32_t book) {
  tell(to.behind, to);
  to.waiting.push_back({message, book});
  ++to.messages;
  to.bytes += cost(*message);
}

void feed_link::push_news(feed_item&& news) {
  tell(usual_.behind, usual_);
  usual_.waiting.push_back({feed_ref{std::move(news)}, no_prefix});
}

void feed_link::push_lost(std::uint64_t first, std::uint64_t last, bool is_urgent,
                          loss_reason reason) {
  if (books_.empty() || is_cut_off_) {
    return;
  }
  push_loss(0, lost_item(0, reason, {first, last, last - first + 1}, is_urgent));
}

void feed_link::push_loss(std::uint32_t book, feed_item&& lost) {
  books_[book].published += lost.count;
  books_[book].dropped.add(lost.reason, lost.count);
  lane& to = lost.is_urgent ? urgent_ : usual_;
  tell(to.behind, to);
  to.waiting.push_back({feed_ref{std::move(lost)}, no_prefix});
}

// True: the message took the place of an older one of its topic that waits.
bool feed_link::supersede(lane& in, const feed_ref& message, std::uint32_t book) {
  const auto [at, is_new] = in.newest.try_emplace(message->topic_slot, 0);
  const std::uint64_t next = in.first_index + in.waiting.size() + in.behind.size();
  if (!is_new && at->second >= in.first_index) {
    slot& older = in.waiting[at->second - in.first_index];
    in.bytes += cost(*message);
    in.bytes -= cost(*older.item);
    note(in.before, *older.item, older.book, loss_reason::superseded);
    older = {message, book};
    return true;
  }
  at->second = next;
  return false;
}

void feed_link::drop_oldest(lane& from, loss_reason reason) {
  while (!from.waiting.empty()) {
    slot oldest = std::move(from.waiting.front());
    from.waiting.pop_front();
    ++from.first_index;
    if (oldest.item->is_message()) {
      --from.messages;
      from.bytes -= cost(*oldest.item);
      note(from.before, *oldest.item, oldest.book, reason);
      return;
    }
    // What is to be told is told, a little early, and what comes before it too.
    if (!is_news(*oldest.item)) {
      enter_notes(from);
    }
    enter_row(std::move(oldest));
  }
}

// Notes.

void feed_link::note(losses& where, const feed_item& message, std::uint32_t book,
                     loss_reason reason) {
  books_[book].dropped.add(reason, 1);
  const auto [at, is_new] = where.try_emplace({book, reason});
  loss& noted = at->second;
  noted.first = is_new ? message.sequence : std::min(noted.first, message.sequence);
  noted.last = std::max(noted.last, message.sequence);
  ++noted.count;
}

feed_item feed_link::lost_item(std::uint32_t book, loss_reason reason, const loss& what,
                               bool is_urgent) const {
  feed_item told;
  told.what = feed_entry::kind::lost;
  told.is_urgent = is_urgent;
  told.reason = reason;
  told.sequence = what.first;
  told.last = what.last;
  told.count = what.count;
  told.topic = frame{books_[book].prefix};
  return told;
}

// Puts notes behind what waits.
void feed_link::tell(losses& notes, lane& to) {
  if (notes.empty()) {
    return;
  }
  for (const auto& [key, what] : notes) {
    to.waiting.push_back(
        {feed_ref{lost_item(key.first, key.second, what, to.is_urgent)}, no_prefix});
  }
  notes.clear();
}

// Coming and going.

void feed_link::lose_connection(time_point now) {
  is_here_ = false;
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
    for (slot& told : each->waiting) {
      enter_row(std::move(told));
    }
    each->first_index += each->waiting.size();
    each->waiting.clear();
  }
  feed_item last;
  last.what = feed_entry::kind::cut_off;
  enter_row({feed_ref{std::move(last)}, no_prefix});
  is_cut_off_ = true;
}

void feed_link::unbook(const slot& which) noexcept {
  if (which.item->is_message()) {
    --books_[which.book].published;
  }
}

void feed_link::begin_anew(std::uint64_t id) {
  for (const slot& each : row_) {
    unbook(each);
  }
  for (lane* each : {&urgent_, &usual_}) {
    for (const slot& waiting : each->waiting) {
      unbook(waiting);
    }
    each->first_index += each->waiting.size();
    each->waiting.clear();
    each->messages = 0;
    each->bytes = 0;
    each->before.clear();
    each->behind.clear();
    each->newest.clear();
  }
  row_.clear();
  sent_ = 0;
  row_bytes_ = 0;
  acknowledged_ = 0;
  is_cut_off_ = false;
  id_ = id;
}

// From the subscriber.

bool feed_link::received(std::uint64_t position) {
  if (position < acknowledged_) {
    return true;  // an old word, which took its time
  }
  const std::uint64_t count = position - acknowledged_;
  if (count > row_.size()) {
    return false;
  }
  constexpr std::size_t ahead = 8;  // they were last touched a whole window ago
  for (std::uint64_t index = 0; index < count; ++index) {
    if (row_.size() > ahead) {
      __builtin_prefetch(row_[ahead].item.get(), 1);
    }
    const slot& first = row_.front();
    row_bytes_ -= cost(*first.item);
    if (first.item->is_message()) {
      ++books_[first.book].delivered;
    }
    row_.pop_front();
  }
  acknowledged_ = position;
  sent_ -= std::min<std::size_t>(sent_, count);
  return true;
}

bool feed_link::send_again(std::uint64_t position, time_point now) {
  if (position <= acknowledged_ || position > acknowledged_ + row_.size() + 1) {
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
  return row_.size() < window_ && (row_.empty() || row_bytes_ < wishes_.limit_bytes);
}

void feed_link::enter_row(slot&& next) {
  row_bytes_ += cost(*next.item);
  row_.push_back(std::move(next));
}

// All of them, room or not: what is told of one prefix must not seem to be all there was.
void feed_link::enter_notes(lane& from) {
  for (const auto& [key, what] : from.before) {
    enter_row({feed_ref{lost_item(key.first, key.second, what, from.is_urgent)}, no_prefix});
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
           row_.back().item->what == feed_entry::kind::lost &&
           from.waiting.front().item->what == feed_entry::kind::lost;
  };
  while ((has_room() && (!from.waiting.empty() || !from.before.empty())) || belongs()) {
    if (!from.before.empty() && (from.waiting.empty() || !is_news(*from.waiting.front().item))) {
      enter_notes(from);
      continue;
    }
    slot next = std::move(from.waiting.front());
    from.waiting.pop_front();
    ++from.first_index;
    if (next.item->is_message()) {
      --from.messages;
      from.bytes -= cost(*next.item);
      if (options_.max_age.count() > 0 && now - next.item->at > options_.max_age) {
        note(from.before, *next.item, next.book, loss_reason::too_old);
        continue;
      }
    }
    enter_row(std::move(next));
  }
}

void feed_link::mark_sent(std::size_t count, time_point now) noexcept {
  sent_ += count;
  last_sent_ = now;
}

bool feed_link::has_all_sent() const noexcept {
  return sent_ == row_.size() && (is_cut_off_ || (urgent_.is_idle() && usual_.is_idle()));
}

bool feed_link::has_received(std::uint64_t sequence, std::uint64_t urgent) const noexcept {
  const auto is_awaited = [&](const slot& each) {
    return each.item->is_message() &&
           each.item->sequence <= (each.item->is_urgent ? urgent : sequence);
  };
  return std::none_of(row_.begin(), row_.end(), is_awaited) &&
         std::none_of(urgent_.waiting.begin(), urgent_.waiting.end(), is_awaited) &&
         std::none_of(usual_.waiting.begin(), usual_.waiting.end(), is_awaited);
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
