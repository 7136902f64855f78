// SPDX-License-Identifier: MPL-2.0
#include "peers_core.hpp"

#include "call_ids.hpp"

#include <parley/error.hpp>
#include <parley/text.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include <zmq.hpp>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

// Taken in of beacons and messages before others have a turn.
constexpr int most_at_once = 1000;
// Of its leave: a datagram may be lost.
constexpr int farewells = 3;

constexpr std::size_t longest_identity = 200;
// How often a peer that takes nothing is tried with its letters.
constexpr auto late_interval = 100ms;
// And with what is said of files, which may be much.
constexpr auto late_file_interval = 5ms;

void check(const peers_options& options) {
  const auto refuse = [](const char* why) { throw config_error{std::string{"peers: "} + why}; };
  if (options.name.size() > longest_zre_text) {
    refuse("a name has 255 octets at most");
  }
  bool is_text = is_utf8(options.name) && is_utf8(options.identity);
  for (const auto& [name, value] : options.headers) {
    if (name.empty() || name.size() > longest_zre_text || value.size() > 0xffff) {
      refuse("the name of a header has 1 to 255 octets, its value 65,535 at most");
    }
    is_text = is_text && is_utf8(name) && is_utf8(value);
  }
  if (!is_text) {
    refuse("names, headers and identities are UTF-8: others end pyre");
  }
  if (options.identity.size() > longest_identity) {
    refuse("an identity has 200 octets at most");
  }
  if (options.interval <= 0ms || options.evasive <= 0ms || options.expired <= options.evasive) {
    refuse("the interval is positive, and a peer is evasive before it is gone");
  }
  if (options.curve.server()) {
    refuse("they have keys of their own, each, and no server");
  }
  if (options.rate.within <= 0ms) {
    refuse("the time of a rate is positive");
  }
  if (options.limit == 0 || options.limit_bytes == 0 || options.most_peers == 0) {
    refuse("limits are positive");
  }
  for (const auto& [where, key] : options.seeds) {
    if (where.kind() != transport::tcp || where.is_wildcard()) {
      refuse("a seed is at tcp://HOST:PORT");
    }
    if (key.has_value() != options.curve.own().has_value()) {
      refuse("a seed has a key in a secured network, and in no other");
    }
  }
  if (options.gossip && options.gossip->kind() != transport::tcp) {
    refuse("others ask a seed at tcp://HOST:PORT");
  }
}

void check_group(std::string_view group) {
  if (group.empty() || group.size() > longest_zre_text) {
    throw config_error{"the name of a group has 1 to 255 octets"};
  }
  if (!is_utf8(group)) {
    throw config_error{"the name of a group is UTF-8: others end pyre"};
  }
  if (group.starts_with(service_group_prefix)) {
    throw config_error{"groups that begin with service: are for what is announced"};
  }
}

peers_options with_identity(peers_options options) {
  if (!options.identity.empty()) {
    options.headers[std::string{identity_header}] = options.identity;
  }
  return options;
}

std::string name_of(const peers_options& options, const peer_id& id) {
  return options.name.empty() ? id.str().substr(0, 6) : options.name;
}

}  // namespace

peers_core::peers_core(context& owner, const peers_options& options)
    : options_{(check(options), options)},
      id_{peer_id::random()},
      events_fd_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)},
      context_{owner},
      doorkeeper_{options_.curve.own() ? doorkeeper::of(context_) : nullptr},
      inbox_{context_, options_},
      desk_{id_, name_of(options_, id_), inbox_.port(), with_identity(options_),
            [this](const curve_key& key) { return doorkeeper_->holds(key); }},
      events_{options_.limit, options_.limit_bytes},
      journal_{options_.journal.empty()
                   ? std::nullopt
                   : std::optional<letter_journal>{std::in_place, options_.journal}},
      letters_{journal_ ? journal_->session() : call_ids{}.next(), options_.letters,
               options_.letters_bytes},
      files_{options_.files_bytes},
      names_{context_.names()},
      porter_{[this](file_result&& came) { worked(std::move(came)); }} {
  if (journal_) {
    journal_->restore(letters_);
  }
  if (options_.port != 0) {
    beacons_.emplace(options_.port, options_.interfaces);
  }
  if (!options_.seeds.empty() || options_.gossip) {
    gossip_.emplace(context_, id_, inbox_.port(),
                    gossip::options{options_.seeds, options_.gossip, options_.curve.own(),
                                    4 * options_.most_peers});
  }
  lookout_ = names_->look_out([this](const std::string& name, const endpoint& where,
                                     bool is_there) { announced(name, where, is_there); });
  thread_ = std::thread{[this] { work(); }};
}

