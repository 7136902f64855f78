// SPDX-License-Identifier: MPL-2.0
#include <parley/frame.hpp>

#include <parley/body_pool.hpp>

#include <cassert>
#include <new>

namespace parley {
namespace {

// A body and its bytes in one block: the bytes follow the header.
struct heap_body : frame::body {
  heap_body() noexcept
      : body{[](body* self) noexcept { detail::body_pool::give(static_cast<heap_body*>(self)); }} {}
  std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
};

}  // namespace

void frame::hold_copy(const void* data) {
  auto* owner = ::new (detail::body_pool::take(sizeof(heap_body) + size_)) heap_body;
  std::memcpy(owner->bytes(), data, size_);
  shared_ = {owner, owner->bytes()};
}

frame frame::adopt(body* owner, const void* data, std::size_t size) noexcept {
  assert(size > inline_capacity);
  frame adopted;
  adopted.size_ = size;
  adopted.shared_ = {owner, static_cast<const std::byte*>(data)};
  return adopted;
}

}  // namespace parley
