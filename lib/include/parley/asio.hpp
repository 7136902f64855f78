// SPDX-License-Identifier: MPL-2.0
//
// A socket in a Boost.Asio program: async_receive and async_send with any completion token.
//
// Optional: Parley itself needs no Boost; who includes this has Boost 1.74 or later. Threads: a
// socket belongs to one thread at a time, so all calls, and the executors of all handlers, are of
// the one thread or strand that runs executor. At most one async_receive and one async_send are
// under way at a time. Destroying the asio_socket cancels both; so does cancel. A cancelled receive
// has taken no message. With Boost 1.77 or later, cancellation slots end a single operation.
#pragma once

#include <parley/error.hpp>
#include <parley/message.hpp>
#include <parley/socket.hpp>

#include <boost/asio/version.hpp>

#include <boost/asio/any_io_executor.hpp>
#if BOOST_ASIO_VERSION >= 101900
#include <boost/asio/cancellation_state.hpp>
#endif
#include <boost/asio/compose.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include <cassert>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace boost::system {
template<>
struct is_error_condition_enum<parley::errc> : std::true_type {};
}  // namespace boost::system

namespace parley {

// Lets a handler ask: failed == parley::errc::closed.
[[nodiscard]] inline const boost::system::error_category& asio_category() noexcept {
  class words final : public boost::system::error_category {
    const char* name() const noexcept override { return "parley"; }
    std::string message(int code) const override { return category().message(code); }
  };
  static const words one;
  return one;
}
[[nodiscard]] inline boost::system::error_condition make_error_condition(errc code) noexcept {
  return {static_cast<int>(code), asio_category()};
}

namespace detail {

// What the operations of one socket share; lives as long as the last of them.
class asio_state {
 public:
  enum way : std::size_t { receiving, sending };

  asio_state(const boost::asio::any_io_executor& executor, socket&& owned)
      : socket_{std::move(owned)}, events_{executor, socket_.fd()} {}
  asio_state(const asio_state&) = delete;
  asio_state& operator=(const asio_state&) = delete;
  ~asio_state() { events_.release(); }  // the descriptor is the socket's

  [[nodiscard]] socket& native() noexcept { return socket_; }
  [[nodiscard]] auto get_executor() { return events_.get_executor(); }

  // An operation is under way from begin to end.
  void begin(way which) {
    assert(!is_under_way_[which] && "one async_receive and one async_send at a time");
    is_under_way_[which] = true;
  }
  void end(way which) noexcept { is_under_way_[which] = false; }

  // Calls on_event once: when the socket may be ready for it, or it was cancelled.
  template<class Handler>
  void wait(way which, Handler&& on_event) {
    is_asleep_[which] = true;
    events_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       std::forward<Handler>(on_event));
  }
  void woke(way which) noexcept { is_asleep_[which] = false; }

  // After every use of the socket. What wakes is told only once, to this thread: wakes operations
  // that it is for, and says whether which need not wait at all.
  bool pass_on(std::optional<way> which = {}) noexcept {
    if (!which && !is_asleep_[receiving] && !is_asleep_[sending]) {
      return false;
    }
    socket_readiness now{true, true};
    try {
      now = socket_.ready();
    } catch (const error&) {
      // The context has ended: whoever waits tries again, and says so.
    }
    if ((now.receive && is_asleep_[receiving]) || (now.send && is_asleep_[sending])) {
      wake();
    }
    return which && (*which == receiving ? now.receive : now.send);
  }

  void cancel() noexcept {
    ++cancels_;
    wake();
  }
  [[nodiscard]] unsigned cancels() const noexcept { return cancels_; }

 private:
  void wake() noexcept {
    boost::system::error_code ignored;
    events_.cancel(ignored);  // ends the waits; who waited looks why
  }

  socket socket_;
  boost::asio::posix::stream_descriptor events_;
  bool is_under_way_[2] = {};
  bool is_asleep_[2] = {};
  unsigned cancels_ = 0;
};

template<asio_state::way Way>
class asio_operation {
 public:
  asio_operation(std::shared_ptr<asio_state> at, message&& body)
      : at_{std::move(at)}, body_{std::move(body)}, cancels_{at_->cancels()} {}

