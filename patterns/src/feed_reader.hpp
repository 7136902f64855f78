// SPDX-License-Identifier: MPL-2.0
//
// What a subscriber knows of its publishers, and what they sent and its program has not yet taken.
// docs/wire.md has the rules.
//
// No I/O: it takes messages and the time, and gives publications and events in order, and requests
// to be sent to the publishers. One thread at a time.
//
// A batch is looked through when it comes, so that what it says of the publisher counts at once,
// and nothing of it is kept if it is malformed. Its messages are made when the program takes them:
// a small body is copied, a larger one shares the batch.
//
// Hostile publishers: a batch that is malformed ends its link. What a link holds is bounded by
// twice the window that it was told, all links together by `most_windows` windows; what exceeds
// that is ignored, and asked for again later. The publisher that was silent longest is forgotten
// when there are more than `most_publishers`.
#pragma once

#include <parley/feed_ledger.hpp>
#include <parley/message.hpp>
#include <parley/subscriber.hpp>

#include "feed_books.hpp"
#include "feed_wire.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace parley::detail {

class feed_reader {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  static constexpr std::size_t most_publishers = 4096;
  static constexpr std::size_t most_windows = 64;
  // An unanswered request is repeated after this, when something else comes.
  static constexpr std::chrono::milliseconds patience{100};
  // What the program received is said after a part of the window; and as soon as there is nothing
  // more for it, but so many times in this time, and then at its end.
  static constexpr std::chrono::milliseconds saying{10};
  static constexpr unsigned most_said = 16;

  // What a program may be slower by than its own limit, without harm.
  static constexpr std::size_t reserve = 1000;
  // Prefixes that were given up, and have their books still.
  static constexpr std::size_t most_given_up = 1000;
  // A publisher that said nothing while it should so often does not serve us.
  static constexpr int missed_beats = 3;

  feed_reader(std::uint64_t id, const subscriber_options& options, time_point now);
  feed_reader(const feed_reader&) = delete;
  feed_reader& operator=(const feed_reader&) = delete;

  [[nodiscard]] feed_wishes wishes() const noexcept;

  // It looks for publishers at one more place from now on. One that is younger should have found
  // it there from its start.
  void look_for_more(time_point now) noexcept { looking_since_ = now; }

  // True: the prefix was not there before; or, it was and is not any more.
  [[nodiscard]] bool subscribe(std::string_view prefix);
  [[nodiscard]] bool unsubscribe(std::string_view prefix);

  void take(message&& incoming, time_point now);

  // What comes next: into one of the two.
  enum class step : std::uint8_t { nothing, message, event };
  [[nodiscard]] step next(publication& into, feed_event& event);
  [[nodiscard]] bool is_empty() const noexcept { return rest_.empty() && first_ == queue_.size(); }

  // There is nothing more for the program, and who receives has time.
  void rest(time_point now);
  // When tick has something to do.
  [[nodiscard]] time_point due() const noexcept { return due_; }
  void tick(time_point now);
  // Takes leave of all publishers.
  void leave();

  // To be sent, and then cleared, by the caller.
  [[nodiscard]] std::vector<feed_request>& requests() noexcept { return requests_; }

  // Publishers that serve that prefix; the empty one: everything that we subscribed to.
  [[nodiscard]] std::size_t serving(std::string_view prefix, time_point now) const;
  [[nodiscard]] std::vector<feed_ledger> ledger() const;
  // Messages not understood, or sent though there was no room announced for them.
  [[nodiscard]] std::uint64_t nonsense() const noexcept { return nonsense_; }

 private:
  struct link;
  using link_ptr = std::shared_ptr<link>;

  // Numbers of the messages that are not urgent, and of those that are.
  using numbers = std::array<std::uint64_t, 2>;

  // How often each was subscribed to; 0: it was given up, and still has its books. A link points to
  // the nodes.
  using prefixes = std::map<std::string, std::size_t, std::less<>>;

  struct publisher_state {
    std::uint64_t id = 0;
    numbers last{};      // received; what comes next is greater
    bool asked = false;  // for a new link, which has not come yet
    time_point heard{};
    std::chrono::microseconds heartbeat{0};  // 0: not told
    link* current = nullptr;                 // none: a new one was asked for, or it sent nonsense
    std::vector<std::uint64_t> retired;      // links, the oldest first
    std::uint64_t came = 0;                  // messages
    std::uint64_t received = 0;
    std::uint64_t repeated = 0;
    loss_counts lost;
    feed_books books;
  };
  using publisher_ptr = std::shared_ptr<publisher_state>;

