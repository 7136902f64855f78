// SPDX-License-Identifier: MPL-2.0
#include "file_hash.hpp"

#include <cstring>
#include <new>

#include <xxhash.h>

namespace parley::detail {

void file_hash::free_state::operator()(XXH3_state_s* state) const noexcept {
  static_cast<void>(XXH3_freeState(state));
}

file_hash::file_hash() : state_{XXH3_createState()} {
  if (!state_) {
    throw std::bad_alloc{};
  }
  begin_anew();
}

void file_hash::begin_anew() {
  static_cast<void>(XXH3_128bits_reset(state_.get()));
  size_ = 0;
}

void file_hash::add(const void* bytes, std::size_t size) {
  static_cast<void>(XXH3_128bits_update(state_.get(), bytes, size));
  size_ += size;
}

file_digest file_hash::digest() const {
  XXH128_canonical_t octets;
  XXH128_canonicalFromHash(&octets, XXH3_128bits_digest(state_.get()));
  file_digest digest;
  static_assert(sizeof octets == sizeof digest);
  std::memcpy(digest.data(), &octets, sizeof octets);
  return digest;
}

}  // namespace parley::detail
