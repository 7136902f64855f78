// SPDX-License-Identifier: MPL-2.0
#include "peer_desk.hpp"

#include "file_mark.hpp"
#include "letter_mark.hpp"
#include "service_table.hpp"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;
using kind = zre_message::kind;

// Who greets without being asked, or was asked to, within this; else the address is another's.
constexpr auto greeting_time = 3s;
// A beacon that says farewell overtakes what was said before it by TCP.
constexpr auto farewell_time = 1s;
// How long a wrong address is left alone.
constexpr auto wrong_time = 10s;
// A peer that reached us is dialled so often, for so long.
constexpr auto dial_interval = 1s;
constexpr auto dial_time = 10s;
constexpr std::size_t most_groups = 1000;
// What a whisper between nodes of Parley is, if it is none of a program: of letters and files,
// which have bounds of their own, or that we are muted.
enum class node_word : std::uint8_t { none, muted, offer, other };

node_word node_word_of(const message& said) {
  const auto letter = said.size() > 1 ? read_letter_mark(said.back().view()) : std::nullopt;
  if (letter) {
    return letter->what == letter_mark::kind::muted ? node_word::muted : node_word::other;
  }
  const auto file = said.size() <= 2 ? read_file_mark(said.back().view()) : std::nullopt;
  if (!file || (said.size() == 2) != (file->what == file_mark::kind::piece)) {
    return node_word::none;
  }
  return file->what == file_mark::kind::offer ? node_word::offer : node_word::other;
}

// Of what is said: zyre counts 65,534, 65,535, 0, and pyre 65,534, 0.
constexpr std::uint16_t last_number = 0xffff;

}  // namespace

peer_desk::peer_desk(const peer_id& own, std::string name, std::uint16_t port,
                     const peers_options& options, list holds)
    : own_{own},
      name_{std::move(name)},
      port_{port},
      is_secured_{options.curve.own().has_value()},
      holds_{std::move(holds)},
      headers_{[&] {
        auto headers = options.headers;
        headers.emplace(parley_header, "1");
        if (options.curve.own()) {
          headers.insert_or_assign(std::string{key_header}, options.curve.own()->public_key.z85());
        }
        return headers;
      }()},
      evasive_{options.evasive},
      expired_{options.expired},
      sure_{std::max(evasive_, expired_ / 3)},
      quiet_{options.rate.within},
      rates_{options.rate},
      crowd_{options.most_peers} {}

peer_desk::peer* peer_desk::find(const peer_id& who) {
  const auto found = peers_.find(who);
  return found == peers_.end() ? nullptr : &found->second;
}

const peer_desk::peer* peer_desk::find(const peer_id& who) const {
  const auto found = peers_.find(who);
  return found == peers_.end() ? nullptr : &found->second;
}

peer_desk::peer* peer_desk::find(peer_link link) {
  const auto found = by_link_.find(link);
  return found == by_link_.end() ? nullptr : find(found->second);
}

void peer_desk::set_here(peer& which, bool is_here) {
  crowd_.remove(which.host, which.is_here);
  which.is_here = is_here;
  crowd_.add(which.host, is_here);
}

void peer_desk::look_again(peer& at, time_point when) {
  due_.erase({at.due, at.id});
  at.due = when;
  due_.insert({at.due, at.id});
}

// Null: there are too many.
peer_desk::peer* peer_desk::take_in(const peer_id& who, const std::string& host,
                                    const std::optional<curve_key>& key, bool is_proven,
                                    time_point now) {
  if (crowd_.is_full(host) || (!is_proven && crowd_.is_full_of_unproven(host))) {
    ++statistics_.not_greeted;
    return nullptr;
  }
  const peer_link link = ++last_link_;
  by_link_.emplace(link, who);
  peer& made = peers_[who];
  made.id = who;
  made.link = link;
  made.host = host;
  made.key = key;
  made.since = now;
  made.heard = now;
  made.answered = now;
  crowd_.add(host, false);
  look_soon(made);
  return &made;
}

