// SPDX-License-Identifier: MPL-2.0
//
// A publisher's logic: who subscribed to what, what is remembered, and what to send to whom. Does
// no I/O: it is given messages, subscriptions and the time. One thread at a time.
#pragma once

#include <parley/message.hpp>
#include <parley/prefix_table.hpp>
#include <parley/publisher.hpp>

#include "call_ids.hpp"
#include "feed_bundle.hpp"
#include "feed_link.hpp"
#include "feed_wire.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace parley::detail {

class feed_desk {
 public:
  using time_point = feed_bundle::time_point;

  // id: the publisher's.
  feed_desk(const publisher_options& options, std::uint64_t id, time_point now);

  // Messages in the order of their numbers, or what others lost of them on the way here: the entry
  // `begin` and those after it. Returns how far it came: not to the end only if `waits`, and
  // somebody who is here has no room.
  [[nodiscard]] std::uint32_t publish(const feed_ref& from, std::uint32_t begin, bool waits,
                                      time_point now);
  // A message that the XPUB socket handed up. All that there are come before the next flush.
  void receive(const message& incoming, time_point now);

  // Hands send(message&&) what is to leave now.
  template<class Send>
  void flush(time_point now, Send&& send);

  // When to flush though nothing came.
  [[nodiscard]] time_point next_look() const noexcept { return next_look_; }
  // Somebody who is here has no room.
  [[nodiscard]] bool is_full() const noexcept;
  [[nodiscard]] bool has_all_sent() const noexcept;
  // All up to these numbers was published here.
  [[nodiscard]] bool has_seen(std::uint64_t sequence, std::uint64_t urgent) const noexcept {
    return next_ > sequence && next_urgent_ > urgent;
  }
  [[nodiscard]] bool has_all_received(std::uint64_t sequence, std::uint64_t urgent) const noexcept;

  // Which prefixes somebody wants now and nobody wanted before, or the reverse, since the last
  // look.
  [[nodiscard]] std::vector<std::pair<std::string, bool>> take_demand();

  [[nodiscard]] std::size_t subscribers(std::string_view topic) const;
  [[nodiscard]] std::vector<subscriber_ledger> ledger() const;
  [[nodiscard]] publisher_statistics statistics() const;

 private:
  using prefix_set = std::set<std::string, std::less<>>;

  // What came from one subscriber since the last flush, and before its inbox.
  struct subscriber_words {
    std::optional<feed_wishes> wishes;
    prefix_set added;
    prefix_set removed;
    bool left = false;        // its last connection, and what is above came after that
    bool is_leaving = false;  // one of several connections: its wishes went, not yet its inbox
    int connections = 0;      // made, less those that went: by its inboxes
  };
  struct known_topic {
    std::uint32_t slot = 0;
    std::uint64_t published = 0;
    feed_range last;
    std::list<std::string_view>::iterator age;  // in topics_by_age_
    std::uint64_t plain_version = 0;
    bool is_plain = false;
  };
  struct hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using links = std::map<std::uint64_t, std::unique_ptr<feed_link>>;  // by subscriber

  void take_subscription(bool comes, std::string_view topic);
  void take_request(const feed_request& request, time_point now);
  void settle(time_point now);
  // True: they are settled, and to be forgotten.
  [[nodiscard]] bool settle(std::uint64_t subscriber, subscriber_words& words, time_point now);
  [[nodiscard]] int connections(std::uint64_t subscriber, const subscriber_words& words) const;
  static void leave(subscriber_words& words);
  void open(feed_link& link, const prefix_set& prefixes, time_point now);
  void regain(feed_link& link, const subscriber_words& words, time_point now);
  [[nodiscard]] feed_entry joined(const feed_link& link, std::uint64_t next,
                                  std::uint64_t next_urgent, time_point now) const;
  void add_prefixes(feed_link& link, const prefix_set& prefixes, const feed_start& start,
                    time_point now);
  static void take_prefix(feed_link& link, const std::string& prefix);
  void begin_from(feed_link& link, std::uint64_t sequence, std::uint64_t urgent, time_point now);
  // What it cannot miss by the numbers, of each lane, when it goes on from these.
  using unheard = std::array<feed_link::unheard, 2>;
  [[nodiscard]] unheard unheard_before(const feed_link& link, std::uint64_t sequence,
                                       std::uint64_t urgent) const;
  static void push_unheard(feed_link& to, const unheard& missing);
  void give_up(links::iterator which);
  void close(links::iterator which);
  void look_around(time_point now);

