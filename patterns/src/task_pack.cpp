// SPDX-License-Identifier: MPL-2.0
#include "task_pack.hpp"

namespace parley::detail {
namespace {

void destroy_pack(frame::body* self) noexcept { delete static_cast<task_pack*>(self); }

}  // namespace

task_pack::task_pack(std::size_t room) : body{destroy_pack} { bytes.reserve(room); }

frame task_bodies::packed_frame() const {
  const std::string_view bytes = packed();
  if (bytes.size() <= frame::inline_capacity) {
    return frame{bytes};
  }
  pack_->owners.fetch_add(1, std::memory_order_relaxed);  // we have a share
  return frame::adopt(pack_.operator->(), bytes.data(), bytes.size());
}

}  // namespace parley::detail
