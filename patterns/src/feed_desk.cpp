// SPDX-License-Identifier: MPL-2.0
#include "feed_desk.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace parley::detail {
namespace {

// A batch ends when it has as many bytes; a body of that size travels in a frame of its own.
constexpr std::size_t most_batched = 32 << 10;
constexpr std::size_t large_body = 4 << 10;

// A peer may claim to be any number of subscribers.
constexpr std::size_t most_subscribers = 65'536;
constexpr std::size_t most_prefixes = 1'000'000;
constexpr std::size_t longest_prefix = 65'535;

constexpr std::chrono::milliseconds longest_look{250};

std::uint64_t micros(std::chrono::steady_clock::duration time) noexcept {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

// heartbeat: the publisher's, microseconds.
feed_entry entry_of(const feed_item& item, std::uint64_t heartbeat) noexcept {
  feed_entry entry;
  entry.what = item.what;
  entry.is_urgent = item.is_urgent;
  entry.reason = item.reason;
  entry.sequence = item.sequence;
  entry.last = item.last;
  entry.count = item.count;
  entry.topic = item.topic.view();
  const auto add_origin = [&] {
    entry.is_relayed = item.origin != 0;
    entry.origin = item.origin;
    entry.origin_sequence = item.origin_sequence;
    entry.hops = item.hops;
  };
  switch (item.what) {
    case feed_entry::kind::message:
      add_origin();
      entry.body = item.body.view();
      entry.body_follows = item.body.size() >= large_body;
      break;
    case feed_entry::kind::lost:
      add_origin();
      break;
    case feed_entry::kind::joined:
      entry.is_asked_for = item.is_urgent;
      entry.publisher = item.origin;
      entry.age = item.origin_sequence;
      entry.next = item.sequence;
      entry.next_urgent = item.last;
      entry.window = static_cast<std::uint32_t>(item.count);
      entry.heartbeat = heartbeat;
      break;
    default:
      break;
  }
  return entry;
}

feed_item news(feed_entry::kind what) {
  feed_item item;
  item.what = what;
  return item;
}

}  // namespace

feed_desk::feed_desk(const publisher_options& options, std::uint64_t id, time_point now)
    : options_{options}, id_{id}, begun_{now} {}

// Publishing.

void feed_desk::publish(feed_draft&& draft, time_point now) {
  if (draft.lost.count > 0) {
    feed_item lost = news(feed_entry::kind::lost);
    lost.is_urgent = draft.is_urgent;
    lost.reason = loss_reason::upstream;
    lost.sequence = draft.lost.first;
    lost.last = draft.lost.last;
    lost.count = draft.lost.count;
    lost.origin = draft.origin;
    lost.origin_sequence = draft.origin_sequence;
    lost.hops = draft.hops;
    lost.topic = std::move(draft.topic);
    for (const auto& [subscriber, link] : links_) {
      link->push_loss_upstream(lost);
    }
    return;
  }
  ++counts_.published;
  known_topic& topic = topic_of(draft.topic.view());
  ++topic.published;
  (draft.is_urgent ? next_urgent_ : next_) = draft.sequence + 1;
  if (is_plain(draft.topic.view(), topic)) {
    ++counts_.sent_plain;
    message copy;
    copy.reserve(3);
    copy.push_back(draft.topic);
    copy.push_back(draft.body);
    copy.push_back(pack_mark({id_, draft.sequence, topic.published}));
    plain_out_.push_back(std::move(copy));
  }
  auto item = items_.take();
  item->topic_slot = topic.slot;
  item->is_urgent = draft.is_urgent;
  item->sequence = draft.sequence;
  item->origin = draft.origin;
  item->origin_sequence = draft.origin_sequence;
  item->hops = draft.hops;
  item->at = now;
  item->topic = std::move(draft.topic);
  item->body = std::move(draft.body);
  const feed_ref made{std::move(item)};
  for (const auto& [subscriber, link] : links_) {
    link->push(made);
  }
  if (options_.last_value) {
    topic.last = made;
  }
  if (!made->is_urgent && options_.history > 0) {
    remember(made, now);
  }
}

feed_desk::known_topic& feed_desk::topic_of(std::string_view name) {
  // Mostly the same again.
  if (!topics_by_age_.empty() && topics_by_age_.back() == name) {
    return *newest_topic_;
  }
  newest_topic_ = &find_topic(name);
  return *newest_topic_;
}

feed_desk::known_topic& feed_desk::find_topic(std::string_view name) {
  if (const auto at = topics_.find(name); at != topics_.end()) {
    topics_by_age_.splice(topics_by_age_.end(), topics_by_age_, at->second.age);
    return at->second;
  }
  if (topics_.size() >= std::max<std::size_t>(1, options_.topics)) {
    forget_oldest_topic();
  }
  const auto at = topics_.try_emplace(std::string{name}).first;
  known_topic& made = at->second;
  made.age = topics_by_age_.insert(topics_by_age_.end(), at->first);
  if (free_slots_.empty()) {
    made.slot = static_cast<std::uint32_t>(topics_.size() - 1);
  } else {
    made.slot = free_slots_.back();
    free_slots_.pop_back();
  }
  return made;
}

void feed_desk::forget_oldest_topic() {
  const auto oldest = topics_.find(topics_by_age_.front());
  const std::uint32_t slot = oldest->second.slot;
  topics_by_age_.pop_front();
  topics_.erase(oldest);
  free_slots_.push_back(slot);
  for (const auto& [subscriber, link] : links_) {
    link->forget_topic(slot);
  }
}

bool feed_desk::is_plain(std::string_view name, known_topic& topic) {
  if (topic.plain_version != plain_version_) {
    topic.plain_version = plain_version_;
    topic.is_plain = false;
    plain_.match(name, [&](std::int64_t count) { topic.is_plain = topic.is_plain || count > 0; });
  }
  return topic.is_plain;
}

void feed_desk::remember(const feed_ref& item, time_point now) {
  history_.push_back(item);
  history_bytes_ += item->topic.size() + item->body.size();
  forget_history(now);
}

void feed_desk::forget_history(time_point now) {
  const auto is_too_much = [&] {
    return history_.size() > options_.history || history_bytes_ > options_.history_bytes ||
           (options_.history_age.count() > 0 && now - history_.front()->at > options_.history_age);
  };
  while (!history_.empty() && is_too_much()) {
    history_bytes_ -= history_.front()->topic.size() + history_.front()->body.size();
    history_.pop_front();
  }
}

// Taking in.

void feed_desk::receive(const message& incoming, time_point now) {
  if (incoming.size() != 1 || incoming.front().empty()) {
    ++counts_.nonsense;
    return;
  }
  const std::string_view text = incoming.front().view();
  const bool comes = text.front() == '\1';
  if (!comes && text.front() != '\0') {
    ++counts_.nonsense;
  } else if (const auto request = parse_feed_request(text.substr(1))) {
    if (comes) {
      take_request(*request, now);
    }
  } else {
    take_subscription(comes, text.substr(1));
  }
}

void feed_desk::take_subscription(bool comes, std::string_view topic) {
  const auto count_plain = [this](std::string_view prefix, std::int64_t change) {
    ++plain_version_;
    demand_changed_ = true;
    if ((plain_.at(prefix) += change) == 0) {
      plain_.erase(prefix);
    }
  };
  const auto said = parse_subscription(topic);
  if (!said) {
    count_plain(topic, comes ? 1 : -1);
    return;
  }
  demand_changed_ = true;
  const std::uint64_t who = said->wishes.subscriber;
  if (words_.size() >= most_subscribers && !words_.contains(who)) {
    ++counts_.nonsense;
    return;
  }
  subscriber_words& words = words_[who];
  spoken_.push_back(who);
  switch (said->what) {
    case feed_subscription::kind::wishes:
      if (comes) {
        words.wishes = said->wishes;
      } else {
        leave(words);
      }
      break;
    case feed_subscription::kind::prefix:
      // Our subscribers subscribe to the prefix itself too, for plain publishers.
      count_plain(said->prefix, comes ? -1 : 1);
      if (said->prefix.size() > longest_prefix ||
          words.added.size() + words.removed.size() >= most_prefixes) {
        ++counts_.nonsense;
        break;
      }
      (comes ? words.added : words.removed).emplace(said->prefix);
      if (auto& others = comes ? words.removed : words.added; !others.empty()) {
        others.erase(std::string{said->prefix});
      }
      break;
    case feed_subscription::kind::inbox:
      if (comes) {
        words.came = true;
      } else {
        leave(words);
      }
      break;
  }
}

// All its subscriptions go, in any order.
void feed_desk::leave(subscriber_words& words) {
  words = {};
  words.left = true;
}

void feed_desk::settle(time_point now) {
  for (const std::uint64_t who : spoken_) {
    const auto words = words_.find(who);
    if (words == words_.end()) {
      continue;  // more than once
    }
    if (settle(who, words->second, now)) {
      words_.erase(words);
    }
  }
  spoken_.clear();
}

bool feed_desk::settle(std::uint64_t subscriber, subscriber_words& words, time_point now) {
  const auto at = links_.find(subscriber);
  feed_link* const link = at == links_.end() ? nullptr : at->second.get();
  if (std::exchange(words.left, false) && link != nullptr && link->is_here()) {
    link->lose_connection(now);
    next_look_ = std::min(next_look_, now + longest_look);
  }
  if (link != nullptr && link->is_here()) {
    for (const std::string& each : words.removed) {
      link->remove_prefix(each);
    }
    add_prefixes(*link, words.added, link->wishes().start, now);
    return true;
  }
  words.removed.clear();
  if (!words.came || (link == nullptr && !words.wishes)) {
    return !words.wishes && words.added.empty();  // the rest is on its way
  }
  if (link != nullptr) {
    regain(*link, words, now);
  } else if (links_.size() < most_subscribers) {
    auto made = std::make_unique<feed_link>(options_, *words.wishes, ids_.next());
    feed_link& opened = *made;
    links_.emplace(subscriber, std::move(made));
    open(opened, words.added, now);
  }
  return true;
}

void feed_desk::regain(feed_link& link, const subscriber_words& words, time_point now) {
  link.regain_connection(words.wishes.value_or(link.wishes()));
  for (const std::string& each : link.prefixes()) {
    if (!words.added.contains(each)) {
      link.remove_prefix(each);
    }
  }
  link.push_news(news(feed_entry::kind::resumed));
  add_prefixes(link, words.added, link.wishes().start, now);
}

void feed_desk::open(feed_link& link, const prefix_set& prefixes, time_point now) {
  link.push_news(joined(link, next_, next_urgent_, now));
  link.mark_sent(0, now);
  add_prefixes(link, prefixes, link.wishes().start, now);
  next_look_ =
      std::min(next_look_, now + std::min<time_point::duration>(longest_look, options_.heartbeat));
}

feed_item feed_desk::joined(const feed_link& link, std::uint64_t next, std::uint64_t next_urgent,
                            time_point now) const {
  feed_item item = news(feed_entry::kind::joined);
  item.origin = id_;
  item.origin_sequence = micros(now - begun_);
  item.sequence = next;
  item.last = next_urgent;
  item.count = link.window();
  return item;
}

// Those that it does not have yet; what is remembered of them comes before what is new.
void feed_desk::add_prefixes(feed_link& link, const prefix_set& prefixes, const feed_start& start,
                             time_point now) {
  std::vector<feed_ref> remembered;
  prefix_table<bool> added;
  if (start.what != feed_start::kind::now) {
    for (const std::string& each : prefixes) {
      added.at(each) = true;
    }
  }
  const auto is_new = [&](const feed_ref& item) {
    bool matches = false;
    added.match(item->topic.view(), [&](bool) { matches = true; });
    return matches && !link.wants(item->topic.view());
  };
  forget_history(now);
  std::uint64_t first = 0;  // asked for
  switch (start.what) {
    case feed_start::kind::now:
      break;
    case feed_start::kind::last_values:
      for (const auto& [name, topic] : topics_) {
        if (topic.last && is_new(topic.last)) {
          remembered.push_back(topic.last);
        }
      }
      std::sort(remembered.begin(), remembered.end(),
                [](const feed_ref& left, const feed_ref& right) {
                  return std::pair{!left->is_urgent, left->sequence} <
                         std::pair{!right->is_urgent, right->sequence};
                });
      break;
    case feed_start::kind::since_sequence:
      first = start.value;
      [[fallthrough]];
    case feed_start::kind::since_age:
    case feed_start::kind::history:
      for (const feed_ref& each : history_) {
        const bool is_asked_for = start.what == feed_start::kind::since_age
                                      ? micros(now - each->at) <= start.value
                                      : each->sequence >= first;
        if (is_asked_for && is_new(each)) {
          remembered.push_back(each);
        }
      }
      break;
  }
  bool has_more = false;
  for (const std::string& each : prefixes) {
    if (!link.has_prefix(each)) {
      link.add_prefix(each);
      feed_item active = news(feed_entry::kind::active);
      active.topic = frame{each};
      link.push_news(std::move(active));
      has_more = true;
    }
  }
  const std::uint64_t oldest = history_.empty() ? next_ : history_.front()->sequence;
  if (has_more && first > 0 && first < oldest) {
    link.push_lost(first, oldest - 1, false, loss_reason::forgotten);
  }
  for (const feed_ref& each : remembered) {
    link.push_remembered(each);
  }
}

void feed_desk::take_request(const feed_request& request, time_point now) {
  const auto at = links_.find(request.subscriber);
  const bool leaves_all = request.what == feed_request::kind::leave && request.link == 0;
  if (at == links_.end() || (at->second->id() != request.link && !leaves_all)) {
    return;  // meant for another publisher, or for what was forgotten
  }
  feed_link& link = *at->second;
  bool is_good = true;
  switch (request.what) {
    case feed_request::kind::received:
      is_good = link.received(request.position);
      break;
    case feed_request::kind::again:
      is_good = link.send_again(request.position, now);
      break;
    case feed_request::kind::from:
      begin_from(link, request.sequence, request.sequence_urgent, now);
      break;
    case feed_request::kind::leave:
      is_good = link.received(request.position);
      close(at);
      break;
  }
  counts_.nonsense += is_good ? 0 : 1;
}

void feed_desk::begin_from(feed_link& link, std::uint64_t sequence, std::uint64_t urgent,
                           time_point now) {
  const std::vector<std::string> all = link.prefixes();
  const prefix_set prefixes{all.begin(), all.end()};
  for (const std::string& each : prefixes) {
    link.remove_prefix(each);
  }
  link.begin_anew(ids_.next());
  sequence = std::clamp<std::uint64_t>(sequence, 1, next_);
  urgent = std::clamp<std::uint64_t>(urgent, 1, next_urgent_);
  feed_item answer = joined(link, sequence, urgent, now);
  answer.is_urgent = true;
  link.push_news(std::move(answer));
  const bool recovers = link.wishes().recovers;
  const loss_reason reason = recovers ? loss_reason::forgotten : loss_reason::away;
  add_prefixes(link, prefixes, recovers ? feed_start::since(sequence) : feed_start::now(), now);
  if (!recovers && sequence < next_) {
    link.push_lost(sequence, next_ - 1, false, reason);
  }
  if (urgent < next_urgent_) {
    link.push_lost(urgent, next_urgent_ - 1, true, reason);
  }
}

void feed_desk::close(links::iterator which) {
  const subscriber_ledger left = which->second->ledger();
  prefix_ledger sum = left.sum();
  sum.dropped.add(loss_reason::away, std::exchange(sum.queued, 0));
  counts_.left += sum;
  ++counts_.left_subscribers;
  links_.erase(which);
  demand_changed_ = true;
}

void feed_desk::look_around(time_point now) {
  for (auto at = links_.begin(); at != links_.end();) {
    const auto next = std::next(at);
    if (!at->second->is_here() && now - at->second->away_since() >= options_.away) {
      close(at);
    }
    at = next;
  }
  next_look_ = links_.empty()
                   ? time_point::max()
                   : now + std::min<time_point::duration>(longest_look, options_.heartbeat);
}

// Sending.

std::size_t feed_desk::pack(const feed_link& link) {
  const std::size_t unsent = link.unsent();
  if (unsent == 0) {
    return 0;
  }
  // Several links are mostly to get the same.
  std::size_t same = 0;
  while (same < packed_items_.size() && same < unsent &&
         link.unsent(same).get() == packed_items_[same]) {
    ++same;
  }
  if (same > 0 && same == packed_items_.size()) {
    return same;
  }
  packed_items_.clear();
  packing_.clear();
  has_packed_body_ = false;
  while (packed_items_.size() < unsent && !has_packed_body_ && packing_.size() < most_batched) {
    const feed_item& item = *link.unsent(packed_items_.size());
    const feed_entry entry = entry_of(item, micros(options_.heartbeat));
    if (!packed_items_.empty() && packing_.size() + packed_size(entry) > most_batched) {
      break;
    }
    pack_entry(packing_, entry);
    packed_items_.push_back(&item);
    if (entry.body_follows) {
      packed_body_ = item.body;
      has_packed_body_ = true;
    }
  }
  packed_ = frame{packing_};
  return packed_items_.size();
}

message feed_desk::beat(const feed_link& link) const {
  std::string text;
  pack_entry(text, {});
  message outgoing{pack_address({link.wishes().subscriber, link.id(), link.next_position()})};
  outgoing.push_back(frame{text});
  return outgoing;
}

// Asking.

bool feed_desk::is_full() const noexcept {
  return std::any_of(links_.begin(), links_.end(), [](const auto& each) {
    return each.second->is_here() && !each.second->is_cut_off() && each.second->is_full();
  });
}

bool feed_desk::has_all_sent() const noexcept {
  return std::all_of(links_.begin(), links_.end(), [](const auto& each) {
    return !each.second->is_here() || each.second->has_all_sent();
  });
}

bool feed_desk::has_all_received(std::uint64_t sequence, std::uint64_t urgent) const noexcept {
  return std::all_of(links_.begin(), links_.end(), [&](const auto& each) {
    return !each.second->is_here() || each.second->has_received(sequence, urgent);
  });
}

std::vector<std::pair<std::string, bool>> feed_desk::take_demand() {
  std::vector<std::pair<std::string, bool>> changes;
  if (!std::exchange(demand_changed_, false)) {
    return changes;
  }
  std::set<std::string, std::less<>> wanted;
  for (const auto& [subscriber, link] : links_) {
    for (std::string& each : link->prefixes()) {
      wanted.insert(std::move(each));
    }
  }
  for (const auto& [prefix, count] : plain_) {
    if (count > 0) {
      wanted.insert(prefix);
    }
  }
  for (const std::string& each : told_) {
    if (!wanted.contains(each)) {
      changes.emplace_back(each, false);
    }
  }
  for (const std::string& each : wanted) {
    if (!told_.contains(each)) {
      changes.emplace_back(each, true);
    }
  }
  told_ = std::move(wanted);
  return changes;
}

std::size_t feed_desk::subscribers(std::string_view topic) const {
  std::size_t count = 0;
  for (const auto& [subscriber, link] : links_) {
    count += link->is_here() && (topic.empty() || link->wants(topic)) ? 1 : 0;
  }
  const auto add_plain = [&](std::int64_t plain) {
    count += static_cast<std::size_t>(std::max<std::int64_t>(0, plain));
  };
  if (topic.empty()) {
    for (const auto& [prefix, plain] : plain_) {
      add_plain(plain);
    }
  } else {
    plain_.match(topic, add_plain);
  }
  return count;
}

std::vector<subscriber_ledger> feed_desk::ledger() const {
  std::vector<subscriber_ledger> all;
  all.reserve(links_.size());
  for (const auto& [subscriber, link] : links_) {
    all.push_back(link->ledger());
  }
  return all;
}

publisher_statistics feed_desk::statistics() const {
  publisher_statistics now = counts_;
  now.remembered = history_.size();
  now.last_values = options_.last_value ? topics_.size() : 0;
  return now;
}

}  // namespace parley::detail