peers_core::~peers_core() {
  close();
  ::close(events_fd_);
}

void peers_core::check_open() const {
  if (is_closed_) {
    throw closed{"peers"};
  }
}

void peers_core::work() noexcept {
  try {
    serve();
  } catch (const std::exception&) {
    // The context was shut down: that is our end, too.
  }
  const std::lock_guard lock{mutex_};
  is_closed_ = true;
  changed_.notify_all();
  static_cast<void>(::eventfd_write(events_fd_, 1));
}

void peers_core::serve() {
  std::vector<int> fds{inbox_.fd(), inbox_.hung_up_fd(), probes_.fd()};
  if (beacons_) {
    if (interface_watch_.fd() >= 0) {
      fds.push_back(interface_watch_.fd());  // nobody else reads it
    }
    std::ranges::copy_if(beacons_->fds(), std::back_inserter(fds), [](int fd) { return fd >= 0; });
  }
  if (gossip_) {
    std::ranges::copy(gossip_->fds(), std::back_inserter(fds));
  }
  for (;;) {
    time_point until;
    std::vector<service_table::change> changes;
    {
      const std::lock_guard lock{mutex_};
      if (is_closed_) {
        return;
      }
      const auto now = clock::now();
      bool has_more = hear(now);
      has_more = hear_gossip(now) || has_more;
      send_beacons(now);
      until = std::min(desk_.tick(now), files_.tick(now));
      carry_out(now);
      send_late_letters(now);
      changes = services_.take_changes(now);
      // Who sends may have taken away what a descriptor was to tell.
      has_more = has_more || (gossip_ && gossip_->has_news());
      until = std::min({until, has_late_words_ ? now + late_file_interval : time_point::max(),
                        probes_.due(), services_.due(), letters_.due(),
                        late_.empty() ? time_point::max() : now + late_interval,
                        gossip_ ? gossip_->due() : time_point::max(),
                        has_more   ? now
                        : beacons_ ? next_beacon_
                                   : time_point::max()});
    }
    post(changes);
    waker_.rest(fds, until);
  }
}

// True: there may be more.
bool peers_core::hear(time_point now) {
  bool has_more = false;
  for (int left = most_at_once; beacons_; --left) {
    const auto came = beacons_->receive();
    if (!came) {
      break;
    }
    const auto heard = read_beacon(came->bytes);
    neighbours_.heard(*came, heard, now);
    if (!heard) {
      desk_.heard_nonsense();
    } else if (heard->id != id_) {
      beacons_->count_heard();
      desk_.heard_beacon(*heard, came->host, now);
    }
    if (left == 1) {
      has_more = true;
      break;
    }
  }
  // Asked first: what they said before is in the mailbox by now.
  while (const auto who = inbox_.hung_up()) {
    hung_up_.push_back(*who);
  }
  for (int left = most_at_once;; --left) {
    auto came = inbox_.receive();
    if (!came) {
      break;
    }
    desk_.heard(came->from, came->host, std::move(came->said), now, came->key);
    if (left == 1) {
      has_more = true;
      break;
    }
  }
  if (!has_more) {
    for (const peer_id& each : std::exchange(hung_up_, {})) {
      desk_.hung_up(each, now);
    }
  }
  for (auto& each : probes_.take_results(now)) {
    if (const auto who = desk_.owner_of(each.link)) {
      neighbours_.probed(*who, each.where, each.how, now);
    }
    desk_.probed(each.link, each.where, each.how, each.own_host, now);
  }
  return has_more;
}

