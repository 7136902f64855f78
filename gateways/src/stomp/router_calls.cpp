// SPDX-License-Identifier: MPL-2.0
//
// Calls of services, and the replies that come back.
#include "stomp/router.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "stomp/feed.hpp"
#include "stomp/quote.hpp"

namespace parley::stomp {
namespace {

using std::chrono::milliseconds;

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

// A reply needs no SUBSCRIBE: where there is none, the client gets it under the name of the queue.
void router::expect_replies(client& by, const message& content) {
  const std::string reply_to = content.find("reply-to").value_or("");
  if (!reply_to.starts_with(by.session_.reply_prefix())) return;
  const std::string_view name =
      std::string_view{reply_to}.substr(by.session_.reply_prefix().size());
  temp_queue* const replies = find_or_make_temp(by, name);
  if (replies == nullptr || replies->subscribed || replies->messages->has_consumers()) return;
  subscription& implied = by.session_.add_implicit(std::string{temp_word}.append(name));
  feed& to = add_feed(by, implied);
  to.source_ = replies->messages.get();
  to.source_->add(to);
}

void router::route_call(client& by, const destination& to, const message& content,
                        clock::time_point now) {
  const std::string reply_to =
      std::string{temp_word} +
      content.find("reply-to").value_or("").substr(by.session_.reply_prefix().size());
  const std::string correlation = content.find("correlation-id").value_or("");
  const std::string type = content.find("content-type").value_or("");
  const bool wants_msgpack = is_msgpack(type);
  const auto refuse = [&](std::string error, std::string text) {
    answer(by, reply_to, correlation, {false, {}, std::move(error), std::move(text)},
           wants_msgpack);
  };
  counters_.calls.add();

  milliseconds timeout = limits_.call_timeout;
  if (const auto asked = content.find("timeout")) {
    const auto value = parse_number(*asked);
    if (!value || *value < 1) {
      return refuse("bad_request", "timeout is " + quote(*asked) + "; expected milliseconds");
    }
    timeout = milliseconds{std::min<std::int64_t>(*value, 24 * 60 * 60 * 1000)};
  } else if (const auto expires = content.find("expires"); expires && *expires != "0") {
    const auto value = parse_number(*expires);
    const auto since_1970 = std::chrono::duration_cast<milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    if (!value) {
      return refuse("bad_request",
                    "expires is " + quote(*expires) + "; expected milliseconds since 1970");
    }
    if (*value <= since_1970.count()) return refuse("timed_out", "the request had expired");
    timeout = std::min(milliseconds{*value} - since_1970, milliseconds{24 * 60 * 60 * 1000});
  }
  const service_parameters parameters = to_parameters(type, content.body());
  if (!parameters.problem.empty()) return refuse("bad_request", parameters.problem);

  const std::uint64_t number = next_call_++;
  if (!outside_.call(number, to.name, to.method, parameters.packed, now + timeout)) {
    return refuse("no_such_service", "this gateway knows no service " + quote(to.name));
  }
  calls_.emplace(number, call{&by, reply_to, correlation, wants_msgpack});
  ++by.calls_in_flight_;
}

void router::replied(std::uint64_t number, const service_reply& reply) {
  const auto found = calls_.find(number);
  if (found == calls_.end()) {
    counters_.dropped_replies.add();  // its asker has gone
    return;
  }
  const call asked = std::move(found->second);
  calls_.erase(found);
  --asked.by->calls_in_flight_;
  answer(*asked.by, asked.reply_to, asked.correlation, reply, asked.wants_msgpack);
  if (std::exchange(asked.by->waits_for_calls_, false)) resumable_.push_back(asked.by);
}

void router::answer(client& to, const std::string& reply_to, const std::string& correlation,
                    const service_reply& reply, bool wants_msgpack) {
  std::vector<header> headers;
  if (!correlation.empty()) headers.push_back({"correlation-id", correlation});
  std::string body;
  service_reply shown = reply;
  if (shown.ok) {
    body = wants_msgpack ? shown.result : to_json(shown.result);
    if (body.empty()) shown = {false, {}, "protocol", "the service's reply is no MessagePack"};
  }
  if (shown.ok) {
    headers.push_back({"content-type", wants_msgpack ? "application/msgpack" : "application/json"});
  } else {
    counters_.calls_failed.add();
    headers.push_back({"error", shown.error.empty() ? std::string_view{"error"} : shown.error});
    headers.push_back({"content-type", "text/plain"});
    body = shown.text;
  }
  temp_queue* const into =
      find_or_make_temp(to, std::string_view{reply_to}.substr(temp_word.size()));
  if (into == nullptr || !into->messages->push(message::make(reply_to, headers, body))) {
    counters_.dropped_replies.add();
    return;
  }
  touch(*into->messages);
}

}  // namespace parley::stomp
