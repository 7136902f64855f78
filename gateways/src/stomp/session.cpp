// SPDX-License-Identifier: MPL-2.0
#include "stomp/session.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <optional>
#include <utility>

#include "stomp/frame_writer.hpp"
#include "stomp/quote.hpp"

namespace parley::stomp {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view temp_queue = "/temp-queue/";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = std::min(text.find_first_not_of(' '), text.size());
  text.remove_prefix(first);
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

// Takes a number and the separator behind it off the front.
std::optional<std::uint64_t> take_number(std::string_view& text, char separator) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, failure] = std::from_chars(text.data(), end, value);
  if (failure != std::errc{}) return std::nullopt;
  if (at != end && *at != separator) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(at - text.data()) + (at == end ? 0 : 1));
  return value;
}

// Milliseconds of a heart-beat header; a day is as good as any longer time.
std::optional<milliseconds> take_milliseconds(std::string_view& text) {
  text = trimmed(text);
  const auto value = take_number(text, ',');
  if (!value) return std::nullopt;
  return milliseconds{std::min<std::uint64_t>(*value, 24 * 60 * 60 * 1000)};
}

// The highest of the list that we speak too.
std::optional<version> common_version(std::string_view accepted) {
  std::optional<version> best;
  for (std::string_view rest = accepted; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    const std::string_view each = trimmed(rest.substr(0, comma));
    for (const version ours : {version::v1_0, version::v1_1, version::v1_2}) {
      if (each == to_string(ours) && (!best || *best < ours)) best = ours;
    }
    rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
  }
  return best;
}

auto find_delivery(subscription& of, std::uint64_t number) {
  const auto found =
      std::partition_point(of.unsettled.begin(), of.unsettled.end(),
                           [&](const delivery& each) { return each.number < number; });
  return found != of.unsettled.end() && found->number == number ? found : of.unsettled.end();
}

}  // namespace

session::session(const session_limits& limits, std::uint64_t number, std::string reply_prefix,
                 clock::time_point now)
    : limits_{limits},
      number_{number},
      reply_prefix_{std::move(reply_prefix)},
      opened_{now},
      heard_{now},
      spoke_{now} {}

void session::ask(request::kind what, subscription* subject) {
  request_.what = what;
  request_.subject = subject;
}

const request& session::receive(const frame& from_client, clock::time_point now) {
  assert(request_.what == request::kind::none && state_ != state::closing);
  heard_ = now;
  const auto receipt = from_client.find("receipt");
  const bool connects = from_client.verb == command::connect || from_client.verb == command::stomp;
  wants_receipt_ = receipt.has_value() && !connects;
  if (wants_receipt_) receipt_ = *receipt;

  if (connects != (state_ == state::connecting)) {
    write_error(connects ? "this connection is open already; expected CONNECT only once"
                         : "expected CONNECT or STOMP first, not " +
                               std::string{to_string(from_client.verb)});
    return request_;
  }
  switch (from_client.verb) {
    case command::connect:
    case command::stomp:
      on_connect(from_client);
      break;
    case command::send:
      on_send(from_client);
      break;
    case command::subscribe:
      on_subscribe(from_client);
      break;
    case command::unsubscribe:
      on_unsubscribe(from_client);
      break;
    case command::ack:
      on_ack(from_client, true);
      break;
    case command::nack:
      on_ack(from_client, false);
      break;
    case command::begin:
      on_begin(from_client);
      break;
    case command::commit:
      on_end(from_client, true);
      break;
    case command::abort:
      on_end(from_client, false);
      break;
    case command::disconnect:
      ask(request::kind::leave);
      break;
    case command::connected:
    case command::message:
    case command::receipt:
    case command::error:
      write_error(std::string{to_string(from_client.verb)} + " is sent by servers only");
      break;
  }
  if (request_.what == request::kind::none && state_ == state::open) complete();
  return request_;
}