peer_desk::peer* peer_desk::find_or_take_in(const peer_id& who, const std::string& host,
                                            const std::optional<curve_key>& key, time_point now) {
  if (key.has_value() != is_secured_) {
    ++statistics_.other_version;
    return nullptr;
  }
  peer* const known = find(who);
  if (known != nullptr && known->key == key) {
    return known;
  }
  // Anybody can name an id and a key; who has not answered yet gives way.
  if ((known != nullptr && (known->is_proven || known->is_open)) || (key && !holds_(*key))) {
    ++statistics_.not_allowed;
    return nullptr;
  }
  if (known != nullptr) {
    lose(*known, peer_exit::unreachable);
  }
  return take_in(who, host, key, false, now);
}

void peer_desk::dial(peer& to, time_point now) {
  to.dialled = now;
  for (const peer_place& each : to.places.begin_trial(now)) {
    steps_.push_back({peer_step::kind::probe, to.link, each});
  }
}

void peer_desk::probed(peer_link link, const peer_place& where, probe_answer how,
                       const std::string& own_host, time_point now) {
  peer* const of = find(link);
  if (of == nullptr || !of->places.tried(where, how, own_host)) {
    return;
  }
  if (of->is_open) {
    // Its connection to us ended before, and it takes no other: it is not there any more. If it
    // only keeps silent, the network may be at fault: time will tell, or another of its addresses.
    if (of->places.used() == where && how == probe_answer::refused) {
      lose(*of, peer_exit::link_lost);
    } else if (of->places.have_moved()) {
      tell_exit(*of, peer_exit::link_lost);
      begin_anew(*of, now);
    }
    return;
  }
  if (how == probe_answer::answered) {
    open(*of, where, now);
    return;
  }
  if (!of->places.is_trying() && (!of->is_here || of->has_hung_up)) {
    // Its next beacon is another chance.
    lose(*of, of->is_here ? peer_exit::link_lost : peer_exit::unreachable);
  }
}

void peer_desk::open(peer& to, const peer_place& at, time_point now) {
  to.is_open = true;
  look_soon(to);
  to.places.use(at);
  to.since = now;
  to.answered = now;
  to.last_said = 0;
  to.pings = 0;
  to.has_answered = false;
  steps_.push_back({peer_step::kind::open, to.link, at, {}, to.key});
  zre_message hello{.what = kind::hello};
  hello.endpoint = peer_place{to.places.own_host(), port_}.str();
  hello.groups.assign(groups_.begin(), groups_.end());
  hello.status = status_;
  hello.name = name_;
  hello.headers = headers_;
  auto kept = take_kept(to);
  say(to, std::move(hello));
  for (unsaid& each : kept) {
    say(to, std::move(each.head), each.content);
  }
}

// What was said on it may be lost; what is held back was not said.
void peer_desk::shut(peer& to) {
  if (std::exchange(to.is_open, false)) {
    steps_.push_back({peer_step::kind::drop, to.link});
  }
  if (std::exchange(to.is_held, false)) {
    std::erase_if(to.kept, [](const unsaid& each) {
      return !each.head.has_content();  // our HELLO says as much
    });
  } else {
    static_cast<void>(take_kept(to));
  }
  to.answers_until = never;
}

std::deque<peer_desk::unsaid> peer_desk::take_kept(peer& of) {
  of.kept_bytes = 0;
  return std::exchange(of.kept, {});
}

void peer_desk::begin_anew(peer& to, time_point now) {
  shut(to);
  set_here(to, false);
  look_soon(to);
  to.is_evasive = false;
  to.groups.clear();
  to.since = now;
  dial(to, now);
}

