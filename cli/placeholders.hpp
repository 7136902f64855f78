// SPDX-License-Identifier: MPL-2.0
//
// What stands in braces in the topic and the body of test traffic, and changes with each message:
//   {counter}    1, 2, ...
//   {counter:N}  1 to N, around and around
//   {time}       UTC, 2026-11-22T07:30:13.123456Z
//   {random}     16 letters and digits; {random:N}: N of them
// Any other braces stay as they stand.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

class placeholders {
 public:
  // counter: the number of the message, from 1.
  [[nodiscard]] std::string fill(std::string_view text, std::uint64_t counter);

 private:
  [[nodiscard]] bool append(std::string& to, std::string_view word, std::uint64_t counter);

  std::mt19937_64 random_{std::random_device{}()};
};
