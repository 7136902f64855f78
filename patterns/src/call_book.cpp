// SPDX-License-Identifier: MPL-2.0
#include "call_book.hpp"

#include <parley/error.hpp>

#include <algorithm>
#include <bit>
#include <new>

namespace parley::detail {
namespace {

using kind = call_header::kind;

// The low bits of an id say where its call is kept; the others are random, so that no server can
// answer a call to another.
constexpr unsigned place_bits = 20;
constexpr std::uint64_t place_mask = (std::uint64_t{1} << place_bits) - 1;
constexpr std::size_t most_calls = std::size_t{1} << place_bits;

// How much may lie unacknowledged between us and one server, beside the calls that the limit
// counts: notifications, cancels, pings.
constexpr std::uint64_t beside_calls = 1000;

// Cancels kept for a server that has not been heard of yet.
constexpr std::size_t most_owed = 1000;

// Behind the header's frame. Empty: there is none.
message payload_of(message&& incoming) {
  if (incoming.size() < 3 || !incoming[1].empty()) {
    return {};
  }
  incoming.drop_front(2);
  return std::move(incoming);
}

}  // namespace

call_book::call_book(outbox& out, const client_options& options)
    : out_{out},
      choice_{options.choice},
      limit_{options.limit},
      heartbeat_{options.heartbeat},
      heartbeat_timeout_{options.heartbeat_timeout} {}

// Links.

std::size_t call_book::add_link(bool several_servers) {
  const server_link made{several_servers, heartbeat_, heartbeat_timeout_};
  if (removed_ != 0) {
    const auto number = static_cast<std::size_t>(std::countr_zero(removed_));
    removed_ &= ~bit(number);
    links_[number] = made;
    drop_bundle(number);
    return number;
  }
  if (links_.size() == most_links) {
    throw error{errc::unsupported, "more than 64 endpoints of one client"};
  }
  if (links_.size() == links_.capacity()) {
    const std::size_t more = std::min(2 * links_.size() + 2, most_links);
    bundles_.reserve(more);
    cancels_owed_.reserve(more);
    links_.reserve(more);  // the last: all have room, or are asked again
  }
  links_.push_back(made);
  bundles_.emplace_back();
  cancels_owed_.emplace_back();
  return links_.size() - 1;
}

void call_book::remove_link(std::size_t which, time_point now) {
  removed_ |= bit(which);
  disconnected(which, now);
  for (std::size_t place = 0; place < calls_.size(); ++place) {
    call& each = calls_[place];
    each.asked &= ~bit(which);
    each.refused &= ~bit(which);
  }
}

std::size_t call_book::live_servers() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(links_.begin(), links_.end(), [](const auto& each) { return each.live(); }));
}

void call_book::set_ready(std::size_t which, bool can_send, time_point now) {
  server_link& link = links_[which];
  if (can_send && (!link.connected() || link.blocked)) {
    // If it was blocked, it may have been full, or gone for a while.
    ask_after(which);
    link.connect(now);
    tick(now);  // the first ping
    place_waiting(now);
  } else if (can_send) {
    place_waiting(now);  // what could not be sent a moment ago
  } else if (link.connected()) {
    // It cannot be full before half of its limit: libzmq learns in steps of so many, at most, of
    // what was read.
    link.blocked = is_full(link);
    if (!link.blocked) {
      disconnected(which, now);
    }
  }
}

void call_book::disconnected(std::size_t which, time_point now) {
  if (links_[which].connected()) {
    links_[which].disconnect();
    asks_owed_ &= ~bit(which);
    drop_bundle(which);
    lose(which, now);
  }
}

// As much as may lie between us and it does. If it does not tell what arrives, only its calls
// count: there is no end to notifications.
bool call_book::is_full(const server_link& link) const noexcept {
  return (link.acknowledges() ? link.unacknowledged() : link.in_flight) >= limit_ + beside_calls;
}

std::uint64_t call_book::send_limit() const noexcept { return 2 * (limit_ + beside_calls); }

// Calls.

call_book::call* call_book::find(std::uint64_t id) noexcept {
  return is_open(id) ? &calls_[id & place_mask] : nullptr;
}