void peer_desk::heard_beacon(const beacon& heard, const std::string& host, time_point now) {
  if (heard.id == own_) {
    return;
  }
  if (heard.port == 0) {
    // Anybody can say so; believed if it comes from where the peer is.
    peer* const leaving = find(heard.id);
    if (leaving != nullptr && leaving->key == heard.key && leaving->places.contain(host)) {
      leaving->leaves_at = std::min(leaving->leaves_at, now + farewell_time);
      look_soon(*leaving);
    }
    return;
  }
  peer* const of = find_or_take_in(heard.id, host, heard.key, now);
  if (of == nullptr) {
    return;
  }
  const peer_place where{host, heard.port};
  if (of->is_open && of->is_here) {
    if (where.port == of->places.used().port && of->places.contain(where)) {
      of->heard = now;
      // Whether a secured peer lets us in, too, its beacon does not say.
      const bool vouches = where == of->places.used() && (!is_secured_ || of->has_answered);
      of->answered = vouches ? now : of->answered;
      if (std::exchange(of->is_evasive, false)) {
        tell(*of, peer_event::kind::returned);
      }
    }
    of->places.add(where);
    return;
  }
  of->places.add(where);
  if (!of->is_open) {
    dial(*of, now);
  }
}

void peer_desk::heard_of(const peer_id& who, const peer_place& where, time_point now,
                         const std::optional<curve_key>& key) {
  if (who == own_ || !where.is_numerical()) {
    return;
  }
  peer* const of = find_or_take_in(who, where.host, key, now);
  if (of == nullptr) {
    return;
  }
  of->places.add(where);
  if (!of->is_open) {
    dial(*of, now);
  }
}

void peer_desk::heard(const peer_id& from, const std::string& host, message&& said, time_point now,
                      const std::optional<curve_key>& key) {
  zre_message head;
  const auto reading = said.empty() ? zre_reading::nonsense : read_zre(said.front().view(), head);
  if (reading != zre_reading::good || from == own_) {
    ++(reading == zre_reading::other_version ? statistics_.other_version : statistics_.nonsense);
    return;
  }
  if (key.has_value() != is_secured_) {
    ++statistics_.other_version;
    return;
  }
  peer* const of = find(from);
  if (of != nullptr && of->is_proven && of->key != key) {
    hear_impostor(*of, now);
    return;
  }
  if (head.what == kind::hello) {
    hear_hello(from, host, key, std::move(head), now);
    return;
  }
  if (of == nullptr || !of->is_here) {
    ++statistics_.nonsense;  // who was not greeted, or is to begin anew
    return;
  }
  if (!is_next(*of, head.sequence)) {
    tell_exit(*of, peer_exit::out_of_step);
    begin_anew(*of, now);
    return;
  }
  if (head.sequence == last_number) {
    of->counting = numbering::with_last;
  } else if (head.sequence == 0 && of->last_heard != last_number) {
    of->counting = numbering::without_last;
  }
  of->last_heard = head.sequence;
  of->heard = now;
  of->spoke = now;
  of->has_hung_up = false;
  if (std::exchange(of->is_evasive, false)) {
    tell(*of, peer_event::kind::returned);
  }
  switch (head.what) {
    case kind::whisper:
    case kind::shout:
      hear_content(*of, head, std::move(said), now);
      break;
    case kind::join:
    case kind::leave:
      hear_groups(*of, head, now);
      break;
    case kind::ping:
      say(*of, {.what = kind::ping_ok});
      break;
    case kind::ping_ok:
      hear_answer(*of, now);
      break;
    case kind::goodbye:
      lose(*of, peer_exit::left);
      break;
    default:
      break;
  }
}

bool peer_desk::is_next(peer& from, std::uint16_t sequence) const {
  return sequence == static_cast<std::uint16_t>(from.last_heard + 1) ||
         (from.last_heard == last_number - 1 && sequence == 0);
}

void peer_desk::hear_answer(peer& from, time_point now) {
  from.answered = now;
  from.has_answered = true;
  from.answers_until = never;
  from.pings -= from.pings > 0 ? 1 : 0;
  if (from.is_held && from.pings == 0) {
    from.is_held = false;
    from.counting = numbering::with_last;
    for (unsaid& each : take_kept(from)) {
      say(from, std::move(each.head), each.content);
    }
  }
}

// It took the peer's ear with its id: the peer has to greet again, by another connection.
void peer_desk::hear_impostor(peer& of, time_point now) {
  ++statistics_.not_allowed;
  if (of.is_here) {
    tell_exit(of, peer_exit::out_of_step);
    begin_anew(of, now);
  }
}