  template<class Self>
  void operator()(Self& self, boost::system::error_code = {}) {
    asio_state& at = *at_;
    if (step_ == step::first) {
      at.begin(Way);
#if BOOST_ASIO_VERSION >= 101900
      self.reset_cancellation_state(boost::asio::enable_total_cancellation());
#endif
    } else if (step_ == step::asleep) {
      at.woke(Way);
    }
    if (step_ != step::last && !attempt(self)) {
      step_ = step::asleep;
      at.wait(Way, std::move(self));  // which this is a part of
      return;
    }
    if (step_ == step::first) {
      step_ = step::last;
      // No handler is called by the call that it was given to.
      boost::asio::post(at.get_executor(), std::move(self));
      return;
    }
    at.end(Way);
    auto result = std::exchange(result_, {});
    at_.reset();
    if constexpr (Way == asio_state::receiving) {
      self.complete(result, std::move(body_));
    } else {
      self.complete(result);
    }
  }

 private:
  enum class step { first, asleep, last };

  // True: it is done, with result_.
  template<class Self>
  bool attempt(Self& self) {
    if (is_cancelled(self)) {
      result_ = boost::asio::error::operation_aborted;
      return true;
    }
    try {
      do {
        if (call()) {
          at_->pass_on();
          return true;
        }
      } while (at_->pass_on(Way));
      return false;
    } catch (const error& failure) {
      result_ = {failure.code().value(), asio_category()};
      return true;
    }
  }

  bool call() {
    if constexpr (Way == asio_state::receiving) {
      auto received = at_->native().try_receive();
      if (received) {
        body_ = std::move(*received);
      }
      return received.has_value();
    } else {
      if (at_->native().try_send(std::move(body_))) {
        return true;
      }
      const socket_kind kind = at_->native().kind();
      if (kind != socket_kind::router && kind != socket_kind::stream) {
        return false;
      }
      result_ = boost::asio::error::host_unreachable;
      return true;
    }
  }

  template<class Self>
  bool is_cancelled([[maybe_unused]] Self& self) const {
#if BOOST_ASIO_VERSION >= 101900
    if (self.get_cancellation_state().cancelled() != boost::asio::cancellation_type::none) {
      return true;
    }
#endif
    return cancels_ != at_->cancels();
  }

  std::shared_ptr<asio_state> at_;
  message body_;
  unsigned cancels_;
  step step_ = step::first;
  boost::system::error_code result_;
};

}  // namespace detail

class asio_socket {
 public:
  asio_socket(const boost::asio::any_io_executor& executor, socket&& owned)
      : state_{std::make_shared<detail::asio_state>(executor, std::move(owned))} {}
  asio_socket(asio_socket&&) noexcept = default;
  asio_socket& operator=(asio_socket&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~asio_socket() {
    if (state_) {
      state_->cancel();
    }
  }

  [[nodiscard]] auto get_executor() const { return state_->get_executor(); }

  // void(boost::system::error_code, message): operation_aborted, or an errc.
  template<class Token>
  auto async_receive(Token&& token) {
    return start<detail::asio_state::receiving, void(boost::system::error_code, message)>(message{},
                                                                                          token);
  }

  // void(boost::system::error_code): operation_aborted, an errc or, from a router or
  // stream only, host_unreachable: there is no such peer, or it has no room. On an error, the
  // message is gone.
  template<class Token>
  auto async_send(message outgoing, Token&& token) {
    return start<detail::asio_state::sending, void(boost::system::error_code)>(std::move(outgoing),
                                                                               token);
  }

  // Both operations complete with operation_aborted, unless they have done their work already.
  void cancel() { state_->cancel(); }

  // Any other call of the socket, by action(socket&): subscribe, connect, try_receive. Operations
  // that wait notice what it changed.
  template<class Action>
  decltype(auto) with(Action&& action) {
    struct after {
      detail::asio_state& state;
      ~after() { state.pass_on(); }
    } const pass_on{*state_};
    return std::forward<Action>(action)(state_->native());
  }

 private:
  template<detail::asio_state::way Way, class Signature, class Token>
  auto start(message&& body, Token& token) {
    return boost::asio::async_compose<Token, Signature>(
        detail::asio_operation<Way>{state_, std::move(body)}, token, state_->get_executor());
  }

  std::shared_ptr<detail::asio_state> state_;
};

}  // namespace parley
