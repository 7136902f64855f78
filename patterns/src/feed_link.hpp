// SPDX-License-Identifier: MPL-2.0
//
// What a publisher keeps for one subscriber, and the books about it.
//
// A message waits in its lane until the subscriber has room for it. Then it gets its position in
// the row, where it stays, to be sent again if need be, until the subscriber has received it. What
// is dropped leaves a note in its place, which goes the same way. Does no I/O.
#pragma once

#include <parley/feed_ledger.hpp>
#include <parley/prefix_table.hpp>
#include <parley/publisher.hpp>

#include "feed_bundle.hpp"
#include "feed_wire.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace parley::detail {

class feed_link {
 public:
  using time_point = feed_bundle::time_point;

  // way_bytes: may be on the way to it; may change. id: of the link.
  feed_link(const publisher_options& options, const std::size_t& way_bytes,
            const feed_wishes& wishes, std::uint64_t id);
  feed_link(const feed_link&) = delete;
  feed_link& operator=(const feed_link&) = delete;

  [[nodiscard]] const feed_wishes& wishes() const noexcept { return wishes_; }
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  // Entries that may be on the way.
  [[nodiscard]] std::size_t window() const noexcept { return window_; }
  [[nodiscard]] bool is_here() const noexcept { return is_here_; }
  // By which its subscriber is here. Several: it is made anew before the old one is seen to be
  // lost, or it has two ways to this publisher.
  [[nodiscard]] int connections() const noexcept { return connections_; }
  void count_connections(int change) noexcept { connections_ += change; }
  [[nodiscard]] bool is_cut_off() const noexcept { return is_cut_off_; }
  // When its connection was lost.
  [[nodiscard]] time_point away_since() const noexcept { return changed_; }

  // Prefixes. Whoever adds one pushes `active`, whoever removes one `inactive`.
  void add_prefix(std::string_view prefix);
  void remove_prefix(std::string_view prefix);
  [[nodiscard]] bool has_prefix(std::string_view prefix) {
    return prefixes_.find(prefix) != nullptr;
  }
  [[nodiscard]] std::vector<std::string> prefixes() const;
  [[nodiscard]] bool wants(std::string_view topic) const { return longest(topic) != no_prefix; }

  // Which of the messages it wants, as ranges of one book each.
  struct share : feed_range {
    std::uint32_t book = 0;
  };
  void choose(const feed_range& messages, std::vector<share>& chosen);
  // How many of the messages there is room for before it is full, at least, if it wants them all;
  // 0: it is full.
  [[nodiscard]] std::uint32_t room_for(const feed_range& messages) const noexcept;
  // Messages for it.
  void push(share messages);
  // A message out of the memory, if it wants it: however many there are.
  void push_remembered(const feed_range& message);
  // Something to be told, in its turn among the messages.
  void push_news(const feed_entry& news);
  // Messages it will not get, which were not in its queue: all from first to last, or so many.
  void push_lost(std::uint64_t first, std::uint64_t last, bool is_urgent, loss_reason reason,
                 std::uint64_t count = 0);
  // Messages of a prefix that did not come as far as here, if it wants some of them.
  void push_loss_upstream(const feed_entry& lost);
  // The slot of a topic is another's from now on.
  void forget_topic(std::uint32_t topic) noexcept;

  // Bytes that wait for room in the row.
  [[nodiscard]] std::size_t waiting_bytes() const noexcept { return urgent_.bytes + usual_.bytes; }
  // The older half of these, at least. False: there are none.
  bool drop_half();
  // Whether it has as much before it as there may be.
  [[nodiscard]] bool is_full() const noexcept;

  void lose_connection(time_point now);
  void regain_connection(const feed_wishes& wishes);
  void cut_off();
  // A new link takes the place of this one, whose queues are forgotten and out of the books.
  void begin_anew(std::uint64_t id);
  // Or: it takes over the queues, behind what a link begins with.
  void begin_again(std::uint64_t id, const feed_entry& joined);

  // From the subscriber. False: it cannot be.
  [[nodiscard]] bool received(std::uint64_t position);
  [[nodiscard]] bool send_again(std::uint64_t position, time_point now);

  // Moves what the subscriber has room for into the row.
  void fill_row(time_point now);
  [[nodiscard]] bool has_unsent() const noexcept { return sent_ < entries_; }
  // The first of them, as many as fit into one batch. Returns how many.
  std::size_t next_batch(std::vector<feed_range>& into) const;
  // Of the first unsent entry, or of the one that will come next.
  [[nodiscard]] std::uint64_t next_position() const noexcept { return acknowledged_ + sent_ + 1; }
  void mark_sent(std::size_t count, time_point now) noexcept;
  [[nodiscard]] time_point last_sent() const noexcept { return last_sent_; }

