// SPDX-License-Identifier: MPL-2.0
#include <parley/error.hpp>
#include <parley/monitor.hpp>

#include <cstdint>
#include <cstring>

#include "inproc_name.hpp"
#include "zmq_error.hpp"

namespace parley {
namespace {

struct reported {
  std::uint16_t event;
  std::uint32_t value;
};

std::string system_reason(std::uint32_t code) { return ::zmq_strerror(static_cast<int>(code)); }

std::string protocol_reason(std::uint32_t code) {
  switch (code) {
    case ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND:
      return "the peer sent a command out of turn";
    case ZMQ_PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE:
      return "the exchange of keys failed";
    case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
      return "the peer's encryption does not fit; does it know the right server key?";
    case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
      return "one side asks for a security that the other does not offer";
    case ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_METADATA:
      return "the peer's description is malformed";
    default:
      break;
  }
  if ((code & 0xf000'0000U) == 0x2000'0000U) {
    return "the allow list's answer was malformed";
  }
  return "the peer does not speak ZMTP as it should";
}

std::optional<connection_event> translate(const reported& what, std::string where) {
  using change = connection_change;
  const auto plain = [&](change kind) { return connection_event{kind, std::move(where), {}}; };
  const auto because = [&](change kind, std::string reason) {
    return connection_event{kind, std::move(where), std::move(reason)};
  };
  switch (what.event) {
    case ZMQ_EVENT_LISTENING:
      return plain(change::listening);
    case ZMQ_EVENT_BIND_FAILED:
      return because(change::bind_failed, system_reason(what.value));
    case ZMQ_EVENT_CONNECT_DELAYED:
      return plain(change::connecting);
    case ZMQ_EVENT_CONNECT_RETRIED:
      return plain(change::retrying);
    case ZMQ_EVENT_CONNECTED:
      return plain(change::connected);
    case ZMQ_EVENT_ACCEPTED:
      return plain(change::accepted);
    case ZMQ_EVENT_ACCEPT_FAILED:
      return because(change::accept_failed, system_reason(what.value));
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      return plain(change::ready);
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      return because(change::handshake_failed,
                     what.value == 0 ? "the peer hung up" : system_reason(what.value));
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      return because(change::handshake_failed, protocol_reason(what.value));
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      return because(change::handshake_failed,
                     "refused by the server's allow list, status " + std::to_string(what.value));
    case ZMQ_EVENT_DISCONNECTED:
      return plain(change::disconnected);
    case ZMQ_EVENT_CLOSED:
      return plain(change::closed);
    default:
      return std::nullopt;  // the monitor's own end, and what newer libzmq may add
  }
}

}  // namespace

std::string_view to_string(connection_change change) noexcept {
  switch (change) {
    case connection_change::listening:
      return "listening";
    case connection_change::bind_failed:
      return "bind failed";
    case connection_change::connecting:
      return "connecting";
    case connection_change::retrying:
      return "retrying";
    case connection_change::connected:
      return "connected";
    case connection_change::accepted:
      return "accepted";
    case connection_change::accept_failed:
      return "accept failed";
    case connection_change::ready:
      return "ready";
    case connection_change::handshake_failed:
      return "handshake failed";
    case connection_change::disconnected:
      return "disconnected";
    case connection_change::closed:
      return "closed";
  }
  return "";
}

monitor::monitor(context& owner, socket& watched)
    : watched_{watched.native().handle()},
      events_{owner, socket_kind::pair, {.receive_limit = 1'000'000}} {
  const std::string name = detail::fresh_inproc_name("monitor");
  events_.connect(name);  // first: if it fails, libzmq reports to nobody
  if (::zmq_socket_monitor(watched_, name.c_str(), ZMQ_EVENT_ALL) != 0) {
    detail::throw_zmq_error(::zmq_errno(), "monitor socket");
  }
}

// Before events_ goes: libzmq waits for ever when it reports to a reader that is gone.
monitor::~monitor() {
  if (home_.is_here()) {
    ::zmq_socket_monitor(watched_, nullptr, 0);
  }
}

std::optional<connection_event> monitor::receive_for(duration limit) {
  const auto start = std::chrono::steady_clock::now();
  for (;; received_.reset()) {
    if (!received_) {
      received_ = events_.receive_for(limit - (std::chrono::steady_clock::now() - start));
      if (!received_) {
        return std::nullopt;
      }
    }
    reported what{};
    if (received_->size() != 2 || received_->front().size() != 6) {
      continue;
    }
    std::memcpy(&what.event, received_->front().data(), sizeof what.event);
    std::memcpy(&what.value, received_->front().data() + sizeof what.event, sizeof what.value);
    auto event = translate(what, received_->back().str());
    if (!event) {
      continue;
    }
    switch (event->change) {
      case connection_change::connected:
      case connection_change::accepted:
        opened_[what.value] = handshakes_;
        break;
      case connection_change::ready:
      case connection_change::handshake_failed:
        ++handshakes_;
        break;
      case connection_change::disconnected:
        event->reason = why_disconnected(what.value);
        break;
      default:
        break;
    }
    received_.reset();
    return event;
  }
}

std::string monitor::why_disconnected(std::uint32_t fd) {
  const auto opened = opened_.find(fd);
  if (opened == opened_.end()) {
    return "";
  }
  std::string why = opened->second != handshakes_
                        ? ""
                        : "no handshake: the peer does not speak ZMTP 3, or is a kind of socket "
                          "that does not fit";
  opened_.erase(opened);
  return why;
}

std::optional<connection_event> monitor::try_receive() { return receive_for(duration::zero()); }

}  // namespace parley