void session::complete() {
  const request::kind done = std::exchange(request_.what, request::kind::none);
  if (done == request::kind::log_in) {
    state_ = state::open;
    write_connected();
  }
  if (done == request::kind::unsubscribe) {
    std::erase_if(subscriptions_, [&](const auto& each) { return each.get() == request_.subject; });
  }
  request_.subject = nullptr;
  request_.messages.clear();
  request_.settlements.clear();
  if (wants_receipt_) {
    frame_writer{output_, command::receipt, version_}.header("receipt-id", receipt_).finish();
    wants_receipt_ = false;
  }
  if (done == request::kind::leave) state_ = state::closing;
}

void session::fail(std::string_view sentence) {
  request_.what = request::kind::none;
  write_error(sentence);
}

void session::malformed(std::string_view sentence) {
  wants_receipt_ = false;
  write_error(sentence);
}

// ---- CONNECT ----

void session::on_connect(const frame& from_client) {
  const auto accepted = from_client.find("accept-version");
  names_version_ = accepted.has_value();
  const auto common = accepted ? common_version(*accepted) : version::v1_0;
  if (!common) {
    const std::string sentence =
        "no common version: the client accepts " + quote(*accepted) + ", this server 1.0,1.1,1.2";
    frame_writer{output_, command::error, version_}
        .header("version", "1.0,1.1,1.2")
        .header("message", sentence)
        .header("content-type", "text/plain")
        .finish(sentence + "\n");
    state_ = state::closing;
    failed_ = true;
    return;
  }
  if (const auto beats = from_client.find("heart-beat")) {
    std::string_view rest = *beats;
    const auto can_send = take_milliseconds(rest);
    const auto wants = take_milliseconds(rest);
    if (!can_send || !wants || !rest.empty()) {
      write_error("heart-beat is " + quote(*beats) +
                  "; expected two numbers of milliseconds such as 10000,10000");
      return;
    }
    if (can_send->count() != 0 && limits_.heart_beat_receive.count() != 0) {
      expect_every_ = std::max(*can_send, limits_.heart_beat_receive);
    }
    if (wants->count() != 0 && limits_.heart_beat_send.count() != 0) {
      send_every_ = std::max(*wants, limits_.heart_beat_send);
    }
  }
  version_ = *common;
  request_.user = from_client.find("login").value_or("");
  request_.passcode = from_client.find("passcode").value_or("");
  if (version_ == version::v1_0) {
    request_.user = trimmed(request_.user);
    request_.passcode = trimmed(request_.passcode);
  }
  ask(request::kind::log_in);
}

void session::write_connected() {
  frame_writer out{output_, command::connected, version_};
  out.header("session", std::to_string(number_)).header("server", "parley");
  if (names_version_) {
    // A direction that the client has no use for is answered with 0: some would wait for it.
    const auto told = [](clock::duration agreed, milliseconds ours) {
      return std::to_string(agreed.count() == 0 ? 0 : ours.count());
    };
    out.header("version", to_string(version_));
    out.header("heart-beat", told(send_every_, limits_.heart_beat_send) + "," +
                                 told(expect_every_, limits_.heart_beat_receive));
  }
  out.finish();
}

// ---- SEND ----

void session::on_send(const frame& from_client) {
  const auto destination = from_client.find("destination");
  if (!destination || destination->empty()) {
    write_error("SEND needs a destination header, such as destination:/topic/news");
    return;
  }
  const auto reply_to = from_client.find("reply-to");
  message_ptr content =
      reply_to && reply_to->starts_with(temp_queue)
          ? message::from_send(from_client,
                               reply_prefix_ + std::string{reply_to->substr(temp_queue.size())})
          : message::from_send(from_client);
  if (const auto id = from_client.find("transaction")) {
    transaction* const in = find_transaction(from_client, *id);
    if (in == nullptr || !has_space(*in, content->size())) return;
    in->messages.push_back(std::move(content));
    return;
  }
  request_.messages.push_back(std::move(content));
  ask(request::kind::publish);
}

// ---- SUBSCRIBE, UNSUBSCRIBE ----

std::unique_ptr<subscription> session::make_subscription(std::string_view id,
                                                         std::string_view destination) {
  auto made = std::make_unique<subscription>();
  made->number = next_subscription_++;
  made->id = id;
  made->destination = destination;
  made->opening = "MESSAGE\n";
  if (!made->id.empty()) append_header(made->opening, "subscription", made->id, version_);
  made->opening +=
      "message-id:" + std::to_string(number_) + "-" + std::to_string(made->number) + "-";
  return made;
}