void peer_desk::hear_hello(const peer_id& from, const std::string& host,
                           const std::optional<curve_key>& key, zre_message&& hello,
                           time_point now) {
  const auto named = hello.headers.find(std::string{key_header});
  if (hello.sequence != 1 || (key && named != hello.headers.end() && named->second != key->z85())) {
    ++statistics_.nonsense;
    return;
  }
  peer* of = find(from);
  if (of != nullptr && of->key != key) {
    lose(*of, peer_exit::unreachable);  // somebody named another key for it, and does not prove it
    of = nullptr;
  }
  if (of == nullptr) {
    of = take_in(from, host, key, true, now);
    if (of == nullptr) {
      return;
    }
  } else if (!of->is_here && crowd_.is_full(of->host)) {
    ++statistics_.not_greeted;
    lose(*of, peer_exit::unreachable);
    return;
  }
  // Of two greetings that cross, or that answer each other, neither may ask for a third.
  const bool was_here = of->is_here;
  const bool is_crossing =
      was_here && of->is_open && !of->is_held && now - of->since < greeting_time;
  if (was_here) {
    tell_exit(*of, peer_exit::restarted);
    of->groups.clear();
  }
  if (was_here && !is_crossing) {
    // It has forgotten us, or is another one with the same id: it does not know our numbers.
    of->counting = of->is_held ? numbering::without_last : of->counting;
    shut(*of);
  }
  set_here(*of, true);
  look_soon(*of);
  of->is_proven = true;
  of->has_hung_up = false;
  of->is_evasive = false;
  of->leaves_at = never;
  of->since = of->is_open ? of->since : now;
  of->heard = now;
  of->answered = now;
  of->last_heard = hello.sequence;
  of->name = std::move(hello.name);
  of->headers = std::move(hello.headers);
  of->is_parley = of->headers.contains(std::string{parley_header});
  of->status = hello.status;
  of->places.add_named(hello.endpoint, host);
  ++statistics_.entered;
  tell(*of, peer_event::kind::enter);
  for (const std::string& group : hello.groups) {
    if (!group.empty() && of->groups.size() < most_groups && of->groups.insert(group).second) {
      tell(*of, peer_event::kind::join, group);
    }
  }
  if (!of->is_open) {
    dial(*of, now);
  }
  if (was_here || is_secured_) {
    ping(*of);  // whether it lets us in, knows us, and counts as we do, it says if asked
  }
  if (was_here) {
    of->answers_until = is_crossing ? now + greeting_time : never;
  }
}

void peer_desk::hear_groups(peer& from, const zre_message& changed, time_point now) {
  static_cast<void>(is_heard(from, 0, now));  // where it is has to be known all the same
  from.status = static_cast<std::uint8_t>(from.status + 1);
  if (from.status != changed.status || changed.group.empty()) {
    ++statistics_.nonsense;  // zyre and pyre end of this; what it says now is what counts
    from.status = changed.status;
  }
  if (changed.what == kind::leave) {
    if (const auto found = from.groups.find(changed.group); found != from.groups.end()) {
      from.groups.erase(found);
      tell(from, peer_event::kind::leave, changed.group);
    }
  } else if (!changed.group.empty() && from.groups.size() < most_groups &&
             from.groups.insert(changed.group).second) {
    tell(from, peer_event::kind::join, changed.group);
  }
}

void peer_desk::hear_content(peer& from, const zre_message& head, message&& said, time_point now) {
  const bool is_shout = head.what == kind::shout;
  if (is_shout && !groups_.contains(head.group)) {
    return;  // it did not know yet that we left
  }
  said.drop_front(1);
  if (said.empty()) {
    said.push_back(frame{});
  }
  const auto word = is_shout || !from.is_parley ? node_word::none : node_word_of(said);
  if (word != node_word::other && !is_heard(from, said.bytes(), now) && word != node_word::offer) {
    ++statistics_.muted;
    return;
  }
  if (word == node_word::muted) {
    tell(from, peer_event::kind::muted_by);
    events_.back().count = read_letter_mark(said.back().view())->number;
    return;
  }
  tell(from, is_shout ? peer_event::kind::shout : peer_event::kind::whisper, head.group);
  events_.back().content = std::move(said);
}

