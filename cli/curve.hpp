// SPDX-License-Identifier: MPL-2.0
//
// Encryption on the command line: which keys, and word on stderr when they do not fit.
#pragma once

#include <parley/allow_list.hpp>
#include <parley/curve.hpp>
#include <parley/monitor.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include <CLI/CLI.hpp>

class curve_arg {
 public:
  // Adds --curve-keys, --curve-server and --curve-allow.
  void add_to(CLI::App& command);
  // Adds --curve-allow, where the keys are the network's.
  void add_list_to(CLI::App& command);

  [[nodiscard]] bool is_set() const noexcept { return !keys_.empty() || !server_.empty(); }
  [[nodiscard]] const std::string& server() const noexcept { return server_; }

  // A client where the server's key is named, else a server. All throw config_error.
  [[nodiscard]] parley::curve_security get() const;
  [[nodiscard]] parley::curve_security as_server() const;
  [[nodiscard]] parley::curve_security as_client() const;
  // To live longer than the sockets of the context that it guards. is_server: of a command that is
  // both, the gateway or a peer, whether anything in it is a server.
  [[nodiscard]] std::optional<parley::allow_list> list(parley::context& owner,
                                                       bool is_server = false) const;

 private:
  std::string keys_;
  std::string server_;
  std::string allowed_;
};

// Says each reason why handshakes fail once. To live shorter than what it watches.
class handshake_watch {
 public:
  // What we are to the peers of watched: what the options say, or, in a command that is both, a
  // server.
  enum class role { by_options, server };

  template<class Pattern>
  handshake_watch(const curve_arg& curve, Pattern& watched, role ours = role::by_options)
      : server_{ours == role::server ? std::string{} : curve.server()} {
    if (curve.is_set()) {
      // NOLINTNEXTLINE(modernize-make-unique): a monitor cannot be moved
      start(std::unique_ptr<parley::monitor>{new parley::monitor{watched.watch()}});
    }
  }
  // Of what tells of its connections itself.
  template<class Pattern>
  static std::unique_ptr<handshake_watch> listening_to(Pattern& watched, const curve_arg& curve,
                                                       role ours = role::by_options) {
    std::unique_ptr<handshake_watch> made{
        new handshake_watch{ours == role::server ? std::string{} : curve.server()}};
    if (curve.is_set()) {
      watched.on_connection(
          [to = made.get()](const parley::connection_event& event) { to->tell(event); });
      made->end_ = [&watched] { watched.on_connection(nullptr); };
    }
    return made;
  }
  handshake_watch(const curve_arg& curve, parley::context& owner, parley::socket& watched)
      : server_{curve.server()} {
    if (curve.is_set()) {
      start(std::make_unique<parley::monitor>(owner, watched));
    }
  }
  handshake_watch(const handshake_watch&) = delete;
  handshake_watch& operator=(const handshake_watch&) = delete;
  ~handshake_watch() {
    if (end_) {
      end_();
    }
  }

 private:
  void start(std::unique_ptr<parley::monitor> events);
  void run(const std::stop_token& stop);
  void tell(const parley::connection_event& event);
  explicit handshake_watch(std::string server) : server_{std::move(server)} {}

  std::function<void()> end_;  // of listening
  std::string server_;
  std::unique_ptr<parley::monitor> events_;
  std::set<std::string> told_;  // one thread's at a time
  std::jthread thread_;
};
