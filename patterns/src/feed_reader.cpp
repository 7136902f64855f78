// SPDX-License-Identifier: MPL-2.0
#include "feed_reader.hpp"

#include <parley/borrowed_frame.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace parley::detail {
namespace {

// What a frame takes before it is worth keeping the whole batch for it.
constexpr std::size_t most_copied = 1024;

constexpr std::size_t most_asked = 256;  // in all, while patience lasts
constexpr std::size_t most_strangers = 64;
constexpr std::size_t most_retired = 4;
constexpr std::size_t parts_of_window = 8;  // what was received is said after one of them

void set_part(frame& into, const frame& whole, std::string_view bytes) {
  if (bytes.size() <= most_copied) {
    into.assign(bytes.data(), bytes.size());
  } else {
    into = slice(whole, static_cast<std::size_t>(bytes.data() - whole.view().data()), bytes.size());
  }
}

bool is_news(const feed_entry& entry) noexcept {
  using kind = feed_entry::kind;
  return entry.what == kind::joined || entry.what == kind::active || entry.what == kind::inactive ||
         entry.what == kind::resumed;
}

void count(feed_books& books, std::string_view topic) noexcept {
  if (feed_books::book* const book = books.under(topic); book != nullptr) {
    ++book->received;
  }
}

std::size_t lane(const feed_entry& of) noexcept { return of.is_urgent ? 1 : 0; }

std::chrono::microseconds microseconds(std::uint64_t said) noexcept {
  constexpr std::uint64_t day = 86'400'000'000;
  return std::chrono::microseconds{static_cast<std::int64_t>(std::min(said, day))};
}

}  // namespace

feed_reader::feed_reader(std::uint64_t id, const subscriber_options& options, time_point now)
    : id_{id},
      limit_{std::clamp<std::size_t>(options.limit, 1, std::numeric_limits<std::uint32_t>::max())},
      limit_bytes_{std::clamp<std::size_t>(options.limit_bytes, 1, std::size_t{1} << 48)},
      start_{options.start},
      recovers_{options.recover},
      looking_since_{now},
      saying_since_{now},
      asking_since_{now} {}

feed_wishes feed_reader::wishes() const noexcept {
  return {id_, static_cast<std::uint32_t>(limit_), limit_bytes_, recovers_, start_};
}

bool feed_reader::subscribe(std::string_view prefix) {
  std::size_t& times = prefixes_.try_emplace(std::string{prefix}, 0).first->second;
  if (times++ > 0) {
    return false;
  }
  ++wanted_;
  plain_books_.serve(prefix);
  return true;
}

bool feed_reader::unsubscribe(std::string_view prefix) {
  const auto found = prefixes_.find(prefix);
  if (found == prefixes_.end() || found->second == 0 || --found->second > 0) {
    return false;
  }
  --wanted_;
  for (const auto& [id, each] : links_) {
    each->active.erase(&*found);
  }
  plain_books_.serve_no_more(prefix);
  given_up_.push_back(found->first);
  if (given_up_.size() > most_given_up) {
    forget_given_up();
  }
  return true;
}

void feed_reader::forget_given_up() {
  const auto oldest = prefixes_.find(given_up_.front());
  given_up_.pop_front();
  if (oldest == prefixes_.end() || oldest->second > 0) {
    return;
  }
  for (const auto& [id, each] : publishers_) {
    each->books.forget(oldest->first);
  }
  plain_books_.forget(oldest->first);
  prefixes_.erase(oldest);
}

bool feed_reader::wants(std::string_view prefix) const {
  const auto found = prefixes_.find(prefix);
  return found != prefixes_.end() && found->second > 0;
}

// What comes.

