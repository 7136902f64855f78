// SPDX-License-Identifier: MPL-2.0
//
// libzmq's own synchronisation passes a body from thread to thread. The thread sanitizer cannot see
// it, since libzmq is not built with it; so it is told here, body by body.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define PARLEY_THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PARLEY_THREAD_SANITIZER
#endif
#endif
#ifdef PARLEY_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace parley::detail {

#ifdef PARLEY_THREAD_SANITIZER
inline constexpr bool handover_is_told = true;
inline void given_to_zmq(const void* body) { __tsan_release(const_cast<void*>(body)); }
inline void taken_from_zmq(const void* body) { __tsan_acquire(const_cast<void*>(body)); }
#else
inline constexpr bool handover_is_told = false;
inline void given_to_zmq(const void*) {}
inline void taken_from_zmq(const void*) {}
#endif

}  // namespace parley::detail