bool call_book::is_open(std::uint64_t id) const noexcept {
  const std::size_t place = id & place_mask;
  return place < calls_.size() && calls_[place].id == id && id != 0;
}

std::uint64_t call_book::start(order&& what, time_point now) {
  if (closed_) {
    refuse(std::move(what), {call_end::closed});
    return 0;
  }
  if (free_.empty() && calls_.size() == most_calls) {
    refuse(std::move(what), {call_end::overloaded});
    return 0;
  }
  if (what.waiting == nullptr && unattended_ >= limit_) {
    refuse(std::move(what), {call_end::overloaded});
    return 0;
  }
  call& made = take_place(std::move(what));
  const std::uint64_t id = made.id;
  try {
    if (made.what.deadline != time_point::max()) {
      deadlines_.add(made.what.deadline, id, open_calls(),
                     [this](std::uint64_t each) { return is_open(each); });
    }
    if (made.what.deadline <= now) {
      end_late(made);
    } else if (!made.what.wait_for_server && live_servers() == 0) {
      end(made, {call_end::no_server});
    } else {
      place_or_wait(made, now);
    }
  } catch (...) {
    forget(id);
    throw;
  }
  return id;
}

call_book::call& call_book::take_place(order&& what) {
  if (free_.empty()) {
    if (free_.capacity() <= calls_.size()) {
      free_.reserve(2 * calls_.size() + 16);  // for all at once: calls end without more memory
    }
    calls_.grow();
    free_.push_back(static_cast<std::uint32_t>(calls_.size() - 1));
  }
  const std::uint32_t place = free_.back();
  free_.pop_back();
  call& made = calls_[place];
  do {
    made.id = (ids_.next() & ~place_mask) | place;
  } while (made.id == 0);
  made.what = std::move(what);
  made.asked = made.out = made.refused = 0;
  made.lost = false;
  made.retry_after = std::chrono::milliseconds{0};
  made.credit = made.what.credit;
  unattended_ += made.what.waiting == nullptr ? 1 : 0;
  return made;
}

void call_book::forget(std::uint64_t id) noexcept {
  call* const found = find(id);
  if (found == nullptr) {
    return;
  }
  take_back(*found);
  free_place(*found);
  found->what.when_done = nullptr;
}

void call_book::free_place(call& which) noexcept {
  stop_counting(which);
  free_.push_back(static_cast<std::uint32_t>(which.id & place_mask));
  which.id = 0;
  which.what.payload = {};
}

void call_book::stop_counting(const call& which) noexcept {
  for (link_set left = which.out; left != 0; left &= left - 1) {
    --links_[static_cast<std::size_t>(std::countr_zero(left))].in_flight;
  }
  unattended_ -= which.what.waiting == nullptr ? 1 : 0;
}

void call_book::refuse(order&& what, call_outcome&& how) {
  tell(what.waiting, std::move(what.when_done), std::move(how));
}

void call_book::tell(seat* waiting, done&& when_done, call_outcome&& how) {
  const call_end which = how.how;
  if (waiting != nullptr) {
    waiting->take_end(std::move(how));
  } else {
    ended_.emplace_back(std::move(when_done), std::move(how));
  }
  count(which);
}

void call_book::end(call& which, call_outcome&& how) noexcept {
  if (which.what.waiting != nullptr || has_room_for_end()) [[likely]] {
    free_place(which);
    tell(which.what.waiting, std::exchange(which.what.when_done, nullptr), std::move(how));
    return;
  }
  stop_counting(which);
  which.id = 0;
  which.kept = how.how;
  which.retry_after = how.retry_after;
  which.what.payload = std::move(how.reply);
  ++kept_;
  count(how.how);
}

