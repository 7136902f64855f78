// SPDX-License-Identifier: MPL-2.0
#include "curve.hpp"

#include "output.hpp"

#include <parley/error.hpp>
#include <parley/poller.hpp>

#include <utility>

void curve_arg::add_to(CLI::App& command) {
  command
      .add_option("--curve-keys", keys_,
                  "encrypt, with our keys in this file of 'parley keygen NAME'; without "
                  "--curve-server as the server of our peers")
      ->option_text("NAME");
  command
      .add_option("--curve-server", server_,
                  "encrypt, as a client of the server whose public key is in this file; without "
                  "--curve-keys with keys made up for once")
      ->option_text("NAME");
  add_list_to(command);
}

void curve_arg::add_list_to(CLI::App& command) {
  command
      .add_option("--curve-allow", allowed_,
                  "take only clients and peers whose public keys are in this file, one a line, or "
                  "in the files of this directory")
      ->option_text("PATH");
}

parley::curve_security curve_arg::get() const {
  return server_.empty() ? as_server() : as_client();
}

parley::curve_security curve_arg::as_server() const {
  return keys_.empty() ? parley::curve_security{} : parley::read_curve_keys(keys_);
}

parley::curve_security curve_arg::as_client() const {
  if (server_.empty()) {
    return {};
  }
  const parley::curve_key server = parley::read_public_key(server_);
  return keys_.empty() ? parley::curve_security{server}
                       : parley::curve_security{server, parley::read_curve_keys(keys_)};
}

std::optional<parley::allow_list> curve_arg::list(parley::context& owner, bool is_server) const {
  if (allowed_.empty()) {
    return std::nullopt;
  }
  if (keys_.empty() && !is_server) {
    throw parley::config_error{"--curve-allow is of use with --curve-keys only"};
  }
  if (!server_.empty() && !is_server) {
    throw parley::config_error{
        "--curve-allow is of use to a server only, and --curve-server makes this a client"};
  }
  return parley::allow_list{owner, std::filesystem::path{allowed_}};
}

void handshake_watch::start(std::unique_ptr<parley::monitor> events) {
  events_ = std::move(events);
  thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
}

void handshake_watch::run(const std::stop_token& stop) {
  try {
    parley::poller waiting;
    waiting.add(events_->events(), parley::interest::input, [this] {
      while (const auto event = events_->try_receive()) {
        tell(*event);
      }
    });
    waiting.run(stop);
  } catch (const parley::error&) {
    // The command ends.
  }
}

void handshake_watch::tell(const parley::connection_event& event) {
  if (event.change != parley::connection_change::handshake_failed) {
    return;
  }
  std::string sentence = "parley: no secure connection at " + event.where + ": " + event.reason;
  if (!server_.empty()) {
    sentence += " (is '" + server_ + "' that server's key, and are we on its list?)";
  }
  if (told_.insert(sentence).second) {
    say(sentence);
  }
}
