// SPDX-License-Identifier: MPL-2.0
#include "call_desk.hpp"

#include <parley/error.hpp>

#include "envelope.hpp"
#include "rpc.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <new>
#include <utility>

namespace parley::detail {
namespace {

using kind = call_header::kind;

// Handlers that usually take longer than that hold no replies.
constexpr std::chrono::microseconds quick{20};
constexpr std::size_t most_bytes_remembered = std::size_t{16} << 20;
// How often the client of a stream is called up.
constexpr std::chrono::milliseconds call_up{500};
// A full line is gone through no sooner than that after the last time, for each place.
constexpr std::chrono::microseconds sweep_pause{1};
// Ways by which one client asks for one call: that many endpoints it may have.
constexpr std::size_t most_others = 64;

std::uint64_t micros(call_desk::time_point time) noexcept {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count());
}

// The client's words, which may be any.
std::chrono::microseconds time_of(std::uint64_t micros) noexcept {
  // Well within what the clock can count.
  constexpr std::uint64_t a_century = 100ULL * 365 * 24 * 3600 * 1'000'000;
  return std::chrono::microseconds{static_cast<std::int64_t>(std::min(micros, a_century))};
}

template<class... Parts>
call_desk::call make_call(Parts&&... parts) {
  return std::allocate_shared<open_call>(pooled<open_call>{}, std::forward<Parts>(parts)...);
}

// To a caller that sent a header.
message answer_to(const message& address, const call_header& header, bool in_one_frame,
                  const message& payload) {
  message outgoing{address};
  if (in_one_frame) {
    outgoing.push_back(pack_header(header, payload.front()));
    return outgoing;
  }
  outgoing.reserve(address.size() + 2 + payload.size());
  outgoing.push_back(pack_header(header));
  outgoing.push_back(frame{});
  for (const frame& each : payload) {
    outgoing.push_back(each);
  }
  return outgoing;
}

}  // namespace

call_desk::call_desk(const server_options& options, std::uint64_t salt, std::uint64_t secret)
    : queue_{options.queue},
      workers_{options.workers},
      remembered_{options.remembered},
      remembered_for_{options.remembered_for},
      salt_{salt},
      known_{secret} {}

// Taking in.

void call_desk::receive(message&& incoming, time_point now, std::vector<message>& out,
                        std::vector<std::stop_source>& stops) {
  if (incoming.size() < 2 || is_closed_) {
    return;  // an address without a request has no answer, and what comes after the end gets none
  }
  const std::size_t delimiter = envelope_size(incoming, 1) - 1;
  const bool has_delimiter = delimiter > 0 && incoming[delimiter].empty();
  if (!has_delimiter) {
    const frame last = incoming.back();
    incoming.drop_back();
    if (is_bundle(last)) {
      auto messages = bundle_reader::open(last);
      counts_.nonsense += messages ? 0 : 1;
      while (messages && messages->has_more()) {
        try {
          counts_.nonsense += take_compact(incoming, messages->next(), now, out, stops) ? 0 : 1;
        } catch (const std::bad_alloc&) {
          // As if it had not come; the others have.
        }
      }
      return;
    }
    if (take_compact(incoming, last.view(), now, out, stops)) {
      return;
    }
    incoming.push_back(last);
  }
  const std::size_t address_size = has_delimiter ? delimiter : 1;
  std::optional<call_header> header;
  if (has_delimiter && address_size > 1) {
    header = parse_header(incoming[address_size - 1].view());
    if (header && header->what != kind::request) {
      header.reset();
    }
  }
  message address;
  for (std::size_t index = 0; index < address_size - (header ? 1 : 0); ++index) {
    address.push_back(std::move(incoming[index]));
  }
  incoming.drop_front(address_size + (has_delimiter ? 1 : 0));
  if (!incoming.empty()) {
    call made = make_call(std::move(address), std::move(incoming));
    made->has_delimiter = has_delimiter;
    take_call(std::move(made), header, now, out);
  }
}

bool call_desk::take_compact(const message& address, std::string_view bytes, time_point now,
                             std::vector<message>& out, std::vector<std::stop_source>& stops) {
  const auto header = parse_header(bytes);
  if (!header) {
    return false;
  }
  if (header->what != kind::request) {
    take_control(address, *header, now, out, stops);
    return true;
  }
  if ((header->flags & call_header::carries) == 0) {
    return false;
  }
  take_call(make_call(address, carried_by(bytes)), header, now, out);
  return true;
}