  struct link {
    std::uint64_t id = 0;
    publisher_ptr of;
    bool is_over = false;        // what comes by it is ignored
    bool is_cut_off = false;     // nothing comes by it any more
    bool asked_from = false;     // it is over, because a new one was asked for
    feed_request asked{};        // that one
    time_point asked_at{};       // the last request was made; long ago: none yet
    std::uint64_t expected = 1;  // position that is to come next
    std::uint64_t taken = 0;     // by the program
    std::uint64_t known = 0;     // behind that there was only news, which the reader has taken in
    std::uint64_t said = 0;      // so, to the publisher
    std::uint64_t say_after = 1;
    std::size_t unsaid_bytes = 0;
    bool owes = false;      // it is in owing_
    bool must_say = false;  // again, though there is nothing new to say
    std::size_t queued_bytes = 0;
    std::unordered_set<const prefixes::value_type*> active;

    // What need not be sent again: who waits for publishers to serve takes nothing meanwhile.
    [[nodiscard]] std::uint64_t passed() const noexcept { return std::max(taken, known); }
  };

  // Of a publisher; or without a link, topic and body of a plain one.
  struct batch {
    link_ptr from;
    frame bytes;
    frame body;
    std::size_t begin = 0;       // of the first entry that is new
    std::uint64_t position = 0;  // its
    std::size_t entries = 0;
  };

  void take_plain(message&& incoming);
  [[nodiscard]] link_ptr meet(const feed_address& address, std::string_view entries,
                              time_point now);
  [[nodiscard]] link_ptr join(const feed_entry& joined, std::uint64_t id, time_point now);
  [[nodiscard]] bool has_missed(const publisher_state& of, bool is_new, const feed_entry& joined,
                                time_point now) const noexcept;
  [[nodiscard]] publisher_ptr make_publisher(std::uint64_t id);
  void retire(link& which);
  void take_batch(const link_ptr& at, std::uint64_t position, message&& incoming, time_point now);
  void enqueue(batch&& queued);
  void break_off(link& by);
  void ask(feed_request what);
  void ask_again(link& by, time_point now);
  void ask_of_stranger(std::uint64_t id, time_point now);
  [[nodiscard]] bool may_ask(time_point now) noexcept;
  [[nodiscard]] bool open_next();
  void pass(std::size_t bytes);
  void owe(const link_ptr& which);
  void say(link& by);
  void say_all();
  [[nodiscard]] bool tell(const feed_entry& what, feed_event& event);
  [[nodiscard]] bool wants(std::string_view prefix) const;
  void forget_given_up();
  // What is served from there on.
  void go_along(feed_books& books, const feed_entry& news) const;
  // Counts what waits, of each publisher, as if it was received.
  using counted = std::unordered_map<const publisher_state*, feed_books>;
  void count_waiting(counted& waiting, feed_books& plain) const;
  void count_waiting(counted& waiting, const link_ptr& from, std::string_view entries) const;

  const std::uint64_t id_;
  const std::size_t limit_;
  const std::size_t limit_bytes_;
  const feed_start start_;
  const bool recovers_;
  time_point looking_since_;  // for publishers, at the newest place

  prefixes prefixes_;
  std::size_t wanted_ = 0;            // of them
  std::deque<std::string> given_up_;  // in turn; some may be wanted again, or come twice
  std::unordered_map<std::uint64_t, publisher_ptr> publishers_;
  std::unordered_map<std::uint64_t, link_ptr> links_;

  // The batch that is being taken from, and what is left of it.
  batch reading_;
  std::string_view rest_;
  // Behind it: [first_, end) of these.
  std::vector<batch> queue_;
  std::size_t first_ = 0;
  std::size_t queued_entries_ = 0;
  std::size_t queued_bytes_ = 0;

  std::vector<feed_request> requests_;
  std::uint32_t asked_ = 0;
  std::vector<link_ptr> owing_;     // the program took something that was not said yet
  bool has_taken_message_ = false;  // among them
  time_point saying_since_;
  unsigned said_since_ = 0;
  time_point due_ = time_point::max();
  // Links that are not known, and when they were asked for their beginning.
  std::unordered_map<std::uint64_t, time_point> strangers_;
  time_point asking_since_;
  std::size_t asked_since_ = 0;

  feed_ledger plain_;
  feed_books plain_books_;
  std::uint64_t nonsense_ = 0;
};

}  // namespace parley::detail
