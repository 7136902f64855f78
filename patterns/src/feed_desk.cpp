// SPDX-License-Identifier: MPL-2.0
#include "feed_desk.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace parley::detail {
namespace {

// A peer may claim to be any number of subscribers.
constexpr std::size_t most_subscribers = 65'536;
// Of those that are gone, so many are known that would miss something.
constexpr std::size_t most_unheard = 4096;
constexpr std::size_t most_prefixes = 1'000'000;
constexpr std::size_t longest_prefix = 65'535;

constexpr std::chrono::milliseconds longest_look{250};

bool is_little(std::size_t bytes, const feed_bundle& of) noexcept {
  return of.bytes.size() > 1024 && bytes * 4 < of.bytes.size();
}

std::uint64_t micros(std::chrono::steady_clock::duration time) noexcept {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

feed_entry news(feed_entry::kind what) {
  feed_entry entry;
  entry.what = what;
  return entry;
}

}  // namespace

feed_desk::feed_desk(const publisher_options& options, std::uint64_t id, time_point now)
    : options_{options}, id_{id}, begun_{now} {}

// Publishing.

std::uint32_t feed_desk::publish(const feed_ref& from, std::uint32_t begin, bool waits,
                                 time_point now) {
  if (!from->is_message()) {
    std::string_view bytes = from->bytes.view();
    if (const auto lost = take_entry(bytes)) {
      for (const auto& [subscriber, link] : links_) {
        link->push_loss_upstream(*lost);
      }
    }
    return from->size();
  }
  from->at = now;
  from->count_in(held_);
  share_way();
  for (feed_range rest{from, begin, from->size()}; rest.size() > 0; begin = rest.begin) {
    std::uint32_t room = rest.size();
    if (waits) {
      room = is_too_much() && is_full() ? 0 : room;
      for (const auto& [subscriber, link] : links_) {
        if (link->is_here() && !link->is_cut_off()) {
          room = std::min(room, link->room_for(rest));
        }
      }
      if (room == 0) {
        break;
      }
    }
    feed_range some = publish_some({from, rest.begin, rest.begin + room});
    rest.begin = some.end;
    share_out(some);
    make_room();
    if (!from->is_urgent && options_.history > 0) {
      remember(some, now);
    }
  }
  return begin;
}

// Finds their topics, and returns those of them whose topics are known at a time.
feed_range feed_desk::publish_some(feed_range messages) {
  known_topic* topic = nullptr;
  bool goes_plain = false;
  for (std::uint32_t index = messages.begin; index < messages.end; ++index) {
    feed_bundle::part& part = messages.of->parts[index];
    if (topic == nullptr || part.topic != feed_bundle::as_before) {
      const std::string_view name = messages.of->topic(index);
      const auto known = topics_.find(name);
      if (known == topics_.end() && index > messages.begin &&
          topics_.size() >= std::max<std::size_t>(1, options_.topics)) {
        messages.end = index;  // it takes the place of one that is still needed
        break;
      }
      if (topic != nullptr) {
        keep_last(*topic, {messages.of, index - 1, index});
      }
      topic = known == topics_.end() ? &make_topic(name) : &known->second;
      topics_by_age_.splice(topics_by_age_.end(), topics_by_age_, topic->age);
      goes_plain = is_plain(name, *topic);
    }
    part.topic = topic->slot;
    ++topic->published;
    if (goes_plain) {
      send_plain({messages.of, index, index + 1}, topic->published);
    }
  }
  if (topic != nullptr) {
    keep_last(*topic, {messages.of, messages.end - 1, messages.end});
  }
  counts_.published += messages.size();
  (messages.of->is_urgent ? next_urgent_ : next_) = messages.last() + 1;
  return messages;
}

void feed_desk::send_plain(const feed_range& which, std::uint64_t topic_sequence) {
  ++counts_.sent_plain;
  message copy;
  copy.reserve(3);
  copy.push_back(frame{which.of->topic(which.begin)});
  copy.push_back(which.of->body_of(which.begin));
  copy.push_back(pack_mark({id_, which.first(), topic_sequence}));
  plain_out_.push_back(std::move(copy));
}

void feed_desk::keep_last(known_topic& topic, const feed_range& message) {
  if (options_.last_value) {
    last_bytes_ -= topic.last.of ? topic.last.cost() : 0;
    topic.last = message.alone();
    last_bytes_ += topic.last.cost();
  }
}

// To each link what it wants of them.
void feed_desk::share_out(const feed_range& messages) {
  for (const auto& [subscriber, link] : links_) {
    link->choose(messages, chosen_);
    std::size_t size = 0;
    for (const feed_link::share& each : chosen_) {
      size += each.of->packed(each.begin, each.end).size();
    }
    if (!chosen_.empty() && is_little(size, *messages.of)) {
      copy_chosen(size);
    }
    for (feed_link::share& each : chosen_) {
      link->push(std::move(each));
    }
  }
  chosen_.clear();
  copied_from_.clear();
  copied_ = {};
}

// All together have more than they may.
bool feed_desk::is_too_much() const noexcept {
  return held_->load(std::memory_order_relaxed) >
         options_.total_bytes + history_bytes_ + last_bytes_;
}

// What may be on the way to each; 0: one message.
void feed_desk::share_way() noexcept {
  way_bytes_ = is_too_much()
                   ? 0
                   : std::min(options_.limit_bytes / 2,
                              options_.total_bytes / 2 / std::max<std::size_t>(links_.size(), 1));
}

// Of who has most waiting, half of that is dropped. If nothing waits, they have what is on its way
// to them, which is bounded by itself.
void feed_desk::make_room() {
  while (is_too_much()) {
    const auto most =
        std::max_element(links_.begin(), links_.end(), [](const auto& left, const auto& right) {
          return left.second->waiting_bytes() < right.second->waiting_bytes();
        });
    if (most == links_.end() || !most->second->drop_half()) {
      return;
    }
  }
}

// A little of a bundle would keep all of it. The next link mostly has chosen the same.
void feed_desk::copy_chosen(std::size_t bytes) {
  const auto is_same = [](const feed_range& left, const feed_range& right) {
    return left == right;
  };
  if (!std::equal(chosen_.begin(), chosen_.end(), copied_from_.begin(), copied_from_.end(),
                  is_same)) {
    copied_from_.assign(chosen_.begin(), chosen_.end());
    const feed_range& first = chosen_.front();
    copied_ = feed_ref{new feed_bundle{first.of->is_urgent, first.first(), bytes, chosen_.size()}};
    copied_->at = first.of->at;
    for (const feed_range& each : chosen_) {
      copied_->add(each);
    }
    copied_->count_in(held_);
  }
  std::uint32_t begin = 0;
  for (feed_link::share& each : chosen_) {
    const std::uint32_t end = begin + each.size();
    each = {{copied_, begin, end}, each.book};
    begin = end;
  }
}

feed_desk::known_topic& feed_desk::make_topic(std::string_view name) {
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
  last_bytes_ -= oldest->second.last.of ? oldest->second.last.cost() : 0;
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

void feed_desk::remember(const feed_range& messages, time_point now) {
  history_count_ += messages.size();
  history_bytes_ += messages.cost();
  if (history_.empty() || !history_.back().join(messages)) {
    history_.push_back(messages);
  }
  forget_history(now);
}

void feed_desk::forget_history(time_point now) {
  const auto is_too_much = [&] {
    return history_count_ > options_.history || history_bytes_ > options_.history_bytes ||
           (options_.history_age.count() > 0 &&
            now - history_.front().of->at > options_.history_age);
  };
  while (!history_.empty() && is_too_much()) {
    const feed_range oldest = history_.front().take(1);
    --history_count_;
    history_bytes_ -= oldest.cost();
    if (history_.front().size() == 0) {
      history_.pop_front();
    }
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
  if (said->what == feed_subscription::kind::prefix) {
    // Our subscribers subscribe to the prefix itself too, for plain publishers.
    count_plain(said->prefix, comes ? -1 : 1);
  }
  const std::uint64_t who = said->wishes.subscriber;
  if (words_.size() >= most_subscribers && !words_.contains(who) && !links_.contains(who)) {
    ++counts_.nonsense;
    return;
  }
  subscriber_words& words = words_[who];
  spoken_.push_back(who);
  switch (said->what) {
    case feed_subscription::kind::wishes:
      if (comes) {
        words.wishes = said->wishes;
      } else if (connections(who, words) > 1) {
        words.is_leaving = true;
      } else {
        leave(words);
      }
      break;
    case feed_subscription::kind::prefix:
      if (said->prefix.size() > longest_prefix ||
          words.added.size() + words.removed.size() >= most_prefixes) {
        ++counts_.nonsense;
        break;
      }
      if (!comes && words.is_leaving) {
        break;  // by another connection it is still wanted
      }
      // What goes and then comes does both.
      (comes ? words.added : words.removed).emplace(said->prefix);
      if (!comes) {
        words.added.erase(std::string{said->prefix});
      }
      break;
    case feed_subscription::kind::inbox:
      if (comes) {
        ++words.connections;
      } else if (connections(who, words) > 1) {
        --words.connections;
        words.is_leaving = false;
      } else {
        leave(words);
      }
      break;
  }
}

int feed_desk::connections(std::uint64_t subscriber, const subscriber_words& words) const {
  const auto at = links_.find(subscriber);
  return words.connections + (at == links_.end() || words.left ? 0 : at->second->connections());
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
      take_prefix(*link, each);
    }
    add_prefixes(*link, words.added, link->wishes().start, now);
    link->count_connections(words.connections);
    const bool is_leaving = words.is_leaving;
    words = {};
    words.is_leaving = is_leaving;
    return !is_leaving;
  }
  words.removed.clear();
  if (words.connections == 0 || (link == nullptr && !words.wishes)) {
    return !words.wishes && words.added.empty();  // the rest is on its way
  }
  if (link != nullptr) {
    regain(*link, words, now);
  } else if (links_.size() < most_subscribers) {
    auto made = std::make_unique<feed_link>(options_, way_bytes_, *words.wishes, ids_.next());
    feed_link& opened = *made;
    links_.emplace(subscriber, std::move(made));
    opened.count_connections(words.connections);
    open(opened, words.added, now);
    if (const auto known = unheard_.find(subscriber); known != unheard_.end()) {
      push_unheard(opened, known->second);
      unheard_.erase(known);
    }
  }
  return true;
}

void feed_desk::regain(feed_link& link, const subscriber_words& words, time_point now) {
  link.regain_connection(words.wishes.value_or(link.wishes()));
  link.count_connections(words.connections);
  for (const std::string& each : link.prefixes()) {
    if (!words.added.contains(each)) {
      take_prefix(link, each);
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

feed_entry feed_desk::joined(const feed_link& link, std::uint64_t next, std::uint64_t next_urgent,
                             time_point now) const {
  feed_entry entry = news(feed_entry::kind::joined);
  entry.publisher = id_;
  entry.age = micros(now - begun_);
  entry.next = next;
  entry.next_urgent = next_urgent;
  entry.window = static_cast<std::uint32_t>(link.window());
  entry.heartbeat = micros(options_.heartbeat);
  return entry;
}

// Those that it does not have yet; what is remembered of them comes before what is new.
void feed_desk::add_prefixes(feed_link& link, const prefix_set& prefixes, const feed_start& start,
                             time_point now) {
  std::vector<feed_range> remembered;
  prefix_table<bool> added;
  if (start.what != feed_start::kind::now) {
    for (const std::string& each : prefixes) {
      added.at(each) = true;
    }
  }
  const auto is_new = [&](const feed_range& one) {
    const std::string_view topic = one.of->topic(one.begin);
    bool matches = false;
    added.match(topic, [&](bool) { matches = true; });
    return matches && !link.wants(topic);
  };
  forget_history(now);
  std::uint64_t first = 0;  // asked for
  switch (start.what) {
    case feed_start::kind::now:
      break;
    case feed_start::kind::last_values:
      for (const auto& [name, topic] : topics_) {
        if (topic.last.of && is_new(topic.last)) {
          remembered.push_back(topic.last);
        }
      }
      std::sort(remembered.begin(), remembered.end(),
                [](const feed_range& left, const feed_range& right) {
                  return std::pair{!left.of->is_urgent, left.first()} <
                         std::pair{!right.of->is_urgent, right.first()};
                });
      break;
    case feed_start::kind::since_sequence:
      first = start.value;
      [[fallthrough]];
    case feed_start::kind::since_age:
    case feed_start::kind::history:
      for (feed_range rest : history_) {
        while (rest.size() > 0) {
          const feed_range one = rest.take(1);
          const bool is_asked_for = start.what == feed_start::kind::since_age
                                        ? micros(now - one.of->at) <= start.value
                                        : one.first() >= first;
          if (is_asked_for && is_new(one)) {
            remembered.push_back(one);
          }
        }
      }
      break;
  }
  bool has_more = false;
  for (const std::string& each : prefixes) {
    if (!link.has_prefix(each)) {
      link.add_prefix(each);
      feed_entry active = news(feed_entry::kind::active);
      active.topic = each;
      link.push_news(active);
      has_more = true;
    }
  }
  const std::uint64_t oldest = history_.empty() ? next_ : history_.front().first();
  if (has_more && first > 0 && first < oldest) {
    link.push_lost(first, oldest - 1, false, loss_reason::forgotten);
  }
  for (const feed_range& each : remembered) {
    link.push_remembered(each);
  }
}

void feed_desk::take_prefix(feed_link& link, const std::string& prefix) {
  if (link.has_prefix(prefix)) {
    link.remove_prefix(prefix);
    feed_entry inactive = news(feed_entry::kind::inactive);
    inactive.topic = prefix;
    link.push_news(inactive);
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
      if (request.position == 1 && link.is_heard() && !link.is_cut_off()) {
        // It had to forget us, and with us what it received.
        feed_entry answer = joined(link, link.least_awaited(false, next_),
                                   link.least_awaited(true, next_urgent_), now);
        answer.is_asked_for = true;
        link.begin_again(ids_.next(), answer);
        break;
      }
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
  const unheard missing = unheard_before(link, sequence, urgent);
  link.begin_anew(ids_.next());
  sequence = std::clamp<std::uint64_t>(sequence, 1, next_);
  urgent = std::clamp<std::uint64_t>(urgent, 1, next_urgent_);
  feed_entry answer = joined(link, sequence, urgent, now);
  answer.is_asked_for = true;
  link.push_news(answer);
  const bool recovers = link.wishes().recovers;
  const loss_reason reason = recovers ? loss_reason::forgotten : loss_reason::away;
  add_prefixes(link, prefixes, recovers ? feed_start::since(sequence) : feed_start::now(), now);
  if (!recovers && sequence < next_) {
    link.push_lost(sequence, next_ - 1, false, reason);
  }
  if (urgent < next_urgent_) {
    link.push_lost(urgent, next_urgent_ - 1, true, reason);
  }
  push_unheard(link, missing);
}

void feed_desk::push_unheard(feed_link& to, const unheard& missing) {
  for (const bool is_urgent : {false, true}) {
    if (const feed_link::unheard& each = missing[is_urgent ? 1 : 0]; each.count > 0) {
      to.push_lost(each.first, each.last, is_urgent, loss_reason::away, each.count);
    }
  }
}

feed_desk::unheard feed_desk::unheard_before(const feed_link& link, std::uint64_t sequence,
                                             std::uint64_t urgent) const {
  if (options_.when_lagging != lag_policy::newest_by_topic) {
    return {};  // it knows by the numbers
  }
  return {link.unheard_before(sequence, false), link.unheard_before(urgent, true)};
}

void feed_desk::give_up(links::iterator which) {
  const feed_link& link = *which->second;
  const unheard missing = unheard_before(link, link.greatest(false) + 1, link.greatest(true) + 1);
  if (missing[0].count + missing[1].count > 0 && unheard_.size() < most_unheard) {
    unheard_[which->first] = missing;
  }
  close(which);
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
      give_up(at);
    }
    at = next;
  }
  next_look_ = links_.empty()
                   ? time_point::max()
                   : now + std::min<time_point::duration>(longest_look, options_.heartbeat);
}

// Sending.

std::size_t feed_desk::pack(const feed_link& link) {
  const std::size_t count = link.next_batch(packing_);
  if (count == 0 || packing_ == packed_ranges_) {
    return count;  // several links are mostly to get the same
  }
  packed_ranges_.swap(packing_);
  if (packed_ranges_.size() == 1) {
    packed_ = packed_ranges_.front().packed();
  } else {
    std::string bytes;
    for (const feed_range& each : packed_ranges_) {
      bytes += each.of->packed(each.begin, each.end);
    }
    packed_ = frame{bytes};
  }
  return count;
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
  const bool is_over = is_too_much();
  return std::any_of(links_.begin(), links_.end(), [is_over](const auto& each) {
    const feed_link& link = *each.second;
    return link.is_here() && !link.is_cut_off() &&
           (link.is_full() || (is_over && link.waiting_bytes() > 0));
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