void feed_reader::take(message&& incoming, time_point now) {
  const std::string_view head = incoming.front().view();
  if (!head.starts_with(feed_octet)) {
    take_plain(std::move(incoming));
    return;
  }
  const auto address = parse_address(head);
  if (!address || address->subscriber != id_ || address->position == 0 || incoming.size() < 2 ||
      incoming.size() > 3) {
    ++nonsense_;
    return;
  }
  const auto found = links_.find(address->link);
  const link_ptr at =
      found != links_.end() ? found->second : meet(*address, incoming[1].view(), now);
  if (at == nullptr) {
    return;
  }
  at->of->heard = now;
  if (!at->is_over) {
    take_batch(at, address->position, std::move(incoming), now);
  } else if (at->asked_from && at->of->asked && now - at->asked_at >= patience && may_ask(now)) {
    at->asked_at = now;
    ask(at->asked);
  }
}

void feed_reader::take_plain(message&& incoming) {
  if (incoming.size() == 3 && parse_mark(incoming[2].view())) {
    return;  // a copy of what comes by a link
  }
  if (plain_.waiting >= limit_ + reserve || queued_bytes_ > limit_bytes_ * most_windows) {
    plain_.lost.add(loss_reason::lagged, 1);
    if (feed_books::book* const book = plain_books_.under(incoming.front().view());
        book != nullptr) {
      book->lost.add(loss_reason::lagged, 1);
    }
    return;
  }
  batch queued;
  queued.bytes = std::move(incoming[0]);
  if (incoming.size() > 1) {
    queued.body = std::move(incoming[1]);
  }
  queued.entries = 1;
  queued_entries_ += 1;
  queued_bytes_ += queued.bytes.size() + queued.body.size();
  ++plain_.waiting;
  enqueue(std::move(queued));
}

void feed_reader::enqueue(batch&& queued) {
  if (queue_.size() == queue_.capacity() && first_ > queue_.size() / 2) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  queue_.push_back(std::move(queued));
}

// What comes by a link that is not known.
feed_reader::link_ptr feed_reader::meet(const feed_address& address, std::string_view entries,
                                        time_point now) {
  if (address.position > 1) {
    ask_of_stranger(address.link, now);
    return nullptr;
  }
  const auto first = take_entry(entries);
  if (!first || first->what != feed_entry::kind::joined || first->publisher == 0) {
    ++nonsense_;
    return nullptr;
  }
  strangers_.erase(address.link);
  return join(*first, address.link, now);
}

feed_reader::link_ptr feed_reader::join(const feed_entry& joined, std::uint64_t id,
                                        time_point now) {
  const auto found = publishers_.find(joined.publisher);
  const bool is_new = found == publishers_.end();
  const publisher_ptr of = is_new ? make_publisher(joined.publisher) : found->second;
  if (of == nullptr) {
    return nullptr;
  }
  const bool has_missed_some = has_missed(*of, is_new, joined, now);
  if (of->current != nullptr) {
    retire(*of->current);
  }
  auto made = std::make_shared<link>();
  made->id = id;
  made->of = of;
  made->asked_at = now - patience;
  const std::size_t window =
      joined.window == 0 ? limit_ : std::min<std::size_t>(joined.window, limit_);
  made->say_after = std::max<std::size_t>(window / parts_of_window, 1);
  links_.emplace(id, made);
  of->heartbeat = microseconds(joined.heartbeat);
  of->asked = has_missed_some;
  if (has_missed_some) {
    made->asked = {feed_request::kind::from, id_, id, 0, of->last[0] + 1, of->last[1] + 1};
    made->asked_from = true;
    if (may_ask(now)) {
      made->asked_at = now;
      ask(made->asked);
    }
    retire(*made);
    return made;
  }
  of->current = made.get();
  if (start_.what == feed_start::kind::now) {
    // All before it is not for us.
    of->last[0] = std::max(of->last[0], joined.next - 1);
    of->last[1] = std::max(of->last[1], joined.next_urgent - 1);
  }
  return made;
}

// Whether a new link begins behind something that this subscriber should have had.
bool feed_reader::has_missed(const publisher_state& of, bool is_new, const feed_entry& joined,
                             time_point now) const noexcept {
  const bool starts_now = start_.what == feed_start::kind::now;
  if (joined.is_asked_for) {
    return false;
  }
  if (is_new) {
    return recovers_ && starts_now && now - looking_since_ > microseconds(joined.age) &&
           (joined.next > 1 || joined.next_urgent > 1);
  }
  if (!starts_now) {
    // It would begin with what it remembers, as for somebody new; we are that if nothing came.
    return of.last != numbers{};
  }
  return joined.next > of.last[0] + 1 || joined.next_urgent > of.last[1] + 1;
}

