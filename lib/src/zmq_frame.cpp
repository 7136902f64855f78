// SPDX-License-Identifier: MPL-2.0
#include <parley/zmq_frame.hpp>

#include <parley/body_pool.hpp>

#include "zmq_part.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <iterator>
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

// The parts of one message, made before the first is sent: when there is no memory for one of them,
// libzmq has none, and does not take the next message for the rest of this one.
class made_parts {
 public:
  explicit made_parts(const message& source) : all_{few_} {
    if (source.size() > std::size(few_)) {
      many_ = std::make_unique_for_overwrite<zmq_msg_t[]>(source.size());
      all_ = many_.get();
    }
  }
  ~made_parts() {
    for (; sent_ < made_; ++sent_) {
      zmq_msg_close(&all_[sent_]);
    }
  }
  made_parts(const made_parts&) = delete;
  made_parts& operator=(const made_parts&) = delete;

  void make(const message& source) {
    for (const frame& each : source) {
      detail::make_part(all_[made_], each);
      ++made_;
    }
  }
  int send(void* socket, int wait) {
    while (sent_ < made_) {
      // libzmq takes a message whole or not at all: only its first part can be refused.
      const int flags = (sent_ + 1 < made_ ? ZMQ_SNDMORE : 0) | (sent_ == 0 ? wait : 0);
      if (zmq_msg_send(&all_[sent_], socket, flags) >= 0) {
        ++sent_;
      } else if (const int failure = zmq_errno(); failure != EINTR || sent_ == 0) {
        return failure;
      }
    }
    return 0;
  }

 private:
  zmq_msg_t few_[8];
  std::unique_ptr<zmq_msg_t[]> many_;
  zmq_msg_t* all_;
  std::size_t made_ = 0;
  std::size_t sent_ = 0;
};

}  // namespace

int detail::send_several_parts(void* socket, const message& outgoing, int wait) {
  made_parts parts{outgoing};
  parts.make(outgoing);
  return parts.send(socket, wait);
}

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
  into.emplace_back();  // what needs memory comes first: the body takes away what is in part
  into.drop_back();
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
