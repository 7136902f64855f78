// SPDX-License-Identifier: MPL-2.0
#include "zmq_carrier.hpp"

#include <parley/error.hpp>

#include "zmq_error.hpp"
#include "zmq_part.hpp"

#include <algorithm>
#include <cassert>
#include <limits>
#include <string>
#include <utility>

namespace parley::detail {
namespace {

using clock = std::chrono::steady_clock;

int native_kind(socket_kind kind) {
  switch (kind) {
    case socket_kind::pair:
      return ZMQ_PAIR;
    case socket_kind::push:
      return ZMQ_PUSH;
    case socket_kind::pull:
      return ZMQ_PULL;
    case socket_kind::pub:
      return ZMQ_PUB;
    case socket_kind::sub:
      return ZMQ_SUB;
    case socket_kind::xpub:
      return ZMQ_XPUB;
    case socket_kind::xsub:
      return ZMQ_XSUB;
    case socket_kind::req:
      return ZMQ_REQ;
    case socket_kind::rep:
      return ZMQ_REP;
    case socket_kind::dealer:
      return ZMQ_DEALER;
    case socket_kind::router:
      return ZMQ_ROUTER;
    case socket_kind::stream:
      return ZMQ_STREAM;
  }
  return -1;
}

int checked_milliseconds(std::chrono::milliseconds value, const char* name) {
  if (value.count() < 0 || value.count() > std::numeric_limits<int>::max()) {
    throw config_error{std::string{"socket_options."} + name + " must be from 0 ms to 24 days"};
  }
  return static_cast<int>(value.count());
}

int checked_bytes(std::size_t value, const char* name) {
  if (value > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw config_error{std::string{"socket_options."} + name + " must be below 2 GiB"};
  }
  return static_cast<int>(value);
}

void apply(zmq::socket_t& native, const curve_security& curve) {
  if (!curve.own()) {
    return;
  }
  const auto bytes = [](const curve_key& key) {
    return zmq::const_buffer{key.bytes().data(), key.bytes().size()};
  };
  native.set(zmq::sockopt::curve_secretkey, bytes(curve.own()->secret_key));
  if (curve.server()) {
    native.set(zmq::sockopt::curve_publickey, bytes(curve.own()->public_key));
    native.set(zmq::sockopt::curve_serverkey, bytes(*curve.server()));
  } else {
    native.set(zmq::sockopt::curve_server, true);
  }
}

void apply(zmq::socket_t& native, socket_kind kind, const socket_options& options) {
  if (!options.curve.own() && kind != socket_kind::stream) {
    // To libzmq, any bytes whatever are ZMTP 1.0: a browser's request would be read as messages. It
    // refuses ZMTP before 3.0 where a ZAP domain is named.
    native.set(zmq::sockopt::zap_domain, std::string_view{"parley"});
  }
  native.set(zmq::sockopt::sndhwm, options.send_limit);
  native.set(zmq::sockopt::rcvhwm, options.receive_limit);
  native.set(zmq::sockopt::linger, checked_milliseconds(options.linger, "linger"));
  if (options.max_frame_bytes <= static_cast<std::size_t>(std::numeric_limits<int64_t>::max())) {
    native.set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(options.max_frame_bytes));
  }
  if (options.send_buffer_bytes > 0) {
    native.set(zmq::sockopt::sndbuf, checked_bytes(options.send_buffer_bytes, "send_buffer_bytes"));
  }
  if (options.receive_buffer_bytes > 0) {
    native.set(zmq::sockopt::rcvbuf,
               checked_bytes(options.receive_buffer_bytes, "receive_buffer_bytes"));
  }
  native.set(zmq::sockopt::reconnect_ivl, checked_milliseconds(options.reconnect, "reconnect"));
  native.set(zmq::sockopt::reconnect_ivl_max,
             checked_milliseconds(options.reconnect_max, "reconnect_max"));
  native.set(zmq::sockopt::connect_timeout,
             checked_milliseconds(options.connect_timeout, "connect_timeout"));
  if (options.heartbeat.count() > 0) {
    native.set(zmq::sockopt::heartbeat_ivl, checked_milliseconds(options.heartbeat, "heartbeat"));
    native.set(zmq::sockopt::heartbeat_timeout,
               checked_milliseconds(options.heartbeat_timeout, "heartbeat_timeout"));
  }
  apply(native, options.curve);
  native.set(zmq::sockopt::immediate, options.only_connected);
  if (!options.routing_id.empty()) {
    native.set(zmq::sockopt::routing_id, options.routing_id);
  }
  if (kind == socket_kind::router) {
    native.set(zmq::sockopt::router_mandatory, options.mandatory);
    native.set(zmq::sockopt::router_handover, options.handover);
  }
  if (kind == socket_kind::xpub && options.all_subscriptions) {
    native.set(zmq::sockopt::xpub_verboser, true);
  }
  if (kind == socket_kind::req && options.relaxed) {
    native.set(zmq::sockopt::req_correlate, true);
    native.set(zmq::sockopt::req_relaxed, true);
  }
}

// What an error says was tried: a function that builds the words when there is an error.
auto doing(socket_kind kind, const char* action) {
  return [kind, action] {
    return std::string{action}.append(" ").append(to_string(kind)).append(" socket");
  };
}

auto doing(socket_kind kind, const char* action, const char* preposition, const endpoint& where) {
  return [what = doing(kind, action), preposition, &where] {
    return what().append(preposition).append(where.str());
  };
}

// For libzmq: rounded up, since waking a little late beats spinning through the last millisecond.
std::chrono::milliseconds time_left(clock::time_point deadline) {
  const auto left = std::max(deadline - clock::now(), clock::duration::zero());
  return std::min(std::chrono::ceil<std::chrono::milliseconds>(left),
                  std::chrono::milliseconds{std::chrono::hours{24}});
}

}  // namespace

