// SPDX-License-Identifier: MPL-2.0
#include "feed_report.hpp"

#include <string>
#include <string_view>

using parley::loss_reason;

namespace {

std::string counted(std::string_view what, std::uint64_t count) {
  return ' ' + std::string{what} + ' ' + std::to_string(count);
}

template<class Each>
void each_reason(const parley::loss_counts& counts, Each each) {
  for (std::size_t index = 0; index < parley::loss_reasons; ++index) {
    const auto reason = static_cast<loss_reason>(index);
    if (counts[reason] > 0) {
      each(std::string{to_string(reason)}, counts[reason]);
    }
  }
}

// " lost 12 (lagged 10, away 2)"
std::string as_text(std::string_view what, const parley::loss_counts& counts) {
  std::string reasons;
  each_reason(counts, [&](const std::string& reason, std::uint64_t count) {
    reasons += (reasons.empty() ? "" : ", ") + reason + ' ' + std::to_string(count);
  });
  return counted(what, counts.total()) + (reasons.empty() ? "" : " (" + reasons + ')');
}

void put(json_object& object, const std::string& what, const parley::loss_counts& counts) {
  object[what] = counts.total();
  json_object reasons = json_object::object();
  each_reason(counts,
              [&](const std::string& reason, std::uint64_t count) { reasons[reason] = count; });
  object["reasons"] = std::move(reasons);
}

std::string as_text(const parley::prefix_ledger& book) {
  return counted("published", book.published) + counted("delivered", book.delivered) +
         counted("queued", book.queued) + as_text("dropped", book.dropped);
}

void put(json_object& object, const parley::prefix_ledger& book) {
  object["published"] = book.published;
  object["delivered"] = book.delivered;
  object["queued"] = book.queued;
  put(object, "dropped", book.dropped);
}

void say_json(const json_object& object) {
  say(object.dump(-1, ' ', false, json_object::error_handler_t::replace));
}

std::string state_of(const parley::subscriber_ledger& subscriber) {
  return subscriber.is_cut_off ? " (cut off)" : subscriber.is_here ? "" : " (away)";
}

}  // namespace

void stats_arg::add_to(CLI::App& command) {
  command.add_flag(
      "--stats", is_set_,
      "at the end, tell on stderr what became of the messages; with --json as objects");
}

void report(const output& out, const parley::publisher& of) {
  const parley::publisher_statistics counts = of.statistics();
  if (out.is_json()) {
    say_json(json_object{{"publisher", id_text(of.id())},
                         {"published", counts.published},
                         {"sent_plain", counts.sent_plain},
                         {"remembered", counts.remembered},
                         {"last_values", counts.last_values}});
    json_object left{{"left", counts.left_subscribers}};
    put(left, counts.left);
    say_json(left);
  } else {
    say("stats: publisher " + id_text(of.id()) + ':' + counted("published", counts.published) +
        counted("sent plain", counts.sent_plain) + counted("remembered", counts.remembered) +
        counted("last values", counts.last_values));
    say("stats: subscribers that left: " + std::to_string(counts.left_subscribers) + ':' +
        as_text(counts.left));
  }
  for (const parley::subscriber_ledger& subscriber : of.ledger()) {
    for (const parley::prefix_ledger& book : subscriber.prefixes) {
      if (out.is_json()) {
        json_object object{{"subscriber", id_text(subscriber.id)},
                           {"is_here", subscriber.is_here},
                           {"is_cut_off", subscriber.is_cut_off}};
        put(object, "prefix", book.prefix);
        put(object, book);
        say_json(object);
      } else {
        say("stats: subscriber " + id_text(subscriber.id) + state_of(subscriber) + " '" +
            book.prefix + "':" + as_text(book));
      }
    }
  }
}

void report(const output& out, const std::vector<parley::feed_ledger>& books) {
  for (const parley::feed_ledger& book : books) {
    const std::string from =
        "stats: from " +
        (book.publisher == 0 ? "plain publishers" : "publisher " + id_text(book.publisher));
    if (out.is_json()) {
      json_object object{{"from", id_text(book.publisher)},
                         {"received", book.received},
                         {"waiting", book.waiting},
                         {"repeated", book.repeated}};
      put(object, "lost", book.lost);
      say_json(object);
    } else {
      say(from + ':' + counted("received", book.received) + counted("waiting", book.waiting) +
          counted("repeated", book.repeated) + as_text("lost", book.lost));
    }
    for (const parley::feed_prefix_ledger& each : book.prefixes) {
      if (out.is_json()) {
        json_object object{{"from", id_text(book.publisher)}};
        put(object, "prefix", each.prefix);
        object["received"] = each.received;
        object["waiting"] = each.waiting;
        put(object, "lost", each.lost);
        say_json(object);
      } else {
        say(from + " '" + each.prefix + "':" + counted("received", each.received) +
            counted("waiting", each.waiting) + as_text("lost", each.lost));
      }
    }
  }
}

void report(const output& out, const parley::forwarder& of) {
  const parley::forwarder_statistics counts = of.statistics();
  if (out.is_json()) {
    say_json(json_object{{"forwarded", counts.forwarded},
                         {"seen_before", counts.seen_before},
                         {"too_far", counts.too_far},
                         {"lost", counts.lost}});
  } else {
    say("stats: forwarder:" + counted("forwarded", counts.forwarded) +
        counted("seen before", counts.seen_before) + counted("too far", counts.too_far) +
        counted("lost", counts.lost));
  }
  report(out, of.upstream_ledger());
  report(out, of.downstream());
}