subscription& session::add_implicit(std::string_view destination) {
  auto made = make_subscription(destination, destination);
  made->implicit = true;
  return *subscriptions_.emplace_back(std::move(made));
}

void session::on_subscribe(const frame& from_client) {
  const auto destination = from_client.find("destination");
  const auto id = from_client.find("id");
  if (!destination || destination->empty()) {
    write_error("SUBSCRIBE needs a destination header, such as destination:/topic/news");
    return;
  }
  if (!id && version_ != version::v1_0) {
    write_error("SUBSCRIBE needs an id header, which MESSAGE and UNSUBSCRIBE then name");
    return;
  }
  const auto taken = [&](const auto& each) {
    if (each->implicit) return false;
    return id ? each->id == *id : each->id.empty() && each->destination == *destination;
  };
  if (std::any_of(subscriptions_.begin(), subscriptions_.end(), taken)) {
    write_error(id ? "the subscription id " + quote(*id) + " is in use; expected one not in use"
                   : "already subscribed to " + quote(*destination) +
                         "; a second subscription needs an id header");
    return;
  }
  if (subscriptions_.size() >= limits_.subscriptions) {
    write_error("too many subscriptions: at most " + std::to_string(limits_.subscriptions) +
                " in one connection");
    return;
  }
  ack_mode mode = ack_mode::automatic;
  if (const auto ack = from_client.find("ack")) {
    if (*ack == "client") {
      mode = ack_mode::cumulative;
    } else if (*ack == "client-individual") {
      mode = ack_mode::individual;
    } else if (*ack != "auto") {
      write_error("ack is " + quote(*ack) + "; expected auto, client or client-individual");
      return;
    }
  }
  std::size_t window = limits_.prefetch;
  for (const std::string_view name : {"prefetch-count", "activemq.prefetchSize"}) {
    const auto asked = from_client.find(name);
    if (!asked) continue;
    std::string_view rest = trimmed(*asked);
    const auto count = take_number(rest, ' ');
    if (!count || *count == 0 || !rest.empty()) {
      write_error(std::string{name} + " is " + quote(*asked) +
                  "; expected the number of unacknowledged messages to send, 1 or more");
      return;
    }
    window = static_cast<std::size_t>(std::min<std::uint64_t>(*count, limits_.prefetch));
    break;
  }
  auto made = make_subscription(id.value_or(""), *destination);
  made->mode = mode;
  made->window = window;
  subscriptions_.push_back(std::move(made));
  ask(request::kind::subscribe, subscriptions_.back().get());
}

void session::on_unsubscribe(const frame& from_client) {
  const auto id = from_client.find("id");
  const auto destination = from_client.find("destination");
  if (!id && (version_ != version::v1_0 || !destination)) {
    write_error(version_ == version::v1_0
                    ? "UNSUBSCRIBE needs the id or the destination of a subscription"
                    : "UNSUBSCRIBE needs the id of a subscription");
    return;
  }
  for (const auto& each : subscriptions_) {
    if (id ? each->id == *id : each->id.empty() && each->destination == *destination) {
      ask(request::kind::unsubscribe, each.get());
      return;
    }
  }
  write_error("UNSUBSCRIBE: there is no subscription " + quote(id ? *id : *destination));
}

subscription* session::find_subscription(std::uint64_t number) {
  // Ascending by number.
  const auto found = std::partition_point(subscriptions_.begin(), subscriptions_.end(),
                                          [&](const auto& each) { return each->number < number; });
  return found != subscriptions_.end() && (*found)->number == number ? found->get() : nullptr;
}

// ---- ACK, NACK ----