  [[nodiscard]] feed_range publish_some(feed_range messages);
  void share_out(const feed_range& messages);
  [[nodiscard]] bool is_too_much() const noexcept;
  void make_room();
  void share_way() noexcept;
  void copy_chosen(std::size_t bytes);
  void send_plain(const feed_range& which, std::uint64_t topic_sequence);
  void keep_last(known_topic& topic, const feed_range& message);
  known_topic& make_topic(std::string_view name);
  void forget_oldest_topic();
  void remember(const feed_range& messages, time_point now);
  void forget_history(time_point now);
  [[nodiscard]] bool is_plain(std::string_view name, known_topic& topic);

  // Packs what is next in a link's row; nothing: all was sent.
  [[nodiscard]] std::size_t pack(const feed_link& link);
  [[nodiscard]] message beat(const feed_link& link) const;

  const publisher_options& options_;
  const std::uint64_t id_;
  const time_point begun_;
  call_ids ids_;

  links links_;
  // Of subscribers that were away for too long, until they come back.
  std::unordered_map<std::uint64_t, unheard> unheard_;
  std::map<std::uint64_t, subscriber_words> words_;
  std::vector<std::uint64_t> spoken_;  // who said something since the last flush

  std::set<std::string, std::less<>> told_;  // to be wanted, by take_demand
  bool demand_changed_ = false;

  prefix_table<std::int64_t> plain_;  // subscriptions less those of our subscribers
  std::uint64_t plain_version_ = 1;
  std::vector<message> plain_out_;

  std::unordered_map<std::string, known_topic, hash, std::equal_to<>> topics_;
  std::list<std::string_view> topics_by_age_;  // the one that was silent longest first
  std::vector<std::uint32_t> free_slots_;

  // Bytes of all that was published and is still kept, or on its way; each once, whoever has it.
  feed_bundle::sum held_ = std::make_shared<std::atomic<std::size_t>>(0);
  std::size_t last_bytes_ = 0;  // of the last values
  std::size_t way_bytes_ = 0;   // that may be on the way to each subscriber, beside one message

  std::deque<feed_range> history_;
  std::size_t history_count_ = 0;  // messages
  std::size_t history_bytes_ = 0;
  std::uint64_t next_ = 1;
  std::uint64_t next_urgent_ = 1;

  time_point next_look_ = time_point::max();

  // What the last link got of what was published, and its last batch: the next is mostly to get the
  // same.
  std::vector<feed_link::share> chosen_;
  std::vector<feed_range> copied_from_;
  feed_ref copied_;
  std::vector<feed_range> packed_ranges_;
  std::vector<feed_range> packing_;
  frame packed_;

  publisher_statistics counts_;
};

template<class Send>
void feed_desk::flush(time_point now, Send&& send) {
  settle(now);
  for (message& each : plain_out_) {
    send(std::move(each));
  }
  plain_out_.clear();
  share_way();
  for (const auto& [subscriber, link] : links_) {
    link->fill_row(now);
  }
  // In turn: what one gets, the next mostly gets too, and need not be packed again.
  for (bool has_more = true; has_more;) {
    has_more = false;
    for (const auto& [subscriber, link] : links_) {
      const std::size_t count = link->is_here() ? pack(*link) : 0;
      if (count == 0) {
        continue;
      }
      message outgoing;
      outgoing.reserve(3);
      outgoing.push_back(pack_address({subscriber, link->id(), link->next_position()}));
      outgoing.push_back(packed_);
      if (const feed_range& last = packed_ranges_.back(); last.of->is_followed(last.end)) {
        outgoing.push_back(last.of->following);
      }
      link->mark_sent(count, now);
      has_more = has_more || link->has_unsent();
      send(std::move(outgoing));
    }
  }
  packing_.clear();
  packed_ranges_.clear();
  packed_ = {};
  if (now >= next_look_) {
    look_around(now);
    for (const auto& [subscriber, link] : links_) {
      if (link->is_here() && now - link->last_sent() >= options_.heartbeat) {
        send(beat(*link));
        link->mark_sent(0, now);
      }
    }
  }
}

}  // namespace parley::detail
