// SPDX-License-Identifier: MPL-2.0
//
// The rim of a node: its mailbox, the lines to its peers, beacons, and the thread that serves them.
// Whoever says something sends it himself, under the lock.
#pragma once

#include <parley/context.hpp>
#include <parley/doorkeeper.hpp>
#include <parley/name_board.hpp>
#include <parley/peers.hpp>

#include "beacon_sockets.hpp"
#include "event_queue.hpp"
#include "file_carrier.hpp"
#include "gossip.hpp"
#include "identity_table.hpp"
#include "letter_carrier.hpp"
#include "neighbour_log.hpp"
#include "network_interfaces.hpp"
#include "peer_desk.hpp"
#include "peer_inbox.hpp"
#include "peer_lines.hpp"
#include "service_table.hpp"
#include "tcp_probes.hpp"
#include "waker.hpp"

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace parley::detail {

class peers_core {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  peers_core(context& owner, const peers_options& options);
  ~peers_core();
  peers_core(const peers_core&) = delete;
  peers_core& operator=(const peers_core&) = delete;

  [[nodiscard]] const peer_id& id() const noexcept { return id_; }
  [[nodiscard]] const std::string& name() const noexcept { return desk_.name(); }

  void join(std::string_view group);
  void leave(std::string_view group);
  [[nodiscard]] bool whisper(const peer_id& to, const message& content);
  [[nodiscard]] std::size_t shout(std::string_view group, const message& content);

  std::uint64_t send_letter(const std::string& identity, message content);
  void mark_read(const peer_event& letter);
  [[nodiscard]] std::size_t letters_waiting(const std::string& identity) const;

  std::uint64_t send_file(const peer_id& to, const std::filesystem::path& file);
  [[nodiscard]] bool accept_file(std::uint64_t number, const std::filesystem::path& to,
                                 existing_file existing);
  bool cancel_file(std::uint64_t number);

  // Nothing: the deadline passed, or somebody asked for the end. Throws closed.
  [[nodiscard]] std::optional<peer_event> receive_until(time_point deadline,
                                                        const std::stop_token& stop = {});
  void wake_receivers();
  [[nodiscard]] int fd() const noexcept { return events_fd_; }

  template<class Question>
  [[nodiscard]] auto ask(Question&& question) const {
    const std::lock_guard lock{mutex_};
    return question(desk_);
  }
  [[nodiscard]] bool wait_for_peers(std::size_t count, time_point deadline,
                                    std::string_view group) const;
  [[nodiscard]] std::optional<endpoint> gossip_endpoint() const;
  [[nodiscard]] std::vector<interface_status> interfaces() const;
  [[nodiscard]] std::vector<neighbour> neighbours() const;
  [[nodiscard]] peers_statistics statistics() const;

  void close() noexcept;

 private:
  void check_open() const;
  void work() noexcept;
  void serve();
  [[nodiscard]] bool hear(time_point now);
  [[nodiscard]] bool hear_gossip(time_point now);
  void tell_of(const peer_id& who, time_point now);
  void send_beacons(time_point now);
  [[nodiscard]] std::string beacon_with(std::uint16_t port) const;
  void carry_out(time_point now);
  void sort(peer_event&& event, time_point now);
  void announced(const std::string& name, const endpoint& where, bool is_there);
  void post(const std::vector<service_table::change>& changes);
  void worked(file_result&& came) noexcept;  // the porter's thread
  // False: it is not here, or takes nothing until then.
  [[nodiscard]] bool wait_until_it_takes(std::unique_lock<std::mutex>& lock, const peer_id& to,
                                         time_point deadline);

  const peers_options options_;
  const peer_id id_;
  const int events_fd_;
  waker waker_;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;  // events, peers, closed
  context context_;
  const std::shared_ptr<doorkeeper> doorkeeper_;  // of a secured network
  peer_inbox inbox_;
  std::optional<beacon_sockets> beacons_;
  std::optional<gossip> gossip_;
  mutable neighbour_log neighbours_;  // forgets when it is read, too
  interface_watch interface_watch_;
  tcp_probes probes_;
  peer_desk desk_;
  peer_lines lines_;
  std::vector<peer_id> hung_up_;  // to be told when all that they said is read
  event_queue events_;
  identity_table identities_;
  letter_carrier letters_;
  file_carrier files_;
  service_table services_;
  bool is_told_ = false;  // events_fd_ is readable
  time_point next_beacon_{};
  time_point next_gossip_{};  // of those who are here
  bool is_closed_ = false;

  // Both ways, and not under the lock: whom it tells may wait for us.
  const std::shared_ptr<name_board> names_;
  name_board::entry lookout_;

  std::mutex joining_;
  std::thread thread_;
};

}  // namespace parley::detail
