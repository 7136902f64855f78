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

// Cannot follow the threads of a child whose parent had some when it forked.
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
inline constexpr bool thread_sanitizer = true;
#else
inline constexpr bool thread_sanitizer = false;
#endif

}  // namespace parley::support
