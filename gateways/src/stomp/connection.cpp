// SPDX-License-Identifier: MPL-2.0
#include "stomp/connection.hpp"

#include <boost/asio/buffer.hpp>

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace parley::stomp {
namespace {

namespace asio = boost::asio;

// An idle connection costs little, a busy one reads much at a time.
constexpr std::size_t first_read = 4 * 1024;
constexpr std::size_t largest_read = 128 * 1024;

// A peer that is gone without a word is noticed even where no heart-beats were agreed.
void set_up(asio::ip::tcp::socket& socket) {
  const auto set = [&](int level, int name, int value) {
    ::setsockopt(socket.native_handle(), level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);   // seconds
  set(IPPROTO_TCP, TCP_KEEPINTVL, 15);  // seconds
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

}  // namespace

connection::connection(router& owner, asio::ip::tcp::socket socket,
                       std::chrono::milliseconds linger, std::function<void(connection&)> closed)
    : client{owner, clock::now()},
      router_{owner},
      socket_{std::move(socket)},
      timer_{socket_.get_executor()},
      linger_{linger},
      closed_{std::move(closed)},
      read_size_{first_read} {
  set_up(socket_);
}

void connection::attend() {
  if (!open_) return;
  if (!writes_ && protocol().has_output()) {
    write();
  } else if (!writes_ && protocol().closing() && !hung_up_) {
    hang_up();
  }
  if (protocol().closing() && end_ == clock::time_point::max()) end_ = clock::now() + linger_;
  if (!reads_ && reading()) read();
  if (!reads_ && hung_up_) drain();
  watch();
}

void connection::read() {
  const auto room = reader().prepare(read_size_);
  reads_ = true;
  socket_.async_read_some(
      asio::buffer(room.data(), room.size()),
      [self = shared_from_this(), size = room.size()](const error_code& failure, std::size_t got) {
        self->reads_ = false;
        if (!self->open_) return;
        if (failure) return self->drop();
        if (self->hung_up_) return self->drain();
        if (got == size) self->read_size_ = std::min(2 * self->read_size_, largest_read);
        self->reader().commit(got);
        try {
          self->router_.received(*self, clock::now());
          self->attend();
        } catch (...) {
          self->drop();
          throw;  // to the gateway, which reports it
        }
      });
}

// After the last word: what still comes is thrown away, since closing a socket that holds unread
// bytes would destroy the ERROR on its way to the peer.
void connection::drain() {
  reads_ = true;
  const auto room = reader().prepare(first_read);  // nobody reads what is there any more
  socket_.async_read_some(asio::buffer(room.data(), room.size()),
                          [self = shared_from_this()](const error_code& failure, std::size_t) {
                            self->reads_ = false;
                            if (!self->open_) return;
                            if (failure) return self->drop();
                            self->drain();
                          });
}

void connection::write() {
  if (!writes_) {
    protocol().take_output(writing_, clock::now());
    written_ = 0;
    writes_ = true;
  }
  socket_.async_write_some(
      asio::buffer(writing_.data() + written_, writing_.size() - written_),
      [self = shared_from_this()](const error_code& failure, std::size_t count) {
        if (!self->open_) return;
        if (failure) return self->drop();
        self->written(count);
      });
}

void connection::written(std::size_t count) {
  constexpr std::size_t kept_capacity = 256 * 1024;
  written_ += count;
  if (written_ < writing_.size()) {
    protocol().sent_some(clock::now());
    write();
    return;
  }
  writes_ = false;
  if (writing_.capacity() > kept_capacity) {
    std::string{}.swap(writing_);
  } else {
    writing_.clear();
  }
  router_.sent(*this, clock::now());
  attend();
}

void connection::hang_up() {
  hung_up_ = true;
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

// The timer is only moved when something is due earlier; when it goes off too early, it is set
// anew.
void connection::watch() {
  const clock::time_point next = std::min(due(), end_);
  if (next >= watched_) return;
  watched_ = next;
  timer_.expires_at(next);
  timer_.async_wait([self = shared_from_this()](const error_code& failure) {
    if (failure || !self->open_) return;
    self->watched_ = clock::time_point::max();
    const auto now = clock::now();
    if (now >= self->end_) return self->drop();
    error_code ignored;
    // Bytes that have come but were not looked at yet are a sign of life: we are what is late.
    if (self->reads_ && self->socket_.available(ignored) != 0) self->protocol().heard(now);
    if (!self->router_.tick(*self, now)) return self->drop();
    self->attend();
  });
}

void connection::shut_down(std::string_view sentence) {
  if (!open_ || protocol().closing()) return;
  router_.close(*this, sentence);
  attend();
}

void connection::drop() {
  if (!std::exchange(open_, false)) return;
  error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  router_.disconnect(*this);
  closed_(*this);
}

}  // namespace parley::stomp
