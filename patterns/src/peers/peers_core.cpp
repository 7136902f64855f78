// SPDX-License-Identifier: MPL-2.0
#include "peers_core.hpp"

#include "peers_check.hpp"

#include <parley/error.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace parley::detail {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

// Taken in of beacons and messages before others have a turn.
constexpr int most_at_once = 1000;
// Of its leave: a datagram may be lost.
constexpr int farewells = 3;

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
    : options_{(check_peers_options(options), options)},
      id_{peer_id::random()},
      events_fd_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)},
      context_{owner},
      doorkeeper_{options_.curve.own() ? doorkeeper::of(context_) : nullptr},
      inbox_{context_, options_},
      desk_{id_, name_of(options_, id_), inbox_.port(), with_identity(options_),
            [this](const curve_key& key) { return doorkeeper_->holds(key); }},
      lines_{context_, id_, options_, desk_, probes_},
      events_{options_.limit, options_.limit_bytes},
      letters_{options_, desk_, lines_, identities_, events_},
      files_{
          options_.files_bytes, desk_,   lines_,
          identities_,          events_, [this](file_result&& came) { worked(std::move(came)); }},
      names_{context_.names()} {
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
      letters_.tick(now);
      changes = services_.take_changes(now);
      // Who sends may have taken away what a descriptor was to tell.
      has_more = has_more || (gossip_ && gossip_->has_news());
      until = std::min({until, files_.due(now), probes_.due(), services_.due(), letters_.due(now),
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

void peers_core::carry_out(time_point now) {
  lines_.take_steps(now);
  bool has_news = files_.serve(now);
  // What is heard may be answered.
  for (auto news = desk_.take_events(); !news.empty(); news = desk_.take_events()) {
    for (peer_event& each : news) {
      sort(std::move(each), now);
    }
    static_cast<void>(files_.serve(now));
    lines_.take_steps(now);
    has_news = true;
  }
  if (has_news) {
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
      (files_.hear(event, now) || letters_.hear(event, now))) {
    return;
  }
  if (event.what == peer_event::kind::exit) {
    const peer_id who = event.peer;
    services_.remove_all(who, now);
    identities_.remove(who);
    events_.push(std::move(event));
    files_.gone(who);  // told before it may enter anew
    return;
  }
  if (event.what == peer_event::kind::enter) {
    if (event.headers.contains(std::string{parley_header})) {
      identities_.add(event.peer, event.identity);
      letters_.entered(event.identity, now);
    }
    if (gossip_) {
      tell_of(event.peer, now);
    }
  }
  events_.push(std::move(event));
}

std::uint64_t peers_core::send_letter(const std::string& identity, message content) {
  const std::lock_guard lock{mutex_};
  check_open();
  const auto now = clock::now();
  const std::uint64_t number = letters_.write(identity, std::move(content), now);
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
  const auto now = clock::now();
  letters_.mark_read(letter, now);
  carry_out(now);
  waker_.wake();
}

std::size_t peers_core::letters_waiting(const std::string& identity) const {
  const std::lock_guard lock{mutex_};
  return letters_.waiting(identity);
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
    if (files_.due(now) != time_point::max()) {
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
  const std::uint64_t number = files_.send(to, std::move(opened), now);
  carry_out(now);
  waker_.wake();
  return number;
}

bool peers_core::accept_file(std::uint64_t number, const std::filesystem::path& to,
                             existing_file existing) {
  peer_file about;
  {
    const std::lock_guard lock{mutex_};
    check_open();
    const peer_file* const found = files_.offered(number);
    if (found == nullptr) {
      return false;
    }
    about = *found;
  }
  std::error_code unknown;  // opening it tells
  const auto where = std::filesystem::is_directory(to, unknown) ? to / about.name : to;
  received_file opened{where, about.size, existing};
  const std::lock_guard lock{mutex_};
  check_open();
  if (files_.offered(number) == nullptr) {
    return false;
  }
  const auto now = clock::now();
  files_.accept(number, where, std::move(opened), now);
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

bool peers_core::wait_until_it_takes(std::unique_lock<std::mutex>& lock, const peer_id& to,
                                     time_point deadline) {
  for (;;) {
    check_open();
    const auto ear = lines_.ear_of(to);
    if (ear != peer_lines::ear::full) {
      return ear == peer_lines::ear::open;
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
  if (event) {
    if (const auto now = clock::now(); letters_.handed_out(*event, now)) {
      carry_out(now);
    }
    files_.handed_out(*event);
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
        lines_.take_steps(clock::now());
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
  files_.close();
  if (thread_.joinable()) {
    thread_.join();
    post(services_.take_all());
  }
}

}  // namespace parley::detail
