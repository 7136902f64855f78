// SPDX-License-Identifier: MPL-2.0
//
// The checksum of a file, as it is read or written from its beginning: XXH3, 128 bits. It finds
// what went wrong, not who meant harm: the sender says what is right. One thread.
#pragma once

#include "file_mark.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

struct XXH3_state_s;

namespace parley::detail {

class file_hash {
 public:
  file_hash();
  void begin_anew();
  void add(const void* bytes, std::size_t size);
  [[nodiscard]] file_digest digest() const;
  // Bytes added so far.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  struct free_state {
    void operator()(XXH3_state_s* state) const noexcept;
  };
  std::unique_ptr<XXH3_state_s, free_state> state_;
  std::uint64_t size_ = 0;
};

}  // namespace parley::detail
