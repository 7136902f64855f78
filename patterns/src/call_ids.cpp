// SPDX-License-Identifier: MPL-2.0
#include "call_ids.hpp"

#include <parley/error.hpp>

#include <sys/random.h>

#include <cerrno>
#include <span>

namespace parley::detail {

std::uint64_t call_ids::next() {
  if (left_ == 0) {
    for (std::span<std::byte> rest = std::as_writable_bytes(std::span{ids_}); !rest.empty();) {
      const ssize_t size = ::getrandom(rest.data(), rest.size(), 0);
      if (size < 0 && errno != EINTR) {
        throw error{errc::out_of_resources, "make a call's id"};
      }
      rest = rest.subspan(size < 0 ? 0 : static_cast<std::size_t>(size));
    }
    left_ = ids_.size();
  }
  return ids_[--left_];
}

}  // namespace parley::detail
