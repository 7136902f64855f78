// SPDX-License-Identifier: MPL-2.0
//
// Which messages of which publishers came by, for those who must not pass one on twice.
//
// The messages of a publisher come in order, so its last number says it all. Publishers are known
// up to a bound: one more forgets the one that was silent longest. No I/O, one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>

namespace parley::detail {

class origins {
 public:
  static constexpr std::size_t most = 65'536;

  // False: that one, or one after it, was here before.
  [[nodiscard]] bool is_new(std::uint64_t publisher, std::uint64_t sequence, bool is_urgent) {
    const auto [at, is_unknown] = known_.try_emplace(publisher);
    if (is_unknown) {
      if (known_.size() > most) {
        known_.erase(by_age_.front());
        by_age_.pop_front();
      }
      at->second.age = by_age_.insert(by_age_.end(), publisher);
    } else {
      by_age_.splice(by_age_.end(), by_age_, at->second.age);
    }
    std::uint64_t& last = at->second.last[is_urgent ? 1 : 0];
    if (sequence <= last) {
      return false;
    }
    last = sequence;
    return true;
  }

 private:
  struct origin {
    std::array<std::uint64_t, 2> last{};  // usual, urgent
    std::list<std::uint64_t>::iterator age;
  };

  std::unordered_map<std::uint64_t, origin> known_;
  std::list<std::uint64_t> by_age_;
};

}  // namespace parley::detail
