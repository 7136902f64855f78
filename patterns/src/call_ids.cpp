// SPDX-License-Identifier: MPL-2.0
#include "call_ids.hpp"

#include <parley/error.hpp>

#include <unistd.h>

namespace parley::detail {

std::uint64_t call_ids::next() {
  const std::lock_guard lock{mutex_};
  if (left_ == 0) {
    static_assert(sizeof ids_ <= 256, "getentropy gives no more at a time");
    if (::getentropy(ids_.data(), sizeof ids_) != 0) {
      throw error{errc::out_of_resources, "make a call's id"};
    }
    left_ = ids_.size();
  }
  return ids_[--left_];
}

}  // namespace parley::detail
