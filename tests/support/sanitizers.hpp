// SPDX-License-Identifier: MPL-2.0
//
// What the tests were built with, for those that a sanitizer slows down or cannot follow.
#pragma once

// g++ says it by macros, clang by features.
#ifndef __has_feature
#define __has_feature(feature) 0
#endif

namespace parley::support {

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
inline constexpr bool address_sanitizer = true;
#else
inline constexpr bool address_sanitizer = false;
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
inline constexpr bool thread_sanitizer = true;
#else
inline constexpr bool thread_sanitizer = false;
#endif

// Where the parent has threads, a child of fork() may find the address sanitizer's allocator locked
// for ever, and the thread sanitizer cannot follow the child's own threads.
inline constexpr bool may_fork = !address_sanitizer && !thread_sanitizer;

}  // namespace parley::support