bool peer_desk::is_heard(peer& from, std::size_t bytes, time_point now) {
  const auto verdict = rates_.hear(from.id, bytes, now);
  if (verdict == sender_rates::verdict::muted_now) {
    tell(from, peer_event::kind::muted);
    if (from.is_parley) {
      message told{frame{}};
      told.push_back(
          frame{write_letter_mark({.what = letter_mark::kind::muted,
                                   .number = static_cast<std::uint64_t>(quiet_.count())})});
      say(from, {.what = kind::whisper}, told);
    }
  }
  return verdict == sender_rates::verdict::heard;
}

void peer_desk::hung_up(const peer_id& who, time_point now) {
  peer* const of = find(who);
  if (of == nullptr || !of->is_here) {
    return;
  }
  if (of->leaves_at != never) {
    lose(*of, peer_exit::left);
    return;
  }
  if (of->key && !holds_(*of->key)) {
    lose(*of, peer_exit::link_lost);  // it is off the list, and could hear us still
    return;
  }
  of->has_hung_up = true;
  look_soon(*of);
  dial(*of, now);
  ping(*of);  // its answer has a number: is anything missing?
}

void peer_desk::stuck(peer_link link) {
  if (peer* const of = find(link)) {
    lose(*of, peer_exit::link_lost);
  }
}

void peer_desk::say(peer& to, zre_message head, const message& content) {
  if (!to.is_open || to.is_held) {
    to.kept_bytes += content.bytes();
    to.kept.push_back({std::move(head), content});
    return;
  }
  if (to.last_said == last_number - 1 && to.counting == numbering::unknown && !to.is_parley) {
    // pyre breaks the link at this number, and loses all that follows: be it a question, and the
    // rest wait for what comes of it, an answer or a greeting.
    to.is_held = true;
    look_soon(to);
    send(to, {.what = kind::ping});
    say(to, std::move(head), content);
    return;
  }
  send(to, std::move(head), content);
}

void peer_desk::send(peer& to, zre_message head, const message& content) {
  ++to.last_said;
  if (to.last_said == last_number && to.counting == numbering::without_last) {
    to.last_said = 0;
  }
  to.pings += head.what == kind::ping ? 1 : 0;
  head.sequence = to.last_said;
  message said{frame{write_zre(head)}};
  for (const frame& each : content) {
    said.push_back(each);
  }
  if (head.has_content() && content.empty()) {
    said.push_back(frame{});  // pyre does not answer any more after a message without content
  }
  steps_.push_back({peer_step::kind::send, to.link, {}, std::move(said)});
}

void peer_desk::ping(peer& who) {
  if (!who.is_held) {  // it has been asked
    say(who, {.what = kind::ping});
  }
}

void peer_desk::whisper(const peer_id& to, const message& content) {
  peer* const of = find(to);
  assert(of != nullptr && of->is_here);
  say(*of, {.what = kind::whisper}, content);
  ++statistics_.sent;
}

void peer_desk::shout(const peer_id& to, std::string_view group, const message& content) {
  peer* const of = find(to);
  assert(of != nullptr && of->is_here);
  zre_message head{.what = kind::shout};
  head.group = group;
  say(*of, std::move(head), content);
  ++statistics_.sent;
}

void peer_desk::join(std::string_view group) {
  if (!groups_.emplace(group).second) {
    return;
  }
  ++status_;
  for (auto& [id, each] : peers_) {
    if (each.is_open) {  // others hear of it by our HELLO
      zre_message head{.what = kind::join, .status = status_};
      head.group = group;
      say(each, std::move(head));
    }
  }
}

void peer_desk::leave(std::string_view group) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) {
    return;
  }
  groups_.erase(found);
  ++status_;
  for (auto& [id, each] : peers_) {
    if (each.is_open) {
      zre_message head{.what = kind::leave, .status = status_};
      head.group = group;
      say(each, std::move(head));
    }
  }
}

void peer_desk::close() {
  while (!peers_.empty()) {
    peer& each = peers_.begin()->second;
    if (each.is_open && each.is_parley) {
      say(each, {.what = kind::goodbye});
    }
    lose(each, peer_exit::closed);
  }
}

