// SPDX-License-Identifier: MPL-2.0
#include <parley/zmq_frame.hpp>

#include <parley/body_pool.hpp>

#include "zmq_part.hpp"

#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace parley {
namespace {

// A body that lives in a message of libzmq.
struct zmq_body : frame::body {
  explicit zmq_body(zmq_msg_t& source) noexcept
      : body{[](body* self) noexcept {
          std::destroy_at(static_cast<zmq_body*>(self));
          detail::body_pool::give(static_cast<zmq_body*>(self));
        }} {
    zmq_msg_init(&content);
    zmq_msg_move(&content, &source);
  }
  ~zmq_body() { zmq_msg_close(&content); }
  zmq_msg_t content;
};

}  // namespace

void detail::make_part(zmq_msg_t& part, const frame& source) {
  if (source.size() <= cheaper_copied) {
    if (zmq_msg_init_size(&part, source.size()) != 0) {
      throw std::bad_alloc{};
    }
    void* const bytes = zmq_msg_data(&part);
    std::memcpy(bytes, source.data(), source.size());
    detail::given_to_zmq(bytes);
    return;
  }
  detail::given_to_zmq(source.data());
  frame::body* const owner = source.add_share();
  // libzmq takes a pointer to mutable bytes but never writes to a message that it sends.
  const int made = zmq_msg_init_data(
      &part, const_cast<std::byte*>(source.data()), source.size(),
      [](void* bytes, void* shared) {
        detail::taken_from_zmq(bytes);
        frame::drop_share(static_cast<frame::body*>(shared));
      },
      owner);
  if (made != 0) {
    frame::drop_share(owner);
    throw std::bad_alloc{};
  }
}

void detail::take_large_part(zmq_msg_t& part, std::size_t size, message& into) {
  auto* const owner = ::new (body_pool::take(sizeof(zmq_body))) zmq_body{part};
  into.push_back(frame::adopt(owner, zmq_msg_data(&owner->content), size));
}

const char* detail::property_of(zmq_msg_t& part, const frame& taken, const char* name) {
  if (taken.is_inline()) {
    return zmq_msg_gets(&part, name);
  }
  auto* const owner = static_cast<zmq_body*>(taken.add_share());
  const char* const value = zmq_msg_gets(&owner->content, name);
  frame::drop_share(owner);  // taken keeps it
  return value;
}

zmq::message_t to_zmq(const frame& source) {
  zmq::message_t made;
  detail::make_part(*made.handle(), source);
  return made;
}

frame from_zmq(zmq::message_t&& source) {
  message one;
  detail::take_part(*source.handle(), one);
  return std::move(*one.begin());
}

}  // namespace parley
