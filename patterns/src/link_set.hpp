// SPDX-License-Identifier: MPL-2.0
//
// The sockets of a source or a worker: a ROUTER for the endpoints that it binds, a DEALER for each
// one that it connects to, and a PUSH or PULL for plain peers. What is at the other end is a link,
// whichever of them carries it. One thread at a time.
//
// ZeroMQ does not tell a router's owner who left, nor over pipe:// and inproc:// a dealer's: a peer
// that takes nothing for a while is lost, and so is one that says nothing for very long. Who is
// lost and comes again is another link.
#pragma once

#include <parley/context.hpp>
#include <parley/endpoint.hpp>
#include <parley/monitor.hpp>
#include <parley/socket.hpp>

#include "call_link.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace parley::detail {

class link_set {
 public:
  using link = std::uint32_t;  // 1, 2, ...; none is used twice
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  // plain: push or pull. Who takes nothing for `patience` is gone.
  link_set(context& owner, const socket_options& options, socket_kind plain, duration patience);

  endpoint bind(const endpoint& where);
  void connect(const endpoint& where);
  // Nothing happens if it was not connected there. The link is lost.
  void disconnect(const endpoint& where);
  endpoint bind_plain(const endpoint& where);
  void connect_plain(const endpoint& where);
  // From now on, what happens to connections over tcp and ipc is kept, to be taken.
  void watch();
  [[nodiscard]] std::vector<connection_event> take_events() { return std::exchange(events_, {}); }

  struct news {
    enum class kind : std::uint8_t {
      opened,        // we connected there, or did so again
      opened_plain,  // the PUSH or PULL
      came,          // a message; of a link that we did not open it may be the first
      lost,          // nobody is there any more
    };
    kind what;
    link which;
    message came{};
  };
  // Whether tasks of plain peers stay where they are for now.
  void pause_plain(bool pauses) noexcept { is_plain_paused_ = pauses; }
  // Takes in what there is, `most` messages of each socket at most, and adds it.
  void receive(std::vector<news>& into, std::size_t most, time_point now);

  // Links that are open.
  [[nodiscard]] const std::vector<link>& open() const noexcept { return open_; }
  // True: a message for it would leave now.
  [[nodiscard]] bool takes(link to) const;
  // A plain peer would.
  [[nodiscard]] bool plain_takes() const { return plain_link_ != 0 && takes(plain_link_); }
  // One that cannot leave now is kept, and the link takes no more until it has left.
  void send(link to, message&& outgoing, time_point now);

  // Before sleeping: what to sleep on. False: there is something to receive already.
  [[nodiscard]] bool begin_rest(std::vector<int>& fds, time_point& until, time_point now);
  void end_rest();

 private:
  struct peer {
    frame address{};                   // at the router
    std::unique_ptr<call_link> own{};  // or ours alone
    bool is_open = false;
    time_point heard{};
    std::optional<message> kept{};  // it takes nothing
    time_point kept_since{};
    bool has_to_renew = false;
  };

  [[nodiscard]] socket& router();
  [[nodiscard]] socket& plain();
  void watch(std::optional<monitor>& events, std::optional<socket>& of);
  void hear(std::optional<monitor>& events);
  void receive_routed(std::vector<news>& into, std::size_t most, time_point now);
  void receive_own(link which, peer& from, std::vector<news>& into, std::size_t most);
  void lose(link which, std::vector<news>& into);
  void lose_silent(std::vector<news>& into, time_point now);
  void renew(peer& which);
  [[nodiscard]] bool try_send(peer& to, message& outgoing);
  void send_kept();

  context context_;
  const socket_options options_;
  const socket_kind plain_kind_;
  const duration patience_;

  bool is_watched_ = false;
  std::vector<connection_event> events_;
  std::optional<socket> router_;
  std::optional<monitor> router_events_;
  std::optional<socket> plain_;
  std::optional<monitor> plain_events_;
  link plain_link_ = 0;
  bool plain_is_told_ = false;
  bool is_plain_paused_ = false;
  std::unordered_map<link, peer> peers_;
  std::unordered_map<std::string, link> by_address_;
  std::vector<link> open_;
  std::vector<link> own_;   // those with a socket of their own
  std::vector<link> gone_;  // of those, disconnected and not yet told
  link last_ = 0;
  bool keeps_ = false;      // some peer takes nothing
  time_point next_look_{};  // for the silent
};

}  // namespace parley::detail