std::string peer_desk::identity_of(const peer& of) {
  const auto named = of.headers.find(std::string{identity_header});
  return named == of.headers.end() || named->second.empty() ? of.id.str() : named->second;
}

// Where its link leads; else where it says it is, for one that has just greeted us.
std::optional<peer_place> peer_desk::where_is(const peer& who) {
  return who.is_open ? std::optional{who.places.used()} : who.places.latest();
}

std::string peer_desk::address_of(const peer& of) {
  const auto where = where_is(of);
  return where ? where->str() : std::string{};
}

void peer_desk::tell(const peer& of, peer_event::kind what, std::string_view group) {
  peer_event event{.what = what, .peer = of.id, .name = of.name};
  event.group = group;
  if (what == peer_event::kind::enter) {
    event.headers = of.headers;
    event.identity = identity_of(of);
    event.key = of.key;
    event.address = address_of(of);
  }
  events_.push_back(std::move(event));
}

void peer_desk::tell_exit(peer& of, peer_exit reason) {
  if (of.is_here) {
    ++statistics_.exited;
    tell(of, peer_event::kind::exit);
    events_.back().reason = reason;
  }
}

void peer_desk::lose(peer& which, peer_exit reason) {
  tell_exit(which, reason);
  if (which.is_open) {
    steps_.push_back({peer_step::kind::close, which.link});
  }
  by_link_.erase(which.link);
  rates_.forget(which.id);
  due_.erase({which.due, which.id});
  crowd_.remove(which.host, which.is_here);
  peers_.erase(peer_id{which.id});
}

peer_desk::time_point peer_desk::tick(time_point now) {
  for (const auto& [who, count] : rates_.end(now)) {
    if (const peer* const quiet = find(who); quiet != nullptr && quiet->is_here) {
      tell(*quiet, peer_event::kind::unmuted);
      events_.back().count = count;
    }
  }
  std::vector<peer_id> late;
  for (const auto& [when, id] : due_) {
    if (when > now) {
      break;
    }
    late.push_back(id);
  }
  for (const peer_id& id : late) {
    if (peer* const each = find(id)) {
      const auto next = look_at(*each, now);
      if (peer* const left = find(id)) {
        look_again(*left, next);
      }
    }
  }
  return std::min(rates_.due(), due_.empty() ? never : due_.begin()->first);
}

// May lose it.
peer_desk::time_point peer_desk::look_at(peer& at, time_point now) {
  if (at.leaves_at <= now) {
    if (!is_secured_) {
      lose(at, peer_exit::left);
      return never;
    }
    at.leaves_at = never;  // its connection goes on, and the datagram was anybody's
  }
  const auto leaves_at = at.leaves_at;
  return std::min(leaves_at, look_at_life(at, now));
}

// As above.
peer_desk::time_point peer_desk::look_at_life(peer& at, time_point now) {
  if (!at.is_open) {
    if (now - at.since >= dial_time) {
      lose(at, peer_exit::unreachable);
      return never;
    }
    if (now - at.dialled >= dial_interval) {
      dial(at, now);
    }
    return std::min(at.since + dial_time, at.dialled + dial_interval);
  }
  if (!at.is_here) {
    if (now - at.since < greeting_time) {
      return at.since + greeting_time;
    }
    // Whoever took our HELLO there is not this peer.
    at.places.set_wrong(now + wrong_time);
    if (at.places.are_wrong(now)) {
      lose(at, peer_exit::unreachable);
      return never;
    }
    begin_anew(at, now);
    return now + dial_interval;
  }
  if (at.is_held && at.answers_until == never) {
    at.answers_until = now + expired_;  // it may have much to read before
  }
  if (at.answers_until <= now) {
    tell_exit(at, peer_exit::out_of_step);  // it does not take what we say
    begin_anew(at, now);
    return now + dial_interval;
  }
  auto next = at.answers_until;
  if (at.has_hung_up) {
    // A process that dies lets go of its connections one by one: it may have answered meanwhile.
    if (now - at.dialled >= dial_interval) {
      dial(at, now);
    }
    next = std::min(next, at.dialled + dial_interval);
  }
  return std::min(next, look_at_silence(at, now));
}

