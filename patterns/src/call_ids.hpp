// SPDX-License-Identifier: MPL-2.0
//
// Ids for calls, 64 random bits each: a server cannot guess the id of a call to another server, and
// so cannot answer it. One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace parley::detail {

class call_ids {
 public:
  [[nodiscard]] std::uint64_t next();

 private:
  // The system's random numbers cost a system call: fetched for as many calls at a time.
  static constexpr std::size_t fetched = 128;

  std::array<std::uint64_t, fetched> ids_{};
  std::size_t left_ = 0;
};

}  // namespace parley::detail