void call_desk::take_control(const message& address, const call_header& header, time_point now,
                             std::vector<message>& out, std::vector<std::stop_source>& stops) {
  auto* const found = known_.find(header.id);
  switch (header.what) {
    case kind::ping:
      out.push_back(control(address, {.what = kind::pong, .id = header.id, .time = micros(now)}));
      return;
    case kind::ask:
      if (found != nullptr) {
        join(*found->value, address, out);  // where the caller can be reached now
        return;
      }
      if (const message* const known = recall(header.id, now)) {
        open_call asked;
        asked.header = header;
        out.push_back(repeat(address, asked, *known));
      } else {
        release_replies(out);  // its own may be among them
        has_denied_ = true;
        out.push_back(control(address, {.what = kind::unknown, .id = header.id}));
      }
      return;
    case kind::credit:
      if (found != nullptr) {
        open_call& to = *found->value;
        to.credit += std::min(header.amount, call_header::any_amount - to.credit);
        to.tell_change();
      }
      return;
    case kind::cancel:
      if (found != nullptr && !found->value->is_dropped) {
        open_call& which = *found->value;
        const std::size_t way = way_of(which, address);
        if (way <= which.others.size() && way != which.last_way) {
          return;  // overtaken: it came again since, by another way
        }
        drop(which, stops);
        ++counts_.cancelled;
        if (!which.has_begun || (which.header->flags & call_header::idempotent) == 0) {
          known_.erase(found);  // else, should it come again, it must not be executed again
        }
      }
      return;
    default:
      return;
  }
}

void call_desk::take_call(call&& made, const std::optional<call_header>& header, time_point now,
                          std::vector<message>& out) {
  if (header) {
    if ((header->flags & call_header::greets) != 0) {
      out.push_back(control(made->address, {.what = kind::pong, .time = micros(now)}));
    }
    made->header = header;
    if (made->is_streamed()) {
      made->credit = header->amount;
      made->patience = time_of(header->time);
    } else if (header->time > 0) {
      made->deadline = (header->flags & call_header::absolute_time) != 0
                           ? time_point{time_of(header->time)}
                           : now + time_of(header->time);
    }
    if ((header->flags & call_header::idempotent) != 0) {
      if (const message* const known = recall(header->id, now)) {
        ++counts_.remembered;
        out.push_back(repeat(made->address, *made, *known));
        return;
      }
    }
    if (const auto* const found = known_.find(header->id)) {
      ++counts_.remembered;
      open_call& before = *found->value;
      if (!before.has_begun) {  // else its handler may have looked at the time
        before.deadline = std::max(before.deadline, made->deadline);
      }
      join(before, made->address, out);
      return;
    }
  }
  if (open_ >= queue_ + workers_) {
    sweep(now);
  }
  if (open_ >= queue_ + workers_) {
    refuse(*made, out);
    return;
  }
  line_.push_back(made);
  if (header) {
    try {
      known_.insert(header->id, made);
    } catch (...) {  // no memory: as if it had not come
      line_.pop_back();
      throw;
    }
  }
  ++open_;
}

// Its number, as last_way has it; one more than there are: by none of them.
std::size_t call_desk::way_of(const open_call& which, const message& address) noexcept {
  if (which.address == address) {
    return 0;
  }
  const auto at = std::find(which.others.begin(), which.others.end(), address);
  return static_cast<std::size_t>(at - which.others.begin()) + 1;
}

// Somebody asks, maybe again, for a call that is open.
void call_desk::join(open_call& which, const message& address, std::vector<message>& out) {
  // What a stream has sent by another way may be lost.
  if (which.is_cut_short || (which.is_streamed() && which.address != address)) {
    out.push_back(cut_short(address, which.header->id));
    return;
  }
  which.is_dropped = false;
  const std::size_t way = way_of(which, address);
  if (way > which.others.size()) {
    if (which.others.size() == most_others) {
      return;
    }
    which.others.push_back(address);
  }
  which.last_way = way;
}

// Nobody waits for it any more.
void call_desk::drop(open_call& which, std::vector<std::stop_source>& stops) {
  stops.push_back(which.stop);
  which.is_dropped = true;
  which.is_cut_short |= which.stop.stop_possible() || (which.is_streamed() && which.has_begun);
  which.tell_change();
}