// Nothing: there are too many.
feed_reader::publisher_ptr feed_reader::make_publisher(std::uint64_t id) {
  if (publishers_.size() >= most_publishers) {
    auto silent = publishers_.end();
    for (auto each = publishers_.begin(); each != publishers_.end(); ++each) {
      const publisher_state& state = *each->second;
      if (state.came == state.received &&
          (silent == publishers_.end() || state.heard < silent->second->heard)) {
        silent = each;
      }
    }
    if (silent == publishers_.end()) {
      ++nonsense_;
      return nullptr;
    }
    if (link* const last = silent->second->current; last != nullptr) {
      if (last->passed() != last->said) {
        say(*last);  // what it sends when we meet again begins behind that
      }
      retire(*last);
    }
    for (const std::uint64_t each : silent->second->retired) {
      links_.erase(each);
    }
    publishers_.erase(silent);
  }
  auto made = std::make_shared<publisher_state>();
  made->id = id;
  publishers_.emplace(id, made);
  return made;
}

// What still comes by it is ignored; what came is still handed out.
void feed_reader::retire(link& which) {
  publisher_state& of = *which.of;
  which.is_over = true;
  which.active.clear();
  if (of.current == &which) {
    of.current = nullptr;
  }
  of.retired.push_back(which.id);
  if (of.retired.size() > most_retired) {
    links_.erase(of.retired.front());
    of.retired.erase(of.retired.begin());
  }
}

void feed_reader::take_batch(const link_ptr& at, std::uint64_t position, message&& incoming,
                             time_point now) {
  using kind = feed_entry::kind;
  link& by = *at;
  publisher_state& of = *by.of;
  if (by.expected - 1 - by.passed() > 2 * limit_ + reserve || by.queued_bytes > 2 * limit_bytes_) {
    ++nonsense_;
    return;
  }
  if (queued_entries_ > (limit_ + reserve) * most_windows ||
      queued_bytes_ > limit_bytes_ * most_windows) {
    return;
  }
  if (position > by.expected) {
    ask_again(by, now);
    return;
  }
  const std::string_view bytes = incoming[1].view();
  batch queued;
  queued.position = by.expected;
  std::size_t messages = 0;
  std::size_t repeated = 0;
  bool is_repeated = false;
  bool body_follows = false;
  numbers last = of.last;
  std::uint64_t known = by.passed();
  feed_message usual;
  for (std::string_view rest = bytes; !rest.empty();) {
    if (queued.entries > 0 && take_message(rest, usual)) {
      ++position;
      ++queued.entries;
      ++messages;
      std::uint64_t& newest = last[usual.is_urgent ? 1 : 0];
      newest = std::max(newest, usual.sequence);
      continue;
    }
    const std::size_t begin = bytes.size() - rest.size();
    const auto entry = take_entry(rest);
    if (!entry || (entry->what != kind::beat && (entry->what == kind::joined) != (position == 1))) {
      break_off(by);
      return;
    }
    body_follows = entry->body_follows;
    if (entry->what == kind::beat) {
      continue;
    }
    if (position++ < by.expected) {
      is_repeated = true;
      repeated += entry->what == kind::message ? 1 : 0;
      continue;
    }
    if (queued.entries++ == 0) {
      queued.begin = begin;
    }
    if (known == position - 2 && is_news(*entry)) {
      known = position - 1;
    }
    switch (entry->what) {
      case kind::message:
        ++messages;
        last[lane(*entry)] = std::max(last[lane(*entry)], entry->sequence);
        break;
      case kind::lost:
        if (!entry->is_relayed) {  // else the numbers are another publisher's
          last[lane(*entry)] = std::max(last[lane(*entry)], entry->last);
        }
        break;
      case kind::active:
        if (const auto found = prefixes_.find(entry->topic);
            found != prefixes_.end() && found->second > 0) {
          by.active.insert(&*found);
        }
        break;
      case kind::cut_off:
        by.active.clear();
        by.is_cut_off = true;
        break;
      default:
        break;
    }
  }
  if (body_follows != (incoming.size() == 3)) {
    break_off(by);
    return;
  }
  of.repeated += repeated;
  if (known > by.passed()) {
    by.known = known;
    owe(at);
    due_ = std::min(due_, now + saying);
    if (known - by.said >= by.say_after) {
      say(by);
    }
  }
  if (is_repeated) {
    // The publisher may have missed what we said.
    by.must_say = true;
    owe(at);
    due_ = std::min(due_, now + saying);
  }
  if (queued.entries == 0) {
    return;
  }
  of.last = last;
  of.came += messages;
  by.expected += queued.entries;
  queued.from = at;
  queued.bytes = std::move(incoming[1]);
  if (body_follows) {
    queued.body = std::move(incoming[2]);
  }
  const std::size_t size = queued.bytes.size() + queued.body.size();
  by.queued_bytes += size;
  queued_bytes_ += size;
  queued_entries_ += queued.entries;
  enqueue(std::move(queued));
}

