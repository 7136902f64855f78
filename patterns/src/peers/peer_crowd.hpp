// SPDX-License-Identifier: MPL-2.0
//
// How many peers there are, altogether and at each host: no host may have all the places, and who
// has only been heard of takes none from who is here. No I/O.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <unordered_map>

namespace parley::detail {

class peer_crowd {
 public:
  // Who have not greeted us, altogether and at one host: whoever makes up beacons can make us try
  // so many addresses at a time.
  static constexpr std::size_t most_unproven = 256;
  static constexpr std::size_t most_unproven_of_host = 32;

  explicit peer_crowd(std::size_t most) noexcept : most_{most} {}

  void add(const std::string& host, bool is_here) {
    const auto number = number_of(is_here);
    ++(all_.*number);
    ++(of_host_[host].*number);
  }
  // Requires: it was added.
  void remove(const std::string& host, bool is_here) {
    const auto number = number_of(is_here);
    const auto at = of_host_.find(host);
    --(all_.*number);
    --(at->second.*number);
    if (at->second.here + at->second.unproven == 0) {
      of_host_.erase(at);
    }
  }

  [[nodiscard]] std::size_t here() const noexcept { return all_.here; }
  // No other may come to be here from there.
  [[nodiscard]] bool is_full(const std::string& host) const {
    return all_.here >= most_ || at(host).here >= std::max<std::size_t>(most_ / 4, 1);
  }
  // Nor be tried that was heard of there.
  [[nodiscard]] bool is_full_of_unproven(const std::string& host) const {
    return all_.unproven >= most_unproven || at(host).unproven >= most_unproven_of_host;
  }

 private:
  struct count {
    std::size_t here = 0;
    std::size_t unproven = 0;
  };
  static std::size_t count::*number_of(bool is_here) noexcept {
    return is_here ? &count::here : &count::unproven;
  }
  [[nodiscard]] count at(const std::string& host) const {
    const auto found = of_host_.find(host);
    return found == of_host_.end() ? count{} : found->second;
  }

  const std::size_t most_;
  count all_;
  std::unordered_map<std::string, count> of_host_;
};

}  // namespace parley::detail
