// SPDX-License-Identifier: MPL-2.0
//
// Values by an id of 64 bits that others chose: an open-addressed table, at most half full, without
// an allocation for each value. Which ids share a place depends on a number that only we know, so
// that nobody can choose many that do. It keeps the room that it needed once. One thread at a time.
//
// Invariant: between the place of an id and the slot where it is no slot is free.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace parley::detail {

// A value that is false, as a null pointer, marks a free slot.
template<class Value>
class id_table {
 public:
  explicit id_table(std::uint64_t secret) noexcept : secret_{secret} {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  struct entry {
    std::uint64_t id = 0;
    Value value{};
  };

  // Null: it is not in here. Valid until the next insert or erase.
  [[nodiscard]] entry* find(std::uint64_t id) noexcept {
    if (size_ == 0) {
      return nullptr;
    }
    entry& found = slots_[slot_for(id)];
    return found.value ? &found : nullptr;
  }
  // Requires: it is not in here, and value is true.
  void insert(std::uint64_t id, const Value& value) {
    assert(value && find(id) == nullptr);
    if (2 * (size_ + 1) > slots_.size()) {
      grow();
    }
    slots_[slot_for(id)] = {id, value};
    ++size_;
  }
  // What find found.
  void erase(const entry* found) noexcept {
    auto hole = static_cast<std::size_t>(found - slots_.data());
    slots_[hole].value = Value{};
    --size_;
    // Those behind it move up, unless they would come to stand in front of their places.
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = (hole + 1) & mask; slots_[at].value; at = (at + 1) & mask) {
      if (((at - place_of(slots_[at].id)) & mask) >= ((at - hole) & mask)) {
        std::swap(slots_[hole], slots_[at]);
        hole = at;
      }
    }
  }
  // Some value, which is in here no more; false, as in a free slot: there is none.
  [[nodiscard]] Value take_any() noexcept {
    if (size_ == 0) {
      return Value{};
    }
    const std::size_t mask = slots_.size() - 1;
    while (!slots_[any_ & mask].value) {
      ++any_;
    }
    Value taken = std::move(slots_[any_ & mask].value);
    erase(&slots_[any_ & mask]);
    return taken;
  }

  template<class Use>
  void for_each(Use use) {
    for (entry& each : slots_) {
      if (each.value) {
        use(each.value);
      }
    }
  }

 private:
  [[nodiscard]] std::size_t place_of(std::uint64_t id) const noexcept {
    std::uint64_t mixed = (id ^ secret_) * 0x9e37'79b9'7f4a'7c15;
    mixed ^= mixed >> 32;
    mixed *= 0xd6e8'feb8'6659'fd93;
    return static_cast<std::size_t>(mixed >> 32) & (slots_.size() - 1);
  }
  // Where it is, or else is to be.
  [[nodiscard]] std::size_t slot_for(std::uint64_t id) const noexcept {
    std::size_t at = place_of(id);
    while (slots_[at].value && slots_[at].id != id) {
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }
  void grow() {
    std::vector<entry> before(slots_.empty() ? 16 : 2 * slots_.size());
    std::swap(before, slots_);
    for (entry& each : before) {
      if (each.value) {
        slots_[slot_for(each.id)] = std::move(each);
      }
    }
  }

  const std::uint64_t secret_;
  std::vector<entry> slots_;  // a power of two of them, or none
  std::size_t size_ = 0;
  std::size_t any_ = 0;  // where one was taken last
};

}  // namespace parley::detail