void session::on_ack(const frame& from_client, bool accepted) {
  const std::string verb{to_string(from_client.verb)};
  if (!accepted && version_ == version::v1_0) {
    write_error("NACK is not part of STOMP 1.0; connect with accept-version:1.2");
    return;
  }
  const std::string_view name = version_ == version::v1_2 ? "id" : "message-id";
  const auto id = from_client.find(name);
  if (!id) {
    write_error(verb + " needs the header " + std::string{name} + " in STOMP " +
                std::string{to_string(version_)} + ": the MESSAGE's " +
                (version_ == version::v1_2 ? "ack" : "message-id") + " header");
    return;
  }
  const auto named = from_client.find("subscription");
  if (version_ == version::v1_1 && !named) {
    write_error(verb + " needs the header subscription in STOMP 1.1, beside message-id");
    return;
  }
  std::string_view rest = *id;
  const auto session_number = take_number(rest, '-');
  const auto subscription_number = take_number(rest, '-');
  const auto delivery_number = take_number(rest, '-');
  const bool is_ours = session_number == number_ && subscription_number && delivery_number &&
                       rest.empty() && !id->ends_with('-');
  subscription* const of = is_ours ? find_subscription(*subscription_number) : nullptr;
  if (of == nullptr || (version_ == version::v1_1 && *named != of->id)) {
    write_error(verb + ": there is no message " + quote(*id) + " to acknowledge" +
                (is_ours && of == nullptr && *subscription_number < next_subscription_
                     ? "; its subscription has ended and the message went back to the queue"
                     : ""));
    return;
  }
  if (of->mode == ack_mode::automatic) {
    write_error(verb + ": the subscription has ack mode auto, so there is nothing to acknowledge");
    return;
  }
  const auto last = find_delivery(*of, *delivery_number);
  if (last == of->unsettled.end() || last->in_transaction) {
    write_error(
        verb + ": the message " + quote(*id) +
        (*delivery_number < of->next_delivery ? " was acknowledged before" : " was never sent"));
    return;
  }
  const auto first = of->mode == ack_mode::cumulative ? of->unsettled.begin() : last;
  if (const auto transaction_id = from_client.find("transaction")) {
    transaction* const in = find_transaction(from_client, *transaction_id);
    if (in == nullptr || !has_space(*in, 0)) return;
    for (auto each = first; each != last + 1; ++each) {
      if (std::exchange(each->in_transaction, true)) continue;
      in->claims.push_back({of->number, each->number, accepted});
    }
    return;
  }
  for (auto each = first; each != last + 1; ++each) {
    if (each->in_transaction) continue;
    request_.settlements.push_back({of, each->from, std::move(each->entry), accepted});
  }
  // What a transaction holds stays, so there may be gaps.
  of->unsettled.erase(
      std::remove_if(first, last + 1, [](const delivery& each) { return !each.in_transaction; }),
      last + 1);
  ask(request::kind::settle, of);
}

// ---- BEGIN, COMMIT, ABORT ----

session::transaction* session::find_transaction(const frame& from_client, std::string_view id) {
  for (transaction& each : transactions_) {
    if (each.id == id) return &each;
  }
  write_error(std::string{to_string(from_client.verb)} + ": there is no transaction " + quote(id) +
              "; expected one that BEGIN opened and that has not ended");
  return nullptr;
}

bool session::has_space(transaction& in, std::size_t bytes) {
  in.bytes += bytes;
  if (in.messages.size() + in.claims.size() < limits_.transaction_frames &&
      in.bytes <= limits_.transaction_bytes) {
    return true;
  }
  write_error("the transaction " + quote(in.id) + " is too large: at most " +
              std::to_string(limits_.transaction_frames) + " frames and " +
              std::to_string(limits_.transaction_bytes) + " bytes");
  return false;
}

void session::on_begin(const frame& from_client) {
  const auto id = from_client.find("transaction");
  if (!id || id->empty()) {
    write_error("BEGIN needs a transaction header");
    return;
  }
  for (const transaction& each : transactions_) {
    if (each.id == *id) {
      write_error("BEGIN: the transaction " + quote(*id) + " is open already");
      return;
    }
  }
  if (transactions_.size() >= limits_.transactions) {
    write_error("too many open transactions: at most " + std::to_string(limits_.transactions) +
                " in one connection");
    return;
  }
  transactions_.emplace_back().id = *id;
}