bool call_book::has_room_for_end() noexcept {
  if (ended_.size() == ended_.capacity()) {
    try {
      ended_.reserve(2 * ended_.size() + 16);
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  return true;
}

std::optional<call_book::ended> call_book::take_kept() noexcept {
  for (std::size_t place = 0; kept_ > 0 && place < calls_.size(); ++place) {
    call& each = calls_[place];
    if (each.kept) {
      --kept_;
      std::optional<ended> taken;
      taken.emplace(
          std::exchange(each.what.when_done, nullptr),
          call_outcome{*each.kept, std::exchange(each.what.payload, {}), each.retry_after});
      each.kept.reset();
      free_.push_back(static_cast<std::uint32_t>(place));
      return taken;
    }
  }
  return std::nullopt;
}

void call_book::end_late(call& which) noexcept {
  take_back(which);
  end(which, {has_server(which) ? call_end::timed_out : call_end::no_server});
}

bool call_book::has_server(const call& which) const noexcept {
  return which.asked != 0 || which.lost || live_servers() > 0;
}

bool call_book::has_server(std::uint64_t id) const noexcept {
  return is_open(id) && has_server(calls_[id & place_mask]);
}

// Without memory for that the servers hear of its deadline only.
void call_book::take_back(call& which) noexcept {
  for (link_set left = which.out; left != 0; left &= left - 1) {
    const auto link = static_cast<std::size_t>(std::countr_zero(left));
    if (links_[link].ours() || cancels_owed_[link].size() >= most_owed) {
      control(link, {.what = kind::cancel, .id = which.id});
      continue;
    }
    try {
      // If it is a server of ours, it is about to say so.
      cancels_owed_[link].push_back(which.id);
    } catch (const std::bad_alloc&) {
      continue;
    }
  }
}

void call_book::cancel(std::uint64_t id) noexcept {
  if (call* const found = find(id)) {
    take_back(*found);
    end(*found, {call_end::cancelled});
  }
}

void call_book::give_credit(std::uint64_t id, std::uint32_t amount) {
  if (call* const found = find(id); found != nullptr && found->out != 0) {
    static_cast<void>(send_control(static_cast<std::size_t>(std::countr_zero(found->out)),
                                   {.what = kind::credit, .id = id, .amount = amount}));
    found->credit += amount;
  }
}

void call_book::close() noexcept {
  closed_ = true;
  for (std::size_t place = 0; place < calls_.size(); ++place) {
    if (call& each = calls_[place]; each.id != 0) {
      take_back(each);
      end(each, {call_end::closed});
    }
  }
  try {
    flush();
  } catch (const std::bad_alloc&) {
    // The servers hear of it when the connection ends.
  }
}

// Placing.

bool call_book::control(std::size_t link, const call_header& header) noexcept {
  try {
    return send_control(link, header);
  } catch (const std::bad_alloc&) {
    return false;
  }
}

bool call_book::send_control(std::size_t link, const call_header& header) {
  // Other makers' servers would be woken by what is not meant for them: zeromq.js takes it for an
  // error, a program that polls and then receives would wait.
  if (!links_[link].connected() || !links_[link].ours()) {
    return false;
  }
  if (holds_ && links_[link].takes_bundles()) {
    return bundle(link, header, nullptr);
  }
  return flush(link) && out_.send(link, message{pack_header(header)});
}

call_header call_book::header_to(const server_link& to, const call& which,
                                 time_point now) noexcept {
  call_header header{.what = kind::request,
                     .flags = call_header::bundles,
                     .id = which.id,
                     .amount = which.what.credit};
  if (which.what.idempotent) {
    header.flags |= call_header::idempotent;
  }
  if (!to.ours()) {
    header.flags |= call_header::greets;
  }
  if (which.what.credit > 0) {
    header.flags |= call_header::streamed;
    header.time = server_link::micros(which.what.patience);
  } else {
    to.put_deadline(header, which.what.deadline, now);
  }
  return header;
}

// False: not now.
bool call_book::deliver(std::size_t link, const call& which, time_point now) {
  const server_link& to = links_[link];
  const message& payload = which.what.payload;
  message outgoing;
  if (which.what.wants_reply) {
    const call_header header = header_to(to, which, now);
    if (to.ours() && payload.size() == 1 && payload.front().size() <= call_header::most_carried) {
      if (holds_ && to.takes_bundles()) {
        return bundle(link, header, &payload.front());
      }
      return flush(link) && out_.send(link, message{pack_header(header, payload.front())});
    }
    outgoing.reserve(2 + payload.size());
    outgoing.push_back(pack_header(header));
  }
  outgoing.emplace_back();
  for (const frame& each : payload) {
    outgoing.push_back(each);
  }
  return flush(link) && out_.send(link, std::move(outgoing));
}

bool call_book::send_to(std::size_t link, call& which, time_point now) {
  server_link& to = links_[link];
  if (to.blocked || is_full(to) || !deliver(link, which, now)) {
    return false;
  }
  which.number = to.sent();
  which.asked |= bit(link);
  which.out |= bit(link);
  ++to.in_flight;
  return true;
}

std::size_t call_book::best_link(link_set excluded) const noexcept {
  std::size_t best = links_.size();
  for (std::size_t step = 0; step < links_.size(); ++step) {
    // From the one after the last chosen on, so that equals take turns. No division: it would take
    // longer than all else here.
    std::size_t at = choice_ == server_choice::in_turn ? step : turn_ + 1 + step;
    at -= at >= links_.size() ? links_.size() : 0;
    if ((excluded & bit(at)) != 0 || !links_[at].live()) {
      continue;
    }
    if (choice_ == server_choice::in_turn) {
      return at;
    }
    if (best == links_.size() || links_[at].load() < links_[best].load()) {
      best = at;
    }
  }
  return best;
}

bool call_book::place(call& which, time_point now) {
  if (choice_ == server_choice::all_at_once && which.what.wants_reply && which.what.credit == 0) {
    for (std::size_t link = 0; link < links_.size(); ++link) {
      if (links_[link].live() && ((which.out | which.refused) & bit(link)) == 0) {
        static_cast<void>(send_to(link, which, now));
      }
    }
    return which.out != 0;  // also if there was no memory for the others the last time
  }
  for (link_set tried = which.refused;;) {
    const std::size_t link = best_link(tried);
    if (link == links_.size()) {
      return false;
    }
    if (send_to(link, which, now)) {
      turn_ = link;
      return true;
    }
    tried |= bit(link);
  }
}

void call_book::place_or_wait(call& which, time_point now) {
  if (!place(which, now)) {
    wait_in_line(which);
  } else if (!which.what.wants_reply) {
    end(which, {call_end::replied});
  }
}

void call_book::wait_in_line(const call& which) {
  waiting_.push_back(which.id);
  if (waiting_.size() > 2 * open_calls() + 64) {
    std::erase_if(waiting_, [this](std::uint64_t id) { return find(id) == nullptr; });
  }
}

// In order: who came first leaves first.
void call_book::place_waiting(time_point now) {
  while (!waiting_.empty()) {
    if (call* const next = find(waiting_.front())) {
      if (!place(*next, now)) {
        return;
      }
      if (!next->what.wants_reply) {
        end(*next, {call_end::replied});
      }
    }
    waiting_.pop_front();
  }
}

// Bundles.

bool call_book::bundle(std::size_t link, const call_header& header, const frame* payload) {
  bundle_writer& into = bundles_[link];
  const auto add = [&] {
    return payload == nullptr ? into.add(header) : into.add(header, *payload);
  };
  if (!add() && !(flush(link) && add())) {
    return false;
  }
  held_ |= bit(link);
  return true;
}

// True: nothing is left. What is left goes out before anything else does.
bool call_book::flush(std::size_t link) {
  if ((held_ & bit(link)) != 0) {
    if (!out_.send(link, message{bundles_[link].packed()})) {
      return false;
    }
    drop_bundle(link);
  }
  return true;
}

void call_book::flush() {
  holds_ = false;
  for (link_set left = held_; left != 0; left &= left - 1) {
    static_cast<void>(flush(static_cast<std::size_t>(std::countr_zero(left))));
  }
}

void call_book::drop_bundle(std::size_t link) noexcept {
  bundles_[link].clear();
  cancels_owed_[link].clear();
  held_ &= ~bit(link);
}

// Losing.

void call_book::leave(call& which, std::size_t link) noexcept {
  if ((which.out & bit(link)) != 0) {
    which.out &= ~bit(link);
    --links_[link].in_flight;
  }
}

// Without memory for that: false, unless it is out somewhere.
bool call_book::place_again(call& which, time_point now) noexcept {
  try {
    return place(which, now);
  } catch (const std::bad_alloc&) {
    return which.out != 0;
  }
}

// The link's server has the call no more, or never had it.
void call_book::go_on_without(call& which, std::size_t link, time_point now) noexcept {
  leave(which, link);
  which.lost = true;
  if (which.out != 0) {
    return;  // others work on it
  }
  if (!may_go_again(which)) {
    return end(which, {call_end::server_lost});
  }
  ++counts_.moved;
  if (place_again(which, now)) {
    return;
  }
  if (which.refused != 0 || !which.what.wait_for_server) {
    return end(which, {call_end::server_lost});
  }
  try {
    wait_in_line(which);
  } catch (const std::bad_alloc&) {
    end(which, {call_end::server_lost});
  }
}

void call_book::lose(std::size_t which, time_point now) noexcept {
  for (std::size_t place = 0; place < calls_.size(); ++place) {
    call& each = calls_[place];
    if (each.id != 0 && (each.out & bit(which)) != 0) {
      go_on_without(each, which, now);
    }
  }
}

// What there is no memory for is asked with the next tick.
void call_book::ask_after(std::size_t which) noexcept {
  asks_owed_ &= ~bit(which);
  for (std::size_t place = 0; place < calls_.size(); ++place) {
    const call& each = calls_[place];
    if (each.id != 0 && (each.out & bit(which)) != 0) {
      try {
        static_cast<void>(send_control(which, {.what = kind::ask, .id = each.id}));
      } catch (const std::bad_alloc&) {
        asks_owed_ |= bit(which);
      }
    }
  }
}

// Receiving.

void call_book::receive(std::size_t which, message&& incoming, time_point now) {
  server_link& link = links_[which];
  if (!link.connected()) {
    link.connect(now);  // the socket has not been asked yet
  }
  const bool back = link.heard(now);
  if (incoming.empty()) {
    ++counts_.nonsense;
  } else if (is_bundle(incoming.front())) {
    auto messages = bundle_reader::open(incoming.front());
    counts_.nonsense += messages ? 0 : 1;
    while (messages && messages->has_more()) {
      take(which, messages->next(), {}, now);
    }
  } else {
    const frame first = incoming.front();
    take(which, first.view(), std::move(incoming), now);
  }
  if (back || !waiting_.empty()) {
    place_waiting(now);
  }
}

void call_book::missed(std::size_t which) noexcept {
  for (std::size_t place = 0; place < calls_.size(); ++place) {
    call& each = calls_[place];
    if (each.id != 0 && each.what.credit > 0 && (each.out & bit(which)) != 0) {
      take_back(each);
      end(each, {call_end::server_lost});
    }
  }
}

// A header's bytes, and the message it came in if that may have a payload behind it.
void call_book::take(std::size_t which, std::string_view bytes, message&& whole,
                     time_point now) noexcept {
  const auto header = parse_header(bytes);
  if (!header) {
    ++counts_.nonsense;
    return;
  }
  // Made where it can stay until the call's function has it.
  call_outcome came{call_end::replied};
  bool had_memory = true;
  try {
    if ((header->flags & call_header::carries) != 0) {
      came.reply.emplace_back(bytes.substr(header_size));
    } else {
      came.reply = payload_of(std::move(whole));
    }
  } catch (const std::bad_alloc&) {
    had_memory = false;
  }
  if (header->what == kind::request) {
    // Sent back by a socket that knows nothing of headers.
    return settle(which, *header, std::move(came), had_memory, now);
  }
  server_link& link = links_[which];
  const bool another = link.heard_from(*header);
  for (const std::uint64_t id : std::exchange(cancels_owed_[which], {})) {
    control(which, {.what = kind::cancel, .id = id});
  }
  if (header->what == kind::pong) {
    link.take_pong(*header);
  } else {
    settle(which, *header, std::move(came), had_memory, now);
  }
  if (another) {
    ask_after(which);
  }
}

void call_book::settle(std::size_t link, const call_header& header, call_outcome&& came,
                       bool had_memory, time_point now) noexcept {
  call* const found = find(header.id);
  if (found == nullptr || (found->asked & bit(link)) == 0) {
    links_[link].acknowledge_one();
    ++counts_.late;
    return;
  }
  if (found->asked == bit(link)) {
    links_[link].acknowledge(found->number);
  } else {
    links_[link].acknowledge_one();
  }
  switch (header.what) {
    case kind::request:
    case kind::reply:
      if (came.reply.empty() && had_memory) {
        ++counts_.nonsense;
        return;
      }
      leave(*found, link);
      take_back(*found);  // from the others
      return end(*found, had_memory ? std::move(came) : call_outcome{call_end::server_lost});
    case kind::item:
      if ((came.reply.empty() && had_memory) || found->credit == 0 ||
          found->what.waiting == nullptr) {
        ++counts_.nonsense;  // also more than were asked for
        return;
      }
      --found->credit;
      try {
        if (had_memory) {
          found->what.waiting->take_item(std::move(came.reply));
          return;
        }
      } catch (const std::bad_alloc&) {
        // What follows would be taken for what comes next.
      }
      take_back(*found);
      return end(*found, {call_end::server_lost});
    case kind::refused:
      if ((found->out & bit(link)) == 0) {
        return;
      }
      leave(*found, link);
      found->refused |= bit(link);
      found->lost |= (header.flags & call_header::cut_short) != 0;
      found->retry_after = std::max(found->retry_after, std::chrono::milliseconds{header.amount});
      if (found->out != 0) {
        return;  // others work on it
      }
      if ((found->lost && !may_go_again(*found)) || !place_again(*found, now)) {
        return end(*found, found->lost
                               ? call_outcome{call_end::server_lost}
                               : call_outcome{call_end::overloaded, {}, found->retry_after});
      }
      ++counts_.moved;
      return;
    case kind::unknown:
      if ((found->out & bit(link)) != 0) {
        go_on_without(*found, link, now);
      }
      return;
    default:
      ++counts_.nonsense;
      return;
  }
}

// Time.

void call_book::tick(time_point now) {
  while (const auto due = deadlines_.due(now)) {
    if (call* const late = find(*due)) {
      end_late(*late);
    }
    deadlines_.pop();
  }
  bool had_memory = true;
  for (std::size_t which = 0; which < links_.size(); ++which) {
    if ((asks_owed_ & bit(which)) != 0) {
      ask_after(which);
    }
    server_link& link = links_[which];
    server_link::duty todo = link.tick(now);
    if (todo == server_link::duty::give_up) {
      std::vector<std::uint64_t> there;
      try {
        for (std::size_t place = 0; place < calls_.size(); ++place) {
          const call& each = calls_[place];
          if (each.id != 0 && (each.out & bit(which)) != 0) {
            there.push_back(each.id);
          }
        }
      } catch (const std::bad_alloc&) {
        // Of the others it hears the deadlines, should it come back.
      }
      lose(which, now);
      // Those that go on elsewhere, or end, are not wanted here any more, should it come back.
      // Those that wait may go to it again then: the server knows them by their ids.
      for (const std::uint64_t id : there) {
        const call* const still = find(id);
        if (still == nullptr || still->out != 0) {
          control(which, {.what = kind::cancel, .id = id});
        }
      }
      todo = link.tick(now);
    }
    if (todo == server_link::duty::ping) {
      const std::uint64_t number = link.sent();
      try {
        static_cast<void>(send_control(which, {.what = kind::ping, .id = number}));
        link.pinged(number, now);
      } catch (const std::bad_alloc&) {
        had_memory = false;  // no silence of the server's
      }
    }
  }
  if (!had_memory || asks_owed_ != 0) {
    throw std::bad_alloc{};
  }
}

call_book::time_point call_book::next_tick() const noexcept {
  if (asks_owed_ != 0) [[unlikely]] {
    return time_point{};
  }
  time_point next = deadlines_.earliest();
  for (const server_link& each : links_) {
    next = std::min(next, each.next());
  }
  return next;
}

void call_book::count(call_end how) noexcept {
  switch (how) {
    case call_end::replied:
      ++counts_.replied;
      return;
    case call_end::timed_out:
      ++counts_.timed_out;
      return;
    case call_end::no_server:
      ++counts_.no_server;
      return;
    case call_end::server_lost:
      ++counts_.server_lost;
      return;
    case call_end::overloaded:
      ++counts_.overloaded;
      return;
    case call_end::cancelled:
      ++counts_.cancelled;
      return;
    case call_end::closed:
      ++counts_.closed;
      return;
  }
}

}  // namespace parley::detail