void call_desk::refuse(const open_call& which, std::vector<message>& out) {
  ++counts_.refused;
  const auto hint = retry_hint();
  if (which.header) {
    out.push_back(control(which.address, {.what = kind::refused,
                                          .id = which.header->id,
                                          .amount = static_cast<std::uint32_t>(hint.count())}));
    return;
  }
  std::uint32_t id = 0;
  try {
    const rpc_request request{which.payload.front()};
    if (!request.id) {
      return;  // a notification
    }
    id = *request.id;
  } catch (const protocol_error&) {
    // It will be told that it is overloaded, rather than what it did wrong.
  }
  out.push_back(
      reply(which.address, which,
            pack_error(id, "overloaded", "try again in " + std::to_string(hint.count()) + " ms")));
}

// How long those in front will take.
std::chrono::milliseconds call_desk::retry_hint() const noexcept {
  const auto wait = usual_time_ * static_cast<std::int64_t>(open_) / workers_;
  return std::clamp(std::chrono::ceil<std::chrono::milliseconds>(wait),
                    std::chrono::milliseconds{1}, std::chrono::milliseconds{60'000});
}

// Executing.

call_desk::call call_desk::next(time_point now) {
  while (!line_.empty()) {
    if (!line_.front()->header && nameless_.size() == nameless_.capacity()) {
      nameless_.reserve(2 * nameless_.size() + 4);  // while it stands in line
    }
    call first = std::move(line_.front());
    line_.pop_front();
    if (is_over(*first, now)) {
      continue;
    }
    first->has_begun = true;
    first->begun = now;
    if (!first->header) {
      nameless_.push_back(first);
    }
    return first;
  }
  return nullptr;
}

// True: a call that waits in line is not to be executed, and counts no more.
bool call_desk::is_over(const open_call& which, time_point now) {
  if (!which.is_dropped && which.deadline > now) {
    return false;
  }
  if (!which.is_dropped) {
    ++counts_.expired;
    known_.erase(known_.find(which.header->id));
  }
  --open_;
  return true;
}

// Gives their places to others.
void call_desk::sweep(time_point now) {
  if (now >= next_sweep_) {
    std::erase_if(line_, [&](const call& each) { return is_over(*each, now); });
    next_sweep_ = now + sweep_pause * static_cast<std::int64_t>(line_.size());
  }
}

message call_desk::item(const open_call& of, frame&& result) {
  const message payload{std::move(result)};
  return answer_to(of.address,
                   {.what = kind::item, .flags = call_header::bundles, .id = of.header->id},
                   of.may_carry(payload), payload);
}

void call_desk::answer(open_call& which, const message& payload, time_point now,
                       std::vector<message>& out) {
  if (which.is_answered) {
    return;
  }
  // What this one holds, the next one, which is about to run, or the last in line lets go.
  const bool holds = which.runs && !line_.empty() && usual_time_ < quick;
  const bool is_cut_short = which.is_cut_short || (which.told_deadline && which.deadline <= now);
  // What needs memory comes first.
  --open_;
  try {
    if (which.header && (which.header->flags & call_header::idempotent) != 0) {
      // The last words of a stream are nothing without the results before them.
      const bool is_whole = !is_cut_short && !which.is_streamed();
      remember(which.header->id, is_whole ? payload : message{}, now);
    }
    if (!payload.empty() && !which.is_dropped) {
      const bool may_wait =
          !is_cut_short && (holds || holds_replies()) && which.may_bundle(payload);
      put_last_words(which, payload, is_cut_short, may_wait, out);
    }
  } catch (...) {
    ++open_;
    throw;
  }
  which.is_cut_short = is_cut_short;
  finish(which, now);
  if (!holds) {
    try {
      release_replies(out);
    } catch (const std::bad_alloc&) {
      // Who has nothing to do looks after them.
    }
  }
}

void call_desk::abandon(open_call& which, time_point now) noexcept {
  if (!which.is_answered) {
    --open_;
    finish(which, now);
    ++counts_.undelivered;
  }
}

// To all that wait for it, or to none of them.
void call_desk::put_last_words(const open_call& of, const message& payload, bool is_cut_short,
                               bool may_wait, std::vector<message>& out) {
  std::vector<message> others;
  if (!of.others.empty()) {
    others.reserve(of.others.size());
    for (const message& each : of.others) {
      others.push_back(last_words(each, of, payload, is_cut_short));
    }
    out.reserve(out.size() + others.size() + held_clients_ + 2);
  }
  if (may_wait) {
    hold(of.address, of, payload.front(), out);
  } else {
    out.push_back(last_words(of.address, of, payload, is_cut_short));
  }
  std::move(others.begin(), others.end(), std::back_inserter(out));
}

// Requires: it counts as open no more.
void call_desk::finish(open_call& which, time_point now) noexcept {
  which.is_answered = true;
  ++counts_.answered;
  usual_time_ += ((now - which.begun) - usual_time_) / 16;
  if (!which.header) {
    std::erase_if(nameless_, [&](const call& each) { return each.get() == &which; });
  } else if (const auto* const at = known_.find(which.header->id);
             at != nullptr && at->value.get() == &which) {
    known_.erase(at);  // unless it was cancelled, and another has that id now
  }
}

// A reply, or that there is none.
message call_desk::last_words(const message& address, const open_call& to, const message& payload,
                              bool is_cut_short) const {
  if (!is_cut_short) {
    return reply(address, to, payload);
  }
  // A plain peer would wait for ever.
  return to.header
             ? cut_short(address, to.header->id)
             : reply(address, to, pack_error(to.id, "closed", "the server was closed meanwhile"));
}

// Held replies.

void call_desk::hold(const message& address, const open_call& to, const frame& payload,
                     std::vector<message>& out) {
  const auto end = held_.begin() + static_cast<std::ptrdiff_t>(held_clients_);
  auto at =
      std::find_if(held_.begin(), end, [&](const held& each) { return each.address == address; });
  if (at == end) {
    if (held_clients_ == most_held_clients) {
      release_replies(out);
    }
    if (held_clients_ == held_.size()) {
      held_.emplace_back();
    }
    at = held_.begin() + static_cast<std::ptrdiff_t>(held_clients_);
    at->address = address;
    at->link = link_of(address);
    static_cast<void>(at->replies.add(reply_header(at->link, to.header->id), payload));
    ++held_clients_;
    return;
  }
  const call_header header = reply_header(at->link, to.header->id);
  if (!at->replies.add(header, payload)) {
    at->pack(out);
    static_cast<void>(at->replies.add(header, payload));  // there is room for one
  }
}

// Either that is in `out`, or all is as it was.
void call_desk::held::pack(std::vector<message>& out) {
  message made{address};
  made.push_back(replies.packed());
  out.push_back(std::move(made));
  replies.clear();
}

void call_desk::release_replies(std::vector<message>& out) {
  for (; held_clients_ > 0; --held_clients_) {
    held_[held_clients_ - 1].pack(out);
  }
}

void call_desk::undelivered(message&& outgoing, std::vector<std::stop_source>& stops) {
  if (outgoing.empty()) {  // there was no memory to send it, and it is gone
    ++counts_.undelivered;
    return;
  }
  const frame last = outgoing.back();
  if (is_bundle(last)) {
    const auto all = bundle_reader::open(last);
    counts_.undelivered += all ? all->count() : 1;
    return;
  }
  const auto header = parse_header(last.view());
  if (!header || header->what != kind::pong) {
    ++counts_.undelivered;
    return;
  }
  outgoing.drop_back();
  for (const watched& each : watched_) {
    const call which = each.which.lock();
    if (which && which->is_streamed() && !which->is_dropped && which->address == outgoing) {
      drop(*which, stops);
      ++counts_.cancelled;
    }
  }
}

// Watching.

void call_desk::make_stop(const call& which, time_point now) {
  std::stop_source made;
  if (!which->is_dropped && !is_closed_ && which->deadline > now) {
    watch(which, now);
    which->stop = std::move(made);
    return;
  }
  which->stop = std::move(made);
  which->stop.request_stop();  // nobody has registered anything yet: it calls nobody
  which->is_cut_short = true;
}

void call_desk::watch(const call& which, time_point now) {
  const bool can_end = which->deadline != time_point::max() || which->is_streamed();
  if (!can_end || which->is_answered || which->is_watched) {
    return;
  }
  watched_.push_back({which->is_streamed() ? now + call_up : which->deadline, which});
  which->is_watched = true;
  std::push_heap(watched_.begin(), watched_.end(), std::greater<>{});
  if (watched_.size() > 2 * open_ + 64) {
    std::erase_if(watched_, [](const watched& each) {
      const call known = each.which.lock();
      return !known || known->is_answered;
    });
    std::make_heap(watched_.begin(), watched_.end(), std::greater<>{});
  }
}

void call_desk::look(time_point now, std::vector<message>& out,
                     std::vector<std::stop_source>& stops) {
  while (!watched_.empty() && watched_.front().due <= now) {
    const call which = watched_.front().which.lock();
    const bool is_wanted = which && !which->is_answered && !which->is_dropped;
    const bool stays = is_wanted && which->is_streamed();
    if (stays) {
      out.push_back(control(which->address, {.what = kind::pong, .time = micros(now)}));
    } else if (is_wanted) {
      drop(*which, stops);
      ++counts_.expired;
    }
    std::pop_heap(watched_.begin(), watched_.end(), std::greater<>{});
    if (stays) {
      watched_.back().due = now + call_up;
      std::push_heap(watched_.begin(), watched_.end(), std::greater<>{});
    } else {
      watched_.pop_back();
    }
  }
}

call_desk::time_point call_desk::next_look() const noexcept {
  return watched_.empty() ? time_point::max() : watched_.front().due;
}

void call_desk::close() noexcept {
  is_closed_ = true;
  known_.for_each([](const call& each) {
    each->is_dropped = true;
    each->is_cut_short |= each->stop.stop_possible() || (each->is_streamed() && each->has_begun);
    each->tell_change();
  });
  for (const call& each : nameless_) {
    each->is_cut_short |= each->stop.stop_possible();
  }
  open_ -= line_.size();
  line_.clear();
}

std::optional<std::stop_source> call_desk::next_to_stop() noexcept {
  const auto is_to_stop = [](const call& each) {
    return each->stop.stop_possible() && !each->stop.stop_requested();
  };
  while (const call any = known_.take_any()) {
    if (is_to_stop(any)) {
      return any->stop;
    }
  }
  const auto at = std::find_if(nameless_.begin(), nameless_.end(), is_to_stop);
  return at == nameless_.end() ? std::nullopt : std::optional{(*at)->stop};
}

// Sending.

message call_desk::reply(const message& address, const open_call& to,
                         const message& payload) const {
  if (to.header) {
    return answer_to(address, reply_header(link_of(address), to.header->id), to.may_carry(payload),
                     payload);
  }
  message outgoing{address};
  if (to.has_delimiter) {
    outgoing.push_back(frame{});
  }
  for (const frame& each : payload) {
    outgoing.push_back(each);
  }
  return outgoing;
}

// To who asks again.
message call_desk::repeat(const message& address, const open_call& to, const message& known) const {
  return known.empty() ? cut_short(address, to.header->id) : reply(address, to, known);
}

call_header call_desk::reply_header(std::uint64_t link, std::uint64_t id) const noexcept {
  return {
      .what = kind::reply, .flags = call_header::bundles, .id = id, .link = link, .load = load()};
}

message call_desk::cut_short(const message& address, std::uint64_t id) const {
  return control(address, {.what = kind::refused, .flags = call_header::cut_short, .id = id});
}

message call_desk::control(const message& address, call_header header) const {
  header.flags |= call_header::bundles;
  header.link = link_of(address);
  header.load = load();
  message outgoing{address};
  outgoing.push_back(pack_header(header));
  return outgoing;
}

// FNV-1a over the name that the router gave to the connection, and the salt. Behind a proxy, which
// may have several servers, it says nothing.
std::uint64_t call_desk::link_of(const message& address) const noexcept {
  if (address.size() != 1) {
    return 0;
  }
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325 ^ salt_;
  for (const char each : address.front().view()) {
    hash = (hash ^ static_cast<unsigned char>(each)) * 0x100'0000'01b3;
  }
  return hash | 1;
}

std::uint32_t call_desk::load() const noexcept {
  return static_cast<std::uint32_t>(
      std::min<std::size_t>(open_, std::numeric_limits<std::uint32_t>::max()));
}

// Memory.

void call_desk::remember(std::uint64_t id, const message& payload, time_point now) {
  if (remembered_ == 0 || payload.bytes() > most_bytes_remembered) {
    return;
  }
  memory_order_.push_back(id);
  bool is_new = false;
  try {
    is_new = memory_.try_emplace(id, memory{now + remembered_for_, payload}).second;
  } catch (...) {
    memory_order_.pop_back();
    throw;
  }
  if (!is_new) {
    memory_order_.pop_back();
    return;
  }
  memory_bytes_ += payload.bytes();
  forget_old(now);
}

void call_desk::forget_old(time_point now) {
  while (!memory_order_.empty()) {
    const auto oldest = memory_.find(memory_order_.front());
    if (memory_order_.size() <= remembered_ && memory_bytes_ <= most_bytes_remembered &&
        oldest->second.until > now) {
      return;
    }
    memory_bytes_ -= oldest->second.payload.bytes();
    memory_.erase(oldest);
    memory_order_.pop_front();
  }
}

const message* call_desk::recall(std::uint64_t id, time_point now) {
  forget_old(now);
  const auto found = memory_.find(id);
  return found == memory_.end() ? nullptr : &found->second.payload;
}

server_statistics call_desk::statistics() const noexcept {
  server_statistics now = counts_;
  now.open = open_;
  return now;
}

}  // namespace parley::detail