bool peers_core::hear_gossip(time_point now) {
  if (!gossip_) {
    return false;
  }
  std::vector<gossip_fact> heard;
  const bool has_more = gossip_->look(heard, now);
  for (const gossip_fact& each : heard) {
    desk_.heard_of(each.who, each.where, now, each.key);
  }
  if (now >= next_gossip_) {
    next_gossip_ = now + 10s;
    for (const peer_id& each : desk_.here()) {
      tell_of(each, now);
    }
  }
  return has_more;
}

// Who was met, by beacons for instance: those who ask us do not hear them.
void peers_core::tell_of(const peer_id& who, time_point now) {
  const auto met = desk_.status(who);
  for (const peer_place& each : desk_.places_of(who)) {
    gossip_->know({who, each, met->key}, now);
  }
}

void peers_core::send_beacons(time_point now) {
  if (!beacons_) {
    return;
  }
  if (interface_watch_.has_changed() && beacons_->look_around()) {
    next_beacon_ = now;
  }
  if (now >= next_beacon_) {
    beacons_->send(beacon_with(inbox_.port()));
    next_beacon_ = now + options_.interval;
  }
}

std::string peers_core::beacon_with(std::uint16_t port) const {
  beacon own{id_, port, {}};
  if (options_.curve.own()) {
    own.key = options_.curve.own()->public_key;
  }
  return write_beacon(own);
}

void peers_core::take_steps(time_point now) {
  // A step that fails makes others.
  for (auto steps = desk_.take_steps(); !steps.empty(); steps = desk_.take_steps()) {
    for (peer_step& each : steps) {
      take(std::move(each), now);
    }
  }
}

void peers_core::carry_out(time_point now) {
  take_steps(now);
  serve_files(now);
  // What is heard may be answered.
  for (auto news = desk_.take_events(); !news.empty(); news = desk_.take_events()) {
    for (peer_event& each : news) {
      sort(std::move(each), now);
    }
    serve_files(now);
    take_steps(now);
    changed_.notify_all();
  }
  if (services_.due() <= now) {
    waker_.wake();  // whose thread it is to tell
  }
  if (!events_.empty() && !std::exchange(is_told_, true)) {
    static_cast<void>(::eventfd_write(events_fd_, 1));
  }
}

// Services are not the program's groups.
void peers_core::sort(peer_event&& event, time_point now) {
  if (event.group.starts_with(service_group_prefix)) {
    if (event.what == peer_event::kind::join) {
      services_.add(event.peer, event.group, desk_.host_of(event.peer));
    } else if (event.what == peer_event::kind::leave) {
      services_.remove(event.peer, event.group, now);
    }
    return;
  }
  if (event.what == peer_event::kind::whisper &&
      (hear_file(event, now) || hear_letter(event, now))) {
    return;
  }
  if (event.what == peer_event::kind::exit) {
    files_.gone(event.peer);
    services_.remove_all(event.peer, now);
    if (const auto gone = identities_.extract(event.peer)) {
      if (const auto at = by_identity_.find(gone.mapped());
          at != by_identity_.end() && at->second == event.peer) {
        by_identity_.erase(at);
      }
    }
  }
  if (event.what == peer_event::kind::enter) {
    if (event.headers.contains(std::string{parley_header})) {
      greet(event);
      send_letters(event.identity, now);
    }
    if (gossip_) {
      tell_of(event.peer, now);
    }
  }
  events_.push(std::move(event));
  tell_of_files();  // of one that exits, before it may enter anew
}

// Letters.

void peers_core::greet(const peer_event& entered) {
  identities_.insert_or_assign(entered.peer, entered.identity);
  by_identity_.insert_or_assign(entered.identity, entered.peer);
  letters_.begin_anew(entered.identity);
}

void peers_core::send_letters(const std::string& to, time_point now) {
  late_.erase(to);
  const auto here = by_identity_.find(to);
  if (here == by_identity_.end()) {
    return;
  }
  const peer_id who = here->second;
  while (const letter_book::letter* const next = letters_.next(to)) {
    const peer_link link = desk_.link_of(who);
    if (link == 0) {
      return;
    }
    if (!takes(link)) {
      late_.insert(to);
      return;
    }
    message said = next->content;
    if (said.empty()) {
      said.push_back(frame{});
    }
    said.push_back(frame{write_letter_mark(next->mark)});
    letters_.sent(to, now);
    desk_.whisper(who, said);
    take_steps(now);
  }
}

