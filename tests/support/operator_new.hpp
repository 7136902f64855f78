// SPDX-License-Identifier: MPL-2.0
//
// Takes the place of operator new in a program of tests: memory comes from where the test says. To
// be included by one file of it, which defines allocate(), and not under the sanitizers, which know
// by operator new who allocates.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace parley::support {

// Null: there is none.
void* allocate(std::size_t size) noexcept;

}  // namespace parley::support

// Not inline: the compiler would warn of a free of what new has made.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* const made = parley::support::allocate(size)) {
    return made;
  }
  throw std::bad_alloc{};
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return parley::support::allocate(size);
}
[[gnu::noinline]] void operator delete(void* gone) noexcept { std::free(gone); }
[[gnu::noinline]] void operator delete(void* gone, std::size_t) noexcept { std::free(gone); }
[[gnu::noinline]] void operator delete(void* gone, const std::nothrow_t&) noexcept {
  std::free(gone);
}
