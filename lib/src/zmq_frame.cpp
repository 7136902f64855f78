// SPDX-License-Identifier: MPL-2.0
#include <parley/zmq_frame.hpp>

#include <utility>

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

namespace parley {
namespace {

// libzmq's own synchronisation passes a body from thread to thread. The thread sanitizer cannot see
// it, since libzmq is not built with it; so it is told here, body by body.
void given_to_zmq([[maybe_unused]] const void* body) {
#ifdef PARLEY_THREAD_SANITIZER
  __tsan_release(const_cast<void*>(body));
#endif
}
void taken_from_zmq([[maybe_unused]] const void* body) {
#ifdef PARLEY_THREAD_SANITIZER
  __tsan_acquire(const_cast<void*>(body));
#endif
}

// A body that lives in a message of libzmq.
struct zmq_body : frame::body {
  explicit zmq_body(zmq::message_t&& source) noexcept
      : body{[](body* self) noexcept { delete static_cast<zmq_body*>(self); }},
        content{std::move(source)} {}
  zmq::message_t content;
};

}  // namespace

zmq::message_t to_zmq(const frame& source) {
  if (source.is_inline()) {
    zmq::message_t copied{source.data(), source.size()};
    given_to_zmq(copied.data());
    return copied;
  }
  given_to_zmq(source.data());
  // libzmq takes a pointer to mutable bytes but never writes to a message that it sends.
  return zmq::message_t{const_cast<std::byte*>(source.data()), source.size(),
                        [](void* bytes, void* owner) {
                          taken_from_zmq(bytes);
                          frame::drop_share(static_cast<frame::body*>(owner));
                        },
                        source.add_share()};
}

frame from_zmq(zmq::message_t&& source) {
  taken_from_zmq(source.data());
  if (source.size() <= frame::inline_capacity) {
    return frame{source.data(), source.size()};
  }
  auto* owner = new zmq_body{std::move(source)};
  return frame::adopt(owner, owner->content.data(), owner->content.size());
}

}  // namespace parley