void peers_core::send_late_letters(time_point now) {
  for (const std::string& each : letters_.tick(now)) {
    late_.insert(each);
  }
  for (const std::string& each : std::set{late_}) {
    send_letters(each, now);
  }
}

// If he takes nothing just now, he asks again by sending the letter again.
void peers_core::answer(const peer_id& to, const letter_mark& said) {
  if (const peer_link link = desk_.link_of(to); link != 0 && takes(link)) {
    message content{frame{}};
    content.push_back(frame{write_letter_mark(said)});
    desk_.whisper(to, content);
  }
}

bool peers_core::hear_letter(peer_event& came, time_point now) {
  const auto known = identities_.find(came.peer);
  const auto mark = known == identities_.end() || came.content.size() < 2
                        ? std::nullopt
                        : read_letter_mark(came.content.back().view());
  if (!mark) {
    return false;
  }
  came.identity = known->second;
  came.number = mark->number;
  if (mark->what == letter_mark::kind::received || mark->what == letter_mark::kind::again) {
    const auto delivered = letters_.received(came.identity, *mark, now);
    if (journal_ && mark->session == letters_.session()) {
      try {
        journal_->received(came.identity, mark->number);
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
    send_letters(known->second, now);
    return true;
  }
  if (!letters_.is_next(came.identity, *mark)) {
    letters_.refused(came.identity, *mark);  // if it is behind one that was
    if (const auto answered = letters_.known(came.identity, *mark)) {
      answer(came.peer, *answered);
    }
    return true;
  }
  const bool is_read = mark->what == letter_mark::kind::read;
  if (!is_read && !desk_.takes_letter(came.peer, came.content.bytes(), now)) {
    return true;  // it is sent again
  }
  came.what = is_read ? peer_event::kind::read : peer_event::kind::letter;
  came.number = is_read ? mark->about : mark->number;
  came.session = mark->session;
  came.content.drop_back();
  const std::string from = came.identity;
  const peer_id peer = came.peer;
  if (is_read) {
    came.content.clear();
  }
  if (!events_.offer(std::move(came))) {
    letters_.refused(from, *mark);
    return true;
  }
  letters_.offered(from, *mark);
  if (is_read) {
    take_letter(peer, from, *mark);
  }
  return true;
}

// The program has it, and room for others.
void peers_core::take_letters(const peer_event& event) {
  if (event.what == peer_event::kind::letter) {
    take_letter(event.peer, event.identity,
                {letter_mark::kind::letter, event.session, event.number, 0});
  }
  if (const auto known = identities_.find(event.peer); known != identities_.end()) {
    if (const auto again = letters_.again(known->second)) {
      answer(event.peer, *again);
    }
  }
  carry_out(clock::now());
}

void peers_core::take_letter(const peer_id& peer, const std::string& from,
                             const letter_mark& which) {
  const letter_mark answered = letters_.taken(from, which);
  if (journal_) {
    try {
      journal_->taken(from, which);
    } catch (const error&) {
      // If we start anew before the next one it may come twice.
    }
  }
  answer(peer, answered);
}

void peers_core::keep(const std::string& to, const letter_book::letter* written) {
  if (written == nullptr) {
    throw overloaded{"letters for " + to, 0ms};
  }
  if (journal_) {
    try {
      journal_->add(to, *written);
    } catch (...) {
      letters_.take_back(to);
      throw;
    }
  }
}

std::uint64_t peers_core::send_letter(const std::string& identity, message content) {
  if (identity.empty() || identity.size() > longest_identity) {
    throw config_error{"an identity has 1 to 200 octets"};
  }
  const std::lock_guard lock{mutex_};
  check_open();
  const letter_book::letter* const written = letters_.write(identity, std::move(content));
  keep(identity, written);
  const std::uint64_t number = written->mark.number;
  const auto now = clock::now();
  send_letters(identity, now);
  carry_out(now);
  waker_.wake();
  return number;
}

void peers_core::mark_read(const peer_event& letter) {
  if (letter.what != peer_event::kind::letter) {
    return;
  }
  const std::lock_guard lock{mutex_};
  check_open();
  keep(letter.identity, letters_.write_read(letter.identity, letter.number));
  const auto now = clock::now();
  send_letters(letter.identity, now);
  carry_out(now);
  waker_.wake();
}

std::size_t peers_core::letters_waiting(const std::string& identity) const {
  const std::lock_guard lock{mutex_};
  return letters_.waiting(identity);
}

// Files.

bool peers_core::hear_file(peer_event& came, time_point now) {
  const auto known = identities_.find(came.peer);
  auto mark = known == identities_.end() || came.content.size() > 2
                  ? std::nullopt
                  : read_file_mark(came.content.back().view());
  if (!mark || (came.content.size() == 2) != (mark->what == file_mark::kind::piece)) {
    return false;
  }
  frame content = mark->what == file_mark::kind::piece ? std::move(came.content[0]) : frame{};
  if (auto told = files_.heard({came.peer, came.name, known->second}, std::move(*mark),
                               std::move(content), now)) {
    const std::uint64_t number = told->number;
    if (!events_.offer(std::move(*told))) {
      files_.refuse(number);
    }
  }
  return true;
}

void peers_core::serve_files(time_point now) {
  for (file_job& each : files_.take_jobs()) {
    porter_.push(std::move(each));
  }
  has_late_words_ = false;
  for (const peer_id& each : files_.listeners()) {
    say_of_files(each, now);
  }
  tell_of_files();
}

void peers_core::tell_of_files() {
  for (peer_event& each : files_.take_events()) {
    tell_of_file(std::move(each));
  }
}

void peers_core::say_of_files(const peer_id& to, time_point now) {
  while (const file_desk::word* const next = files_.next(to)) {
    const peer_link link = desk_.link_of(to);
    if (link == 0) {
      return;  // that it exits will be told
    }
    if (!takes(link)) {
      has_late_words_ = true;
      return;
    }
    message said;
    if (next->mark.what == file_mark::kind::piece) {
      said.push_back(next->content);
    }
    said.push_back(frame{write_file_mark(next->mark)});
    files_.said(to, now);
    desk_.whisper(to, said);
    take_steps(now);
  }
}

// How it ended is told even if the program takes nothing, as many times as it was told of an offer
// or began to send; how far it is, once in what it has not taken.
void peers_core::tell_of_file(peer_event&& event) {
  const bool is_end = event.what != peer_event::kind::file_progress;
  if (!is_end && !progress_told_.insert(event.number).second) {
    return;
  }
  const std::uint64_t number = event.number;
  if ((is_end && !file_ends_.empty()) || !events_.offer(std::move(event))) {
    if (is_end) {
      file_ends_.push_back(std::move(event));
    } else {
      progress_told_.erase(number);
    }
  }
  changed_.notify_all();
}

void peers_core::told_of_file(peer_event& event) {
  if (event.what == peer_event::kind::file_progress) {
    progress_told_.erase(event.number);
    files_.refresh(event);
  }
  while (!file_ends_.empty() && events_.offer(std::move(file_ends_.front()))) {
    file_ends_.pop_front();
  }
}

void peers_core::worked(file_result&& came) noexcept {
  try {
    const std::lock_guard lock{mutex_};
    if (is_closed_) {
      return;
    }
    const auto now = clock::now();
    files_.done(std::move(came), now);
    carry_out(now);
    if (has_late_words_) {
      waker_.wake();
    }
  } catch (const std::exception&) {
    // The context was shut down: nobody can be told.
  }
}

std::uint64_t peers_core::send_file(const peer_id& to, const std::filesystem::path& file) {
  sent_file opened{file};
  const std::lock_guard lock{mutex_};
  check_open();
  const auto now = clock::now();
  const auto here = desk_.status(to);
  const auto known = identities_.find(to);
  std::uint64_t number = 0;
  if (!here || known == identities_.end()) {
    number = files_.send_to_nobody({to}, opened.about(),
                                   here ? file_failure::unsupported : file_failure::peer_gone);
  } else {
    number = files_.send({to, here->name, known->second}, opened.about(), now);
    if (number == 0) {
      throw overloaded{"files to be sent", 0ms};
    }
    porter_.add(number, std::move(opened));
  }
  carry_out(now);
  waker_.wake();
  return number;
}

bool peers_core::accept_file(std::uint64_t number, const std::filesystem::path& to,
                             existing_file existing) {
  const auto offered = [&]() -> const peer_file* {
    check_open();
    const peer_file* const found = files_.offered(number);
    if (found != nullptr && !files_.has_room_for(*found)) {
      throw overloaded{"files to be received", 0ms};
    }
    return found;
  };
  peer_file about;
  {
    const std::lock_guard lock{mutex_};
    const peer_file* const found = offered();
    if (found == nullptr) {
      return false;
    }
    about = *found;
  }
  std::error_code unknown;  // opening it tells
  const auto where = std::filesystem::is_directory(to, unknown) ? to / about.name : to;
  received_file opened{where, about.size, existing};
  const std::lock_guard lock{mutex_};
  if (offered() == nullptr) {
    return false;
  }
  const auto now = clock::now();
  files_.accept(number, where, opened.part_size(), now);
  porter_.add(number, std::move(opened));
  carry_out(now);
  waker_.wake();
  return true;
}

bool peers_core::cancel_file(std::uint64_t number) {
  const std::lock_guard lock{mutex_};
  check_open();
  const bool was_there = files_.cancel(number);
  carry_out(clock::now());
  waker_.wake();
  return was_there;
}

void peers_core::announced(const std::string& name, const endpoint& where, bool is_there) {
  const std::lock_guard lock{mutex_};
  if (is_closed_) {
    return;
  }
  is_there ? desk_.join(service_group(name, where)) : desk_.leave(service_group(name, where));
  carry_out(clock::now());
}

void peers_core::post(const std::vector<service_table::change>& changes) {
  for (const auto& each : changes) {
    each.is_there ? names_->found(each.name, each.where) : names_->lost(each.name, each.where);
  }
}

void peers_core::take(peer_step&& step, time_point now) {
  switch (step.what) {
    case peer_step::kind::probe:
      probes_.begin(step.link, step.where, now);
      break;
    case peer_step::kind::open:
      try {
        socket_options options;
        options.routing_id = '\x01' + std::string{id_.view()};
        // What nobody waits for (joins, answers) must find room beside what was said.
        options.send_limit =
            static_cast<int>(std::clamp<std::size_t>(options_.limit, 1000, 1'000'000));
        options.send_limit_bytes = options_.limit_bytes;
        options.linger = options_.linger;
        if (step.key) {
          options.curve = {*step.key, *options_.curve.own()};
        }
        socket line{context_, socket_kind::dealer, options};
        line.connect(step.where.str());
        lines_.insert_or_assign(step.link, std::move(line));
      } catch (const error&) {
        lines_.erase(step.link);
        desk_.stuck(step.link);
      }
      break;
    case peer_step::kind::send:
      if (const auto line = lines_.find(step.link); line != lines_.end()) {
        if (!line->second.try_send(std::move(step.said))) {
          desk_.stuck(step.link);
        }
      }
      break;
    case peer_step::kind::close:
      lines_.erase(step.link);
      break;
    case peer_step::kind::drop:
      if (const auto line = lines_.find(step.link); line != lines_.end()) {
        // Or it connects once more, and takes the peer's ear away from its successor.
        line->second.native().set(zmq::sockopt::linger, 0);
        lines_.erase(line);
      }
      break;
  }
}

bool peers_core::takes(peer_link link) const {
  if (!desk_.is_open(link)) {
    return desk_.kept(link) < options_.limit && desk_.kept_bytes(link) < options_.limit_bytes;
  }
  const auto line = lines_.find(link);
  return line != lines_.end() && line->second.can_send();
}

bool peers_core::wait_until_it_takes(std::unique_lock<std::mutex>& lock, const peer_id& to,
                                     time_point deadline) {
  for (;;) {
    check_open();
    const peer_link link = desk_.link_of(to);
    if (link == 0) {
      return false;
    }
    if (takes(link)) {
      return true;
    }
    const auto now = clock::now();
    if (now >= deadline) {
      return false;
    }
    // Nobody tells when a DEALER has room again, but who asks it.
    changed_.wait_until(lock, std::min(deadline, now + 1ms));
  }
}

bool peers_core::whisper(const peer_id& to, const message& content) {
  std::unique_lock lock{mutex_};
  if (!wait_until_it_takes(lock, to, clock::now() + options_.max_wait)) {
    return false;
  }
  desk_.whisper(to, content);
  carry_out(clock::now());
  return true;
}

std::size_t peers_core::shout(std::string_view group, const message& content) {
  check_group(group);
  std::unique_lock lock{mutex_};
  check_open();
  const auto deadline = clock::now() + options_.max_wait;
  std::size_t count = 0;
  for (const peer_id& each : desk_.here(group)) {
    if (wait_until_it_takes(lock, each, deadline)) {
      desk_.shout(each, group, content);
      carry_out(clock::now());
      ++count;
    }
  }
  return count;
}

void peers_core::join(std::string_view group) {
  check_group(group);
  const std::lock_guard lock{mutex_};
  check_open();
  desk_.join(group);
  carry_out(clock::now());
}

void peers_core::leave(std::string_view group) {
  check_group(group);
  const std::lock_guard lock{mutex_};
  check_open();
  desk_.leave(group);
  carry_out(clock::now());
}

std::optional<peer_event> peers_core::receive_until(time_point deadline,
                                                    const std::stop_token& stop) {
  std::unique_lock lock{mutex_};
  changed_.wait_until(lock, deadline,
                      [&] { return is_closed_ || !events_.empty() || stop.stop_requested(); });
  check_open();  // a letter that is handed out now could not be answered, and would come again
  auto event = events_.pop();
  if (event && (event->what == peer_event::kind::letter || letters_.has_refused())) {
    take_letters(*event);
  }
  if (event) {
    told_of_file(*event);
  }
  if (events_.empty() && std::exchange(is_told_, false)) {
    eventfd_t count = 0;
    static_cast<void>(::eventfd_read(events_fd_, &count));
  }
  return event;
}

void peers_core::wake_receivers() {
  const std::lock_guard lock{mutex_};
  changed_.notify_all();
}

bool peers_core::wait_for_peers(std::size_t count, time_point deadline,
                                std::string_view group) const {
  std::unique_lock lock{mutex_};
  const bool is_so = changed_.wait_until(
      lock, deadline, [&] { return is_closed_ || desk_.count_here(group) >= count; });
  check_open();
  return is_so;
}

std::optional<endpoint> peers_core::gossip_endpoint() const {
  const std::lock_guard lock{mutex_};
  return gossip_ ? gossip_->bound() : std::nullopt;
}

std::vector<interface_status> peers_core::interfaces() const {
  const std::lock_guard lock{mutex_};
  return beacons_ ? beacons_->status() : std::vector<interface_status>{};
}

std::vector<neighbour> peers_core::neighbours() const {
  const std::lock_guard lock{mutex_};
  return neighbours_.all(clock::now());
}

peers_statistics peers_core::statistics() const {
  const std::lock_guard lock{mutex_};
  auto all = desk_.statistics();
  all.nonsense += inbox_.nameless();
  all.other_version += inbox_.other_security();
  all.not_allowed += inbox_.not_allowed();
  all.lost += events_.lost();
  return all;
}

void peers_core::close() noexcept {
  lookout_ = {};
  {
    const std::lock_guard lock{mutex_};
    if (!std::exchange(is_closed_, true)) {
      try {
        for (int count = 0; beacons_ && count < farewells; ++count) {
          beacons_->send(beacon_with(0));
        }
        desk_.close();
        for (auto steps = desk_.take_steps(); peer_step & each : steps) {
          take(std::move(each), clock::now());
        }
      } catch (const std::exception&) {
        // The context was shut down: nobody can be told.
      }
      lines_.clear();
    }
    changed_.notify_all();
    static_cast<void>(::eventfd_write(events_fd_, 1));
  }
  waker_.wake();
  const std::lock_guard joining{joining_};
  porter_.close();
  if (thread_.joinable()) {
    thread_.join();
    post(services_.take_all());
  }
}

}  // namespace parley::detail