void check_options(const socket_options& options) {
  if (options.send_limit < 1 || options.receive_limit < 1) {
    throw config_error{"socket_options.send_limit and receive_limit must be at least 1"};
  }
  checked_milliseconds(options.linger, "linger");
  checked_bytes(options.send_buffer_bytes, "send_buffer_bytes");
  checked_bytes(options.receive_buffer_bytes, "receive_buffer_bytes");
  checked_milliseconds(options.reconnect, "reconnect");
  checked_milliseconds(options.reconnect_max, "reconnect_max");
  checked_milliseconds(options.connect_timeout, "connect_timeout");
  checked_milliseconds(options.heartbeat, "heartbeat");
  checked_milliseconds(options.heartbeat_timeout, "heartbeat_timeout");
  if (!options.routing_id.empty() &&
      (options.routing_id.size() > 255 || options.routing_id.front() == '\0')) {
    throw config_error{
        "socket_options.routing_id must have at most 255 bytes and not begin with a zero byte"};
  }
}

zmq_carrier::zmq_carrier(const context& owner, socket_kind kind, const socket_options& options)
    : kind_{kind} {
  with_zmq_errors(doing(kind, "make"), [&] {
    native_ = zmq::socket_t{owner.native(), native_kind(kind)};
    apply(native_, kind, options);
  });
}

endpoint zmq_carrier::bind(const endpoint& where) {
  return with_zmq_errors(doing(kind_, "bind", " to ", where), [&] {
    native_.set(zmq::sockopt::ipv6, where.is_ipv6());
    const bool any_port = where.kind() == transport::tcp && where.port() == 0;
    std::string text = where.str();
    if (any_port) {
      text.replace(text.size() - 1, 1, "*");  // older libzmq knows the wildcard port as * only
    }
    native_.bind(text);
    return where.kind() == transport::inproc ? where
                                             : endpoint{native_.get(zmq::sockopt::last_endpoint)};
  });
}

void zmq_carrier::connect(const endpoint& where) {
  const auto what = doing(kind_, "connect", " to ", where);
  if (where.is_wildcard()) {
    throw error{errc::invalid_endpoint, what() + " (only bind takes a wildcard)"};
  }
  with_zmq_errors(what, [&] {
    native_.set(zmq::sockopt::ipv6, where.is_ipv6());
    native_.connect(where.str());
  });
}

void zmq_carrier::unbind(const endpoint& where) {
  with_zmq_errors(doing(kind_, "unbind", " from ", where), [&] { native_.unbind(where.str()); });
}

void zmq_carrier::disconnect(const endpoint& where) {
  with_zmq_errors(doing(kind_, "disconnect", " from ", where),
                  [&] { native_.disconnect(where.str()); });
}