// It sends what it should not.
void feed_reader::break_off(link& by) {
  ++nonsense_;
  retire(by);
}

// Questions.

bool feed_reader::may_ask(time_point now) noexcept {
  if (now - asking_since_ >= patience) {
    asking_since_ = now;
    asked_since_ = 0;
  }
  return asked_since_++ < most_asked;
}

// Each is another, as it takes the place of the one before.
void feed_reader::ask(feed_request what) {
  what.number = ++asked_;
  requests_.push_back(what);
}

void feed_reader::ask_again(link& by, time_point now) {
  if (now - by.asked_at >= patience && may_ask(now)) {
    by.asked_at = now;
    ask({feed_request::kind::again, id_, by.id, by.expected});
  }
}

void feed_reader::ask_of_stranger(std::uint64_t id, time_point now) {
  if (strangers_.size() >= most_strangers) {
    std::erase_if(strangers_, [now](const auto& each) { return now - each.second >= patience; });
  }
  if (strangers_.size() >= most_strangers) {
    return;
  }
  const auto [asked, is_new] = strangers_.try_emplace(id, now);
  if ((is_new || now - asked->second >= patience) && may_ask(now)) {
    asked->second = now;
    ask({feed_request::kind::again, id_, id, 1});
  }
}

// What the program takes.

bool feed_reader::open_next() {
  if (first_ == queue_.size()) {
    queue_.clear();
    first_ = 0;
    return false;
  }
  reading_ = std::move(queue_[first_++]);
  const std::size_t size = reading_.bytes.size() + reading_.body.size();
  queued_entries_ -= reading_.entries;
  queued_bytes_ -= size;
  if (reading_.from != nullptr) {
    reading_.from->queued_bytes -= size;
    rest_ = reading_.bytes.view().substr(reading_.begin);
  }
  return true;
}