void session::on_end(const frame& from_client, bool commits) {
  const auto id = from_client.find("transaction");
  if (!id) {
    write_error(std::string{to_string(from_client.verb)} + " needs a transaction header");
    return;
  }
  transaction* const found = find_transaction(from_client, *id);
  if (found == nullptr) return;
  transaction ended = std::move(*found);
  transactions_.erase(transactions_.begin() + (found - transactions_.data()));
  for (const claim& each : ended.claims) {
    subscription* const of = find_subscription(each.subscription);
    if (of == nullptr) continue;  // it ended; its messages went back to the queue
    const auto claimed = find_delivery(*of, each.delivery);
    if (commits) {
      request_.settlements.push_back({of, claimed->from, std::move(claimed->entry), each.accepted});
      of->unsettled.erase(claimed);
    } else {
      claimed->in_transaction = false;
    }
  }
  if (!commits) return;
  request_.messages = std::move(ended.messages);
  ask(request::kind::publish);
}

// ---- out ----

void session::write_error(std::string_view sentence) {
  frame_writer out{output_, command::error, version_};
  if (std::exchange(wants_receipt_, false)) out.header("receipt-id", receipt_);
  out.header("message", sentence)
      .header("content-type", "text/plain")
      .finish(std::string{sentence} + "\n");
  state_ = state::closing;
  failed_ = true;
}

std::uint64_t session::write_opening(subscription& to, bool redelivered) {
  const std::uint64_t number = to.next_delivery++;
  output_ += to.opening;
  append_number(output_, number);
  output_ += '\n';
  if (to.mode != ack_mode::automatic && version_ == version::v1_2) {
    output_ += "ack:";
    output_.append(to.opening, to.opening.rfind(':') + 1);
    append_number(output_, number);
    output_ += '\n';
  }
  if (redelivered) output_ += "redelivered:true\n";
  if (to.dropped != 0) {
    output_ += "parley-dropped:";
    append_number(output_, std::exchange(to.dropped, 0));
    output_ += '\n';
  }
  return number;
}

void session::deliver(subscription& to, const message& content) {
  write_opening(to, false);
  content.append_to(output_, version_);
}

void session::deliver(subscription& to, const queue::entry& entry, queue& from) {
  const std::uint64_t number = write_opening(to, entry.redelivered);
  entry.content->append_to(output_, version_);
  if (to.mode == ack_mode::automatic) {
    unsent_.push_back({{number, &from, entry, false}, written_ + output_.size()});
  } else {
    to.unsettled.push_back({number, &from, entry, false});
  }
}

void session::take_output(std::string& bytes, clock::time_point now) {
  assert(bytes.empty() && sending_ == 0);
  spoke_ = now;
  output_.swap(bytes);
  sending_ = bytes.size();
  written_ += sending_;
}

void session::sent(clock::time_point now, std::vector<delivery>& done) {
  sending_ = 0;
  spoke_ = now;
  while (!unsent_.empty() && unsent_.front().ends_at <= written_) {
    done.push_back(std::move(unsent_.front().what));
    unsent_.pop_front();
  }
}

std::vector<delivery> session::take_unsent() {
  std::vector<delivery> all;
  for (unsent& each : unsent_)
    all.push_back(std::move(each.what));
  unsent_.clear();
  return all;
}

// ---- time ----

clock::time_point session::due() const noexcept {
  clock::time_point next = clock::time_point::max();
  if (sending_ != 0) next = spoke_ + limits_.write_stall;
  if (state_ == state::connecting) return std::min(next, opened_ + limits_.connect_within);
  if (state_ == state::closing) return next;
  if (send_every_.count() != 0 && unsent_bytes() == 0) next = spoke_ + send_every_ / 2;
  if (expect_every_.count() != 0 && listening_) {
    next = std::min(next, heard_ + expect_every_ * limits_.heart_beat_grace);
  }
  return next;
}

// Heart-beats go out at half the agreed time: many clients allow no delay at all.
bool session::tick(clock::time_point now) {
  if (now < due()) return true;
  const bool beats = state_ == state::open && send_every_.count() != 0 && unsent_bytes() == 0 &&
                     now >= spoke_ + send_every_ / 2;
  if (beats) output_ += '\n';
  return beats && now < due();
}

}  // namespace parley::stomp
