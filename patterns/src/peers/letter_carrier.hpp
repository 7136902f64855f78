// SPDX-License-Identifier: MPL-2.0
//
// Letters on their way between the program, the book of them, its journal, and the peers who are
// here. Not thread-safe.
#pragma once

#include <parley/peer_event.hpp>
#include <parley/peers.hpp>

#include "event_queue.hpp"
#include "identity_table.hpp"
#include "letter_book.hpp"
#include "letter_journal.hpp"
#include "peer_desk.hpp"
#include "peer_lines.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

namespace parley::detail {

inline constexpr std::size_t longest_identity = 200;  // octets

class letter_carrier {
 public:
  using time_point = letter_book::time_point;

  // All but the options have to outlive it.
  letter_carrier(const peers_options& options, peer_desk& desk, peer_lines& lines,
                 const identity_table& identities, event_queue& events);

  // By the program. Throw overloaded, config_error, and what the journal does; then it is as
  // before.
  std::uint64_t write(const std::string& to, message content, time_point now);
  void mark_read(const peer_event& letter, time_point now);
  [[nodiscard]] std::size_t waiting(const std::string& to) const { return book_.waiting(to); }
  // The program took it out of the events. True: somebody was told.
  bool handed_out(const peer_event& event, time_point now);

  void entered(const std::string& identity, time_point now);
  // A whisper. True: it was one, or about one.
  [[nodiscard]] bool hear(peer_event& came, time_point now);
  // What could not be sent, or is to be sent again.
  void tick(time_point now);
  // When to call it again.
  [[nodiscard]] time_point due(time_point now) const;

 private:
  void keep(const std::string& to, const letter_book::letter* written);
  void send(const std::string& to, time_point now);
  void hear_answer(peer_event& came, const letter_mark& mark, time_point now);
  void hear_letter(peer_event& came, const letter_mark& mark, time_point now);
  void take(const peer_id& peer, const std::string& from, const letter_mark& which, time_point now);
  void answer(const peer_id& to, const letter_mark& said, time_point now);

  peer_desk& desk_;
  peer_lines& lines_;
  const identity_table& identities_;
  event_queue& events_;
  std::optional<letter_journal> journal_;
  letter_book book_;
  std::set<std::string> late_;  // some of theirs could not be sent
};

}  // namespace parley::detail