  // Nothing is kept for it that it could have; or just nothing up to that message.
  [[nodiscard]] bool has_all_sent() const noexcept;
  [[nodiscard]] bool has_received(std::uint64_t sequence, std::uint64_t urgent) const noexcept;
  // The least number of a message that it has not received yet; or else that one.
  [[nodiscard]] std::uint64_t least_awaited(bool is_urgent, std::uint64_t otherwise) const noexcept;
  // What it has not received of the messages before that number, nor was told to have lost. Where
  // newer messages take the places of older ones, it cannot miss these by their numbers.
  struct unheard {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t count = 0;

    void add(std::uint64_t from, std::uint64_t to, std::uint64_t messages) noexcept;
  };
  [[nodiscard]] unheard unheard_before(std::uint64_t number, bool is_urgent) const;
  // The greatest number that may have been sent.
  [[nodiscard]] std::uint64_t greatest(bool is_urgent) const noexcept {
    return (is_urgent ? urgent_ : usual_).greatest;
  }
  // It said that it received something of this link.
  [[nodiscard]] bool is_heard() const noexcept { return acknowledged_ > 0; }

  [[nodiscard]] subscriber_ledger ledger() const;

 private:
  static constexpr std::uint32_t no_prefix = 0xffff'ffff;
  static constexpr std::uint32_t unknown = 0xffff'fffe;

  // In the row.
  struct placed : share {
    std::uint64_t position = 0;  // of the first
  };
  struct loss {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t count = 0;
  };
  using losses = std::map<std::pair<std::uint32_t, loss_reason>, loss>;

  struct lane {
    explicit lane(bool holds_urgent) : is_urgent{holds_urgent} {}
    const bool is_urgent;
    std::deque<share> waiting;
    std::uint64_t first_index = 0;  // of waiting.front(), counted from the beginning
    std::size_t messages = 0;
    std::size_t bytes = 0;
    losses before;  // lost in front of all that waits
    losses behind;
    std::uint64_t greatest = 0;  // that came into the row, or was told to be lost
    std::unordered_map<std::uint32_t, std::uint64_t> newest;  // by topic: index; newest_by_topic

    [[nodiscard]] bool is_idle() const noexcept {
      return waiting.empty() && before.empty() && behind.empty();
    }
  };

  [[nodiscard]] std::uint32_t longest(std::string_view topic) const;
  [[nodiscard]] std::uint32_t book_of(const feed_bundle& from, std::uint32_t index);
  [[nodiscard]] bool is_full(const lane& which) const noexcept;
  void push_loss(std::uint32_t book, const feed_entry& lost);
  void append(lane& to, share&& messages);
  void drop_oldest(lane& from, loss_reason reason);
  void note(losses& where, const share& messages, loss_reason reason);
  void tell(losses& notes, lane& to);
  [[nodiscard]] bool supersede(lane& in, share& message);
  [[nodiscard]] bool has_room() const noexcept;
  [[nodiscard]] std::size_t most_row_bytes() const noexcept;
  [[nodiscard]] std::uint32_t room_in_row(const feed_range& messages) const noexcept;
  void raise_greatest(bool is_urgent, std::uint64_t number) noexcept;
  void enter_row(share&& next);
  void enter_notes(lane& from);
  void fill_row_from(lane& from, time_point now);
  void drop_waiting(loss_reason reason);
  void unbook(const share& which);
  void unbook(std::uint32_t book, loss_reason reason, std::uint64_t count) noexcept;
  [[nodiscard]] share told(std::uint32_t book, loss_reason reason, const loss& what,
                           bool is_urgent) const;

  const publisher_options& options_;
  const std::size_t& way_bytes_;
  feed_wishes wishes_;
  std::uint64_t id_;
  std::size_t window_ = 0;
  bool is_here_ = true;
  int connections_ = 0;
  bool is_cut_off_ = false;
  time_point changed_{};
  time_point last_sent_{};
  time_point last_again_{};

  prefix_table<std::uint32_t> prefixes_;  // those it has now, and their books
  std::vector<prefix_ledger> books_;
  std::unordered_map<std::string, std::uint32_t> book_by_prefix_;  // all it ever had
  std::vector<std::uint32_t> book_by_topic_;                       // by slot

  lane urgent_{true};
  lane usual_{false};

  std::deque<placed> row_;
  std::size_t entries_ = 0;  // in the row
  std::size_t sent_ = 0;     // of them
  std::size_t row_bytes_ = 0;
  std::uint64_t acknowledged_ = 0;  // the position in front of the row
};

}  // namespace parley::detail