feed_reader::step feed_reader::next(publication& into, feed_event& event) {
  for (;;) {
    while (rest_.empty()) {
      if (!open_next()) {
        return step::nothing;
      }
      if (reading_.from == nullptr) {
        --plain_.waiting;
        ++plain_.received;
        count(plain_books_, reading_.bytes.view());
        into.topic = std::move(reading_.bytes);
        into.body = std::move(reading_.body);
        into.publisher = 0;
        into.sequence = 0;
        into.is_urgent = false;
        into.hops = 0;
        return step::message;
      }
    }
    if (feed_message usual; take_message(rest_, usual)) {
      publisher_state& of = *reading_.from->of;
      ++of.received;
      count(of.books, usual.topic);
      set_part(into.topic, reading_.bytes, usual.topic);
      set_part(into.body, reading_.bytes, usual.body);
      into.publisher = of.id;
      into.sequence = usual.sequence;
      into.is_urgent = usual.is_urgent;
      into.hops = 0;
      pass(usual.body.size());
      has_taken_message_ = true;
      return step::message;
    }
    const auto entry = take_entry(rest_);
    if (!entry) {  // it was looked through when it came
      rest_ = {};
      continue;
    }
    if (entry->what == feed_entry::kind::beat) {
      continue;
    }
    if (entry->what == feed_entry::kind::message) {
      publisher_state& of = *reading_.from->of;
      ++of.received;
      count(of.books, entry->topic);
      into.topic = frame{entry->topic.data(), entry->topic.size()};
      if (entry->body_follows) {
        into.body = std::move(reading_.body);
      } else {
        set_part(into.body, reading_.bytes, entry->body);
      }
      into.publisher = entry->is_relayed ? entry->origin : of.id;
      into.sequence = entry->is_relayed ? entry->origin_sequence : entry->sequence;
      into.is_urgent = entry->is_urgent;
      into.hops = entry->hops;
      pass(into.body.size());
      has_taken_message_ = true;
      return step::message;
    }
    pass(0);
    if (tell(*entry, event)) {
      return step::event;
    }
  }
}

bool feed_reader::tell(const feed_entry& what, feed_event& event) {
  using kind = feed_entry::kind;
  publisher_state& of = *reading_.from->of;
  event = feed_event{feed_event::kind::joined, of.id};
  go_along(of.books, what);
  switch (what.what) {
    case kind::joined:
      return true;
    case kind::active:
      event.what = feed_event::kind::active;
      event.prefix = what.topic;
      return wants(what.topic);
    case kind::resumed:
      event.what = feed_event::kind::resumed;
      return true;
    case kind::cut_off:
      event.what = feed_event::kind::cut_off;
      return true;
    case kind::lost:
      of.lost.add(what.reason, what.count);
      if (prefixes_.contains(what.topic)) {
        of.books.of(what.topic).lost.add(what.reason, what.count);
      }
      event.what = feed_event::kind::lost;
      event.prefix = what.topic;
      event.first = what.sequence;
      event.last = what.last;
      event.count = what.count;
      event.is_urgent = what.is_urgent;
      event.reason = what.reason;
      event.missed_by = what.origin;
      event.loss = what.origin_sequence;
      event.hops = what.hops;
      return true;
    case kind::message:
    case kind::inactive:
    case kind::beat:
      break;
  }
  return false;
}

// Only what we asked for, or did: a publisher may say anything.
void feed_reader::go_along(feed_books& books, const feed_entry& news) const {
  using kind = feed_entry::kind;
  if (news.what == kind::joined) {
    books.serve_none();
  } else if (news.what == kind::active && prefixes_.contains(news.topic)) {
    books.serve(news.topic);
  } else if (news.what == kind::inactive) {
    books.serve_no_more(news.topic);
  }
}

// What is said of it.

inline void feed_reader::pass(std::size_t bytes) {
  link& by = *reading_.from;
  by.taken = reading_.position++;
  by.unsaid_bytes += bytes;
  if (!by.owes) {
    owe(reading_.from);
  }
  if (by.passed() - by.said >= by.say_after || by.unsaid_bytes >= limit_bytes_ / parts_of_window) {
    say(by);
  }
}

void feed_reader::owe(const link_ptr& which) {
  if (!which->owes) {
    which->owes = true;
    owing_.push_back(which);
  }
}

void feed_reader::say(link& by) {
  by.said = by.passed();
  by.unsaid_bytes = 0;
  by.must_say = false;
  if (!by.is_over) {
    ask({feed_request::kind::received, id_, by.id, by.said});
  }
}

void feed_reader::say_all() {
  for (const link_ptr& each : owing_) {
    each->owes = false;
    if (each->passed() != each->said || each->must_say) {
      say(*each);
    }
  }
  owing_.clear();
  has_taken_message_ = false;
  due_ = time_point::max();
}

