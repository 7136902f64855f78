// SPDX-License-Identifier: MPL-2.0
#include <parley/frame.hpp>

#include <cassert>
#include <new>

namespace parley {
namespace {

// A body and its bytes in one allocation: the bytes follow the header.
struct heap_body : frame::body {
  heap_body() noexcept
      : body{[](body* self) noexcept { ::operator delete(static_cast<heap_body*>(self)); }} {}
  std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
};

}  // namespace

frame::frame(const void* data, std::size_t size) : size_{size} {
  if (is_inline()) {
    if (size > 0) {
      std::memcpy(inline_, data, size);
    }
    return;
  }
  auto* owner = ::new (::operator new(sizeof(heap_body) + size)) heap_body;
  std::memcpy(owner->bytes(), data, size);
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