void zmq_carrier::subscribe(std::string_view prefix) {
  with_zmq_errors(doing(kind_, "subscribe"), [&] {
    if (kind_ == socket_kind::xsub) {
      native_.send(zmq::buffer(std::string(1, '\1').append(prefix)), zmq::send_flags::none);
    } else {
      native_.set(zmq::sockopt::subscribe, prefix);
    }
  });
}

void zmq_carrier::unsubscribe(std::string_view prefix) {
  with_zmq_errors(doing(kind_, "unsubscribe"), [&] {
    if (kind_ == socket_kind::xsub) {
      native_.send(zmq::buffer(std::string(1, '\0').append(prefix)), zmq::send_flags::none);
    } else {
      native_.set(zmq::sockopt::unsubscribe, prefix);
    }
  });
}

bool zmq_carrier::send(message& outgoing, int wait) {
  assert(!outgoing.empty());
  const std::size_t last = outgoing.size() - 1;
  for (std::size_t index = 0; index <= last; ++index) {
    zmq_msg_t part;
    make_part(part, outgoing[index]);
    // libzmq takes a message whole or not at all: only its first part can be refused.
    const int flags = (index < last ? ZMQ_SNDMORE : 0) | (index == 0 ? wait : 0);
    while (zmq_msg_send(&part, native_.handle(), flags) < 0) {
      const int failure = zmq_errno();
      if (failure == EINTR && index > 0) {
        continue;
      }
      zmq_msg_close(&part);
      if (failure == EAGAIN || failure == EHOSTUNREACH || failure == EINTR) {
        return false;  // no room; a router has no such peer; a signal ended the wait
      }
      throw_zmq_error(failure, doing(kind_, "send on")());
    }
  }
  outgoing.clear();
  return true;
}

bool zmq_carrier::send_until(message& outgoing, time_point deadline) {
  if (kind_ == socket_kind::router) {
    // A router may send to some peer at any time, so there is nothing to poll for: libzmq itself
    // waits for the one, and reports an unknown one at once.
    const auto no_limit = std::chrono::milliseconds{-1};
    const auto limit = deadline == time_point::max() ? no_limit : time_left(deadline);
    native_.set(zmq::sockopt::sndtimeo, static_cast<int>(limit.count()));
    const bool sent = send(outgoing, 0);
    native_.set(zmq::sockopt::sndtimeo, -1);
    return sent;
  }
  while (!try_send(outgoing)) {
    if (!wait_until(ZMQ_POLLOUT, deadline)) {
      return false;
    }
  }
  return true;
}

bool zmq_carrier::receive(message& incoming, int wait) {
  zmq_msg_t& part = *part_.handle();
  for (bool more = true; more;) {
    // The rest of a message is there once its first part is.
    const int flags = incoming.empty() ? wait : 0;
    while (zmq_msg_recv(&part, native_.handle(), flags) < 0) {
      const int failure = zmq_errno();
      if (failure == EINTR && !incoming.empty()) {
        continue;
      }
      if (failure == EAGAIN || failure == EINTR) {
        return false;
      }
      throw_zmq_error(failure, doing(kind_, "receive on")());
    }
    more = zmq_msg_more(&part) != 0;  // before a large body is moved out of it
    take_part(part, incoming);
  }
  return true;
}

bool zmq_carrier::receive_until(message& incoming, time_point deadline) {
  while (!try_receive(incoming)) {
    if (!wait_until(ZMQ_POLLIN, deadline)) {
      return false;
    }
  }
  return true;
}

int zmq_carrier::events() {
  return with_zmq_errors(doing(kind_, "look at"),
                         [&] { return native_.get(zmq::sockopt::events); });
}

int zmq_carrier::fd() {
  return with_zmq_errors(doing(kind_, "look at"), [&] { return native_.get(zmq::sockopt::fd); });
}

// Until the socket may be ready for events of zmq_poll. False: the deadline has passed.
bool zmq_carrier::wait_until(short events, time_point deadline) {
  zmq::pollitem_t item{native_.handle(), 0, events, 0};
  for (;;) {
    const auto limit = time_left(deadline);
    if (limit.count() == 0) {
      return false;
    }
    try {
      if (zmq::poll(&item, 1, limit) > 0) {
        return true;
      }
    } catch (const zmq::error_t& failure) {
      if (failure.num() != EINTR) {
        throw_zmq_error(failure.num(), doing(kind_, "wait on")());
      }
    }
  }
}

}  // namespace parley::detail
