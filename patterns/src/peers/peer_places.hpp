// SPDX-License-Identifier: MPL-2.0
//
// Where one peer may be: the addresses that it was heard of at, which of them answer, and which one
// is used. No I/O.
#pragma once

#include <parley/neighbour.hpp>

#include "peer_place.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace parley::detail {

class peer_places {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr std::size_t most = 8;

  // If there are too many already, in place of the oldest that is not used.
  void add(const peer_place& where);
  // The address that a connection of it came from, with the port that its greeting names; then what
  // that says.
  void add_named(const std::string& endpoint, const std::string& host);

  // All anew, but those that are wrong, or on trial already: those it returns are to be tried.
  [[nodiscard]] std::vector<peer_place> begin_trial(time_point now);
  // False: it is not known, or no more. own_host: which of our addresses it answered.
  [[nodiscard]] bool tried(const peer_place& where, probe_answer how, const std::string& own_host);
  [[nodiscard]] bool is_trying() const;

  // Requires: it answered.
  void use(const peer_place& where) { used_ = where; }
  // As it was used last.
  [[nodiscard]] const peer_place& used() const noexcept { return used_; }
  [[nodiscard]] std::string own_host() const;
  // The one that is used keeps silent, and another one answers.
  [[nodiscard]] bool have_moved() const;
  // Somebody else is at the one that is used.
  void set_wrong(time_point until);
  [[nodiscard]] bool are_wrong(time_point now) const;  // all of them

  [[nodiscard]] bool contain(const peer_place& where) const { return find(where) != nullptr; }
  [[nodiscard]] bool contain(const std::string& host) const;
  // What was added last.
  [[nodiscard]] std::optional<peer_place> latest() const;
  // In the order in which they were added.
  [[nodiscard]] std::vector<peer_place> all() const;

 private:
  struct place {
    peer_place where;
    std::string own_host{};
    bool is_on_trial = false;
    bool does_answer = false;  // since its trial began
    time_point wrong_until{};
  };
  [[nodiscard]] const place* find(const peer_place& where) const;

  std::vector<place> places_;
  peer_place used_{};
};

}  // namespace parley::detail
