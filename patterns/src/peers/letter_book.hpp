// SPDX-License-Identifier: MPL-2.0
//
// Letters: what is said to somebody who may be away, and is kept until he took it. No I/O.
//
// To each receiver letters are numbered, and sent in order whenever he is here. He takes them in
// order, each once, and says up to which he has them. What was sent is sent again when he comes
// back, or when he said nothing for a while. Who has a letter is known by his identity, which
// outlives his peer's id; whose numbers they are, by a session of the sender's.
#pragma once

#include <parley/message.hpp>

#include "letter_mark.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace parley::detail {

class letter_book {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  struct letter {
    letter_mark mark;
    message content;  // of a `read`, none
  };

  letter_book(std::uint64_t session, std::size_t limit, std::size_t limit_bytes) noexcept
      : session_{session}, limit_{limit}, limit_bytes_{limit_bytes} {}

  [[nodiscard]] std::uint64_t session() const noexcept { return session_; }

  // For him. Null: as many wait for him as may.
  const letter* write(const std::string& to, message content);
  // That his letter was read.
  const letter* write_read(const std::string& to, std::uint64_t about);
  // The last one that was written to him is not to be.
  void take_back(const std::string& to);
  // As it was in the journal: in order.
  void restore_number(const std::string& to, std::uint64_t last) { outgoing_[to].last = last; }
  void restore(const std::string& to, letter&& kept);
  void restore_taken(const std::string& from, std::uint64_t session, std::uint64_t number);

  // The next one for him who is here, if it has not been sent. Null: there is none.
  [[nodiscard]] const letter* next(const std::string& to) const;
  void sent(const std::string& to, time_point now);
  // He is here anew: what he has not said to have is sent again.
  void begin_anew(const std::string& to);
  // The same for those who said nothing for long, whom it returns.
  [[nodiscard]] std::vector<std::string> tick(time_point now);
  // When there may be one.
  [[nodiscard]] time_point due() const noexcept;
  // He has them. Returns the letters that were delivered with that, by their numbers.
  [[nodiscard]] std::vector<std::uint64_t> received(const std::string& by, const letter_mark& said,
                                                    time_point now);
  [[nodiscard]] std::size_t waiting(const std::string& to) const;

  // A letter of his came. True: it is the next one, and to be offered to the program.
  [[nodiscard]] bool is_next(const std::string& from, const letter_mark& came) const;
  void offered(const std::string& from, const letter_mark& came);
  // The program has no room for it.
  void refused(const std::string& from, const letter_mark& came);
  // The program took it. What to say to him.
  [[nodiscard]] letter_mark taken(const std::string& from, const letter_mark& came);
  [[nodiscard]] bool has_refused() const noexcept { return !refused_.empty(); }
  // When the program has room: what to say if some of his were refused, and none is left to take.
  [[nodiscard]] std::optional<letter_mark> again(const std::string& from);
  // What to say to him of a letter that had come before; nothing: not yet taken.
  [[nodiscard]] std::optional<letter_mark> known(const std::string& from,
                                                 const letter_mark& came) const;

 private:
  struct outgoing {
    std::deque<letter> kept{};
    std::size_t bytes = 0;
    std::size_t sent = 0;  // of those kept, so many from the front
    std::uint64_t last = 0;
    time_point again = time_point::max();
  };
  struct incoming {
    std::uint64_t session = 0;
    std::uint64_t offered = 0;
    std::uint64_t taken = 0;
  };
  const letter* add(const std::string& to, letter&& made);
  void forget_incoming();

  const std::uint64_t session_;
  const std::size_t limit_;
  const std::size_t limit_bytes_;
  std::map<std::string, outgoing> outgoing_;
  std::map<std::string, incoming> incoming_;
  std::set<std::string> refused_;  // some of theirs, behind those offered
};

}  // namespace parley::detail
