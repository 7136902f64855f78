// SPDX-License-Identifier: MPL-2.0
#include <parley/zmq_frame.hpp>

#include <utility>

namespace parley {
namespace {

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
    return zmq::message_t{source.data(), source.size()};
  }
  // libzmq takes a pointer to mutable bytes but never writes to a message that it sends.
  return zmq::message_t{
      const_cast<std::byte*>(source.data()), source.size(),
      [](void*, void* owner) { frame::drop_share(static_cast<frame::body*>(owner)); },
      source.add_share()};
}

frame from_zmq(zmq::message_t&& source) {
  if (source.size() <= frame::inline_capacity) {
    return frame{source.data(), source.size()};
  }
  auto* owner = new zmq_body{std::move(source)};
  return frame::adopt(owner, owner->content.data(), owner->content.size());
}

}  // namespace parley
