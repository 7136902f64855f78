// SPDX-License-Identifier: MPL-2.0
#include "peer_check.hpp"

#include "inproc_name.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace parley::detail {
namespace {

constexpr int watched_events = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED;

pollfd readable(const zmq::socket_t& socket) { return {socket.get(zmq::sockopt::fd), POLLIN, 0}; }

bool try_receive(zmq::socket_t& socket, zmq::message_t& first, zmq::message_t& second) {
  return socket.recv(first, zmq::recv_flags::dontwait).has_value() &&
         socket.recv(second, zmq::recv_flags::dontwait).has_value();
}

void send(zmq::socket_t& stream, zmq::message_t& connection, const std::string& bytes) {
  try {
    static_cast<void>(
        stream.send(connection, zmq::send_flags::sndmore | zmq::send_flags::dontwait));
    static_cast<void>(stream.send(zmq::buffer(bytes), zmq::send_flags::dontwait));
  } catch (const zmq::error_t& failure) {
    if (failure.num() != EHOSTUNREACH) {  // it is gone already
      throw;
    }
  }
}

}  // namespace

peer_check::peer_check(zmq::context_t& context, zmq::socket_t& watched,
                       const shared_options& options)
    : context_{context}, watched_{watched.handle()}, options_{options}, events_{context, ZMQ_PAIR} {
  events_.set(zmq::sockopt::linger, 0);
  const std::string name = fresh_inproc_name("peer-check");
  if (::zmq_socket_monitor(watched.handle(), name.c_str(),
                           watched_events | ZMQ_EVENT_MONITOR_STOPPED) != 0) {
    throw zmq::error_t{};
  }
  events_.connect(name);
}

void peer_check::add(const endpoint& where) {
  all_unpack_.store(false, std::memory_order_relaxed);
  endpoints_.push_back(where);
  if (where.kind() == transport::inproc) {
    give_up();  // there are no connections, and nothing to gain
  }
}

void peer_check::give_up() noexcept {
  if (events_) {
    // libzmq would wait for somebody to take its events. Any thread may end a monitor.
    static_cast<void>(::zmq_socket_monitor(watched_, nullptr, 0));
    forget();
  }
}

void peer_check::forget() noexcept {
  all_unpack_.store(false, std::memory_order_relaxed);
  questions_.clear();
  events_.close();
}

void peer_check::add_fds(std::vector<pollfd>& fds) const {
  if (!events_) {
    return;
  }
  fds.push_back(readable(events_));
  for (const question& each : questions_) {
    if (each.answer == zmtp_probe::answer::pending) {
      fds.push_back(readable(each.stream));
    }
  }
}

void peer_check::look() noexcept {
  if (!events_) {
    return;
  }
  try {
    look_at_connections();
    for (question& each : questions_) {
      go_on(each);
    }
    const auto unpacks = [](const question& each) {
      return each.answer == zmtp_probe::answer::unpacks;
    };
    if (!questions_.empty() && std::all_of(questions_.begin(), questions_.end(), unpacks)) {
      questions_.clear();
      all_unpack_.store(true, std::memory_order_relaxed);
    }
  } catch (const std::exception&) {
    give_up();  // shut down, or out of sockets or memory: nothing is lost but the batching
  }
}

// An event is two parts: its number in 16 bits and a value, and where.
void peer_check::look_at_connections() {
  bool changed = false;
  zmq::message_t what, where;
  while (events_ && try_receive(events_, what, where)) {
    std::uint16_t event = 0;
    std::memcpy(&event, what.data(), std::min(sizeof event, what.size()));
    if (event == ZMQ_EVENT_CONNECTED) {
      ++connections_;
    } else if (event == ZMQ_EVENT_DISCONNECTED) {
      --connections_;
    } else {
      forget();  // the monitor was ended
    }
    changed = true;
  }
  if (changed) {
    ask_again();
  }
}

void peer_check::ask_again() {
  all_unpack_.store(false, std::memory_order_relaxed);
  questions_.clear();
  if (events_ && connections_ == endpoints_.size()) {
    for (const endpoint& each : endpoints_) {
      ask(each);
    }
  }
}

// A stream socket carries bytes as they are, and connects again by itself.
void peer_check::ask(const endpoint& where) {
  question next{where, zmq::socket_t{context_, ZMQ_STREAM}, zmtp_probe{options_->curve}};
  next.stream.set(zmq::sockopt::linger, 0);
  next.stream.set(zmq::sockopt::ipv6, where.is_ipv6());
  next.stream.set(zmq::sockopt::reconnect_ivl, static_cast<int>(options_->reconnect.count()));
  next.stream.set(zmq::sockopt::reconnect_ivl_max,
                  static_cast<int>(options_->reconnect_max.count()));
  next.stream.set(zmq::sockopt::connect_timeout,
                  static_cast<int>(options_->connect_timeout.count()));
  next.stream.connect(where.str());
  questions_.push_back(std::move(next));
}

void peer_check::go_on(question& asked) {
  using answer = zmtp_probe::answer;
  zmq::message_t connection, bytes;
  while (asked.answer == answer::pending && try_receive(asked.stream, connection, bytes)) {
    if (bytes.empty()) {  // connected, or disconnected and about to connect again
      asked.probe = zmtp_probe{options_->curve};
    } else {
      asked.answer = asked.probe.receive({bytes.data<char>(), bytes.size()});
    }
    if (const std::string reply = asked.probe.take_reply(); !reply.empty()) {
      send(asked.stream, connection, reply);
    }
  }
  if (asked.answer != answer::pending) {
    asked.stream.close();
  }
}

}  // namespace parley::detail
