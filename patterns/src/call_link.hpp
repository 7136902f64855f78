// SPDX-License-Identifier: MPL-2.0
//
// A client's socket towards one server, or towards those behind an endpoint that it bound, and
// whether there is anybody.
//
// Over tcp and ipc the socket's monitor tells. socket_options::only_connected would do with less,
// but then libzmq throws away what was received and not yet read when the connection goes: the last
// reply of a server that replies and leaves. The price is that a socket keeps what it could not
// send for the next connection; close gives it up. One thread at a time.
#pragma once

#include <parley/context.hpp>
#include <parley/endpoint.hpp>
#include <parley/monitor.hpp>
#include <parley/socket.hpp>

#include <optional>
#include <utility>
#include <vector>

namespace parley::detail {

class call_link {
 public:
  call_link(context& owner, const socket_options& options, bool connects);

  endpoint bind(const endpoint& where);
  void connect(const endpoint& where);
  // Gives the socket up, with what it has to send, until renew.
  void close() noexcept;
  // The same endpoint by a new socket. Throws error (out_of_resources), and is closed then.
  void renew();

  [[nodiscard]] const endpoint& where() const noexcept { return where_; }
  [[nodiscard]] bool is_open() const noexcept { return native_.has_value(); }
  // Requires: is_open().
  [[nodiscard]] socket& native() noexcept { return *native_; }
  // The monitor's; none over pipe:// and inproc://.
  [[nodiscard]] std::vector<int> event_fds();

  // What has happened to the connection. Adds it to `told`.
  void hear(std::vector<connection_event>& told);
  // The connection was lost since the last time: take what the socket has, then ask this. True
  // once.
  [[nodiscard]] bool take_loss() noexcept { return std::exchange(is_lost_, false); }
  // Whether somebody is there who takes what is sent; can_send: the socket's own opinion.
  [[nodiscard]] bool is_there(bool can_send) const noexcept {
    return can_send && (!judges_ || is_connected_);
  }

 private:
  void make();

  context context_;
  const socket_options options_;
  const bool connects_;
  endpoint where_{"pipe://none"};
  std::optional<socket> native_;
  std::optional<monitor> events_;
  bool judges_ = false;  // its monitor says whether it is connected
  bool is_connected_ = false;
  bool is_lost_ = false;
};

}  // namespace parley::detail