// As above. It may be heard, and yet nothing reach it: what it says comes by another address.
peer_desk::time_point peer_desk::look_at_silence(peer& at, time_point now) {
  const auto unanswered = now - at.answered;
  if (unanswered >= expired_ && (!at.is_evasive || now - at.heard >= expired_)) {
    lose(at, at.is_evasive ? peer_exit::timed_out : peer_exit::unreachable);
    return never;
  }
  // Who says something, be it a question, lives; whether we reach it has time. By beacons it may be
  // heard of where our link does not lead.
  const auto asked_from = std::min(std::max(at.spoke, at.answered) + evasive_, at.answered + sure_);
  if (now < asked_from) {
    return asked_from;
  }
  if (now - at.asked >= evasive_) {
    // Does it answer elsewhere? Not if all that is known is that it keeps quiet.
    if (at.heard > std::max(at.answered, at.spoke) || at.asked > at.answered) {
      dial(at, now);
    }
    at.asked = now;
    ping(at);
  }
  const auto is_evasive_at = at.heard + evasive_ + evasive_ / 2;
  if (!at.is_evasive && now >= is_evasive_at) {
    at.is_evasive = true;
    tell(at, peer_event::kind::evasive);
  }
  const auto gone_at = std::max(at.answered, at.is_evasive ? at.heard : at.answered) + expired_;
  return std::min({gone_at, at.asked + evasive_, at.is_evasive ? never : is_evasive_at});
}

std::optional<peer_id> peer_desk::owner_of(peer_link link) const {
  const auto found = by_link_.find(link);
  return found == by_link_.end() ? std::nullopt : std::optional{found->second};
}

peer_link peer_desk::link_of(const peer_id& who) const {
  const peer* const of = find(who);
  return of != nullptr && of->is_here ? of->link : 0;
}

bool peer_desk::is_open(peer_link link) const {
  const auto found = by_link_.find(link);
  return found != by_link_.end() && peers_.at(found->second).is_open &&
         !peers_.at(found->second).is_held;
}

std::size_t peer_desk::kept(peer_link link) const {
  const auto found = by_link_.find(link);
  return found == by_link_.end() ? 0 : peers_.at(found->second).kept.size();
}

std::size_t peer_desk::kept_bytes(peer_link link) const {
  const auto found = by_link_.find(link);
  return found == by_link_.end() ? 0 : peers_.at(found->second).kept_bytes;
}

std::vector<peer_id> peer_desk::here(std::string_view group) const {
  std::vector<peer_id> all;
  for (const auto& [id, each] : peers_) {
    if (each.is_here && (group.empty() || each.groups.contains(group))) {
      all.push_back(id);
    }
  }
  return all;
}

std::size_t peer_desk::count_here(std::string_view group) const {
  return group.empty()
             ? crowd_.here()
             : static_cast<std::size_t>(std::ranges::count_if(peers_, [&](const auto& each) {
                 return each.second.is_here && each.second.groups.contains(group);
               }));
}

std::string peer_desk::host_of(const peer_id& who) const {
  const peer* const of = find(who);
  if (of == nullptr || !of->is_here) {
    return {};
  }
  const auto where = where_is(*of);
  return where ? where->host : std::string{};
}

std::vector<peer_place> peer_desk::places_of(const peer_id& who) const {
  const peer* const of = find(who);
  if (of == nullptr || !of->is_here) {
    return {};
  }
  auto all = of->places.all();
  std::erase_if(all, &peer_place::is_loopback);
  return all;
}

std::optional<peer_status> peer_desk::status(const peer_id& who) const {
  const peer* const of = find(who);
  if (of == nullptr || !of->is_here) {
    return std::nullopt;
  }
  peer_status now{of->id, of->name,    address_of(*of), identity_of(*of),
                  {},     of->headers, of->is_evasive,  of->key};
  std::ranges::copy_if(of->groups, std::back_inserter(now.groups), [](const std::string& group) {
    return !group.starts_with(service_group_prefix);
  });
  return now;
}

}  // namespace parley::detail
