// SPDX-License-Identifier: MPL-2.0
#include <parley/socket.hpp>
#include <parley/socket_rest.hpp>

#include "socket_state.hpp"

#include <algorithm>
#include <utility>

namespace parley {

std::string_view to_string(socket_kind kind) noexcept {
  switch (kind) {
    case socket_kind::pair:
      return "pair";
    case socket_kind::push:
      return "push";
    case socket_kind::pull:
      return "pull";
    case socket_kind::pub:
      return "pub";
    case socket_kind::sub:
      return "sub";
    case socket_kind::xpub:
      return "xpub";
    case socket_kind::xsub:
      return "xsub";
    case socket_kind::req:
      return "req";
    case socket_kind::rep:
      return "rep";
    case socket_kind::dealer:
      return "dealer";
    case socket_kind::router:
      return "router";
    case socket_kind::stream:
      return "stream";
  }
  return "";
}

socket::socket(context& owner, socket_kind kind, const socket_options& options)
    : kind_{kind}, state_{new state{owner, kind, options}} {}

socket::socket(socket&&) noexcept = default;
socket& socket::operator=(socket&&) noexcept = default;
socket::~socket() = default;

close_result socket::close_for(duration limit) {
  return state_->enter()->close_until(detail::deadline_after(limit));
}

endpoint socket::bind(const endpoint& where) { return state_->enter()->bind(where); }
void socket::connect(const endpoint& where) { state_->enter()->connect(where); }
void socket::unbind(const endpoint& where) { state_->enter()->unbind(where); }
void socket::disconnect(const endpoint& where) { state_->enter()->disconnect(where); }

void socket::subscribe(std::string_view prefix) { state_->enter()->subscribe(prefix); }
void socket::unsubscribe(std::string_view prefix) { state_->enter()->unsubscribe(prefix); }

bool socket::try_send(message&& outgoing) {
  const auto inside = state_->enter();
  return inside->send_at_once(outgoing, ZMQ_DONTWAIT) || inside->try_send(outgoing);
}

bool socket::send_for(message&& outgoing, duration limit) {
  const auto inside = state_->enter();
  return inside->send_at_once(outgoing, ZMQ_DONTWAIT) ||
         inside->send_until(outgoing, detail::deadline_after(limit));
}

void socket::send(message&& outgoing) {
  const auto inside = state_->enter();
  if (!inside->send_at_once(outgoing, 0)) {
    inside->send(outgoing);
  }
}

std::optional<message> socket::try_receive() {
  std::optional<message> incoming{std::in_place};
  const auto inside = state_->enter();
  if (!inside->receive_at_once(*incoming, ZMQ_DONTWAIT) && !inside->try_receive(*incoming)) {
    incoming.reset();
  }
  return incoming;
}

std::optional<message> socket::receive_for(duration limit) {
  std::optional<message> incoming{std::in_place};
  const auto inside = state_->enter();
  if (!inside->receive_at_once(*incoming, ZMQ_DONTWAIT) &&
      !inside->receive_until(*incoming, detail::deadline_after(limit))) {
    incoming.reset();
  }
  return incoming;
}

message socket::receive() {
  message incoming;
  const auto inside = state_->enter();
  if (!inside->receive_at_once(incoming, 0)) {
    inside->receive(incoming);
  }
  return incoming;
}

bool socket::can_receive() const { return state_->enter()->can_receive(); }
bool socket::can_send() const { return state_->enter()->can_send(); }
socket_readiness socket::ready() const { return state_->enter()->ready(); }
int socket::fd() const { return state_->enter()->fd(); }

socket_statistics socket::statistics() const { return state_->statistics(); }

zmq::socket_t& socket::native() { return state_->enter()->shared(); }

std::vector<int> detail::socket_rest::fds(socket& of) {
  const auto state = of.state_->enter();
  std::vector<int> all;
  state->add_fds(true, all);
  state->add_fds(false, all);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

socket_readiness detail::socket_rest::begin(socket& of) {
  const auto state = of.state_->enter();
  state->be_watched();
  return state->ready();
}

void detail::socket_rest::end(socket& of) { of.state_->enter()->be_unwatched(); }

}  // namespace parley
