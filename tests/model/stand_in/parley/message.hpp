// SPDX-License-Identifier: MPL-2.0
//
// A message for the model, in the place of the library's: a number that packs itself into a few
// words or many, so that the pipe's own packed cells run with little memory and few states.
#pragma once

#include <cstddef>
#include <cstring>
#include <utility>

#include "machine.hpp"

namespace parley {

class message {
 public:
  message() noexcept = default;
  explicit message(int number) noexcept : number_{number} {}
  message(message&& other) noexcept : number_{std::exchange(other.number_, none)} {}
  message& operator=(message&& other) noexcept {
    number_ = std::exchange(other.number_, none);
    return *this;
  }
  ~message() = default;
  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] bool is_inline() const noexcept { return true; }
  void reset() noexcept { number_ = none; }

  // So long that a pipe of four asks for cache lines ahead.
  static constexpr std::size_t longest_pack = 576;

  // Its number in every byte: the pipe may not touch one.
  std::byte* pack(std::byte* to) noexcept {
    const std::size_t size = size_of(number_);
    watch(&model::machine::plain_write, to, size);
    std::memset(to, number_, size);
    number_ = none;
    return to + size;
  }
  const std::byte* unpack(const std::byte* from) noexcept {
    number_ = std::to_integer<int>(*from);
    const std::size_t size = size_of(number_);
    watch(&model::machine::plain_read, from, size);
    // Not checked here: what an execution left in the middle is destroyed by these words too.
    if (std::memcmp(from, from + 1, size - 1) != 0) {
      number_ = none;
    }
    return from + size;
  }

 private:
  static constexpr std::size_t word = 8;
  static constexpr int none = 0;  // what is written where memory is asked for ahead

  // For races; at both ends, since the machine has room for few places.
  static void watch(void (model::machine::*access)(const void*), const std::byte* at,
                    std::size_t size) {
    (model::machine::get().*access)(at);
    (model::machine::get().*access)(at + size - word);
  }

  // The first is short: so four that are long, the first of them at the end of the memory of a pipe
  // of four, leave no more room than it took.
  static std::size_t size_of(int number) noexcept { return number == 1 ? word : longest_pack; }

  int number_ = none;
};

}  // namespace parley

#include <parley/packed_messages.hpp>  // as the library's does