void feed_reader::rest(time_point now) {
  if (is_empty()) {
    reading_ = {};
    rest_ = {};
  }
  if (owing_.empty()) {
    return;
  }
  if (!has_taken_message_) {
    due_ = std::min(due_, now + saying);
  } else {
    if (now - saying_since_ >= saying) {
      saying_since_ = now;
      said_since_ = 0;
    }
    due_ = std::min(due_, said_since_ < most_said ? now : saying_since_ + saying);
  }
  tick(now);
}

void feed_reader::tick(time_point now) {
  if (now >= due_) {
    ++said_since_;
    say_all();
  }
}

void feed_reader::leave() {
  bool has_said = false;
  for (const auto& [id, each] : publishers_) {
    if (each->current != nullptr) {
      ask({feed_request::kind::leave, id_, each->current->id, each->current->passed()});
      has_said = true;
    }
  }
  if (!has_said) {
    ask({feed_request::kind::leave, id_, 0, 0});  // somebody may have made a link meanwhile
  }
}

// Questions of the program.

std::size_t feed_reader::serving(std::string_view prefix, time_point now) const {
  std::vector<const prefixes::value_type*> covering;
  for (std::size_t size = 0; !prefix.empty() && size <= prefix.size(); ++size) {
    if (const auto found = prefixes_.find(prefix.substr(0, size));
        found != prefixes_.end() && found->second > 0) {
      covering.push_back(&*found);
    }
  }
  const auto serves = [&](const publisher_state& each) {
    if (each.current == nullptr || each.current->is_cut_off ||
        (each.heartbeat.count() > 0 && now - each.heard > missed_beats * each.heartbeat)) {
      return false;
    }
    const auto& active = each.current->active;
    if (prefix.empty()) {
      return active.size() == wanted_;
    }
    return std::any_of(covering.begin(), covering.end(),
                       [&](const auto* one) { return active.contains(one); });
  };
  return static_cast<std::size_t>(
      std::count_if(publishers_.begin(), publishers_.end(),
                    [&](const auto& each) { return serves(*each.second); }));
}

void feed_reader::count_waiting(counted& waiting, const link_ptr& from,
                                std::string_view entries) const {
  const publisher_state& of = *from->of;
  const auto [at, is_first] = waiting.try_emplace(&of);
  if (is_first) {
    at->second.serve_as(of.books);
  }
  while (!entries.empty()) {
    const auto entry = take_entry(entries);
    if (!entry) {
      return;
    }
    if (entry->what == feed_entry::kind::message) {
      count(at->second, entry->topic);
    } else {
      go_along(at->second, *entry);
    }
  }
}

void feed_reader::count_waiting(counted& waiting, feed_books& plain) const {
  plain.serve_as(plain_books_);
  if (reading_.from != nullptr) {
    count_waiting(waiting, reading_.from, rest_);
  }
  for (std::size_t index = first_; index < queue_.size(); ++index) {
    const batch& each = queue_[index];
    if (each.from == nullptr) {
      count(plain, each.bytes.view());
    } else {
      count_waiting(waiting, each.from, each.bytes.view().substr(each.begin));
    }
  }
}

std::vector<feed_ledger> feed_reader::ledger() const {
  counted waiting;
  feed_books plain_waiting;
  count_waiting(waiting, plain_waiting);
  const auto by_prefix = [](const feed_books& books, const feed_books& ahead) {
    std::vector<feed_prefix_ledger> told;
    for (const auto& [prefix, book] : books.all()) {
      const auto waits = ahead.all().find(prefix);
      told.push_back({prefix, book.received,
                      waits == ahead.all().end() ? 0 : waits->second.received, book.lost});
    }
    return told;
  };
  std::vector<feed_ledger> books;
  if (plain_.received + plain_.waiting > 0) {
    books.push_back(plain_);
    books.back().prefixes = by_prefix(plain_books_, plain_waiting);
  }
  for (const auto& [id, each] : publishers_) {
    books.push_back({id, each->received, each->came - each->received, each->repeated, each->lost,
                     by_prefix(each->books, waiting[each.get()])});
  }
  return books;
}

}  // namespace parley::detail
