// SPDX-License-Identifier: MPL-2.0
//
// Slots by a key of theirs, the smallest first; each is in it once at most, and can be taken out
// from anywhere.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace parley::detail {

class slot_heap {
 public:
  using slot = std::uint32_t;
  using key = std::int64_t;

  [[nodiscard]] bool empty() const noexcept { return nodes_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  // Requires: !empty().
  [[nodiscard]] slot first() const noexcept { return nodes_.front().which; }
  [[nodiscard]] key first_key() const noexcept { return nodes_.front().at; }

  // The next one that is added needs no memory, if it is that slot.
  void make_room(slot which) {
    if (which >= places_.size()) {
      places_.resize(which + std::size_t{1}, nowhere);
    }
    if (nodes_.size() == nodes_.capacity()) {
      nodes_.reserve(2 * nodes_.size() + 8);
    }
  }
  // Requires: it is not in here.
  void add(slot which, key at) {
    make_room(which);
    assert(places_[which] == nowhere);
    nodes_.push_back({at, which});
    rise(nodes_.size() - 1);
  }
  // Nothing happens if it is not in here.
  void remove(slot which) noexcept {
    if (which >= places_.size() || places_[which] == nowhere) {
      return;
    }
    const std::size_t hole = places_[which];
    places_[which] = nowhere;
    const node last = nodes_.back();
    nodes_.pop_back();
    if (hole == nodes_.size()) {
      return;
    }
    nodes_[hole] = last;
    if (hole > 0 && last.at < nodes_[(hole - 1) / 2].at) {
      rise(hole);
    } else {
      sink(hole);
    }
  }

 private:
  static constexpr std::uint32_t nowhere = UINT32_MAX;
  struct node {
    key at;
    slot which;
  };

  void put(std::size_t place, node what) noexcept {
    nodes_[place] = what;
    places_[what.which] = static_cast<std::uint32_t>(place);
  }
  void rise(std::size_t place) noexcept {
    const node moved = nodes_[place];
    for (; place > 0 && moved.at < nodes_[(place - 1) / 2].at; place = (place - 1) / 2) {
      put(place, nodes_[(place - 1) / 2]);
    }
    put(place, moved);
  }
  void sink(std::size_t place) noexcept {
    const node moved = nodes_[place];
    for (std::size_t child = 2 * place + 1; child < nodes_.size(); child = 2 * place + 1) {
      if (child + 1 < nodes_.size() && nodes_[child + 1].at < nodes_[child].at) {
        ++child;
      }
      if (moved.at <= nodes_[child].at) {
        break;
      }
      put(place, nodes_[child]);
      place = child;
    }
    put(place, moved);
  }

  std::vector<node> nodes_;
  std::vector<std::uint32_t> places_;  // in nodes_, by slot
};

}  // namespace parley::detail
